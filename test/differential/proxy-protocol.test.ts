// What upstreams are told of clients by the PROXY protocol, by the embedded data plane and by Envoy.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates } from "../../src/dataplane/testing/certificates.ts";
import { type ProxiedUpstream, proxiedUpstream } from "../../src/dataplane/testing/proxied.ts";
import { rawRequest } from "../../src/dataplane/testing/raw.ts";
import { type ClusterInit, type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { UpstreamTlsContextSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { findEnvoy } from "../servers/envoy.ts";
import { inline } from "./configs.ts";
import { type Planes, startPlanes } from "./planes.ts";

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: the PROXY protocol against Envoy: no Envoy here (set ENVOY_BIN)");

const socket = (value: ReturnType<typeof packAny>) => ({ name: "socket", configType: { case: "typedConfig" as const, value } });
const plain = socket(packAny(RawBufferSchema, {}));
const tls = socket(packAny(UpstreamTlsContextSchema, {}));
const proxied = (version: number, transportSocket = plain) => ({
  transportSocket: socket(packAny(ProxyProtocolUpstreamTransportSchema, { config: { version }, transportSocket })),
});
const checked = {
  healthChecks: [
    {
      timeout: { seconds: 2n },
      interval: { seconds: 60n },
      unhealthyThreshold: 1,
      healthyThreshold: 1,
      healthChecker: { case: "httpHealthCheck", value: { path: "/health" } },
    },
  ],
};
const [v1, v2] = [0, 1];
const clusters: Readonly<Record<string, readonly ["http1" | "http2" | "tls", object]>> = {
  "v1-plain": ["http1", proxied(v1)],
  "v2-plain": ["http1", proxied(v2)],
  "v1-tls": ["tls", proxied(v1, tls)],
  "v2-tls": ["tls", proxied(v2, tls)],
  "v2-http2": ["http2", { ...proxied(v2), http2ProtocolOptions: {} }],
  "v1-checked": ["http1", { ...proxied(v1), ...checked }],
  "v2-checked": ["http1", { ...proxied(v2), ...checked }],
};

describe.skipIf(findEnvoy() === undefined && !isRequired)("the PROXY protocol in the embedded data plane and in Envoy", () => {
  const upstreams = new Map<string, ProxiedUpstream>();
  let made: Certificates;
  let planes: Planes;

  beforeAll(async () => {
    made = certificates();
    const pair = made.selfSigned("upstream.test");
    for (const [name, [kind]] of Object.entries(clusters)) upstreams.set(name, await proxiedUpstream(kind === "tls" ? pair : kind));
    const routes = Object.keys(clusters).map(
      (cluster): RouteInit => ({
        match: { pathSpecifier: { case: "path", value: `/${cluster}` } },
        action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
      }),
    );
    planes = await startPlanes(
      [inline([{ name: "all", domains: ["*"], routes }])],
      Object.entries(clusters).map(([name, [, more]]) => staticCluster(name, [upstreams.get(name)?.port ?? 0], more as ClusterInit)),
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    for (const upstream of upstreams.values()) await upstream[Symbol.asyncDispose]();
    made?.[Symbol.dispose]();
  });

  test.each(Object.keys(clusters))("%s", async (cluster) => {
    const [ports] = planes.ports as [{ envoy: number; embedded: number }];
    const told = async (port: number) => {
      const response = await rawRequest(port, `GET /${cluster} HTTP/1.1\r\nHost: a\r\n\r\n`);
      return response?.body.replace(/ \d+ \d+$/, (found) => ` client ${found.endsWith(` ${port}`) ? "listener" : "elsewhere"}`);
    };
    const envoy = await told(ports.envoy);
    expect(envoy).toMatch(/^v[12] .*127\.0\.0\.1 127\.0\.0\.1 client listener$/);
    expect(await told(ports.embedded)).toBe(envoy);
  });

  test("connections of our own say whose they are", async () => {
    for (const name of ["v1-checked", "v2-checked"]) {
      const ofChecks = () =>
        upstreams.get(name)?.headers.filter((header) => !header.includes(" 127.0.0.1 127.0.0.1 ") || header.includes("own"));
      await expect.poll(() => ofChecks()?.length).toBe(2);
      expect(new Set(ofChecks())).toEqual(new Set([name.startsWith("v1") ? "v1 TCP4 127.0.0.1 127.0.0.1 own upstream" : "v2 20000000"]));
    }
    expect(planes.plane.unsupported()).toEqual([]);
  });
});
