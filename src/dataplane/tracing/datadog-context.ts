// The context of a trace of Datadog, as requests bring it: in headers of its own (decimal), and in those of the W3C, which say more where both tell of
// the same trace.

import { type Headers, headerValues } from "../http1/headers.ts";
import { decodedTags, errorTag, isSource, mostTagBytes, readPriority, readTracestate, sourceTag, tagPrefix } from "./datadog-tags.ts";

export const highTag: string = `${tagPrefix}tid`;
export const decisionTag: string = `${tagPrefix}dm`;

export interface ExtractedContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Empty: there is a trace, but no span of it yet. */
  readonly parentId: string;
  readonly priority: number | undefined;
  readonly origin: string | undefined;
  readonly traceTags: readonly (readonly [string, string])[];
  readonly moreOfDatadog: string | undefined;
  readonly moreOfOthers: string | undefined;
}

export interface Extraction {
  /** Undefined: there is none, or none that can be read. A new trace begins. */
  readonly context: ExtractedContext | undefined;
  /** What the first span here tells of it. */
  readonly tags: Record<string, string>;
}

/** Of one style. */
interface Style {
  traceId: string | undefined;
  parentId: string | undefined;
  priority: number | undefined;
  origin: string | undefined;
  readonly traceTags: (readonly [string, string])[];
  readonly moreOfDatadog: string | undefined;
  readonly moreOfOthers: string | undefined;
  /** The last span of Datadog's, as `tracestate` has it. */
  readonly lastId: string | undefined;
}

const nothing = (): Style => ({
  traceId: undefined,
  parentId: undefined,
  priority: undefined,
  origin: undefined,
  traceTags: [],
  moreOfDatadog: undefined,
  moreOfOthers: undefined,
  lastId: undefined,
});

export function extractContext(headers: Headers): Extraction {
  const tags: Record<string, string> = {};
  const first = (name: string) => headerValues(headers, name)[0];
  const datadog = readDatadog(first, tags);
  if (datadog === undefined) return { context: undefined, tags };
  const w3c = readW3c(first, tags);
  const { traceId, parentId = "", origin, ...rest } = merged(datadog, w3c, tags);
  const isNone = traceId === undefined || /^0+$/.test(traceId) || (rest.parentIsMissing && origin === undefined);
  if (isNone) return { context: undefined, tags };
  const traceTags = [...rest.traceTags];
  keepHigh(traceTags, traceId.slice(0, 16), tags);
  const at = traceTags.findIndex(([name]) => name === sourceTag);
  if (at !== -1) tags[sourceTag] = (traceTags.splice(at, 1)[0] as readonly [string, string])[1];
  const { priority, moreOfDatadog, moreOfOthers } = rest;
  return { context: { traceId, parentId: noZero(parentId), priority, origin, traceTags, moreOfDatadog, moreOfOthers }, tags };
}

type First = (name: string) => string | undefined;

/** Undefined: what is there cannot be read. */
function readDatadog(first: First, tags: Record<string, string>): Style | undefined {
  const style = nothing();
  const [trace, parent, priority] = ["trace-id", "parent-id", "sampling-priority"].map((each) => first(`x-datadog-${each}`));
  if (trace !== undefined) {
    const low = ofDecimal(trace);
    if (low === undefined) return undefined;
    style.traceId = "0".repeat(16) + low;
  }
  if (parent !== undefined) {
    style.parentId = ofDecimal(parent);
    if (style.parentId === undefined) return undefined;
  }
  if (priority !== undefined) {
    style.priority = readPriority(priority.trim());
    if (style.priority === undefined) return undefined;
  }
  style.origin = first("x-datadog-origin");
  const given = first("x-datadog-tags");
  if (given !== undefined) takeTags(style, given, tags);
  return style;
}

function takeTags(style: Style, text: string, tags: Record<string, string>): void {
  const decoded = text.length > mostTagBytes ? undefined : decodedTags(text);
  if (decoded === undefined) {
    tags[errorTag] = text.length > mostTagBytes ? tooLong : "decoding_error";
    return;
  }
  for (const [name, value] of decoded) {
    if (!name.startsWith(tagPrefix)) continue;
    if (name === sourceTag && !isSource(value)) continue;
    if (name === highTag) {
      if (!isHigh(value)) {
        tags[errorTag] = `malformed_tid ${value}`;
        continue;
      }
      if (style.traceId !== undefined) style.traceId = value.toLowerCase() + style.traceId.slice(16);
    }
    style.traceTags.push([name, value]);
  }
}

const tooLong = "extract_max_size";

function isHigh(text: string): boolean {
  return /^[0-9a-f]{16}$/i.test(text);
}

