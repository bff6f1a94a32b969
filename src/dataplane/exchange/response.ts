// The response of an upstream, handed to the client as it comes.

import { sendHeaders } from "../edge.ts";
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
import { acceptUpgrade } from "./upgrade.ts";

type ClusterStats = ClusterRuntime["stats"];

export function onResponseHead(exchange: Exchange, head: ResponseHead): void {
  const { stats } = exchange.cluster as ClusterRuntime;
  countStatus(stats, head.status);
  reportHead(exchange, head);
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
  exchange.client.sendHead(exchange, head);
  exchange.headSent = true;
  if (exchange.isTunnel) exchange.client.idle.set(streamIdleMs(exchange));
}

function countStatus(stats: ClusterStats, status: number): void {
  if (status < 400) {
    if (status < 300) stats.upstream_rq_2xx++;
    else stats.upstream_rq_3xx++;
  } else if (status < 500) stats.upstream_rq_4xx++;
  else stats.upstream_rq_5xx++;
}

function prepareHeaders(exchange: Exchange, { status, headers }: ResponseHead): void {
  const { hcm } = exchange;
  if (hcm.envoyHeaders) {
    setHeader(headers, "x-envoy-upstream-service-time", String(Math.floor(exchange.respondedAt - exchange.sentAt)));
  }
  if (exchange.virtualHost?.tellsAttempts) setHeader(headers, "x-envoy-attempt-count", String(exchange.attempts));
  mutateResponse(exchange, headers);
  if (exchange.filters !== undefined) filterResponse(exchange, status, headers);
  for (const cookie of exchange.cookies) headers.push("set-cookie", cookie);
  sendHeaders(headers, hcm, false);
  if (hcm.requestIdInResponse) tellRequestId(exchange, headers);
}

export function onResponseData(exchange: Exchange, data: Buffer): void {
  exchange.bytesSent += data.length;
  exchange.client.sendData(data);
}

export function onResponseFlush(exchange: Exchange): void {
  if (exchange.isDone || !exchange.headSent) return;
  const idle = streamIdleMs(exchange);
  if (idle !== Number.POSITIVE_INFINITY) exchange.client.idle.set(idle);
  if (!exchange.client.flush()) exchange.upstream?.pauseResponse();
}

export function onResponseEnd(exchange: Exchange, trailers: Headers | undefined): void {
  if (trailers !== undefined) {
    exchange.responseTrailers = trailers;
    reportTrailers(exchange, trailers);
  }
  if (exchange.isTunnel) exchange.closesAfter = true;
  else exchange.upstream = undefined;
  exchange.client.sendEnd(trailers);
  exchange.end();
}
