// Where an API key is in a request: in a header, a parameter of the query, or a cookie. Found as Envoy finds it, and taken out.

import type { KeySource as Message } from "../../gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { firstValue } from "../formatter.ts";
import { headerValue, headerValues, removeHeader, setHeader } from "../http1/headers.ts";
import { wireText } from "../text.ts";

export interface KeySource {
  /** Empty where there is none. */
  find(exchange: Exchange): string;
  remove(exchange: Exchange): void;
}

/** Of several that are named, the header counts, then the parameter. */
export function keySource({ header, query, cookie }: Message, index: number): KeySource {
  if (header !== "") return fromHeader(header.toLowerCase());
  if (query !== "") return fromQuery(wireText(query));
  if (cookie !== "") return fromCookie(wireText(cookie));
  throw new Error(`key_sources[${index}] names no header, query or cookie`);
}

function fromHeader(name: string): KeySource {
  return {
    // Lines of Authorization are one value to Envoy; of others it sees the first.
    find: (exchange) =>
      ((name === "authorization" ? headerValue(exchange.headers, name) : firstValue(exchange, name)) ?? "").replace(/^Bearer /, ""),
    remove: ({ headers }) => removeHeader(headers, name),
  };
}

function fromQuery(name: string): KeySource {
  return {
    find: ({ path }) => {
      const found = parameters(path).find((each) => each.name === name);
      return found === undefined ? "" : decoded(found.value);
    },
    remove(exchange) {
      const { path } = exchange;
      const mark = path.indexOf("?");
      if (mark < 0) return;
      // By name, as Envoy, which keeps them that way; but not unescaped: a blank would end the path.
      const kept = parameters(path)
        .filter((each) => each.name !== name)
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
        .map(({ written, value }) => `${written}=${value}`);
      exchange.path = path.slice(0, mark) + (kept.length === 0 ? "" : `?${kept.join("&")}`);
    },
  };
}

interface Parameter {
  readonly name: string;
  /** Before it was decoded. */
  readonly written: string;
  readonly value: string;
}

function parameters(path: string): Parameter[] {
  const mark = path.indexOf("?");
  if (mark < 0) return [];
  const pairs = path.slice(mark + 1).split("&");
  // Nothing behind the last `&` is no parameter.
  if (pairs.at(-1) === "") pairs.pop();
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    const written = equals < 0 ? pair : pair.slice(0, equals);
    return { name: decoded(written), written, value: equals < 0 ? "" : pair.slice(equals + 1) };
  });
}

/** What is no escape stays as it is. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function fromCookie(name: string): KeySource {
  return {
    find({ headers }) {
      for (const pair of headerValues(headers, "cookie").flatMap((line) => line.split(";"))) {
        if (nameOf(pair) === name) return pair.slice(pair.indexOf("=") + 1).replace(/^"(.*)"$/, "$1");
      }
      return "";
    },
    remove({ headers }) {
      const pairs = headerValues(headers, "cookie").flatMap((line) => line.split(";"));
      // What is no cookie goes as well, as in Envoy; quotes of others stay, which Envoy takes away.
      const kept = pairs.filter((pair) => ![undefined, name].includes(nameOf(pair))).map((pair) => pair.replace(/^ +/, ""));
      if (kept.length === 0) removeHeader(headers, "cookie");
      else setHeader(headers, "cookie", kept.join("; "));
    },
  };
}

/** Undefined for what is no cookie. */
function nameOf(pair: string): string | undefined {
  const equals = pair.indexOf("=");
  return equals < 0 ? undefined : pair.slice(0, equals).replace(/^ +/, "");
}
