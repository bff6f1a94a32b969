// Tags that go on with a trace of Datadog (`_dd.p.…`): as a list in a header of their own, and as the part of `tracestate` that is Datadog's.

export const tagPrefix = "_dd.p.";

/** Of a header, or of the entry in `tracestate`; of more nothing is read, and no more is sent. */
export const mostTagBytes = 512;

/** What the first span here tells of tags that could not go on. */
export const errorTag = "_dd.propagation_error";

type Tags = readonly (readonly [name: string, value: string])[];

/** Undefined: one of them is none. */
export function decodedTags(text: string): Tags | undefined {
  if (text === "") return [];
  const entries = text.split(",");
  if (entries.at(-1) === "") entries.pop();
  if (!entries.every((each) => each.includes("="))) return undefined;
  return entries.map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]);
}

export function encodedTags(tags: Tags): string {
  return tags.map(([name, value]) => `${name}=${value}`).join();
}

// — tracestate —

export interface DatadogState {
  readonly id: string;
  readonly priority: number;
  readonly origin: string | undefined;
  readonly traceTags: Tags;
  /** What is not understood, as it came. */
  readonly more: string | undefined;
}

/** Of the entry of one vendor. What is longer loses what comes last. */
const mostState = 256;

export function datadogTracestate({ id, priority, origin, traceTags, more }: DatadogState): string {
  const parts = [`s:${priority}`, `p:${id}`];
  if (origin !== undefined) parts.push(`o:${valueText(origin)}`);
  for (const [name, value] of traceTags)
    if (name.startsWith(tagPrefix) && name !== `${tagPrefix}tid`) parts.push(`t.${nameText(name)}:${valueText(value)}`);
  if (more !== undefined) parts.push(more);
  let text = `dd=${parts.join(";")}`;
  while (text.length > mostState) text = text.slice(0, text.lastIndexOf(";"));
  return text;
}

function nameText(name: string): string {
  return name.slice(tagPrefix.length).replaceAll(/[^\x20-\x7e]|[ ,;=]/g, "_");
}

/** Equal signs mean something where it stands. */
function valueText(value: string): string {
  return value.replaceAll(/[^\x20-\x7e]|[,;~]/g, "_").replaceAll("=", "~");
}

export interface ReadTracestate {
  priority: number | undefined;
  origin: string | undefined;
  /** The last span of Datadog's. */
  lastId: string | undefined;
  readonly traceTags: (readonly [string, string])[];
  moreOfDatadog: string | undefined;
  /** The entries of others, as they came. */
  moreOfOthers: string | undefined;
  /** What Datadog's has to say was not read. */
  isTooLong: boolean;
}

export function readTracestate(text: string): ReadTracestate {
  const read: ReadTracestate = {
    priority: undefined,
    origin: undefined,
    lastId: undefined,
    traceTags: [],
    moreOfDatadog: undefined,
    moreOfOthers: undefined,
    isTooLong: false,
  };
  const entries = text.split(",");
  const at = entries.findIndex((each) => each.trim().startsWith("dd="));
  const others = at === -1 ? text : entries.toSpliced(at, 1).join();
  if (others !== "") read.moreOfOthers = others;
  const own = (entries[at] ?? "").trim().slice(3);
  if (own.length > mostTagBytes) read.isTooLong = true;
  else for (const pair of own.split(";")) readPair(read, pair);
  return read;
}

function readPair(read: ReadTracestate, pair: string): void {
  const colon = pair.indexOf(":");
  if (colon === -1) return;
  const [name, value] = [pair.slice(0, colon), pair.slice(colon + 1)];
  const whole = value.replaceAll("~", "=");
  if (name === "o") read.origin = whole;
  else if (name === "s") read.priority = readPriority(value) ?? read.priority;
  else if (name === "p") read.lastId = value;
  else if (name === "ts") {
    if (isSource(value)) read.traceTags.push([sourceTag, value]);
  } else if (name.startsWith("t.")) read.traceTags.push([tagPrefix + name.slice(2), whole]);
  else read.moreOfDatadog = read.moreOfDatadog === undefined ? pair : `${read.moreOfDatadog};${pair}`;
}

/** Which product of Datadog has made the trace. */
export const sourceTag: string = `${tagPrefix}ts`;

export function isSource(value: string): boolean {
  return /^\d{1,2}$/.test(value);
}

/** A number of 32 bits. */
export function readPriority(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return value >= -(2 ** 31) && value < 2 ** 31 ? value : undefined;
}