function readW3c(first: First, tags: Record<string, string>): Style {
  const given = first("traceparent");
  if (given === undefined) return nothing();
  const read = readParent(given.trim());
  if (typeof read === "string") {
    tags["_dd.w3c_extraction_error"] = read;
    return nothing();
  }
  const state = readTracestate(first("tracestate")?.trim() ?? "");
  if (state.isTooLong) tags[errorTag] = tooLong;
  // Where they disagree, the flag counts.
  const agrees = state.priority !== undefined && state.priority > 0 === read.isKept;
  return {
    traceId: read.traceId,
    parentId: read.parentId,
    priority: agrees ? state.priority : Number(read.isKept),
    origin: state.origin,
    traceTags: state.traceTags,
    moreOfDatadog: state.moreOfDatadog,
    moreOfOthers: state.moreOfOthers,
    lastId: state.lastId ?? noId,
  };
}

const noId = "0".repeat(16);

interface Parent {
  readonly traceId: string;
  readonly parentId: string;
  readonly isKept: boolean;
}

/** A text: why it cannot be read, as the span is told. */
function readParent(text: string): Parent | string {
  if (text.length < 55) return "malformed_traceparent";
  const version = /^[0-9a-f]{0,2}(?=-)/i.exec(text)?.[0];
  if (version === undefined) return /^[0-9a-f]{3}/i.test(text) ? "malformed_traceparent" : "invalid_version";
  if (version === "ff") return "invalid_version";
  const traceAt = version.length + 1;
  const traceEnd = text.indexOf("-", traceAt);
  if (traceEnd === -1 || traceEnd > 35) return "malformed_traceparent";
  const traceId = ofHex(text.slice(traceAt, traceEnd), 32);
  if (traceId === undefined) return "malformed_traceid";
  const parentEnd = text.indexOf("-", traceEnd + 1);
  if (parentEnd === -1 || parentEnd > 52) return "malformed_traceparent";
  const parentId = ofHex(text.slice(traceEnd + 1, parentEnd), 16);
  if (parentId === undefined) return "malformed_parentid";
  const rest = text.slice(parentEnd + 1);
  if (rest.length < 2 || (rest.length > 2 && (version === "00" || rest[2] !== "-"))) return "malformed_traceparent";
  const flags = rest.slice(0, 2);
  if (!/^[0-9a-f]{2}$/i.test(flags)) return "malformed_traceflags";
  return { traceId, parentId, isKept: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Undefined: it is no number, or none but zero. */
function ofHex(text: string, digits: number): string | undefined {
  if (!/^[0-9a-f]+$/i.test(text)) return undefined;
  const id = text.toLowerCase().replace(/^0+/, "");
  return id === "" || id.length > digits ? undefined : id.padStart(digits, "0");
}

/** Of 64 bits. */
function ofDecimal(text: string): string | undefined {
  const digits = text.trim();
  if (!/^\d{1,40}$/.test(digits)) return undefined;
  const value = BigInt(digits);
  return value >= 2n ** 64n ? undefined : value.toString(16).padStart(16, "0");
}

function noZero(id: string): string {
  return /^0*$/.test(id) ? "" : id;
}

/** Datadog's headers count; the W3C's know who asked last, and what others have said of the same trace. */
function merged(datadog: Style, w3c: Style, tags: Record<string, string>): Style & { readonly parentIsMissing: boolean } {
  const main = datadog.traceId === undefined ? w3c : datadog;
  const parentIsMissing = main.parentId === undefined;
  if (main === w3c) {
    if (w3c.lastId !== undefined) tags[parentTag] = w3c.lastId;
    return { ...w3c, parentIsMissing };
  }
  if (w3c.traceId !== main.traceId) return { ...main, parentIsMissing };
  const { moreOfDatadog, moreOfOthers, parentId } = w3c;
  if (main.parentId !== parentId) {
    const lastId = w3c.lastId !== noId ? w3c.lastId : main.parentId;
    if (lastId !== undefined) tags[parentTag] = lastId;
  }
  return { ...main, moreOfDatadog, moreOfOthers, parentId, parentIsMissing: false };
}

const parentTag = "_dd.parent_id";

/** Half of the identifier goes on in a tag, which must say the same. */
function keepHigh(traceTags: (readonly [string, string])[], high: string, tags: Record<string, string>): void {
  if (high === noId) return;
  const at = traceTags.findIndex(([name]) => name === highTag);
  const said = traceTags[at]?.[1];
  if (said === undefined) traceTags.push([highTag, high]);
  else if (!isHigh(said)) tags[errorTag] = `malformed_tid ${said}`;
  else if (said.toLowerCase() !== high) tags[errorTag] = `inconsistent_tid ${said}`;
  else return;
  if (said !== undefined) traceTags[at] = [highTag, high];
}
