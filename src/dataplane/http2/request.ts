// The head of a request of HTTP/2. What makes it no request of HTTP/2 at all, node:http2 has refused before; here are the rules that requests of
// HTTP/1.1 have too, so that no upstream hears through HTTP/2 what it would not hear otherwise.

import { randomBytes } from "node:crypto";
import { parseContentLength } from "../http1/header-lines.ts";
import type { Headers } from "../http1/headers.ts";
import { HeadFault, isHost, isTarget, type RequestHead, type RequestHeadLimits } from "../http1/request-head.ts";

export interface Http2Limits extends RequestHeadLimits {
  /** Of all names and values together. */
  readonly maxHeadBytes: number;
  /** Tunnels may be asked for. */
  readonly allowsConnect: boolean;
}

const bad = (reason: string) => new HeadFault(400, reason);

/** @param list names and values as they came; `endsHere`: no body follows */
export function parseRequestList(list: readonly string[], endsHere: boolean, limits: Http2Limits): RequestHead | HeadFault {
  const headers: Headers = [];
  let method = "";
  let path = "";
  let authority: string | undefined;
  let host: string | undefined;
  let protocol: string | undefined;
  let cookie: string | undefined;
  let contentLength = -1;
  let expect: string | undefined;
  let count = 0;
  let size = 0;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    const value = list[i + 1] as string;
    size += name.length + value.length;
    if (size > limits.maxHeadBytes) return new HeadFault(431, "head too large");
    if (name.charCodeAt(0) === 0x3a) {
      if (name === ":method") method = value;
      else if (name === ":path") path = value;
      else if (name === ":authority") authority = value;
      else if (name === ":protocol") protocol = value;
      continue;
    }
    if (++count > limits.maxHeaders) return new HeadFault(431, "too many headers");
    switch (name) {
      case "host":
        if (host !== undefined) return bad("two Host headers");
        host = value;
        break;
      case "content-length":
        if (contentLength !== -1) return bad("two Content-Length headers");
        contentLength = parseContentLength(value);
        if (contentLength === -1) return bad("Content-Length");
        break;
      case "cookie":
        // RFC 9113 §8.2.3: crumbs of one header.
        cookie = cookie === undefined ? value : `${cookie}; ${value}`;
        break;
      case "expect":
        expect = value;
        break;
      case "trailer":
      case "proxy-authorization":
        break; // hop-by-hop
      default:
        if (limits.underscores !== "allow" && name.includes("_")) {
          if (limits.underscores === "reject") return bad("underscore in header name");
          break;
        }
        headers.push(name, value);
    }
  }
  if (cookie !== undefined) headers.push("cookie", cookie);
  if (method === "TRACE") return new HeadFault(405, "TRACE");
  if (method === "CONNECT" && (protocol === undefined || !limits.allowsConnect)) return new HeadFault(405, "CONNECT");
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") return new HeadFault(417, "Expect");
  const named = authority ?? host ?? "";
  if (named !== "" && !isHost(named)) return bad(":authority");
  if (!isTarget(path)) return bad(":path");
  if (protocol !== undefined) addWebSocketKey(headers, protocol);
  return {
    method: protocol === undefined ? method : "GET",
    path,
    authority: named,
    protocol: "HTTP/2",
    headers,
    contentLength: protocol === undefined ? contentLength : -1,
    isChunked: contentLength < 0 && !endsHere && protocol === undefined,
    wantsClose: false,
    wantsKeepAlive: false,
    upgrade: protocol,
    expectsContinue: expect !== undefined && !endsHere,
  };
}

/** RFC 8441 has no key; an upstream of HTTP/1.1 wants one. */
function addWebSocketKey(headers: Headers, protocol: string): void {
  if (protocol.toLowerCase() === "websocket") headers.push("sec-websocket-key", randomBytes(16).toString("base64"));
}
