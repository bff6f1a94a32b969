// Tracing in the embedded data plane and in Envoy: the same headers to upstreams, and the same spans to the same collectors, but for identifiers and times.

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyStatsText } from "../../src/admin/envoy-stats.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { OpenTelemetryConfigSchema } from "../../src/gen/envoy/envoy/config/trace/v3/opentelemetry_pb.js";
import { ZipkinConfigSchema } from "../../src/gen/envoy/envoy/config/trace/v3/zipkin_pb.js";
import { HttpProtocolOptionsSchema } from "../../src/gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { type Collector, otlpGrpcCollector, otlpHttpCollector, type Report, zipkinCollector } from "./collectors.ts";
import { directRoute, hasNoEnvoy, managerWith } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { answeredWith, request } from "./requests.ts";
import { collected, literal, masked, percent, portOf, retrying, type Seen, seenOf, spansOf, to, traced } from "./traced.ts";

const ofHeader = (tag: string, name: string, defaultValue = "") => ({
  tag,
  type: { case: "requestHeader", value: { name, defaultValue } },
});
const ofMetadata = (tag: string, kind: string, key: string, ...path: string[]) => ({
  tag,
  type: {
    case: "metadata",
    value: {
      kind: { kind: { case: kind, value: {} } },
      metadataKey: { key, path: path.map((each) => ({ segment: { case: "key", value: each } })) },
      defaultValue: "none",
    },
  },
});
const tags = [
  literal("l", "literal"),
  { tag: "e", type: { case: "environment", value: { name: "NOBODY_SETS_THIS", defaultValue: "default" } } },
  { tag: "e-none", type: { case: "environment", value: { name: "NOBODY_SETS_THIS" } } },
  ofHeader("h", "x-user", "nobody"),
  ofHeader("h-none", "x-user"),
  ofHeader("http.method", "x-user"),
  ofMetadata("m", "route", "own", "a"),
  ofMetadata("m-number", "route", "own", "n"),
  ofMetadata("m-deep", "route", "own", "o", "p"),
  ofMetadata("m-object", "route", "own", "o"),
  ofMetadata("m-none", "request", "own", "a"),
  ofMetadata("m-host", "host", "own", "a"),
  { tag: "v", type: { case: "value", value: "%REQ(x-user)% of %PROTOCOL%" } },
  { tag: "v-none", type: { case: "value", value: "%REQ(x-none)%" } },
];

const routes: readonly RouteInit[] = [
  directRoute("/direct", "here"),
  {
    match: { pathSpecifier: { case: "prefix", value: "/redirect" } },
    action: { case: "redirect", value: { httpsRedirect: true } },
  } as never,
  to("/decorated", "a", {}, traced("the operation")),
  to("/quietly", "a", {}, traced("the operation", {}, { propagate: false })),
  to("/never", "a", {}, traced("", { overallSampling: percent(0) })),
  to("/not-random", "a", {}, traced("", { randomSampling: percent(0) })),
  to("/not-client", "a", {}, traced("", { clientSampling: percent(0), randomSampling: percent(0) })),
  to("/tagged", "a", {}, traced("", { customTags: [literal("l", "of the route"), literal("r", "route")] })),
  to("/formatted", "a", {}, traced("", { operation: "%REQ(:METHOD)% %REQ(x-none)%", upstreamOperation: "to %UPSTREAM_CLUSTER%" })),
  to("/rewritten", "a", { prefixRewrite: "/other" }),
  to("/retried", "a", retrying),
  to("/half", "a", {}, traced("", { randomSampling: { numerator: 5_000, denominator: 1 } })),
  to("/some", "a", {}, traced("", { randomSampling: { numerator: 5_000, denominator: 2 }, overallSampling: percent(50) })),
  to("/renamed", "a", { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: "b.example" } }),
  to("/slow", "silent", { timeout: { nanos: 100_000_000 } }),
  to("/tried", "silent", { retryPolicy: { ...retrying.retryPolicy, perTryTimeout: { nanos: 50_000_000 }, numRetries: 1 } }),
  to("/closed", "closing", {}),
  to("/nobody", "nobody", {}),
  to("/empty", "empty", {}),
  to("/unknown", "", { clusterSpecifier: { case: "clusterHeader", value: "x-cluster" } }),
  to("/", "a", {}, {
    metadata: { filterMetadata: { own: { a: "b", n: 3, o: { p: "q" } } } },
  } as never),
];

