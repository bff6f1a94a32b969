// The deadlines of an exchange: when they start. What happens when one is reached is in timeouts.ts.

import type { Exchange } from "./exchange.ts";

/** How long nothing may happen. */
export function streamIdleMs(exchange: Exchange): number {
  return exchange.forward?.idleTimeoutMs ?? exchange.hcm.streamIdleMs;
}

export function startRouteTimer(exchange: Exchange): void {
  const forward = exchange.forward;
  if (forward === undefined || exchange.isTunnel) return;
  const isUpgrade = exchange.upgrade !== undefined;
  const limit = Math.min(isUpgrade ? Number.POSITIVE_INFINITY : forward.timeoutMs, forward.maxStreamMs, exchange.hcm.maxStreamMs);
  if (limit !== Number.POSITIVE_INFINITY) exchange.client.request.set(limit);
  const idle = streamIdleMs(exchange);
  if (idle < limit) exchange.client.idle.set(idle);
  else exchange.client.idle.clear();
  startTryTimer(exchange);
}

export function startTryTimer(exchange: Exchange): void {
  const perTry = exchange.retry?.perTryMs;
  if (perTry !== undefined && perTry !== Number.POSITIVE_INFINITY && exchange.upgrade === undefined) exchange.client.try.set(perTry);
}
