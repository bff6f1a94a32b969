// Deadlines that are reached.

import { shouldRetryFailure } from "../retry.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import { fail } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { deadlineExceeded } from "./grpc.ts";
import { reportFailure } from "./host-report.ts";
import { scheduleRetry } from "./retries.ts";
import { onTryLate } from "./trace.ts";

export function onRouteTimeout(exchange: Exchange): void {
  const stats = exchange.cluster?.stats;
  switch (exchange.limitKind) {
    case "stream":
      exchange.dropUpstream();
      fail(exchange, 408, "downstream duration timeout", "DT", "max_duration_timeout", { grpcStatus: deadlineExceeded });
      break;
    case "upstreamStream":
      exchange.dropUpstream();
      fail(exchange, 504, "upstream max stream duration reached", "UMSDR", "upstream_max_stream_duration_reached");
      break;
    default:
      if (stats !== undefined) stats.upstream_rq_timeout++;
      reportFailure(exchange, "timeout");
      timedOut(exchange, "UT", "response_timeout");
  }
}

export function onTryTimeout(exchange: Exchange): void {
  const cluster = exchange.cluster as ClusterRuntime;
  cluster.stats.upstream_rq_per_try_timeout++;
  onTryLate(exchange);
  reportFailure(exchange, "timeout");
  if (
    exchange.retry !== undefined &&
    !exchange.headSent &&
    shouldRetryFailure(exchange.retry, "perTryTimeout", true) &&
    scheduleRetry(exchange)
  )
    return;
  timedOut(exchange, "UT", "upstream_per_try_timeout");
}

export function onIdleTimeout(exchange: Exchange): void {
  if (exchange.isTunnel || exchange.headSent) {
    exchange.responseFlags = "SI";
    exchange.dropUpstream();
    exchange.client.abort();
    exchange.end();
    return;
  }
  exchange.dropUpstream();
  if (exchange.requestEnded) fail(exchange, 504, "stream timeout", "SI", "stream_idle_timeout");
  else fail(exchange, 408, "stream timeout", "SI", "stream_idle_timeout");
}

function timedOut(exchange: Exchange, flag: string, details: string): void {
  exchange.dropUpstream();
  fail(exchange, 504, "upstream request timeout", flag, details);
}
