// Answers of our own: errors, redirects, direct responses.

import type { Action } from "../compile/route.ts";
import { sendHeaders } from "../edge.ts";
import type { Headers } from "../http1/headers.ts";
import { pathOnly } from "../match.ts";
import type { Exchange } from "./exchange.ts";
import { filterResponse } from "./filter-chain.ts";
import { isGrpc, toTrailersOnly } from "./grpc.ts";
import { mutateResponse, tellRequestId } from "./rewrite.ts";

/** Envoy's words for an upstream that did not answer. */
export function resetText(exchange: Exchange, reason: string): string {
  const last = exchange.attempts > 1 ? "retried and the latest " : "";
  return `upstream connect error or disconnect/reset before headers. ${last}reset reason: ${reason}`;
}

export interface AnswerOptions {
  readonly headers?: readonly string[];
  /** For clients of gRPC, where it does not follow from the status. */
  readonly grpcStatus?: number;
}

/** An answer of the proxy itself. */
export function reply(
  exchange: Exchange,
  status: number,
  body: string,
  flags: string,
  details: string,
  { headers: extra = [], grpcStatus }: AnswerOptions = {},
): void {
  if (exchange.isDone || exchange.headSent) return;
  exchange.dropUpstream();
  exchange.responseFlags = flags;
  exchange.responseDetails = details;
  const headers = answerHeaders(exchange, status, body, extra);
  if (isGrpc(exchange.headers)) {
    toTrailersOnly(headers, status, exchange.method === "HEAD" ? "" : body, grpcStatus);
    send(exchange, 200, headers, "");
  } else send(exchange, status, headers, body);
}

function send(exchange: Exchange, status: number, headers: Headers, body: string): void {
  // Not before: for Envoy, %RESPONSE_CODE% in the headers of its own answers is 0.
  exchange.responseStatus = status;
  exchange.responseHeaders = headers;
  // A client that is still sending is not listened to any more.
  if (!exchange.requestEnded) exchange.closesAfter = true;
  if (exchange.method !== "HEAD" && status !== 204 && status !== 304) exchange.bytesSent += body.length;
  exchange.headSent = true;
  exchange.client.sendAnswer(exchange, status, headers, body);
  exchange.end();
}

function answerHeaders(exchange: Exchange, status: number, body: string, extra: readonly string[]): Headers {
  const headers: Headers = [...extra];
  if (body !== "") headers.push("content-type", "text/plain");
  if (exchange.virtualHost?.tellsAttempts && exchange.attempts > 0) headers.push("x-envoy-attempt-count", String(exchange.attempts));
  if (exchange.route !== undefined && !exchange.isInFilters) mutateResponse(exchange, headers);
  if (exchange.filters !== undefined) filterResponse(exchange, status, headers);
  sendHeaders(headers, exchange.hcm, true);
  if (exchange.hcm.requestIdInResponse) tellRequestId(exchange, headers);
  return headers;
}

/** An answer to what went wrong; when the answer has begun, the connection is cut instead. */
export function fail(exchange: Exchange, status: number, body: string, flag: string, details: string, options: AnswerOptions = {}): void {
  if (exchange.headSent) {
    exchange.responseFlags = flag;
    exchange.client.abort();
    exchange.end();
    return;
  }
  reply(exchange, status, body, exchange.responseFlags === "" ? flag : `${exchange.responseFlags},${flag}`, details, options);
}

export function redirect(exchange: Exchange, status: number, location: string): void {
  reply(exchange, status, "", "", "direct_response", { headers: ["location", location] });
}

export function redirectTo(exchange: Exchange, action: Extract<Action, { kind: "redirect" }>): void {
  const location = action.location(exchange);
  // What operators in the headers of the answer then see as the path, in Envoy too.
  if (action.rewrite !== undefined) {
    const path = pathOnly(exchange.path);
    exchange.path = action.rewrite(path) + exchange.path.slice(path.length);
  }
  redirect(exchange, action.status, location);
}
