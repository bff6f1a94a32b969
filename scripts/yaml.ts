// JSON as YAML that people and diffs can read: what fits on a line is on a line.

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

const width = 120;

export function yaml(value: object): string {
  return `${block(value as Json, 0).trimStart()}\n`;
}

/** On new lines, unless it fits on the one that it begins on. */
function block(value: Json, indent: number): string {
  const pad = `\n${"  ".repeat(indent)}`;
  if (typeof value === "string") return literal(value, pad);
  if (Array.isArray(value))
    return value.map((each) => `${pad}- ${(fits(each, indent + 1) ?? block(each, indent + 1)).trimStart()}`).join("");
  return entriesOf(value)
    .map(([key, each]) => {
      const line = fits(each, indent + 1 + key.length / 2);
      return `${pad}${scalar(key)}:${line === undefined ? block(each, indent + 1) : ` ${line}`}`;
    })
    .join("");
}

function fits(value: Json, indent: number): string | undefined {
  const line = flow(value);
  // An object with fields of its own is easier to read, and to compare, on lines of its own.
  const isTree = line.includes("properties: {") || line.includes("[{") || line.includes("\\n");
  return (isScalar(value) && !isText(value)) || (!isTree && line.length + 2 * indent + 2 <= width) ? line : undefined;
}

function flow(value: Json): string {
  if (isScalar(value)) return scalar(value);
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  const entries = entriesOf(value).map(([key, each]) => `${scalar(key)}: ${flow(each)}`);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

/** Of several lines: as they are. */
function literal(text: string, pad: string): string {
  const lines = text.replace(/\n$/, "").split("\n");
  return ` |${text.endsWith("\n") ? "" : "-"}${lines.map((line) => (line === "" ? "\n" : `${pad}${line}`)).join("")}`;
}

function isText(value: Json): boolean {
  return typeof value === "string" && value.includes("\n");
}

function entriesOf(value: Json): [string, Json][] {
  return Object.entries(value as object).filter(([, each]) => each !== undefined);
}

function isScalar(value: Json): value is string | number | boolean | null {
  return typeof value !== "object" || value === null;
}

/** Kubernetes reads YAML 1.1, where `on` and `no` are booleans. */
function scalar(value: string | number | boolean | null): string {
  if (typeof value !== "string") return JSON.stringify(value);
  const isPlain = /^[A-Za-z_.][\w./-]*$/.test(value) && !/^(y|n|yes|no|on|off|true|false|null|\.inf|\.nan)$/i.test(value);
  return isPlain ? value : JSON.stringify(value);
}