const grpc = (value: object = {}) => ({
  grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: "otlp-grpc" } }, ...value },
});
const otel = (config: object) => ({
  name: "envoy.tracers.opentelemetry",
  configType: { case: "typedConfig", value: packAny(OpenTelemetryConfigSchema, config as never) },
});
const zipkin = (config: object = {}) => ({
  name: "envoy.tracers.zipkin",
  configType: {
    case: "typedConfig",
    value: packAny(ZipkinConfigSchema, {
      collectorCluster: "zipkin",
      collectorEndpoint: "/api/v2/spans",
      collectorEndpointVersion: 1,
      ...config,
    } as never),
  },
});

const manager = (tracing: object, more: object = {}): HcmInit =>
  ({ ...managerWith([], routes, { domains: ["a.example", "[::1]"] } as never), tracing, ...more }) as HcmInit;

const byHttp = {
  httpService: {
    httpUri: { uri: "http://otlp.example/v1/traces", httpUpstreamType: { case: "cluster", value: "otlp-http" }, timeout: { seconds: 5n } },
  },
};

const managers: Readonly<Record<string, HcmInit>> = {
  "OpenTelemetry by gRPC": manager({ provider: otel({ ...grpc(), serviceName: "gateway" }), customTags: tags, spawnUpstreamSpan: true }),
  "OpenTelemetry by HTTP": manager({ provider: otel(byHttp), verbose: true, maxPathTagLength: 30 }),
  Zipkin: manager({ provider: zipkin(), customTags: tags, verbose: true }),
  "Zipkin with spans of its own": manager({
    provider: zipkin({ traceId128bit: true, sharedSpanContext: false, collectorHostname: "zipkin.example" }),
    spawnUpstreamSpan: true,
  }),
  "Zipkin that splits": manager({ provider: zipkin({ splitSpansForRequest: true, traceContextOption: 1 }), spawnUpstreamSpan: true }),
  "at the edge": manager({ provider: otel({ ...grpc(), maxCacheSize: 1_000 }), randomSampling: { value: 0 } }, { useRemoteAddress: true }),
  "at the edge, keeping": manager(
    { provider: zipkin(), randomSampling: { value: 0 } },
    { useRemoteAddress: true, preserveExternalRequestId: true },
  ),
  "untraced at the edge, keeping": manager(undefined as never, { useRemoteAddress: true, preserveExternalRequestId: true }),
  "without a provider": manager({ randomSampling: { value: 100 } }),
  "without propagation": manager({ provider: otel(grpc()), noContextPropagation: true }),
  untraced: manager(undefined as never),
};

const hex = (seed: number, length: number) => (seed + 1).toString(16).padStart(length, "a");
const id = (mark: string) => `12345678-9abc-${mark}def-8123-456789abcdef`;

type Make = (n: number) => readonly [line: string, headers: readonly string[], body?: string];
const traceparent = (n: number, flags: string, version = "00") => `Traceparent: ${version}-${hex(n, 32)}-${hex(n, 16)}-${flags}`;

