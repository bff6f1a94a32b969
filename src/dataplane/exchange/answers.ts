// Answers of our own: errors, redirects, direct responses.

import type { Action } from "../compile/route.ts";
import { sendHeaders } from "../edge.ts";
import type { Headers } from "../http1/headers.ts";
import { pathOnly } from "../match.ts";
import type { Exchange } from "./exchange.ts";
import { mutateResponse, tellRequestId } from "./rewrite.ts";

/** How Envoy begins its texts about an upstream that did not answer. */
export const beforeHeaders = "upstream connect error or disconnect/reset before headers. ";

/** An answer of the proxy itself. */
export function reply(
  exchange: Exchange,
  status: number,
  body: string,
  flags: string,
  details: string,
  extra: readonly string[] = [],
): void {
  if (exchange.isDone || exchange.headSent) return;
  exchange.dropUpstream();
  exchange.responseFlags = flags;
  exchange.responseDetails = details;
  const headers = answerHeaders(exchange, body, extra);
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

function answerHeaders(exchange: Exchange, body: string, extra: readonly string[]): Headers {
  const headers: Headers = [...extra];
  if (body !== "") headers.push("content-type", "text/plain");
  if (exchange.virtualHost?.tellsAttempts && exchange.attempts > 0) headers.push("x-envoy-attempt-count", String(exchange.attempts));
  if (exchange.route !== undefined) mutateResponse(exchange, headers);
  sendHeaders(headers, exchange.hcm, true);
  if (exchange.hcm.requestIdInResponse) tellRequestId(exchange, headers);
  return headers;
}

/** An answer to what went wrong; when the answer has begun, the connection is cut instead. */
export function fail(exchange: Exchange, status: number, body: string, flag: string, details: string, extra: readonly string[] = []): void {
  if (exchange.headSent) {
    exchange.responseFlags = flag;
    exchange.client.abort();
    exchange.end();
    return;
  }
  reply(exchange, status, body, exchange.responseFlags === "" ? flag : `${flag},${exchange.responseFlags}`, details, extra);
}

export function redirect(exchange: Exchange, status: number, location: string): void {
  reply(exchange, status, "", "", "direct_response", ["location", location]);
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
