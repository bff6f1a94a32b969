// The head of an HTTP/1.1 request: strict, because what two parsers read differently is how requests are smuggled.
// The rules are those of RFC 9112 with every leniency refused; where Envoy is more lenient is listed in docs/decisions/0005.

import {
  connectionOptions,
  HeaderLine,
  hasForbiddenCharacter,
  joinConnection,
  parseContentLength,
  removeNominated,
} from "./header-lines.ts";
import type { Headers } from "./headers.ts";
import { known } from "./names.ts";

export type Protocol = "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";

export interface RequestHead {
  readonly method: string;
  /** Path and query, as the client wrote it. `*` for `OPTIONS *`. */
  readonly path: string;
  /** Host header, or the authority of an absolute-form target. */
  readonly authority: string;
  readonly protocol: Protocol;
  /** Without Host, framing and hop-by-hop headers. */
  readonly headers: Headers;
  /** -1: not given. */
  readonly contentLength: number;
  readonly isChunked: boolean;
  readonly wantsClose: boolean;
  /** The client asked to keep an HTTP/1.0 connection. */
  readonly wantsKeepAlive: boolean;
  /** What it asks to upgrade to; only when `Connection` nominates it. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
}

/** Why a message is refused: the status to answer with and a word for logs. */
export class HeadFault {
  readonly status: number;
  readonly reason: string;
  /** Whether the answer says in words what its status says. */
  readonly hasBody: boolean;
  constructor(status: number, reason: string, hasBody = true) {
    this.status = status;
    this.reason = reason;
    this.hasBody = hasBody;
  }
}

const bad = (reason: string) => new HeadFault(400, reason);

// The methods that llhttp knows; anything else is refused, as Envoy does by default.
const methods = new Set(
  (
    "ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS PATCH POST " +
    "PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE"
  ).split(" "),
);

const targetCharacters = /^[\x21\x22\x24-\x7e]+$/;
const absoluteForm = /^(https?):\/\/([^/?#]*)(.*)$/i;
const authorityForm = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::\d{0,5})?$/;

// A connection-specific nomination of one of these would let a client remove what the proxy or the upstream relies on.
const neverNominated = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "transfer-encoding",
  "forwarded",
  "authorization",
  "cookie",
  "x-request-id",
]);

// Hosts repeat: checked once, remembered while there are few.
const goodHosts = new Set<string>();

/** Path and query that both HTTPs can say. */
export function isTarget(path: string): boolean {
  return targetCharacters.test(path) && !path.includes("%00");
}

export function isHost(text: string): boolean {
  if (goodHosts.has(text)) return true;
  if (!authorityForm.test(text)) return false;
  if (goodHosts.size < 1_000 && text.length < 256) goodHosts.add(text);
  return true;
}

const line = new HeaderLine();

export interface RequestHeadLimits {
  readonly maxHeaders: number;
  readonly acceptHttp10: boolean;
  /** What a name with an underscore does. */
  readonly underscores: "allow" | "reject" | "drop";
}

/**
 * Reads a head.
 * @param text latin1, from the first character of the request line to the CRLF of the last header, without the empty line
 */
