import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { UpstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { violationsOf } from "./constraints.ts";
import { packAny } from "./encode.ts";
import { clusterTypes } from "./registry.ts";

type Init = Exclude<MessageInitShape<typeof ClusterSchema>, { $typeName: string }>;
const seconds = (n: number) => ({ seconds: BigInt(n), nanos: 0 });
const check = { timeout: seconds(1), interval: seconds(1), healthyThreshold: 1, unhealthyThreshold: 1 };
const tls = (init: MessageInitShape<typeof UpstreamTlsContextSchema>): Init => ({
  transportSocket: {
    name: "envoy.transport_sockets.tls",
    configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, init) },
  },
});
const http = (init: MessageInitShape<typeof HttpProtocolOptionsSchema>): Init => ({
  typedExtensionProtocolOptions: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packAny(HttpProtocolOptionsSchema, init) },
});

/** Parts of a cluster, each with the first path that breaks a rule, or none. */
const parts: Record<string, readonly [Init, path?: string]> = {
  "nothing special": [{}],
  "connect timeout 1ns": [{ connectTimeout: { seconds: 0n, nanos: 1_000_000 } }],
  "connect timeout 0": [{ connectTimeout: seconds(0) }, "connectTimeout"],
  "connect timeout negative": [{ connectTimeout: seconds(-1) }, "connectTimeout"],
  "cleanup interval 0": [{ cleanupInterval: seconds(0) }, "cleanupInterval"],
  "panic threshold 100": [{ commonLbConfig: { healthyPanicThreshold: { value: 100 } } }],
  "panic threshold 101": [{ commonLbConfig: { healthyPanicThreshold: { value: 101 } } }, "commonLbConfig.healthyPanicThreshold.value"],
  "panic threshold negative": [{ commonLbConfig: { healthyPanicThreshold: { value: -1 } } }, "commonLbConfig.healthyPanicThreshold.value"],
  "merge window negative": [{ commonLbConfig: { updateMergeWindow: seconds(-1) } }, "commonLbConfig.updateMergeWindow"],
  "undefined policy": [{ lbPolicy: 42 as number }, "lbPolicy"],
  "undefined family": [{ dnsLookupFamily: 42 as number }, "dnsLookupFamily"],
  "ring of 8M": [{ lbPolicy: 2, lbConfig: { case: "ringHashLbConfig", value: { maximumRingSize: 8_388_608n } } }],
  "ring above 8M": [
    { lbPolicy: 2, lbConfig: { case: "ringHashLbConfig", value: { maximumRingSize: 8_388_609n } } },
    "ringHashLbConfig.maximumRingSize",
  ],
  "choice of two": [{ lbPolicy: 1, lbConfig: { case: "leastRequestLbConfig", value: { choiceCount: 2 } } }],
  "choice of one": [
    { lbPolicy: 1, lbConfig: { case: "leastRequestLbConfig", value: { choiceCount: 1 } } },
    "leastRequestLbConfig.choiceCount",
  ],
  "preconnect 3": [{ preconnectPolicy: { perUpstreamPreconnectRatio: 3 } }],
  "preconnect 4": [{ preconnectPolicy: { perUpstreamPreconnectRatio: 4 } }, "preconnectPolicy.perUpstreamPreconnectRatio"],
  "dns refresh 1ms": [{ dnsRefreshRate: { seconds: 0n, nanos: 1_000_001 } }],
  "dns refresh 0": [{ dnsRefreshRate: seconds(0) }, "dnsRefreshRate"],
  "outlier interval 1s": [{ outlierDetection: { interval: seconds(1) } }],
  "outlier interval 0": [{ outlierDetection: { interval: seconds(0) } }, "outlierDetection.interval"],
  "ejection 101 %": [{ outlierDetection: { maxEjectionPercent: 101 } }, "outlierDetection.maxEjectionPercent"],
  "health check": [{ healthChecks: [{ ...check, healthChecker: { case: "httpHealthCheck", value: { path: "/" } } }] }],
  "health check without path": [
    { healthChecks: [{ ...check, healthChecker: { case: "httpHealthCheck", value: { path: "" } } }] },
    "healthChecks[0].httpHealthCheck.path",
  ],
  "health check with CONNECT": [
    { healthChecks: [{ ...check, healthChecker: { case: "httpHealthCheck", value: { path: "/", method: 6 } } }] },
    "healthChecks[0].httpHealthCheck.method",
  ],
  "health check with a line break in the path": [
    { healthChecks: [{ ...check, healthChecker: { case: "httpHealthCheck", value: { path: "/\n" } } }] },
    "healthChecks[0].httpHealthCheck.path",
  ],
  "health check with a bad header name": [
    {
      healthChecks: [
        {
          ...check,
          healthChecker: { case: "httpHealthCheck", value: { path: "/", requestHeadersToAdd: [{ header: { key: "a\nb", value: "" } }] } },
        },
      ],
    },
    "healthChecks[0].httpHealthCheck.requestHeadersToAdd[0].header.key",
  ],
  "health check without a checker": [{ healthChecks: [check] }, "healthChecks[0]"],
  "health check with timeout 0": [
    { healthChecks: [{ ...check, timeout: seconds(0), healthChecker: { case: "tcpHealthCheck", value: {} } }] },
    "healthChecks[0].timeout",
  ],
  "second health check without threshold": [
    {
      healthChecks: [
        { ...check, healthChecker: { case: "tcpHealthCheck", value: {} } },
        { ...check, healthyThreshold: undefined, healthChecker: { case: "tcpHealthCheck", value: {} } },
      ],
    },
    "healthChecks[1].healthyThreshold",
  ],
  "subset without keys": [{ lbSubsetConfig: { subsetSelectors: [{ keys: [] }] } }],
  "slow start 150 %": [
    {
      lbConfig: {
        case: "roundRobinLbConfig",
        value: { slowStartConfig: { slowStartWindow: seconds(1), minWeightPercent: { value: 150 } } },
      },
    },
    "roundRobinLbConfig.slowStartConfig.minWeightPercent.value",
  ],
  "TLS with SNI": [tls({ sni: "a.test" })],
  "TLS with an SNI of 256 bytes": [tls({ sni: "a".repeat(256) }), "transportSocket.typedConfig.sni"],
  "TLS of an undefined version": [
    tls({ commonTlsContext: { tlsParams: { tlsMaximumProtocolVersion: 42 as number } } }),
    "transportSocket.typedConfig.commonTlsContext.tlsParams.tlsMaximumProtocolVersion",
  ],
  "HTTP/2 window": [
    http({
      upstreamProtocolOptions: {
        case: "explicitHttpConfig",
        value: { protocolConfig: { case: "http2ProtocolOptions", value: { initialStreamWindowSize: 65_535 } } },
      },
    }),
  ],
  "HTTP/2 window too small": [
    http({
      upstreamProtocolOptions: {
        case: "explicitHttpConfig",
        value: { protocolConfig: { case: "http2ProtocolOptions", value: { initialStreamWindowSize: 1 } } },
      },
    }),
    'typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].explicitHttpConfig.http2ProtocolOptions.initialStreamWindowSize',
  ],
  "HTTP options without a protocol": [http({}), 'typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]'],
};

