// What an upstream would get, beside what was asked.
import { unicodeText } from "../../dataplane/text.ts";
import type { AskedRequest } from "./explain.ts";
import type { ExplainedHeader, ExplainedSending } from "./explanation.ts";

interface Head {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: readonly string[];
}

export function sendingOf(asked: AskedRequest, { method, path, authority, scheme, headers }: Head): ExplainedSending {
  const before = joined(asked.headers.map(([name, value]) => [name.toLowerCase(), value] as const));
  before.delete("host");
  const after = joined(headers.flatMap((name, i) => (i % 2 === 0 ? [[name, unicodeText(headers[i + 1] as string)] as const] : [])));
  const named = (name: string): ExplainedHeader => ({ name, value: madeUp(name, after.get(name) as string, before) });
  const names = [...after.keys()];
  return {
    method,
    path: unicodeText(path),
    host: unicodeText(authority),
    scheme,
    headers: {
      added: names.filter((name) => !before.has(name)).map(named),
      changed: names.filter((name) => before.has(name) && before.get(name) !== after.get(name)).map(named),
      removed: [...before.keys()].filter((name) => !after.has(name)),
    },
  };
}

function joined(pairs: Iterable<readonly [string, string]>): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, value] of pairs) {
    const first = all.get(name);
    all.set(name, first === undefined ? value : `${first},${value}`);
  }
  return all;
}

/** What is another at each request. */
function madeUp(name: string, value: string, before: ReadonlyMap<string, string>): string {
  if (name === "x-request-id" && before.get(name) !== value) return "(made for each request)";
  if (name === "x-amz-date" || (name === "authorization" && value.startsWith("AWS4-"))) return "(signed when it is sent)";
  return value;
}
