// A request as the event of a function: Gloo's form. Bytes that are not UTF-8 are passed on as they are, so text is latin1 here, a character
// for each byte.
import type { CallView } from "./awsLambda.ts";

export function eventOf({ method, path, authority, scheme, headers }: CallView, body: Buffer): Buffer {
  const all = new Map<string, string[]>();
  for (const [name, value] of Object.entries({ ":authority": authority, ":method": method, ":path": path, ":scheme": scheme }))
    all.set(name, [value]);
  for (let i = 0; i < headers.length; i += 2) collect(all, headers[i] as string, headers[i + 1] as string);
  const mark = path.indexOf("?");
  const query = mark === -1 ? "" : path.slice(mark + 1);
  const parameters = new Map<string, string[]>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    collect(parameters, unescaped(at === -1 ? pair : pair.slice(0, at)), unescaped(at === -1 ? "" : pair.slice(at + 1)));
  }
  const last = (map: ReadonlyMap<string, readonly string[]>) => object(map, (values) => quote(values.at(-1) ?? ""));
  const repeated = (map: ReadonlyMap<string, readonly string[]>) =>
    object(new Map([...map].filter(([, values]) => values.length > 1)), (values) => `[${values.map(quote).join(",")}]`);
  const parts = [
    `"headers":${last(all)}`,
    `"httpMethod":${quote(method)}`,
    `"multiValueHeaders":${repeated(all)}`,
    `"multiValueQueryStringParameters":${repeated(parameters)}`,
    `"path":${quote(mark === -1 ? path : path.slice(0, mark))}`,
    `"queryString":${quote(query)}`,
    `"queryStringParameters":${last(parameters)}`,
    ...(body.length > 0 ? [`"body":${quote(body.toString("latin1"))}`] : []),
  ];
  return Buffer.from(`{${parts.join(",")}}`, "latin1");
}

function collect(map: Map<string, string[]>, name: string, value: string): void {
  const known = map.get(name);
  if (known) known.push(value);
  else map.set(name, [value]);
}

function object(map: ReadonlyMap<string, readonly string[]>, write: (values: readonly string[]) => string): string {
  const sorted = [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, values]) => `${quote(name)}:${write(values)}`).join(",")}}`;
}

function unescaped(text: string): string {
  return text.replaceAll("+", " ").replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function quote(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what JSON has escapes for
  return `"${text.replace(/["\\\u0000-\u001f\u007f]/g, (c) => escapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
