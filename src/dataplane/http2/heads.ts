// Heads of HTTP/2 as flat lists of names and values, with pseudo headers in front, and the heads that exchanges know.

import { parseContentLength } from "../http1/header-lines.ts";
import type { Headers } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { OutgoingRequest } from "../upstream/stream.ts";

/** RFC 9113 §8.2.2: what belongs to a connection has no place in HTTP/2. */
const connectionSpecific = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

export function requestList(request: OutgoingRequest): string[] {
  const { headers, upgrade, contentLength } = request;
  const list = [
    ":method",
    upgrade === undefined ? request.method : "CONNECT",
    ":scheme",
    request.scheme,
    ":authority",
    request.authority,
    ":path",
    request.path,
  ];
  // RFC 8441: an upgrade is an extended CONNECT.
  if (upgrade !== undefined) list.push(":protocol", upgrade.toLowerCase());
  pushHeaders(list, headers, upgrade !== undefined);
  if (contentLength >= 0 && upgrade === undefined) list.push("content-length", String(contentLength));
  return list;
}

function pushHeaders(list: string[], headers: Headers, dropsProof: boolean): void {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    // What the handshake of WebSocket proves is proved by HTTP/2 itself.
    if (dropsProof && (name === "sec-websocket-key" || name === "sec-websocket-accept")) continue;
    if (!connectionSpecific.has(name)) list.push(name, headers[i + 1] as string);
  }
}

export function responseList(status: number, headers: Headers): string[] {
  const list = [":status", String(status)];
  pushHeaders(list, headers, true);
  return list;
}

/** Undefined when it is no head that HTTP/1.1 could say, or that has more headers than are taken. */
export function responseHead(list: readonly string[], isWhole: boolean, maxHeaders: number): ResponseHead | undefined {
  const headers: Headers = [];
  let status = 0;
  let contentLength = -1;
  if (list.length > (maxHeaders + 1) * 2) return undefined;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    const value = list[i + 1] as string;
    if (name === ":status") status = Number(value);
    else if (name === "content-length") {
      if (contentLength >= 0) return undefined;
      contentLength = parseContentLength(value);
      if (contentLength < 0) return undefined;
    } else if (breaksHttp1(value)) return undefined;
    else if (name.charCodeAt(0) !== 0x3a) headers.push(name, value);
  }
  if (!(status >= 200 && status <= 999)) return undefined;
  return { status, reason: "", headers, contentLength, isChunked: contentLength < 0, keepsAlive: true, upgrade: undefined, isWhole };
}

export function trailerList(list: readonly string[]): Headers {
  const trailers: Headers = [];
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    if (name.charCodeAt(0) !== 0x3a) trailers.push(name, list[i + 1] as string);
  }
  return trailers;
}

/** As node:http2 wants trailers: by name. */
export function trailerObject(trailers: Headers | undefined): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  if (trailers === undefined) return object;
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i] as string;
    const value = trailers[i + 1] as string;
    const before = object[name];
    if (connectionSpecific.has(name)) continue;
    object[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return object;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
const lineBreaking = /[\x00\r\n]/;

/** On a way down to HTTP/1.1 such a value would be more than one header. */
export function breaksHttp1(value: string): boolean {
  return lineBreaking.test(value);
}
