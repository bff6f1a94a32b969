// What an authorization server may say of a request, whichever way it was asked.

import type { JsonValue } from "@bufbuild/protobuf";
import { HeaderValueOption_HeaderAppendAction as Action, type HeaderValueOption } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { type Headers, hasHeader, removeHeader, setHeader } from "../http1/headers.ts";
import { headerName, known } from "../http1/names.ts";
import { breaksLines, wireText } from "../text.ts";

export type Authorization =
  | {
      readonly kind: "allowed";
      readonly request: readonly HeaderChange[];
      readonly remove: readonly string[];
      readonly response: readonly HeaderChange[];
      readonly setQuery: readonly (readonly [string, string])[];
      readonly removeQuery: readonly string[];
      readonly metadata: Record<string, JsonValue> | undefined;
    }
  | {
      readonly kind: "denied";
      readonly status: number;
      readonly headers: Headers;
      readonly body: string;
      readonly metadata: Record<string, JsonValue> | undefined;
    }
  /** There was no answer, or one that says nothing. */
  | { readonly kind: "error" };

export interface HeaderChange {
  readonly name: string;
  readonly value: string;
  readonly how: "set" | "add" | "addIfAbsent" | "overwrite" | "append";
}

/** Asks once, answers once. */
export interface Authorizer {
  readonly cluster: string;
  check(
    exchange: Exchange,
    contextExtensions: Readonly<Record<string, string>>,
    body: Buffer | undefined,
    onAnswer: (authorization: Authorization) => void,
  ): { cancel(): void };
}

/** What holds messages and connections together, and where a request goes: no server and no token has a say in that. */
const structural: ReadonlySet<number> = new Set([
  known.connection,
  known["content-length"],
  known["transfer-encoding"],
  known.host,
  known["keep-alive"],
  known["proxy-connection"],
  known.te,
  known.trailer,
  known.upgrade,
  known.expect,
]);

export function isStructural(name: string): boolean {
  return structural.has(headerName(name)?.code ?? 0);
}

/** A header from a server as it may be written into a message; undefined for what would break it apart. */
export function safeHeader(key: string, text: string): readonly [string, string] | undefined {
  const name = headerName(key.toLowerCase())?.name;
  const value = wireText(text);
  return name === undefined || isStructural(name) || breaksLines(value) ? undefined : [name, value];
}

/** `append` is older than `append_action`, and counts where it is set. */
export function changeOf({ header, append, appendAction }: HeaderValueOption, isResponse: boolean): HeaderChange[] {
  const raw = header?.value === "" ? Buffer.from(header.rawValue).toString("utf8") : header?.value;
  const value = wireText(raw ?? "");
  // The host of a request is an authorization server's to change: see applyAllowed.
  if (!isResponse && header?.key.toLowerCase() === "host" && !breaksLines(value)) return [{ name: "host", value, how: "set" }];
  const safe = safeHeader(header?.key ?? "", raw ?? "");
  return safe === undefined ? [] : [changeWith(safe, append, appendAction, isResponse)];
}

function changeWith(
  [name, value]: readonly [string, string],
  append: boolean | undefined,
  appendAction: Action,
  isResponse: boolean,
): HeaderChange {
  if (append !== undefined) return { name, value, how: append ? (isResponse ? "add" : "append") : "set" };
  if (!isResponse) return { name, value, how: "set" };
  const how = (
    {
      [Action.APPEND_IF_EXISTS_OR_ADD]: "add",
      [Action.ADD_IF_ABSENT]: "addIfAbsent",
      [Action.OVERWRITE_IF_EXISTS]: "overwrite",
      [Action.OVERWRITE_IF_EXISTS_OR_ADD]: "set",
    } as const
  )[appendAction];
  return { name, value, how: how ?? "set" };
}

export function changeHeaders(headers: Headers, changes: readonly HeaderChange[]): void {
  for (const { name, value, how } of changes) {
    switch (how) {
      case "set":
        setHeader(headers, name, value);
        break;
      case "add":
        headers.push(name, value);
        break;
      case "append":
        if (hasHeader(headers, name)) headers.push(name, value);
        break;
      case "addIfAbsent":
        if (!hasHeader(headers, name)) headers.push(name, value);
        break;
      default:
        if (hasHeader(headers, name)) setHeader(headers, name, value);
    }
  }
}

/** What was allowed changes the request. */
export function applyAllowed(exchange: Exchange, allowed: Extract<Authorization, { kind: "allowed" }>): void {
  const { headers } = exchange;
  for (const change of allowed.request) {
    if (change.name === "host") exchange.setPseudo("host", change.value);
  }
  changeHeaders(
    headers,
    allowed.request.filter(({ name }) => name !== "host"),
  );
  for (const name of allowed.remove) {
    const lower = name.toLowerCase();
    if (!lower.startsWith(":") && lower !== "host") removeHeader(headers, lower);
  }
  if (allowed.setQuery.length > 0 || allowed.removeQuery.length > 0) exchange.path = withQuery(exchange.path, allowed);
}

/** As it is, like Envoy; but for what has no place in a request line. */
function sendable(text: string): string {
  return text.replace(/[^\x21\x22\x24-\x7e]+/gu, encodeURIComponent);
}

function withQuery(
  path: string,
  { setQuery, removeQuery }: Pick<Extract<Authorization, { kind: "allowed" }>, "setQuery" | "removeQuery">,
): string {
  const mark = path.indexOf("?");
  const plain = mark < 0 ? path : path.slice(0, mark);
  const gone = new Set([...removeQuery, ...setQuery.map(([key]) => key)]);
  const nameOf = (pair: string) => pair.split("=", 1)[0] as string;
  const kept = (mark < 0 ? "" : path.slice(mark + 1)).split("&").filter((pair) => pair !== "" && !gone.has(nameOf(pair)));
  const set = setQuery.map(([key, value]) => `${sendable(key)}=${sendable(value)}`);
  // As Envoy writes it, which keeps them by name.
  const pairs = [...kept, ...set].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0));
  return pairs.length === 0 ? plain : `${plain}?${pairs.join("&")}`;
}

/** Strings of protobuf are UTF-8: like Envoy, what is not becomes `!`. */
export function sanitized(wire: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII starts at NUL
  if (/^[\x00-\x7f]*$/.test(wire)) return wire;
  return Buffer.from(wire, "latin1").toString("utf8").replaceAll("\ufffd", "!");
}
