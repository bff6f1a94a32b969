// The response of an upstream, handed to the client as it comes.

import { sendHeaders } from "../edge.ts";
import { type Headers, setHeader } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { shouldRetryResponse } from "../retry.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import type { Exchange } from "./exchange.ts";
import { connectionHeader, headText } from "./response-head.ts";
import { scheduleRetry } from "./retries.ts";
import { mutateResponse, tellRequestId } from "./rewrite.ts";
import { streamIdleMs } from "./timers.ts";
import { acceptUpgrade } from "./upgrade.ts";

type ClusterStats = ClusterRuntime["stats"];

export function onResponseHead(exchange: Exchange, head: ResponseHead): void {
  const { stats } = exchange.cluster as ClusterRuntime;
  countStatus(stats, head.status);
  if (head.status === 101) {
    if (!acceptUpgrade(exchange, head)) return;
  } else if (exchange.retry !== undefined && shouldRetryResponse(exchange.retry, head, exchange.method) && scheduleRetry(exchange)) return;
  else if (exchange.isRetry) stats.upstream_rq_retry_success++;
  exchange.connection.try.clear();
  exchange.responseStatus = head.status;
  exchange.responseDetails = "via_upstream";
  exchange.responseHeaders = head.headers;
  prepareHeaders(exchange, head.headers);
  const text = headText(head.status, head.headers);
  exchange.connection.writer.text(`${text}${exchange.isTunnel ? tunnelFraming(exchange, head) : framing(exchange, head)}\r\n`);
  exchange.headSent = true;
  if (exchange.isTunnel) exchange.connection.idle.set(streamIdleMs(exchange));
}

function countStatus(stats: ClusterStats, status: number): void {
  if (status < 400) {
    if (status < 300) stats.upstream_rq_2xx++;
    else stats.upstream_rq_3xx++;
  } else if (status < 500) stats.upstream_rq_4xx++;
  else stats.upstream_rq_5xx++;
}

function prepareHeaders(exchange: Exchange, headers: Headers): void {
  const { hcm } = exchange;
  if (hcm.envoyHeaders) {
    setHeader(headers, "x-envoy-upstream-service-time", String(Math.floor(performance.now() - exchange.sentAt)));
  }
  if (exchange.virtualHost?.tellsAttempts) setHeader(headers, "x-envoy-attempt-count", String(exchange.attempts));
  mutateResponse(exchange, headers);
  sendHeaders(headers, hcm, false);
  if (hcm.requestIdInResponse) tellRequestId(exchange, headers);
}

function tunnelFraming(exchange: Exchange, head: ResponseHead): string {
  return `connection: upgrade\r\nupgrade: ${head.upgrade ?? exchange.upgrade}\r\n`;
}

/** How the body ends, and whether the connection ends with it. */
function framing(exchange: Exchange, head: ResponseHead): string {
  // RFC 9931: after a refused upgrade, what the client sent on is not a request.
  if (exchange.upgrade !== undefined) exchange.closesAfter = true;
  let text = "";
  const hasNoBody = head.status === 204 || head.status === 304 || exchange.method === "HEAD";
  if (head.contentLength >= 0 && head.status !== 204) text = `content-length: ${head.contentLength}\r\n`;
  else if (!hasNoBody || (exchange.method === "HEAD" && head.isChunked)) {
    if (exchange.minor === 1) {
      text = "transfer-encoding: chunked\r\n";
      exchange.responseChunked = !hasNoBody;
    } else exchange.closesAfter = true;
  }
  return text + connectionHeader(exchange);
}

export function onResponseData(exchange: Exchange, data: Buffer): void {
  exchange.bytesSent += data.length;
  const { writer } = exchange.connection;
  if (exchange.responseChunked) writer.chunk(data);
  else writer.data(data);
}

export function onResponseFlush(exchange: Exchange): void {
  if (exchange.isDone || !exchange.headSent) return;
  const idle = streamIdleMs(exchange);
  if (idle !== Number.POSITIVE_INFINITY) exchange.connection.idle.set(idle);
  if (!exchange.connection.writer.flush()) exchange.upstream?.socket.pause();
}

export function onResponseEnd(exchange: Exchange): void {
  if (exchange.isTunnel) {
    exchange.connection.writer.flush();
    exchange.closesAfter = true;
    exchange.end();
    return;
  }
  if (exchange.responseChunked) exchange.connection.writer.text("0\r\n\r\n");
  exchange.connection.writer.flush();
  exchange.upstream = undefined;
  exchange.end();
}
