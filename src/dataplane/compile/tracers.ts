// Where spans go: providers of tracing. Collectors are clusters, which are asked as any other.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { GrpcService } from "../../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import type { HttpService } from "../../gen/envoy/envoy/config/core/v3/http_service_pb.js";
import type { Tracing_Http } from "../../gen/envoy/envoy/config/trace/v3/http_tracer_pb.js";
import { type OpenTelemetryConfig, OpenTelemetryConfigSchema } from "../../gen/envoy/envoy/config/trace/v3/opentelemetry_pb.js";
import { type ZipkinConfig, ZipkinConfigSchema } from "../../gen/envoy/envoy/config/trace/v3/zipkin_pb.js";
import { unhandledFields } from "../fields.ts";
import { framed } from "../grpc-frame.ts";
import type { Headers } from "../http1/headers.ts";
import type { Sink } from "../telemetry.ts";
import { breaksLines, wireText } from "../text.ts";
import { openTelemetryTracer } from "../tracing/opentelemetry.ts";
import { type Attributes, otlpSpans } from "../tracing/otlp.ts";
import { type Span, sizeOf } from "../tracing/span.ts";
import type { Tracer } from "../tracing/tracer.ts";
import { zipkinJson, zipkinTracer } from "../tracing/zipkin.ts";
import { timeoutMs } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileGrpcService } from "./services.ts";

/** Envoy sends five at once; a busy gateway would do little else. */
const mostSpans = 100;
const mostWaitMs = 250;

/** Undefined, and a finding: nothing is reported. */
export function compileTracer({ name, configType }: Tracing_Http, findings: Findings): Tracer | undefined {
  const any = configType.value;
  const place = findings.at("typed_config");
  const openTelemetry = any && anyUnpack(any, OpenTelemetryConfigSchema);
  if (openTelemetry !== undefined) return compileOpenTelemetry(openTelemetry, place);
  const zipkin = any && anyUnpack(any, ZipkinConfigSchema);
  if (zipkin !== undefined) return compileZipkin(zipkin, place);
  findings.notExecuted(`typed_config (${name})`, "; requests are not traced");
  return undefined;
}

// — OpenTelemetry —

const exportPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

function compileOpenTelemetry(config: OpenTelemetryConfig, findings: Findings): Tracer | undefined {
  for (const path of unhandledFields(OpenTelemetryConfigSchema, config, handledFields)) findings.notExecuted(path);
  const resource: Attributes = [
    ["service.name", wireText(config.serviceName || "unknown_service:envoy")],
    ["telemetry.sdk.name", "headworks"],
    ["telemetry.sdk.language", "nodejs"],
  ];
  const { grpcService, httpService } = config;
  const sink =
    httpService === undefined
      ? grpcSink(grpcService, resource, findings.at("grpc_service"))
      : httpSink(httpService, resource, findings.at("http_service"));
  return sink && openTelemetryTracer(sink, "");
}

const userAgent = ["user-agent", "OTel-OTLP-Exporter-Headworks"] as const;

function grpcSink(service: GrpcService | undefined, resource: Attributes, findings: Findings): Sink<Span> | undefined {
  const target = compileGrpcService(service, findings);
  if (target === undefined) return undefined;
  const headers: Headers = ["te", "trailers", "content-type", "application/grpc", ...target.metadata, ...userAgent];
  headers.push("x-envoy-internal", "true");
  return {
    ...common("opentelemetry", ["grpc", target, resource]),
    cluster: target.cluster,
    question: (spans) => ({
      method: "POST",
      path: exportPath,
      authority: target.authority || target.cluster,
      headers,
      body: framed(otlpSpans(spans, resource)),
      timeoutMs: Math.min(target.timeoutMs, mostAnswerMs),
      tellsLength: "never",
    }),
    isTaken: ({ head, trailers }) => [...head.headers, ...(trailers ?? [])].join().includes("grpc-status,0"),
  };
}

/** Who does not answer in time, does not. */
const mostAnswerMs = 30_000;

function httpSink(service: HttpService, resource: Attributes, findings: Findings): Sink<Span> | undefined {
  const { httpUri, requestHeadersToAdd } = service;
  if (httpUri?.httpUpstreamType.case !== "cluster") {
    findings.notExecuted("http_uri", "; nothing is reported");
    return undefined;
  }
  const [, host = "", path = "/"] = /^(?:[a-z]+:\/\/)?([^/]*)(\/.*)?$/i.exec(httpUri.uri) ?? [];
  const waitMs = timeoutMs(httpUri.timeout, mostAnswerMs);
  const headers: Headers = ["content-type", "application/x-protobuf", ...userAgent, "x-envoy-internal", "true"];
  if (waitMs !== Number.POSITIVE_INFINITY) headers.push("x-envoy-expected-rq-timeout-ms", String(Math.ceil(waitMs)));
  requestHeadersToAdd.forEach(({ header }, index) => {
    const [name, value] = [header?.key.toLowerCase() ?? "", wireText(header?.value ?? "")];
    if (name === "" || breaksLines(name) || breaksLines(value))
      findings.refused(`request_headers_to_add[${index}]`, "is no header that can be sent");
    else headers.push(name, value);
  });
  const cluster = httpUri.httpUpstreamType.value;
  return {
    ...common("opentelemetry", ["http", httpUri, headers, resource]),
    cluster,
    question: (spans) => ({
      method: "POST",
      path: wireText(path),
      authority: wireText(host) || cluster,
      headers,
      body: Buffer.from(otlpSpans(spans, resource)),
      timeoutMs: Math.min(waitMs, mostAnswerMs),
    }),
    isTaken: ({ head }) => head.status >= 200 && head.status < 300,
  };
}

// — Zipkin —

function compileZipkin(config: ZipkinConfig, findings: Findings): Tracer | undefined {
  for (const path of unhandledFields(ZipkinConfigSchema, config, handledFields)) findings.notExecuted(path);
  const { collectorCluster: cluster, collectorEndpoint, collectorHostname, collectorEndpointVersion } = config;
  if (collectorEndpointVersion !== 1) {
    findings.notExecuted("collector_endpoint_version", " other than HTTP_JSON; requests are not traced");
    return undefined;
  }
  const sharesSpans = config.sharedSpanContext ?? true;
  const headers: Headers = ["content-type", "application/json", "x-envoy-internal", "true"];
  headers.push("x-envoy-expected-rq-timeout-ms", String(zipkinAnswerMs));
  const sink: Sink<Span> = {
    ...common("zipkin", [cluster, collectorEndpoint, collectorHostname, sharesSpans]),
    cluster,
    question: (spans) => ({
      method: "POST",
      path: wireText(collectorEndpoint),
      authority: wireText(collectorHostname || cluster),
      headers,
      body: zipkinJson(spans, sharesSpans),
      timeoutMs: zipkinAnswerMs,
    }),
    isTaken: ({ head }) => head.status === 202,
  };
  return zipkinTracer(sink, {
    longTraceIds: config.traceId128bit,
    sharesSpans,
    knowsTraceparent: (config.traceContextOption as number) === 1,
  });
}

const zipkinAnswerMs = 5_000;

/** What names a sink are the settings that make it. */
function common(kind: string, settings: unknown): Pick<Sink<Span>, "key" | "statPrefix" | "mostItems" | "mostWaitMs" | "sizeOf"> {
  const key = JSON.stringify([kind, settings], (_, value) => (typeof value === "bigint" ? String(value) : value));
  return { key, statPrefix: `tracing.${kind}`, mostItems: mostSpans, mostWaitMs, sizeOf };
}
