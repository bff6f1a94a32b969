// What a host is told to have done, for outlier detection: its status, or that there was none.

import { type Headers, headerValue } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { UpstreamFailure } from "../upstream/stream.ts";
import type { Exchange } from "./exchange.ts";
import { httpStatusOf, isGrpc } from "./grpc.ts";

export function reportHead(exchange: Exchange, head: ResponseHead): void {
  if (exchange.cluster?.config.outliers === undefined) return;
  // Of gRPC, the status of HTTP says little; that of gRPC comes with trailers, or is here when there are none.
  if (head.status === 200 && isGrpc(exchange.headers)) {
    if (head.isWhole) reportTrailers(exchange, head.headers);
  } else report(exchange, head.status);
}

export function reportTrailers(exchange: Exchange, trailers: Headers): void {
  const status = headerValue(trailers, "grpc-status");
  if (status !== undefined && exchange.cluster?.config.outliers !== undefined && isGrpc(exchange.headers))
    report(exchange, httpStatusOf(status));
}

function report({ cluster, pickedHost }: Exchange, status: number): void {
  if (cluster === undefined || pickedHost === undefined) return;
  cluster.report(pickedHost, { kind: "connected" });
  cluster.report(pickedHost, { kind: "status", status });
}

/** There was no answer. */
export function reportFailure({ cluster, pickedHost }: Exchange, failure: UpstreamFailure | "timeout"): void {
  if (failure === "overflow" || pickedHost === undefined) return;
  cluster?.report(pickedHost, { kind: "local" });
}