const cluster = (port: number, weight?: number): Init => ({
  connectTimeout: seconds(5),
  clusterDiscoveryType: { case: "type", value: 1 },
  loadAssignment: {
    clusterName: "c",
    endpoints: [
      {
        lbEndpoints: [
          {
            ...(weight !== undefined && { loadBalancingWeight: weight }),
            hostIdentifier: {
              case: "endpoint",
              value: {
                address: {
                  address: { case: "socketAddress", value: { address: "a.test", portSpecifier: { case: "portValue", value: port } } },
                },
              },
            },
          },
        ],
      },
    ],
  },
});

const cases = Object.entries(parts).map(([name, [init, path]]) => ({
  name,
  path,
  message: create(ClusterSchema, { name: "c", ...cluster(80), ...init }),
}));
const address = "loadAssignment.endpoints[0].lbEndpoints[0]";
cases.push(
  {
    name: "port 65536",
    path: `${address}.endpoint.address.socketAddress.portValue`,
    message: create(ClusterSchema, { name: "c", ...cluster(65_536) }),
  },
  { name: "weight 0", path: `${address}.loadBalancingWeight`, message: create(ClusterSchema, { name: "c", ...cluster(80, 0) }) },
  { name: "no name", path: "name", message: create(ClusterSchema, { name: "", ...cluster(80) }) },
);

describe("what Envoy refuses is found, and what it takes is not:", () => {
  test.each(cases)("$name", ({ message, path }) => {
    expect(violationsOf(ClusterSchema, message).map((violation) => violation.path)).toEqual(path === undefined ? [] : [path]);
    const refusal = refusalOf([toJson(ClusterSchema, message, { registry: clusterTypes })]);
    if (path === undefined) expect(refusal).toBeUndefined();
    else expect(refusal).toBeDefined();
  });
});

test("everything that is wrong is named, not only the first", () => {
  const message = create(ClusterSchema, { name: "", connectTimeout: seconds(-1), ...tls({ sni: "a".repeat(256) }) });
  expect(violationsOf(ClusterSchema, message)).toEqual([
    { path: "name", message: "value must not be empty" },
    { path: "connectTimeout", message: "value must not be negative" },
    { path: "transportSocket.typedConfig.sni", message: "value length must be at most 255 bytes" },
  ]);
});

test("a cluster that is all right is checked without a list being made", () => {
  const message = create(ClusterSchema, { name: "c", ...cluster(80) });
  expect(violationsOf(ClusterSchema, message)).toBe(violationsOf(ClusterSchema, message));
});
