// What goes wrong under way: the upstream cannot be reached or breaks off, the client sends nonsense or leaves.

import { shouldRetryFailure } from "../retry.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import type { UpstreamFailure, UpstreamStream } from "../upstream/stream.ts";
import { fail, reply, resetText } from "./answers.ts";
import { attempt, overflow } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import { reportFailure } from "./host-report.ts";
import { scheduleRetry } from "./retries.ts";
import { endTry, forgetTry } from "./trace.ts";

const idempotent = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

export function onNoConnection(exchange: Exchange, failure: UpstreamFailure, detail: string): void {
  exchange.upstreamFailure = failure === "connect" ? connectError(detail) : "";
  onFailure(exchange, failure, detail, false);
}

export function onUpstreamFailure(exchange: Exchange, failure: UpstreamFailure, detail: string): void {
  const upstream = exchange.upstream;
  exchange.upstream = undefined;
  if (exchange.headSent) breakOff(exchange, failure);
  else if (upstream !== undefined && wasStale(upstream, failure) && maySendAgain(exchange, failure)) {
    exchange.resendsLeft--;
    exchange.release();
    exchange.attempts--;
    forgetTry(exchange);
    attempt(exchange);
  } else onFailure(exchange, failure, detail, true);
}

/** Half a response was sent: the client must see that it is not whole. */
function breakOff(exchange: Exchange, failure: UpstreamFailure): void {
  endTry(exchange, failure);
  exchange.responseFlags = "UC";
  exchange.responseDetails = "upstream_reset_after_response_started";
  (exchange.cluster as ClusterRuntime).stats.upstream_rq_rx_reset++;
  exchange.closesAfter = true;
  if (!exchange.isTunnel) exchange.client.abort();
  exchange.end();
}

/** A kept connection may be closed by the upstream in the moment that we use it: it got not a byte of a response. */
function wasStale(upstream: UpstreamStream, failure: UpstreamFailure): boolean {
  return upstream.mayHaveBeenStale && (failure === "closed" || failure === "reset" || failure === "refused");
}

/** Nothing but a request that may be sent twice (RFC 9110 §9.2.2), or that nobody saw. */
function maySendAgain(exchange: Exchange, failure: UpstreamFailure): boolean {
  const isAllowed = failure === "refused" || idempotent.has(exchange.method);
  return isAllowed && exchange.contentLength <= 0 && !exchange.isChunked && exchange.upgrade === undefined && exchange.resendsLeft > 0;
}

function onFailure(exchange: Exchange, failure: UpstreamFailure, detail: string, wasSent: boolean): void {
  if (failure === "overflow") {
    overflow(exchange);
    return;
  }
  endTry(exchange, failure);
  (exchange.cluster as ClusterRuntime).stats.upstream_rq_rx_reset++;
  reportFailure(exchange, failure);
  if (exchange.retry !== undefined && shouldRetryFailure(exchange.retry, failure, wasSent) && scheduleRetry(exchange)) return;
  switch (failure) {
    case "malformed":
      fail(exchange, 502, resetText(exchange, "protocol error"), "UPE", `${resetBefore}{protocol_error|${detail}}`);
      return;
    case "connect":
      fail(
        exchange,
        503,
        resetText(exchange, "remote connection failure"),
        "UF",
        `${resetBefore}{remote_connection_failure|${connectError(detail)}}`,
      );
      return;
    case "connectTimeout":
      fail(exchange, 503, resetText(exchange, "connection timeout"), "UF", `${resetBefore}{connection_timeout}`);
      return;
    case "refused":
      fail(exchange, 503, resetText(exchange, "remote refused stream reset"), "UR", `${resetBefore}{remote_refused_stream_reset}`);
      return;
    case "remoteReset":
      fail(exchange, 503, resetText(exchange, "remote reset"), "UR", `${resetBefore}{remote_reset}`);
      return;
    default:
      fail(exchange, 503, resetText(exchange, "connection termination"), "UC", `${resetBefore}{connection_termination}`);
      return;
  }
}

const resetBefore = "upstream_reset_before_response_started";

/** What Envoy says of a connection that could not be made; TLS has words of its own. */
function connectError(code: string): string {
  const words = systemErrors[code];
  return words === undefined ? code : `delayed connect error: ${words}`;
}

const systemErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTUNREACH: "No route to host",
  ENETUNREACH: "Network is unreachable",
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  ETIMEDOUT: "Connection timed out",
};

/** A malformed body: the upstream must not take what it got for the whole. */
export function onRequestMalformed(exchange: Exchange): void {
  exchange.dropUpstream();
  exchange.responseFlags = "DPE";
  if (exchange.headSent) {
    exchange.client.abort();
    exchange.end();
    return;
  }
  exchange.closesAfter = true;
  reply(exchange, 400, "Bad Request", "DPE", "http1.codec_error");
}

export function onDownstreamClose(exchange: Exchange): void {
  if (exchange.isDone) return;
  exchange.responseFlags = "DC";
  exchange.responseDetails ||= "downstream_remote_disconnect";
  if (exchange.cluster !== undefined) exchange.cluster.stats.upstream_rq_tx_reset++;
  exchange.dropUpstream();
  exchange.end();
}
