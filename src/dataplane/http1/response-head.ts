// The head of an upstream's response. As strict as for requests: a response that two parsers could read differently is answered with
// 502 and its connection is not used again (reliability: response-queue poisoning).

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
import { HeadFault } from "./request-head.ts";

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Without framing and hop-by-hop headers, except Proxy-Authenticate. */
  readonly headers: Headers;
  readonly contentLength: number;
  readonly isChunked: boolean;
  /** The upstream keeps the connection open after this response. */
  readonly keepsAlive: boolean;
  readonly upgrade: string | undefined;
  /** HTTP/2: nothing comes after the head. */
  readonly isWhole: boolean;
}

const bad = (reason: string) => new HeadFault(502, reason);

const line = new HeaderLine();

export const maxResponseHeaders = 100;

/** @param text latin1, from the status line to the CRLF of the last header */
export function parseResponseHead(text: string, maxHeaders: number): ResponseHead | HeadFault {
  if (hasForbiddenCharacter(text)) return bad("control character or bare CR or LF");
  const lineEnd = text.indexOf("\r\n");
  // HTTP/1.1 200 OK
  if (!text.startsWith("HTTP/1.") || text.charCodeAt(8) !== 0x20) return bad("status line");
  const minor = text.charCodeAt(7) - 0x30;
  if (minor !== 1 && minor !== 0) return bad("version");
  const status = (text.charCodeAt(9) - 0x30) * 100 + (text.charCodeAt(10) - 0x30) * 10 + (text.charCodeAt(11) - 0x30);
  if (!(status >= 100 && status <= 999) || !isDigit(text, 9) || !isDigit(text, 10) || !isDigit(text, 11)) return bad("status");
  if (lineEnd > 12 && text.charCodeAt(12) !== 0x20) return bad("status");
  const reason = lineEnd > 13 ? text.slice(13, lineEnd) : "";

  const headers: Headers = [];
  let contentLength = -1;
  let transferEncoding: string | undefined;
  let connection: string | undefined;
  let upgrade: string | undefined;
  let count = 0;
  let at = lineEnd + 2;
  const length = text.length;
  while (at < length) {
    if (!line.read(text, at)) return bad(line.fault);
    at = line.next;
    if (++count > maxHeaders) return bad("too many headers");
    const { name, value } = line;
    switch (line.code) {
      case 0:
      case known.host:
      case known.expect:
      case known["proxy-authenticate"]:
        headers.push(name, value);
        break;
      case known["content-length"]:
        if (contentLength !== -1) return bad("Content-Length");
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
      default:
        break;
    }
  }
  let isChunked = false;
  if (transferEncoding !== undefined) {
    if (contentLength !== -1) return bad("Content-Length with Transfer-Encoding");
    if (minor === 0 || transferEncoding.toLowerCase() !== "chunked") return bad("Transfer-Encoding");
    isChunked = true;
  }
  let keepsAlive = minor === 1;
  if (connection !== undefined) {
    for (const option of connectionOptions(connection)) {
      if (option === "close") keepsAlive = false;
      else if (option === "keep-alive") keepsAlive = true;
      else if (option !== "upgrade") removeNominated(headers, option);
    }
  }
  return { status, reason, headers, contentLength, isChunked, keepsAlive, upgrade, isWhole: false };
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}
