// Which outcomes a retry policy takes for a reason to try again; the words are those of Envoy's `x-envoy-retry-on`.

import type { CompiledRetry } from "./compile/retry-policy.ts";
import { headerValue } from "./http1/headers.ts";
import type { ResponseHead } from "./http1/response-head.ts";
import type { UpstreamFailure } from "./upstream/stream.ts";

const grpcStatus: Readonly<Record<string, string>> = {
  "1": "cancelled",
  "4": "deadline-exceeded",
  "8": "resource-exhausted",
  "13": "internal",
  "14": "unavailable",
};

export function shouldRetryResponse(retry: CompiledRetry, head: ResponseHead, method: string): boolean {
  const { on } = retry;
  const { status } = head;
  // An Envoy behind us limits the rate: it alone decides, whatever the status is. As Envoy asks.
  if (headerValue(head.headers, "x-envoy-ratelimited") !== undefined) return on.has("envoy-ratelimited");
  if (on.has("5xx") && status >= 500) return true;
  if (on.has("gateway-error") && status >= 502 && status <= 504) return true;
  if (on.has("retriable-4xx") && status === 409) return true;
  if (on.has("retriable-status-codes") && retry.statusCodes.has(status)) return true;
  if (on.has("retriable-headers") && retry.headers.length > 0) {
    const view = { method, path: "", authority: "", scheme: "", headers: head.headers, random: 0 };
    if (retry.headers.some((condition) => condition.test(view))) return true;
  }
  const grpc = headerValue(head.headers, "grpc-status");
  return grpc !== undefined && grpcStatus[grpc] !== undefined && on.has(grpcStatus[grpc]);
}

/** `wasSent`: the request may have reached the upstream. */
export function shouldRetryFailure(retry: CompiledRetry, failure: UpstreamFailure | "perTryTimeout", wasSent: boolean): boolean {
  const { on } = retry;
  if (failure === "overflow") return false;
  if (failure === "perTryTimeout") return on.has("5xx") || on.has("gateway-error") || on.has("reset");
  if (on.has("5xx") || on.has("gateway-error") || on.has("reset")) return true;
  if (failure === "refused" && on.has("refused-stream")) return true;
  if (on.has("reset-before-request") && !wasSent) return true;
  return on.has("connect-failure") && (failure === "connect" || failure === "connectTimeout");
}
