// When a request is tried again, and how.

import type { RetryPolicy } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { Condition } from "../match.ts";
import { durationMs, timeoutMs } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { compileHeaderMatcher } from "./route-match.ts";

export interface CompiledRetry {
  readonly on: ReadonlySet<string>;
  readonly count: number;
  readonly perTryMs: number;
  readonly statusCodes: ReadonlySet<number>;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly headers: readonly Condition[];
  readonly avoidPreviousHosts: boolean;
  readonly hostAttempts: number;
}

const retryConditions = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

export function compileRetry(policy: RetryPolicy, findings: Findings): CompiledRetry {
  const on = new Set(
    policy.retryOn
      .split(",")
      .map((each) => each.trim())
      .filter((each) => each !== ""),
  );
  for (const each of on) {
    if (!retryConditions.has(each)) findings.notExecuted(`retry_on "${each}"`);
  }
  const baseMs = durationMs(policy.retryBackOff?.baseInterval) ?? 25;
  let avoidPreviousHosts = false;
  policy.retryHostPredicate.forEach((predicate, index) => {
    if (predicate.name === "envoy.retry_host_predicates.previous_hosts") avoidPreviousHosts = true;
    else findings.notExecuted(`retry_host_predicate[${index}] (${predicate.name})`);
  });
  return {
    on,
    count: policy.numRetries ?? 1,
    perTryMs: timeoutMs(policy.perTryTimeout, Number.POSITIVE_INFINITY),
    statusCodes: new Set(policy.retriableStatusCodes),
    baseMs,
    maxMs: durationMs(policy.retryBackOff?.maxInterval) ?? baseMs * 10,
    headers: policy.retriableHeaders.map(compileHeaderMatcher).filter((each) => each !== undefined),
    avoidPreviousHosts,
    hostAttempts: Number(policy.hostSelectionRetryMaxAttempts) || 1,
  };
}
