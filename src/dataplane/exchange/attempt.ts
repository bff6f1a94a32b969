// One try of a request: a host is picked, a connection to it taken, and the request written.

import type { AwsCredentials } from "../../lib/aws/sigv4.ts";
import type { CompiledCluster } from "../compile/cluster.ts";
import { mutateHeaders } from "../compile/header-mutations.ts";
import { setHeader } from "../http1/headers.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import type { Host } from "../upstream/host.ts";
import type { PoolProtocol } from "../upstream/pool.ts";
import type { OutgoingRequest, UpstreamStream } from "../upstream/stream.ts";
import { fail, reply, resetText } from "./answers.ts";
import { prepareCall } from "./call.ts";
import type { Exchange } from "./exchange.ts";
import { pickContext } from "./pick-context.ts";
import { flushRequest } from "./request-body.ts";
import { setAuthority } from "./rewrite.ts";
import { beginTry, endTry, injectTrace } from "./trace.ts";

/** @param credentials that were fetched for it */
export function attempt(exchange: Exchange, credentials?: AwsCredentials): void {
  const cluster = exchange.cluster as ClusterRuntime;
  if (!prepareCall(exchange, (fetched) => attempt(exchange, fetched), credentials)) return;
  exchange.attempts++;
  if (cluster.config.unusable !== undefined) {
    reply(exchange, 503, "protocol not executed by the embedded data plane", "UPE", "cluster_not_executed");
    return;
  }
  const host = cluster.pick(
    pickContext(exchange),
    exchange.retry?.avoidPreviousHosts ? exchange.tried : undefined,
    exchange.retry?.hostAttempts,
  );
  if (host === undefined) {
    cluster.stats.upstream_cx_none_healthy++;
    fail(exchange, 503, "no healthy upstream", "UH", "no_healthy_upstream");
    return;
  }
  exchange.pickedHost = host;
  if (exchange.trace !== undefined) beginTry(exchange);
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
  const upstream = host.acquire(exchange, isHigh, protocolOf(exchange, cluster.config.protocol), exchange.client);
  if (upstream !== undefined) onConnection(exchange, upstream);
}

function protocolOf(exchange: Exchange, protocol: CompiledCluster["protocol"]): PoolProtocol {
  if (protocol !== "downstream") return protocol;
  return exchange.protocol === "HTTP/2" ? "http2" : "http1";
}

export function onConnection(exchange: Exchange, upstream: UpstreamStream): void {
  const host = exchange.pickedHost as Host;
  const cluster = exchange.cluster as ClusterRuntime;
  cluster.stats.upstream_rq_total++;
  exchange.upstream = upstream;
  exchange.carrier = upstream;
  if (exchange.forward?.host?.kind === "upstream" && host.spec.hostname !== "") setAuthority(exchange, host.spec.hostname);
  exchange.sentAt = performance.now();
  if (exchange.call !== undefined) {
    upstream.begin(exchange, exchange.call.request);
    upstream.sendData(exchange.call.payload);
    upstream.endRequest(undefined);
  } else {
    upstream.begin(exchange, prepared(exchange));
    for (const part of exchange.bodyParts) upstream.sendData(part);
    if (!exchange.keepsBody) exchange.bodyParts = [];
    if (exchange.requestEnded) {
      upstream.endRequest(exchange.requestTrailers);
      exchange.sentWholeAt = exchange.sentAt;
    }
  }
  if (exchange.client.isReading) return; // the rest of what was read goes out with it
  flushRequest(exchange);
  exchange.client.resumeBody();
}

/** The request as this attempt sends it. */
function prepared(exchange: Exchange): OutgoingRequest {
  const { headers } = exchange;
  if (exchange.trace !== undefined) injectTrace(exchange);
  const filters = (exchange.cluster as ClusterRuntime).config.filters;
  if (filters.requestMutations !== undefined) mutateHeaders(headers, filters.requestMutations, exchange, exchange);
  if (exchange.virtualHost?.countsAttempts) setHeader(headers, "x-envoy-attempt-count", String(exchange.attempts));
  return filters.cutsQuery ? withoutFragment(exchange) : exchange;
}

function withoutFragment(request: Exchange): OutgoingRequest {
  const { method, path, authority, scheme, headers, contentLength, isChunked, upgrade } = request;
  return { method, path: path.split("#", 1)[0] as string, authority, scheme, headers, contentLength, isChunked, upgrade };
}

export function overflow(exchange: Exchange): void {
  endTry(exchange, "overflow");
  exchange.release();
  fail(exchange, 503, resetText(exchange, "overflow"), "UO", "upstream_reset_before_response_started{overflow}", {
    headers: ["x-envoy-overloaded", "true"],
  });
}
