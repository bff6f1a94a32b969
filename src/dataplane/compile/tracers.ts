// Where spans go: providers of tracing. Collectors are clusters, which are asked as any other.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { GrpcService } from "../../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import type { HttpService } from "../../gen/envoy/envoy/config/core/v3/http_service_pb.js";
import { type DatadogConfig, DatadogConfigSchema } from "../../gen/envoy/envoy/config/trace/v3/datadog_pb.js";
import type { Tracing_Http } from "../../gen/envoy/envoy/config/trace/v3/http_tracer_pb.js";
import { type OpenTelemetryConfig, OpenTelemetryConfigSchema } from "../../gen/envoy/envoy/config/trace/v3/opentelemetry_pb.js";
import { type ZipkinConfig, ZipkinConfigSchema } from "../../gen/envoy/envoy/config/trace/v3/zipkin_pb.js";
import { packageVersion } from "../../lib/package-root.ts";
import { unhandledFields } from "../fields.ts";
import { framed } from "../grpc-frame.ts";
import type { Headers } from "../http1/headers.ts";
import type { Sink } from "../telemetry.ts";
import { breaksLines, wireText } from "../text.ts";
import { datadogTracer, type Part } from "../tracing/datadog.ts";
import { datadogPayload, partSize } from "../tracing/datadog-payload.ts";
import { Rates } from "../tracing/datadog-rates.ts";
import { openTelemetryTracer } from "../tracing/opentelemetry.ts";
import { type Attributes, otlpSpans } from "../tracing/otlp.ts";
import { type Span, sizeOf } from "../tracing/span.ts";
import type { Tracer } from "../tracing/tracer.ts";
import { zipkinJson, zipkinTracer } from "../tracing/zipkin.ts";
import { grpcStatusOf } from "../upstream/ask-grpc.ts";
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
  const datadog = any && anyUnpack(any, DatadogConfigSchema);
  if (datadog !== undefined) return compileDatadog(datadog, place);
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
    isTaken: (answer) => grpcStatusOf(answer) === "0",
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

// — Datadog —

function compileDatadog(config: DatadogConfig, findings: Findings): Tracer | undefined {
  for (const path of unhandledFields(DatadogConfigSchema, config, handledFields)) findings.notExecuted(path);
  const { collectorCluster: cluster, collectorHostname } = config;
  // Of the environment, as Envoy: what Datadog's agents and operators set for all that they watch.
  const { DD_SERVICE, DD_ENV: environment = "", DD_VERSION } = process.env;
  const names = {
    service: DD_SERVICE ?? (config.serviceName || "envoy"),
    environment,
    version: DD_VERSION ?? `headworks ${packageVersion}`,
  };
  const rates = new Rates();
  const sink: Sink<Part> = {
    key: keyOf("datadog", [cluster, collectorHostname, names]),
    what: "traces",
    counters: { reports: "tracing.datadog." },
    mostItems: 1_000,
    mostWaitMs: 2_000,
    sizeOf: partSize,
    cluster,
    question: (parts) => ({
      method: "POST",
      path: "/v0.4/traces",
      authority: wireText(collectorHostname || cluster),
      headers: [...datadogHeaders, "x-datadog-trace-count", String(parts.length)],
      body: datadogPayload(parts, names),
      timeoutMs: datadogAnswerMs,
    }),
    isTaken: ({ head }) => head.status === 200,
    onTaken: ({ body }) => rates.take(body),
  };
  return datadogTracer(sink, { ...names, rates });
}

const datadogAnswerMs = 2_000;

const datadogHeaders: Headers = [
  ...["content-type", "application/msgpack", "x-envoy-internal", "true", "x-envoy-expected-rq-timeout-ms", String(datadogAnswerMs)],
  ...["datadog-meta-lang", "nodejs", "datadog-meta-lang-version", process.versions.node, "datadog-meta-tracer-version", packageVersion],
];

/** What names a sink are the settings that make it. */
function common(kind: string, settings: unknown): Pick<Sink<Span>, "key" | "what" | "counters" | "mostItems" | "mostWaitMs" | "sizeOf"> {
  const counters = { reports: `tracing.${kind}.`, itemsSent: `tracing.${kind}.spans_sent` };
  return { key: keyOf(kind, settings), what: "spans", counters, mostItems: mostSpans, mostWaitMs, sizeOf };
}

function keyOf(kind: string, settings: unknown): string {
  return JSON.stringify([kind, settings], (_, value) => (typeof value === "bigint" ? String(value) : value));
}
