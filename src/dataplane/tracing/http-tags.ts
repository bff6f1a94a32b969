// What Envoy says of a request in its span, and of a try at an upstream in its own; names and values are Envoy's.

import type { Exchange } from "../exchange/exchange.ts";
import { isGrpc } from "../exchange/grpc.ts";
import type { Try } from "../exchange/trace.ts";
import { firstValue } from "../formatter.ts";
import { type Headers, headerValue } from "../http1/headers.ts";
import type { UpstreamFailure } from "../upstream/stream.ts";
import type { Span } from "./span.ts";

export function tagRequest(exchange: Exchange, span: Span): void {
  const of = (name: string) => firstValue(exchange, name);
  const path = of("x-envoy-original-path") ?? exchange.path;
  const mostPath = exchange.trace?.tracing.mostPath ?? 256;
  tagIf(span, "guid:x-request-id", of("x-request-id"));
  span.setTag("http.url", `${exchange.scheme}://${exchange.authority}${path.slice(0, mostPath)}`);
  span.setTag("http.method", exchange.method);
  span.setTag("downstream_cluster", of("x-envoy-downstream-service-cluster") || "-");
  span.setTag("user_agent", of("user-agent") || "-");
  span.setTag("http.protocol", exchange.protocol);
  span.setTag("peer.address", exchange.directRemoteAddress);
  tagIf(span, "guid:x-client-trace-id", of("x-client-trace-id"));
  if (isGrpc(exchange.headers)) tagGrpcRequest(exchange, span);
  span.setTag("request_size", String(exchange.bytesReceived));
  span.setTag("response_size", String(exchange.bytesSent));
  tagStatus(span, exchange.responseStatus);
  if (exchange.responseHeaders !== undefined) tagGrpcResponse(span, exchange.responseHeaders, exchange.responseTrailers);
  tagCommon(exchange, span, exchange.responseFlags);
}

export function tagTry(exchange: Exchange, { span, head, failure, isWhole, isLate }: Try): void {
  const { pickedHost } = exchange;
  span.setTag("http.protocol", (failure !== "connect" && exchange.upstreamProtocol) || "-");
  if (pickedHost !== undefined) {
    span.setTag("upstream_address", pickedHost.label);
    span.setTag("peer.address", pickedHost.label);
  }
  if (head !== undefined) tagGrpcResponse(span, head.headers, undefined);
  tagStatus(span, head?.status ?? 0);
  if (failure !== undefined) {
    const [reason, flag] = failures[failure] ?? ["connection termination", "UC"];
    span.setTag("error", "true");
    span.setTag("error.reason", reason);
    tagCommon(exchange, span, flag);
    return;
  }
  if (!isWhole) span.setTag("canceled", "true");
  tagCommon(exchange, span, isLate ? "UT" : "");
}

const failures: Partial<Record<UpstreamFailure, readonly [reason: string, flag: string]>> = {
  malformed: ["protocol error", "UPE"],
  connect: ["remote connection failure", "UF"],
  connectTimeout: ["connection timeout", "UF"],
  refused: ["remote refused stream reset", "UR"],
  remoteReset: ["remote reset", "UR"],
  overflow: ["overflow", "UO"],
};

function tagStatus(span: Span, status: number): void {
  span.setTag("http.status_code", String(status));
  if (status === 0 || status >= 500) span.setTag("error", "true");
}

function tagCommon(exchange: Exchange, span: Span, flags: string): void {
  span.setTag("component", "proxy");
  span.setTag("response_flags", flags || "-");
  const { upstreamCluster } = exchange;
  if (upstreamCluster === "") return;
  span.setTag("upstream_cluster", upstreamCluster);
  span.setTag("upstream_cluster.name", upstreamCluster);
}

function tagGrpcRequest(exchange: Exchange, span: Span): void {
  span.setTag("grpc.path", exchange.path);
  span.setTag("grpc.authority", exchange.authority);
  tagIf(span, "grpc.content_type", headerValue(exchange.headers, "content-type"));
  tagIf(span, "grpc.timeout", headerValue(exchange.headers, "grpc-timeout"));
}

/** UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const faultyStatuses = new Set(["2", "4", "8", "12", "13", "14", "15"]);

function tagGrpcResponse(span: Span, headers: readonly string[], trailers: readonly string[] | undefined): void {
  for (const [tag, name] of [
    ["grpc.status_code", "grpc-status"],
    ["grpc.message", "grpc-message"],
  ] as const)
    tagIf(span, tag, headerValue(headers as Headers, name) ?? (trailers && headerValue(trailers as Headers, name)));
  if (faultyStatuses.has(span.tags.get("grpc.status_code") ?? "")) span.setTag("error", "true");
}

function tagIf(span: Span, name: string, value: string | undefined): void {
  if (value !== undefined && value !== "") span.setTag(name, value);
}
