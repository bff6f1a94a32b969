// The next try of a request: whether there is one, and when. What counts as a reason for one is in ../retry.ts.

import type { Limits } from "../compile/cluster.ts";
import type { CompiledRetry } from "../compile/retry-policy.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import { attempt } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import { tellTimeout } from "./rewrite.ts";
import { startTryTimer } from "./timers.ts";

/** Whether there is another attempt to come. */
export function scheduleRetry(exchange: Exchange): boolean {
  if (!mayRetry(exchange)) return false;
  const retry = exchange.retry as CompiledRetry;
  const cluster = exchange.cluster as ClusterRuntime;
  exchange.dropUpstream();
  if (exchange.pickedHost !== undefined) {
    exchange.tried ??= new Set();
    exchange.tried.add(exchange.pickedHost);
  }
  cluster.stats.upstream_rq_retry++;
  cluster.retries++;
  exchange.isRetry = true;
  exchange.client.try.clear();
  exchange.retryTimer = setTimeout(() => tryAgain(exchange, cluster), Math.random() * mostBackOffMs(retry, exchange.attempts));
  return true;
}

/** Before the first retry the base interval, then twice as much each time. As Envoy, the pause is a random part of it. */
export function mostBackOffMs({ baseMs, maxMs }: Pick<CompiledRetry, "baseMs" | "maxMs">, attempts: number): number {
  return Math.min(baseMs * 2 ** (attempts - 1), maxMs);
}

function mayRetry(exchange: Exchange): boolean {
  const retry = exchange.retry as CompiledRetry;
  const cluster = exchange.cluster as ClusterRuntime;
  const hasBody = exchange.isChunked || exchange.contentLength > 0;
  if (exchange.attempts > retry.count || (hasBody && !exchange.keepsBody) || exchange.upgrade !== undefined) {
    if (exchange.attempts > retry.count) exchange.responseFlags = "URX";
    return false;
  }
  const limits = exchange.forward?.isHighPriority ? cluster.config.limits.high : cluster.config.limits.normal;
  if (cluster.retries >= mostRetries(limits, cluster)) {
    cluster.stats.upstream_rq_retry_overflow++;
    return false;
  }
  return true;
}

function mostRetries({ retries, retryBudget }: Limits, { requests, pending }: ClusterRuntime): number {
  if (retryBudget === undefined) return retries;
  return Math.max(retryBudget.least, (retryBudget.percent / 100) * (requests + pending));
}

function tryAgain(exchange: Exchange, cluster: ClusterRuntime): void {
  exchange.retryTimer = undefined;
  cluster.retries--;
  if (exchange.isDone) return;
  if (exchange.requestEnded) startTryTimer(exchange);
  tellTimeout(exchange);
  attempt(exchange);
}
