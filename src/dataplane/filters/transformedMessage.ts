// A message as templates see it, and what they leave, written back. Framing is the proxy's business: templates may read it and not change it.

import type { JsonValue } from "@bufbuild/protobuf";
import type { HeaderList } from "../../template/header-list.ts";
import { bytesOf, dumpJson, textOfBytes } from "../../template/json.ts";
import { framing } from "../../template/program.ts";
import type { Changed, Message } from "../../template/stage.ts";
import { Float, type Value } from "../../template/value.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";
import type { FilteredResponse } from "./http-filter.ts";
import type { Program } from "./transformationProgram.ts";

export function requestList({ method, path, authority, scheme, headers, contentLength, upgrade }: Exchange): HeaderList {
  const list: [string, string][] = [
    [":authority", authority],
    [":path", path],
    [":method", method],
    [":scheme", scheme],
  ];
  if (contentLength >= 0) list.push(["content-length", String(contentLength)]);
  if (upgrade !== undefined) list.push(["connection", "Upgrade"], ["upgrade", upgrade]);
  return withAll(list, headers);
}

export function responseList({ status, headers, contentLength, isChunked }: FilteredResponse): HeaderList {
  const list: [string, string][] = [[":status", String(status)]];
  if (contentLength >= 0) list.push(["content-length", String(contentLength)]);
  else if (isChunked) list.push(["transfer-encoding", "chunked"]);
  return withAll(list, headers);
}

function withAll(list: [string, string][], headers: Headers): HeaderList {
  for (let i = 0; i < headers.length; i += 2) list.push([headers[i] as string, headers[i + 1] as string]);
  return list;
}

/** @param request the headers of the request, when the message is the response to it */
export function messageOf(
  { random }: Program,
  exchange: Exchange,
  headers: HeaderList,
  body: Buffer,
  request: HeaderList | undefined,
): Message {
  return {
    headers,
    body: body.toString("latin1"),
    isResponse: request !== undefined,
    ...(request && { requestHeaders: request }),
    env: (name) => bytesOf(process.env[textOfBytes(name)] ?? ""),
    dynamicMetadata: (namespace, path) => metadataAt(exchange, [namespace, ...path].map(textOfBytes)),
    random,
  };
}

/** Not to be changed by a template: what says where a message ends, and what becomes of its connection. */
const isOurs = (name: string) => framing.has(name) || name === "connection" || name === "upgrade";

export function writeRequest(exchange: Exchange, list: HeaderList): void {
  const { headers } = exchange;
  headers.length = 0;
  for (const [name, value] of list) {
    if (name === ":method") exchange.method = value;
    else if (name.charCodeAt(0) === 0x3a || name === "host") exchange.setPseudo(name, value);
    else if (!isOurs(name)) headers.push(name, value);
  }
}

export function writeResponse(response: FilteredResponse, list: HeaderList): void {
  const { headers } = response;
  headers.length = 0;
  for (const [name, value] of list) {
    if (name === ":status") response.status = Number(value);
    else if (name.charCodeAt(0) !== 0x3a && !isOurs(name)) headers.push(name, value);
  }
}

export function keepMetadata(exchange: Exchange, found: Changed["metadata"]): void {
  for (const { namespace, key, value } of found) {
    exchange.dynamicMetadata ??= {};
    const name = textOfBytes(namespace);
    const values = Object.hasOwn(exchange.dynamicMetadata, name) ? exchange.dynamicMetadata[name] : undefined;
    exchange.dynamicMetadata[name] = { ...values, [textOfBytes(key)]: JSON.parse(textOfBytes(dumpJson(value))) as JsonValue };
  }
}

function metadataAt({ dynamicMetadata }: Exchange, path: readonly string[]): Value | undefined {
  let at: unknown = dynamicMetadata;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at === undefined ? undefined : fromJson(at as JsonValue);
}

/** Numbers of metadata are floats. */
function fromJson(json: JsonValue): Value {
  if (typeof json === "string") return bytesOf(json);
  if (typeof json === "number") return new Float(json);
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(fromJson);
  return new Map(Object.entries(json).map(([key, value]) => [bytesOf(key), fromJson(value)]));
}
