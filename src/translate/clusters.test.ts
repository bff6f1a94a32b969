// Whatever is written into an Upstream: what we send, Envoy takes; what we do not send, we explain.
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { clusterJson } from "../lib/testing/clusters.ts";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { worldOf } from "../lib/testing/world.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { defineUpstreamType } from "../plugin/upstream-type.ts";
import { clusterOf } from "./clusters.ts";

const world = worldOf([]);

function upstream(name: string, spec: JsonObject): Resource<"Upstream"> {
  const ref = { namespace: "shop", name };
  return {
    kind: "Upstream",
    key: resourceKey("Upstream", ref),
    ref,
    labels: {},
    annotations: {},
    spec: fromJson(UpstreamSchema, spec),
    version: "1",
    problems: [],
    origin: { source: "memory" },
  };
}

/** Mostly sensible values, some at the edge, some beyond. */
const number = fc.oneof({ weight: 30, arbitrary: fc.integer({ min: 1, max: 100 }) }, fc.constantFrom(0, 65_535, 65_536, 4_294_967_295));
const real = fc.oneof({ weight: 20, arbitrary: fc.double({ min: 1, max: 3, noNaN: true }) }, fc.constantFrom(-1, 0, 100, 101));
const duration = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 1, max: 90 }).map((s) => `${s}s`) },
  fc.constantFrom("0s", "0.001s", "-1s", "315576000000s"),
);
const text = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom("a", "a.test", "/x") },
  fc.constantFrom("", "\n", "a b", "é", "x".repeat(300)),
);
const boolean = fc.boolean();
const maybe = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { requiredKeys: [] });
const sometimes = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const slowStartConfig = maybe({ slowStartWindow: duration, aggression: real, minWeightPercent: real });
const header = fc.record({ header: fc.record({ key: text, value: text }) });
const checker = fc.oneof(
  maybe({
    path: text,
    host: text,
    serviceName: text,
    useHttp2: boolean,
    method: fc.constantFrom("GET", "HEAD", "CONNECT"),
    requestHeadersToAdd: fc.array(header, { maxLength: 2 }),
  }).map((httpHealthCheck) => ({ httpHealthCheck })),
  maybe({ send: fc.record({ text: fc.constantFrom("00", "0g", "") }) }).map((tcpHealthCheck) => ({ tcpHealthCheck })),
  maybe({ serviceName: text, authority: text }).map((grpcHealthCheck) => ({ grpcHealthCheck })),
);
const healthCheck = fc
  .tuple(
    fc.record({ timeout: duration, interval: duration, healthyThreshold: number, unhealthyThreshold: number }),
    maybe({ noTrafficInterval: duration, unhealthyInterval: duration, intervalJitterPercent: number, reuseConnection: boolean }),
    checker,
  )
  .map((parts) => Object.assign({}, ...parts));
