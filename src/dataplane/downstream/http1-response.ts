// Responses as HTTP/1.1 writes them: heads, and how the body and the connection end.

import { STATUS_CODES } from "../../lib/node-http.ts";
import type { CompiledHcm } from "../compile/hcm.ts";
import { sendHeaders } from "../edge.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";
import type { HeadFault } from "../http1/request-head.ts";
import type { ResponseHead } from "../http1/response-head.ts";

/** What decides whether the connection ends after a response. */
export interface Closing {
  closesAfter(wanted: boolean): boolean;
}

/** Status line and header lines, without the empty one. */
export function headText(status: number, headers: Headers, phrase = STATUS_CODES[status] ?? "Unknown"): string {
  let text = `HTTP/1.1 ${status} ${phrase}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}

/** An answer of our own, whole. */
export function answerText(exchange: Exchange, status: number, headers: Headers, body: string, closing: Closing): string {
  let text = headText(status, headers);
  if (status !== 204 && status >= 200) {
    if (body !== "" || !exchange.isHead) text += `content-length: ${body.length}\r\n`;
    // Of an answer to HEAD without a text, Envoy does not say that it is empty.
    else if (exchange.protocol === "HTTP/1.1") text += "transfer-encoding: chunked\r\n";
  }
  text += `${connectionHeader(exchange, closing)}\r\n`;
  return !exchange.isHead && status !== 204 && status !== 304 ? text + body : text;
}

export function tunnelFraming(exchange: Exchange, head: ResponseHead): string {
  return `connection: upgrade\r\nupgrade: ${head.upgrade ?? exchange.upgrade}\r\n`;
}

/** How the body of a response ends. */
export interface Framing {
  readonly text: string;
  readonly isChunked: boolean;
}

/** How the body ends, and whether the connection ends with it. */
export function framing(exchange: Exchange, head: ResponseHead, closing: Closing): Framing {
  // RFC 9931: after a refused upgrade, what the client sent on is not a request.
  if (exchange.upgrade !== undefined) exchange.closesAfter = true;
  let text = "";
  let isChunked = false;
  const { isHead } = exchange;
  const hasNoBody = head.status === 204 || head.status === 304 || isHead;
  if (head.contentLength >= 0 && head.status !== 204) text = `content-length: ${head.contentLength}\r\n`;
  else if (!hasNoBody && head.isWhole) text = "content-length: 0\r\n";
  else if (!hasNoBody || (isHead && head.isChunked)) {
    if (exchange.protocol === "HTTP/1.1") {
      text = "transfer-encoding: chunked\r\n";
      isChunked = !hasNoBody;
    } else exchange.closesAfter = true;
  }
  return { text: text + connectionHeader(exchange, closing), isChunked };
}

/** Decides whether the connection ends after the response, and says so. */
function connectionHeader(exchange: Exchange, closing: Closing): string {
  if (closing.closesAfter(exchange.closesAfter)) {
    exchange.closesAfter = true;
    return "connection: close\r\n";
  }
  return exchange.protocol === "HTTP/1.0" ? "connection: keep-alive\r\n" : "";
}

/** The answer to what is not a request. */
export function refusalText(fault: HeadFault, hcm: CompiledHcm): string {
  const phrase = refusalPhrase(fault.status);
  const body = fault.hasBody ? phrase : "";
  const headers: Headers = ["content-length", String(body.length)];
  if (body !== "") headers.push("content-type", "text/plain");
  sendHeaders(headers, hcm, true);
  return `${headText(fault.status, headers, phrase)}connection: close\r\n\r\n${body}`;
}

export function refusalPhrase(status: number): string {
  return phrases[status] ?? "Bad Request";
}

const phrases: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  408: "Request Timeout",
  417: "Expectation Failed",
  426: "Upgrade Required",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  505: "HTTP Version Not Supported",
};
