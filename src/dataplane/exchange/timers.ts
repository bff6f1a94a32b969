// The deadlines of an exchange: when they start. What happens when one is reached is in timeouts.ts.

import type { Forward } from "../compile/forward.ts";
import type { Exchange } from "./exchange.ts";
import { isGrpc, routeTimeoutMs, streamDurationMs } from "./grpc.ts";

/** What the deadline of an exchange is about: the response, the whole stream, or what its cluster gives any stream. */
export type LimitKind = "response" | "stream" | "upstreamStream";

/** How long nothing may happen. */
export function streamIdleMs(exchange: Exchange): number {
  return exchange.forward?.idleTimeoutMs ?? exchange.hcm.streamIdleMs;
}

/** What the route gives this request: settled once, when the route is known. */
export function settleLimits(exchange: Exchange, forward: Forward): void {
  const { headers } = exchange;
  exchange.timeoutMs = forward.maxGrpc !== undefined && isGrpc(headers) ? routeTimeoutMs(headers, forward.maxGrpc) : forward.timeoutMs;
  const asked = forward.grpcHeader === undefined ? undefined : streamDurationMs(headers, forward.grpcHeader);
  exchange.streamMs = asked ?? forward.maxStreamMs ?? exchange.hcm.maxStreamMs;
}

/** The request is whole, or never will be: its response is waited for. */
export function startRouteTimer(exchange: Exchange): void {
  if (exchange.forward === undefined || exchange.isTunnel) return;
  const limit = setLimit(exchange, exchange.upgrade === undefined ? exchange.timeoutMs : Number.POSITIVE_INFINITY);
  const idle = streamIdleMs(exchange);
  if (idle < limit) exchange.client.idle.set(idle);
  else exchange.client.idle.clear();
  startTryTimer(exchange);
}

/** The request is still coming: only what limits the whole of it counts. */
export function startStreamTimer(exchange: Exchange): void {
  setLimit(exchange, Number.POSITIVE_INFINITY);
  exchange.client.idle.set(streamIdleMs(exchange));
}

/** Returns what the limit is, from now. */
function setLimit(exchange: Exchange, responseMs: number): number {
  let limit = responseMs;
  exchange.limitKind = "response";
  const { streamMs, cluster } = exchange;
  if (streamMs !== Number.POSITIVE_INFINITY) limit = sooner(exchange, limit, streamMs, "stream");
  const upstreamMs = cluster?.config.maxStreamMs ?? Number.POSITIVE_INFINITY;
  if (upstreamMs !== Number.POSITIVE_INFINITY) limit = sooner(exchange, limit, upstreamMs, "upstreamStream");
  if (limit !== Number.POSITIVE_INFINITY) exchange.client.request.set(limit);
  return limit;
}

function sooner(exchange: Exchange, limit: number, wholeMs: number, kind: LimitKind): number {
  const left = Math.max(0, wholeMs - exchange.durationMs);
  if (left >= limit) return limit;
  exchange.limitKind = kind;
  return left;
}

export function startTryTimer(exchange: Exchange): void {
  const perTry = exchange.retry?.perTryMs;
  if (perTry !== undefined && perTry !== Number.POSITIVE_INFINITY && exchange.upgrade === undefined) exchange.client.try.set(perTry);
}
