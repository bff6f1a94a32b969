// The body as a JSON object of headers and body, as Gloo makes it for functions of clouds.
import { firstOf, type HeaderList, queryOf } from "./header-list.ts";
import { dumpJson } from "./json.ts";
import type { Value } from "./value.ts";

export function envelopeOf(kind: "plain" | "request", headers: HeaderList, body: string): string {
  const result = new Map<string, Value>();
  if (body !== "") result.set("body", body);
  const [last, several] = listed(headers);
  result.set("headers", last);
  if (kind === "request") {
    const [path, query, found] = queryOf(firstOf(headers, ":path"));
    const [parameters, repeated] = listed(found);
    result.set("multiValueHeaders", several);
    result.set("queryString", query);
    result.set("httpMethod", firstOf(headers, ":method"));
    result.set("path", path);
    result.set("queryStringParameters", parameters);
    result.set("multiValueQueryStringParameters", repeated);
  }
  return dumpJson(result);
}

/** The last value of each name, and all values of those that have several. */
function listed(pairs: HeaderList): [last: ReadonlyMap<string, Value>, several: ReadonlyMap<string, Value>] {
  const last = new Map<string, string>();
  const several = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const before = last.get(name);
    last.set(name, value);
    if (before === undefined || before === "") continue;
    const list = several.get(name) ?? [before];
    list.push(value);
    several.set(name, list);
  }
  return [last, several];
}
