// The response of an upstream, handed to the client as it comes.

import { sendHeaders } from "../edge.ts";
import type { FilteredResponse } from "../filters/http-filter.ts";
import { type Headers, setHeader } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { shouldRetryResponse } from "../retry.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import type { Exchange } from "./exchange.ts";
import { filterResponse } from "./filter-chain.ts";
import { reportHead, reportTrailers } from "./host-report.ts";
import { scheduleRetry } from "./retries.ts";
import { mutateResponse, tellRequestId } from "./rewrite.ts";
import { streamIdleMs } from "./timers.ts";
import { ToClient } from "./to-client.ts";
import { onTryEnd, onTryHead, tellOperation } from "./trace.ts";
import { acceptUpgrade } from "./upgrade.ts";

export function onResponseHead(exchange: Exchange, received: ResponseHead): void {
  const head = exchange.method === "HEAD" && !exchange.isHead ? withoutBody(received) : received;
  const { stats, responses } = exchange.cluster as ClusterRuntime;
  responses.count(head.status);
  reportHead(exchange, head);
  if (exchange.trace !== undefined) onTryHead(exchange, head);
  if (head.status === 101) {
    if (!acceptUpgrade(exchange, head)) return;
  } else if (exchange.retry !== undefined && shouldRetryResponse(exchange.retry, head, exchange.method) && scheduleRetry(exchange)) return;
  else if (exchange.isRetry) stats.upstream_rq_retry_success++;
  exchange.client.try.clear();
  exchange.respondedAt = performance.now();
  exchange.responseStatus = head.status;
  exchange.responseDetails = "via_upstream";
  exchange.responseHeaders = head.headers;
  prepareHeaders(exchange, head);
  if (exchange.filters === undefined) sendHead(exchange, head);
  else {
    const sink = filterResponse(exchange, filtered(exchange, head), (response) => {
      sendHead(exchange, changed(exchange, head, response));
      return new ToClient(exchange);
    });
    // What comes through a tunnel may have to wait for its head.
    if (!exchange.isTunnel || !(sink instanceof ToClient)) exchange.responseBody = sink;
  }
  exchange.headSent = true;
  if (exchange.isTunnel) exchange.client.idle.set(streamIdleMs(exchange));
}

/** The client has not asked for the head alone: with the length of a body that does not come, it would take the next response for it. */
function withoutBody(head: ResponseHead): ResponseHead {
  return { ...head, contentLength: 0, isChunked: false, isWhole: true };
}

function filtered(exchange: Exchange, { status, headers, contentLength, isChunked, isWhole }: ResponseHead): FilteredResponse {
  const isBare = exchange.isHead || status === 204 || status === 304 || exchange.isTunnel;
  // Of HTTP/2 it only says that its length is not known.
  const cameInChunks = isChunked && exchange.carrier?.protocol !== "HTTP/2";
  return { status, headers, contentLength, isChunked: cameInChunks, isBare, hasNoBody: isBare || isWhole || contentLength === 0 };
}

/** The head as the filters leave it. */
function changed({ isHead }: Exchange, head: ResponseHead, { status, contentLength, hasNoBody, isBare }: FilteredResponse): ResponseHead {
  if (!isBare) return { ...head, status, contentLength, isWhole: hasNoBody };
  if (status === head.status) return contentLength === head.contentLength ? head : { ...head, contentLength };
  // What was a 204 or 304 still has no body.
  return { ...head, status, contentLength: isHead ? contentLength : 0, isWhole: true };
}

function prepareHeaders(exchange: Exchange, { headers }: ResponseHead): void {
  const { hcm } = exchange;
  if (hcm.envoyHeaders) {
    setHeader(headers, "x-envoy-upstream-service-time", String(Math.floor(exchange.respondedAt - exchange.sentAt)));
  }
  if (exchange.virtualHost?.tellsAttempts) setHeader(headers, "x-envoy-attempt-count", String(exchange.attempts));
  mutateResponse(exchange, headers);
}

function sendHead(exchange: Exchange, head: ResponseHead): void {
  const { hcm } = exchange;
  const { headers } = head;
  for (const cookie of exchange.cookies) headers.push("set-cookie", cookie);
  sendHeaders(headers, hcm, false);
  if (hcm.requestIdInResponse) tellRequestId(exchange, headers);
  tellOperation(exchange, headers);
  exchange.responseStatus = head.status;
  exchange.client.sendHead(exchange, head);
}

export function onResponseData(exchange: Exchange, data: Buffer): void {
  if (exchange.responseBody !== undefined) {
    exchange.responseBody.data(data);
    return;
  }
  exchange.bytesSent += data.length;
  exchange.client.sendData(data);
}

export function onResponseFlush(exchange: Exchange): void {
  if (exchange.isDone || !exchange.headSent) return;
  const idle = streamIdleMs(exchange);
  if (idle !== Number.POSITIVE_INFINITY) exchange.client.idle.set(idle);
  const takesMore = exchange.responseBody === undefined ? exchange.client.flush() : exchange.responseBody.flush();
  if (!takesMore) exchange.upstream?.pauseResponse();
}

export function onResponseEnd(exchange: Exchange, trailers: Headers | undefined): void {
  if (trailers !== undefined) {
    exchange.responseTrailers = trailers;
    reportTrailers(exchange, trailers);
  }
  if (exchange.trace?.tried !== undefined) onTryEnd(exchange);
  exchange.cluster?.responses.time.observe(performance.now() - exchange.sentAt);
  if (exchange.isTunnel) exchange.closesAfter = true;
  else exchange.upstream = undefined;
  if (exchange.responseBody !== undefined) {
    exchange.responseBody.end(trailers);
    return;
  }
  exchange.client.sendEnd(trailers);
  exchange.end();
}