const type = fc.oneof(
  fc
    .record({
      hosts: fc.array(
        fc
          .record({ addr: fc.constantFrom("10.0.0.1", "::1", "a.test", ""), port: fc.constantFrom(80, 443, 0, 70_000) })
          .chain((host) => maybe({ sniAddr: text, loadBalancingWeight: number }).map((more) => ({ ...host, ...more }))),
        { maxLength: 3 },
      ),
      useTls: boolean,
      autoSniRewrite: boolean,
    })
    .map((value) => ({ static: value })),
  fc.record({ path: fc.constantFrom("/s", "@s", `/${"s".repeat(200)}`, "") }).map((pipe) => ({ pipe })),
);
const options = maybe({
  useHttp2: boolean,
  initialStreamWindowSize: fc.constantFrom(65_535, 65_536, 1, 2_147_483_648),
  maxConcurrentStreams: number,
  protocolSelection: fc.constantFrom("USE_CONFIGURED_PROTOCOL", "USE_DOWNSTREAM_PROTOCOL"),
  circuitBreakers: maybe({ maxConnections: number, maxRetries: number, trackRemaining: boolean }),
  outlierDetection: maybe({
    interval: duration,
    baseEjectionTime: duration,
    consecutive5xx: number,
    maxEjectionPercent: number,
    enforcingSuccessRate: number,
  }),
  healthChecks: fc.array(healthCheck, { maxLength: 2 }),
  dnsRefreshRate: duration,
  respectDnsTtl: boolean,
  preconnectPolicy: maybe({ perUpstreamPreconnectRatio: real, predictivePreconnectRatio: real }),
  proxyProtocolVersion: fc.constantFrom("V1", "V2", "V3"),
  loadBalancerConfig: fc
    .tuple(
      maybe({
        healthyPanicThreshold: real,
        updateMergeWindow: duration,
        useHostnameForHashing: boolean,
        localityWeightedLbConfig: fc.constant({}),
      }),
      fc.oneof(
        fc.record({ roundRobin: maybe({ slowStartConfig }) }),
        fc.record({ leastRequest: maybe({ choiceCount: number, slowStartConfig }) }),
        fc.record({ ringHash: maybe({ ringHashConfig: maybe({ minimumRingSize: number, maximumRingSize: number }) }) }),
        fc.record({ maglev: fc.constant({}) }),
        fc.record({ random: fc.constant({}) }),
      ),
    )
    .map((parts) => Object.assign({}, ...parts)),
  connectionConfig: maybe({
    connectTimeout: duration,
    maxRequestsPerConnection: number,
    perConnectionBufferLimitBytes: number,
    tcpKeepalive: maybe({ keepaliveProbes: number, keepaliveTime: duration, keepaliveInterval: duration }),
    commonHttpProtocolOptions: maybe({ idleTimeout: duration, maxHeadersCount: number, maxStreamDuration: duration }),
    http1ProtocolOptions: maybe({ enableTrailers: boolean, properCaseHeaderKeyFormat: boolean }),
  }),
  sslConfig: maybe({
    sni: text,
    alpnProtocols: fc.array(text, { maxLength: 2 }),
    allowRenegotiation: boolean,
    parameters: maybe({
      minimumProtocolVersion: fc.constantFrom("TLSv1_2", "TLSv1_3", "TLS_AUTO"),
      maximumProtocolVersion: fc.constantFrom("TLSv1_2", "TLSv1_3", "TLS_AUTO"),
      cipherSuites: fc.array(fc.constantFrom("ECDHE-RSA-AES128-GCM-SHA256", "NOPE"), { maxLength: 2 }),
    }),
  }),
  httpProxyHostname: text,
  httpConnectHeaders: fc.array(fc.record({ key: text, value: text }), { maxLength: 2 }),
});
const spec = fc.tuple(type, sometimes(options)).map(([kind, rest]) => ({ ...kind, ...rest }) as unknown as JsonObject);

test("what is sent for any Upstream, a stock Envoy takes", () => {
  const specs = fc.sample(spec, { numRuns: process.env.HEADWORKS_LONG === "1" ? 20_000 : 2000, seed: 7 });
  const made = specs.map((each, i) => ({ spec: each, ...clusterOf(upstream(`u${i}`, each), world, builtins) }));
  for (const { spec, cluster, problems, fault } of made) {
    expect(fault, JSON.stringify(spec)).toBeUndefined();
    expect(cluster === undefined, JSON.stringify({ spec, problems })).toBe(problems.some(({ severity }) => severity === "error"));
  }
  const served = made.flatMap(({ spec, cluster }) => (cluster ? [{ spec, json: clusterJson(cluster) }] : []));
  expect(served.length).toBeGreaterThan(100);
  expect(firstRefused(served)).toBeUndefined();
});

interface Served {
  readonly spec: JsonObject;
  readonly json: unknown;
}

/** The Upstream whose cluster Envoy refuses, found by halving, and why. */
function firstRefused(served: readonly Served[]): object | undefined {
  const refusal = refusalOf(served.map(({ json }) => json));
  if (refusal === undefined) return undefined;
  if (served.length === 1) return { refusal, ...served[0] };
  const middle = served.length >> 1;
  return firstRefused(served.slice(0, middle)) ?? firstRefused(served.slice(middle));
}

describe("a plug-in that goes wrong costs its Upstream:", () => {
  const spec = { pipe: { path: "/s" } };
  const run = (cluster: () => undefined) =>
    clusterOf(upstream("u", spec), world, { upstreamTypes: { pipe: defineUpstreamType({ kind: "pipe", cluster }) }, features: [] });

  test("one that throws is named, and what it threw is there for the log", () => {
    const thrown = new Error("no idea");
    const { cluster, problems, fault } = run(() => {
      throw thrown;
    });
    expect(cluster).toBeUndefined();
    expect(problems.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
      "PluginFailed: a plug-in failed while it made the cluster of this Upstream: no idea",
    ]);
    expect(fault).toBe(thrown);
  });

  test("one that makes nothing and says nothing is named", () => {
    expect(run(() => undefined).problems.map(({ reason }) => reason)).toEqual(["PluginFailed"]);
  });
});

test("an Upstream without a type, or of one that nobody serves, says so", () => {
  const reasons = (spec: JsonObject, plugins = builtins) =>
    clusterOf(upstream("u", spec), world, plugins).problems.map(({ reason }) => reason);
  expect(reasons({})).toEqual(["UpstreamTypeMissing"]);
  expect(reasons({ consul: { serviceName: "a" } }, { upstreamTypes: {}, features: [] })).toEqual(["UpstreamTypeNotSupported"]);
});