const asked: readonly Make[] = [
  () => ["GET /plain?q=1", []],
  () => [
    "POST /plain",
    ["Content-Length: 2", "User-Agent: me", "X-User: ann", "X-Client-Trace-Id: client", "X-Envoy-Downstream-Service-Cluster: them"],
    "hi",
  ],
  () => ["HEAD /plain", ["X-Envoy-Force-Trace: 1"]],
  ...["4", "9", "a", "b", "c"].map(
    (mark): Make =>
      () => ["GET /not-random", [`X-Request-Id: ${id(mark)}`]],
  ),
  ...["00000000", "00001387", "00001388", "00002710"].flatMap((luck) =>
    ["/half", "/some", "/not-random"].map(
      (path): Make =>
        () => [`GET ${path}`, [`X-Request-Id: ${luck}${id("4").slice(8)}`]],
    ),
  ),
  () => ["GET /renamed", []],
  () => ["GET /slow", []],
  () => ["GET /tried", []],
  () => ["GET /closed", []],
  () => ["PURGE /plain", []],
  () => ["GET /plain", ["User-Agent: m\u00c3\u00bc", "X-User: \u00c3\u00bc"]],
  () => ["GET /plain", ["X-Request-Id: short"]],
  () => ["GET /plain", [`X-Request-Id: zzzzzzzz${id("4").slice(8)}`]],
  () => ["GET /direct", []],
  () => ["GET /redirect", []],
  () => ["GET /decorated", []],
  () => ["GET /decorated", ["X-Envoy-Decorator-Operation: theirs"]],
  () => ["GET /quietly", []],
  () => ["GET /plain", ["X-Envoy-Decorator-Operation: theirs"]],
  () => ["GET /never", ["X-Client-Trace-Id: client"]],
  () => ["GET /not-random", []],
  () => ["GET /not-random", ["X-Client-Trace-Id: client"]],
  () => ["GET /not-client", ["X-Client-Trace-Id: client"]],
  () => ["GET /tagged", []],
  () => ["GET /formatted", []],
  () => ["GET /rewritten?and=a-long-query-for-a-tag", []],
  () => ["GET /nobody", []],
  () => ["GET /empty", []],
  () => ["GET /unknown", []],
  () => ["POST /plain", ["Content-Type: application/grpc", "Content-Length: 0", "Grpc-Timeout: 10S"]],
  (n) => ["GET /plain", [traceparent(n, "01"), "Tracestate: a=b,c=d"]],
  (n) => ["GET /not-random", [traceparent(n, "01")]],
  (n) => ["GET /plain", [traceparent(n, "00")]],
  (n) => ["GET /plain", [traceparent(n, "03", "01")]],
  (n) => ["GET /plain", [traceparent(n, "zz")]],
  () => ["GET /plain", [`Traceparent: 00-${"0".repeat(32)}-${"0".repeat(16)}-01`]],
  () => ["GET /plain", ["Tracestate: a=b"]],
  (n) => ["GET /plain", [`X-B3-TraceId: ${hex(n, 16)}`, `X-B3-SpanId: ${hex(n + 100, 16)}`, "X-B3-Sampled: 1"]],
  (n) => ["GET /plain", [`X-B3-TraceId: ${hex(n, 32)}`, `X-B3-SpanId: ${hex(n + 100, 16)}`, `X-B3-ParentSpanId: ${hex(n + 200, 16)}`]],
  (n) => ["GET /plain", [`X-B3-TraceId: ${hex(n, 32)}`, `X-B3-SpanId: ${hex(n + 100, 16)}`, "X-B3-Sampled: 0"]],
  (n) => ["GET /plain", [`X-B3-TraceId: ${hex(n, 16)}`, "X-B3-SpanId: zz"]],
  () => ["GET /plain", ["X-B3-Sampled: 0"]],
  () => ["GET /not-random", ["X-B3-Sampled: true"]],
  () => ["GET /plain", ["B3: 0"]],
  () => ["GET /not-random", ["B3: d"]],
  () => ["GET /plain", ["B3: x"]],
  (n) => ["GET /plain", [`B3: ${hex(n, 16)}-${hex(n + 100, 16)}-1`]],
  (n) => ["GET /plain", [`B3: ${hex(n, 32)}-${hex(n + 100, 16)}-1-${hex(n + 200, 16)}`]],
  (n) => ["GET /plain", [`B3: ${hex(n, 32)}-${hex(n + 100, 16)}`]],
  (n) => ["GET /plain", [`B3: ${hex(n, 32)}-${hex(n + 100, 16)}-`]],
];

/** For each connection manager others, so that the spans of all can be told apart. */
function requestsOf(manager: number): string[] {
  const numbered = (target: string, at: number) =>
    target.replace(/(?=\?|$)/, `?n=${manager}${String(at).padStart(2, "0")}.`).replace(".?", ".&");
  const own = asked.map((make, at) => {
    const [line, headers, body = ""] = make(manager * 1_000 + at);
    return request(numbered(line, at), headers, body);
  });
  const answered = answers.map(([target, answer, headers], at) => answeredWith(numbered(target, own.length + at), answer, headers));
  const elsewhere = ["other.example", "a.example:80"].map((host, at) => request(numbered("GET /plain", 90 + at), [], "", host));
  // At the edge, requests get identifiers of their own, and with them their luck.
  const isLuck = (text: string) => /^GET \/(?:half|some)/.test(text) && Object.keys(managers)[manager] === "at the edge";
  return [...own, ...answered, ...elsewhere].filter((text) => !isLuck(text));
}

const empty = "Content-Length: 0\r\n\r\n";
const answers: readonly (readonly [target: string, answer: string, headers?: readonly string[]])[] = [
  ["/plain", `HTTP/1.1 503 no\r\n${empty}`],
  ["/plain", `HTTP/1.1 404 no\r\nX-Envoy-Decorator-Operation: theirs\r\n${empty}`],
  ["/retried", `HTTP/1.1 503 no\r\n${empty}`],
  ["/retried", "HTTP/1.1 503 no\r\nContent-Length: 2\r\n\r\nno"],
  ...Array.from({ length: 17 }, (_, status) => String(status + 1)).map(
    (status) =>
      [
        "/plain",
        `HTTP/1.1 200 ok\r\nContent-Type: application/grpc\r\nGrpc-Status: ${status}\r\nGrpc-Message: none\r\n${empty}`,
        ["Content-Type: application/grpc"],
      ] as const,
  ),
  ["/plain", "nonsense\r\n\r\n"],
];

