// One try of a request: a host is picked, a connection to it taken, and the request written.

import { mutateHeaders } from "../compile/header-mutations.ts";
import { setHeader } from "../http1/headers.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import type { UpstreamConnection } from "../upstream/connection.ts";
import type { Host } from "../upstream/host.ts";
import { fail, reply } from "./answers.ts";
import { prepareCall } from "./call.ts";
import type { Exchange } from "./exchange.ts";
import { endUpstreamRequest, flushRequest, writeBody } from "./request-body.ts";
import { setAuthority } from "./rewrite.ts";

const withoutContent = new Set(["GET", "HEAD", "DELETE"]);

export function attempt(exchange: Exchange): void {
  const cluster = exchange.cluster as ClusterRuntime;
  if (!prepareCall(exchange, () => attempt(exchange))) return;
  exchange.attempts++;
  if (cluster.config.unusable !== undefined) {
    reply(exchange, 503, "protocol not executed by the embedded data plane", "UPE", "cluster_not_executed");
    return;
  }
  const host = cluster.pick(exchange.retry?.avoidPreviousHosts ? exchange.tried : undefined, exchange.retry?.hostAttempts);
  if (host === undefined) {
    cluster.stats.upstream_cx_none_healthy++;
    fail(exchange, 503, "no healthy upstream", "UH", "no_healthy_upstream");
    return;
  }
  exchange.pickedHost = host;
  const isHigh = exchange.forward?.isHighPriority ?? false;
  const limits = isHigh ? cluster.config.limits.high : cluster.config.limits.normal;
  if (cluster.requests >= limits.requests) {
    cluster.stats.upstream_rq_pending_overflow++;
    overflow(exchange);
    return;
  }
  exchange.isCounted = true;
  cluster.requests++;
  host.activeRequests++;
  const connection = host.acquire(exchange, isHigh);
  if (connection !== undefined) onConnection(exchange, connection);
}

export function onConnection(exchange: Exchange, upstream: UpstreamConnection): void {
  const host = exchange.pickedHost as Host;
  const cluster = exchange.cluster as ClusterRuntime;
  cluster.stats.upstream_rq_total++;
  exchange.upstream = upstream;
  upstream.begin(exchange, exchange.method === "HEAD" && exchange.call === undefined, exchange.upgrade !== undefined);
  exchange.sentAt = performance.now();
  if (exchange.forward?.host?.kind === "upstream" && host.spec.hostname !== "") setAuthority(exchange, host.spec.hostname);
  const { writer } = upstream;
  if (exchange.call !== undefined) {
    writer.text(exchange.call.head);
    writer.data(exchange.call.payload);
    upstream.endRequest();
  } else {
    writer.text(requestText(exchange));
    for (const part of exchange.bodyParts) writeBody(exchange, part);
    if (!exchange.keepsBody) exchange.bodyParts = [];
    if (exchange.requestEnded) endUpstreamRequest(exchange);
  }
  if (exchange.connection.isReading) return; // the rest of what was read goes out with it
  flushRequest(exchange);
  exchange.connection.resumeBody();
}

function requestText(exchange: Exchange): string {
  const { headers } = exchange;
  const filters = (exchange.cluster as ClusterRuntime).config.filters;
  if (filters.requestMutations !== undefined) mutateHeaders(headers, filters.requestMutations, exchange, exchange);
  const path = filters.cutsQuery ? (exchange.path.split("#", 1)[0] as string) : exchange.path;
  if (exchange.virtualHost?.countsAttempts) setHeader(headers, "x-envoy-attempt-count", String(exchange.attempts));
  let text = `${exchange.method} ${path} HTTP/1.1\r\nhost: ${exchange.authority}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  if (exchange.upgrade !== undefined) text += `connection: upgrade\r\nupgrade: ${exchange.upgrade}\r\n`;
  return `${text}${framing(exchange)}\r\n`;
}

function framing(exchange: Exchange): string {
  if (exchange.isChunked) return "transfer-encoding: chunked\r\n";
  if (exchange.contentLength >= 0) return `content-length: ${exchange.contentLength}\r\n`;
  // RFC 9110 §8.6: a method that may be meant to have content says that it has none.
  return exchange.upgrade === undefined && !withoutContent.has(exchange.method) ? "content-length: 0\r\n" : "";
}

export function overflow(exchange: Exchange): void {
  exchange.release();
  fail(exchange, 503, "upstream connect error or disconnect/reset before headers. reset reason: overflow", "UO", "upstream_overflow", [
    "x-envoy-overloaded",
    "true",
  ]);
}