export function parseRequestHead(text: string, limits: RequestHeadLimits): RequestHead | HeadFault {
  if (hasForbiddenCharacter(text)) return bad("control character or bare CR or LF");
  const lineEnd = text.indexOf("\r\n");
  const firstSpace = text.indexOf(" ");
  const secondSpace = text.indexOf(" ", firstSpace + 1);
  if (firstSpace <= 0 || firstSpace > lineEnd || secondSpace < 0 || secondSpace > lineEnd) return bad("request line");
  const method = text.slice(0, firstSpace);
  const target = text.slice(firstSpace + 1, secondSpace);
  const protocol = text.slice(secondSpace + 1, lineEnd);
  if (protocol !== "HTTP/1.1" && protocol !== "HTTP/1.0") return bad("version");
  if (!methods.has(method)) return bad("method");
  if (!targetCharacters.test(target)) return bad("target");

  const headers: Headers = [];
  let host: string | undefined;
  let contentLength = -1;
  let transferEncoding: string | undefined;
  let connection: string | undefined;
  let upgrade: string | undefined;
  let expect: string | undefined;
  let count = 0;
  let at = lineEnd + 2;
  const length = text.length;
  while (at < length) {
    if (!line.read(text, at)) return bad(line.fault);
    at = line.next;
    if (++count > limits.maxHeaders) return new HeadFault(431, "too many headers");
    const { name, value } = line;
    switch (line.code) {
      case 0:
        if (limits.underscores !== "allow" && name.includes("_")) {
          if (limits.underscores === "reject") return bad("underscore in header name");
          break;
        }
        headers.push(name, value);
        break;
      case known.host:
        if (host !== undefined) return bad("two Host headers");
        host = value;
        break;
      case known["content-length"]:
        if (contentLength !== -1) return bad("two Content-Length headers");
        contentLength = parseContentLength(value);
        if (contentLength === -1) return bad("Content-Length");
        break;
      case known["transfer-encoding"]:
        if (transferEncoding !== undefined) return bad("two Transfer-Encoding headers");
        transferEncoding = value;
        break;
      case known.connection:
        connection = joinConnection(connection, value);
        break;
      case known.upgrade:
        upgrade = value;
        break;
      case known["proxy-connection"]:
        if (value.toLowerCase() === "close") connection = joinConnection(connection, "close");
        break;
      case known.expect:
        expect = value;
        break;
      default: // hop-by-hop: the rest of them
        break;
    }
  }

  let isChunked = false;
  if (transferEncoding !== undefined) {
    if (protocol === "HTTP/1.0") return bad("Transfer-Encoding in HTTP/1.0");
    if (contentLength !== -1) return bad("Content-Length with Transfer-Encoding");
    if (transferEncoding.toLowerCase() !== "chunked") return new HeadFault(501, "Transfer-Encoding other than chunked");
    isChunked = true;
  }

  if (host === undefined) {
    if (protocol === "HTTP/1.1") return new HeadFault(400, "no Host", false);
    host = "";
  } else if (!isHost(host)) return bad("Host");

  let path = target;
  if (target.charCodeAt(0) !== 0x2f) {
    if (method === "CONNECT") return new HeadFault(405, "CONNECT");
    if (target === "*" && method === "OPTIONS") path = "*";
    else {
      const absolute = absoluteForm.exec(target);
      if (absolute === null) return bad("target");
      // A target of https on a connection without TLS: what the client meant is not what it asked.
      if ((absolute[1] as string).toLowerCase() === "https") return new HeadFault(403, "https target on a plain connection");
      host = absolute[2] as string;
      if (!isHost(host)) return bad("authority of the target");
      const rest = absolute[3] as string;
      path = rest.startsWith("/") ? rest : `/${rest}`;
    }
  } else if (method === "CONNECT") return new HeadFault(405, "CONNECT");
  if (method === "TRACE") return new HeadFault(405, "TRACE");
  if (path.includes("%00")) return bad("%00 in the path");

  let wantsClose = false;
  let wantsKeepAlive = false;
  let upgradeNominated = false;
  if (connection !== undefined) {
    for (const option of connectionOptions(connection)) {
      if (option === "close") wantsClose = true;
      else if (option === "keep-alive") wantsKeepAlive = true;
      else if (option === "upgrade") upgradeNominated = true;
      else {
        if (neverNominated.has(option) || option.startsWith("x-forwarded-") || option.startsWith("x-envoy-")) {
          return bad("Connection nominates a header that is not hop-by-hop");
        }
        removeNominated(headers, option);
      }
    }
  }
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") return new HeadFault(417, "Expect");
  if (protocol === "HTTP/1.0" && !limits.acceptHttp10) return new HeadFault(426, "HTTP/1.0");

  return {
    method,
    path,
    authority: host,
    protocol,
    headers,
    contentLength,
    isChunked,
    wantsClose,
    wantsKeepAlive,
    upgrade: upgradeNominated ? upgrade : undefined,
    expectsContinue: expect !== undefined && protocol === "HTTP/1.1",
  };
}