interface Observed {
  readonly seen: readonly (readonly Seen[])[];
  readonly reports: readonly string[];
}

describe.skipIf(hasNoEnvoy("tracing"))("tracing in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let silent: Server;
  let closing: Server;
  let collectors: Readonly<Record<"otlp-grpc" | "otlp-http" | "zipkin", Collector>>;
  let planes: Planes;
  let envoy: Observed;
  let embedded: Observed;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    silent = createServer(() => undefined).listen(0, "127.0.0.1");
    closing = createServer((socket) => socket.once("data", () => socket.end())).listen(0, "127.0.0.1");
    await Promise.all([once(silent, "listening"), once(closing, "listening")]);
    collectors = { "otlp-grpc": await otlpGrpcCollector(), "otlp-http": await otlpHttpCollector(), zipkin: await zipkinCollector() };
    const http2 = packAny(HttpProtocolOptionsSchema, {
      upstreamProtocolOptions: { case: "explicitHttpConfig", value: { protocolConfig: { case: "http2ProtocolOptions", value: {} } } },
    } as never);
    planes = await startPlanes(
      Object.entries(managers).map(([name, hcm]) => ({ ...hcm, statPrefix: name.replaceAll(/\W/g, "_") })) as HcmInit[],
      [
        staticCluster("a", [upstream.port], { metadata: { filterMetadata: { own: { a: "of the cluster" } } } } as never),
        staticCluster("nobody", [1]),
        staticCluster("empty", []),
        staticCluster("silent", [portOf(silent)]),
        staticCluster("closing", [portOf(closing)]),
        staticCluster("otlp-grpc", [collectors["otlp-grpc"].port], {
          typedExtensionProtocolOptions: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 },
        } as never),
        staticCluster("otlp-http", [collectors["otlp-http"].port]),
        staticCluster("zipkin", [collectors.zipkin.port]),
      ],
      {
        layered_runtime: {
          layers: [
            {
              name: "l",
              static_layer: Object.fromEntries(["zipkin", "opentelemetry"].map((each) => [`tracing.${each}.flush_interval_ms`, 200])),
            },
          ],
        },
      },
    );
    envoy = await observe("envoy");
    embedded = await observe("embedded");
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    for (const each of [silent, closing]) each?.close();
    for (const each of Object.values(collectors ?? {})) await each[Symbol.asyncDispose]();
  });

  test.for(Object.keys(managers).map((name, index) => [name, index] as const))("%s", ([name, index]) => {
    for (const [at, text] of requestsOf(index).entries())
      expect.soft(embedded.seen[index]?.[at], `${name}: ${text}`).toEqual(envoy.seen[index]?.[at]);
  });

  test("collectors are asked alike", () => {
    expect(embedded.reports).toEqual(envoy.reports);
  });

  test("counted alike, and nothing is left out", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const samples = (page: string) =>
      page
        .split("\n")
        .filter((line) => /^envoy_http_tracing_.* [1-9]\d*$/.test(line))
        .sort();
    expect(samples(envoyStatsText(planes.plane.stats()))).toEqual(samples(await planes.envoy.admin("/stats/prometheus")));
  });

  async function observe(plane: "envoy" | "embedded"): Promise<Observed> {
    const all: (Seen & { text: string })[][] = [];
    for (const [index, ports] of planes.ports.entries()) {
      const seen: (Seen & { text: string })[] = [];
      for (const text of requestsOf(index)) seen.push({ text, ...(await seenOf(ports[plane], text)) });
      all.push(seen);
    }
    const spans = await collected(Object.values(collectors), 600);
    const reports = Object.values(collectors).flatMap((collector) => collector.reports.splice(0));
    return {
      seen: all.map((seen) => seen.map(({ text, ...each }) => masked({ ...each, spans: spansOf(spans, text) }, text))),
      reports: [...new Set(reports.map(shapeOf))].sort(),
    };
  }
});

/** As JSON; but for who it is that reports, and how long the report is. */
function shapeOf({ path, headers, resource }: Report): string {
  const own = new Set(["content-length", "transfer-encoding", "user-agent", "x-request-id", "x-forwarded-for"]);
  const kept = Object.entries(headers).filter(([name]) => !own.has(name));
  const [{ attributes: [attributes] = [] } = {}] = resource as { attributes?: Record<string, string>[] }[];
  return JSON.stringify([path, Object.fromEntries(kept.sort()), attributes?.["service.name"]]);
}
