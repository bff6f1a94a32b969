// Addresses take the short path: an edit of an Upstream never takes away what it has, and an address that comes or goes is one small
// message. Gloo dropped all addresses at each edit of any Upstream (kgateway#2356), and with Consul its successor did (kgateway#9873).
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates } from "../../src/dataplane/testing/certificates.ts";
import { ClusterLoadAssignmentSchema } from "../../src/gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { type ResourceConsumer, typeUrls } from "../../src/model/envoy-resource.ts";
import { stat, until, withEnvoy } from "../conformance/xds/envoy.ts";
import { startLoad } from "../conformance/xds/load.ts";
import { findConsul, type RunningConsul, startConsul } from "../servers/consul.ts";
import { object } from "./gateway.ts";
import { type InProcess, inProcess } from "./in-process.ts";

const isThere = findConsul() !== undefined;
if (!isThere) {
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("Consul is required (HEADWORKS_REQUIRE_SERVERS=1) and not there");
  console.warn("SKIPPED: Consul is not there; edits under load were not tried. Set CONSUL_BIN.");
}

describe.skipIf(!isThere)("under load", () => {
  withEnvoy("through a real Envoy", () => {
    let made: Certificates;
    let servers: readonly TlsBackend[];
    let consul: RunningConsul;
    let running: InProcess;
    const emptied: string[] = [];
    const published: string[] = [];

    beforeAll(async () => {
      made = certificates();
      const authority = made.selfSigned("authority.test");
      const pair = made.signed("web.test", authority);
      servers = await Promise.all([1, 2, 3].map(() => tlsBackend(pair)));
      consul = await startConsul();
      for (const [i, { port }] of servers.slice(0, 2).entries()) await register(consul, "web", `web-${i}`, port);
      for (let i = 0; i < 20; i++) await register(consul, `other-${i}`, `other-${i}-1`, servers[0]?.port ?? 0);
      running = await inProcess({
        consumers: [watching(published, emptied)],
        objects: [
          settings(consul),
          caSecret(authority.certificate),
          ...Array.from({ length: 20 }, (_, i) => object("Upstream", `other-${i}`, { consul: { serviceName: `other-${i}` } })),
          consulUpstream(),
          staticUpstream(servers),
          routes,
        ],
      });
      for (const path of ["/consul", "/static"]) await until(`${path} answers`, async () => (await answer(running, path)) === "ok");
      await running.settled();
    });
    afterAll(async () => {
      await running?.[Symbol.asyncDispose]();
      await consul?.[Symbol.asyncDispose]();
      for (const server of servers ?? []) server[Symbol.dispose]();
      made?.[Symbol.dispose]();
    });

    test("kgateway#2356: edits of an Upstream, its own and others', fail no request and empty no cluster", async () => {
      const load = startLoad(running.port, ["/consul", "/static"], 4, (_, status, body) =>
        status === 200 && body === "ok" ? undefined : `${status} ${body}`,
      );
      for (const edit of edits) {
        running.apply(consulUpstream(edit), staticUpstream(servers, edit));
        await running.settled();
        running.apply(
          object("Upstream", "other-3", { consul: { serviceName: "other-3" }, ...edit }),
          object("Upstream", "new", { pipe: { path: "/s" }, ...edit }),
        );
        await running.settled();
      }
      // What says which instances are meant: they are read anew, and until then there are the old ones.
      for (const spec of [{ consistencyMode: "ConsistentMode" }, { dataCenters: ["dc1"] }, { subsetTags: ["a"] }, {}]) {
        running.apply(consulUpstream({}, spec));
        await running.settled();
      }
      running.apply(settings(consul, { waitTime: "30s" }));
      await running.settled();
      const { sent, failures } = await load.stop();
      expect(failures).toEqual([]);
      expect(sent).toBeGreaterThan(100);
      expect(emptied).toEqual([]);
      expect(running.refusals).toEqual([]);
      expect(running.faults).toEqual([]);
    });

    test("kgateway#9873: an instance that comes or goes is the EDS of its clusters, and nothing else is made or sent", async () => {
      published.splice(0);
      const updates = await stat(running.envoy, "cluster_manager.cluster_modified");
      const load = startLoad(running.port, ["/consul", "/static"], 4, (_, status, body) =>
        status === 200 && body === "ok" ? undefined : `${status} ${body}`,
      );
      const changes = [
        () => register(consul, "web", "web-2", servers[2]?.port ?? 0),
        () => consul.deregister("web-2"),
        () => consul.api("PUT", "/v1/agent/service/maintenance/web-1?enable=true"),
        () => consul.api("PUT", "/v1/agent/service/maintenance/web-1?enable=false"),
      ];
      for (const change of changes) {
        const [sent, batches] = [running.count(), running.batches.length];
        await change();
        await until("Envoy has it", () => sent().ClusterLoadAssignment === ofWeb.length);
        expect(sent()).toEqual({ ClusterLoadAssignment: ofWeb.length });
        expect(published.splice(0).sort()).toEqual(ofWeb);
        expect(running.batches.slice(batches).flatMap(({ changed }) => changed)).toEqual([]);
      }
      expect((await load.stop()).failures).toEqual([]);
      expect(await stat(running.envoy, "cluster_manager.cluster_modified")).toBe(updates);
    });
  });
});

const secretRef = { name: "ca", namespace: "gloo-system" };
const check = { timeout: "1s", interval: "1s", healthyThreshold: 1, unhealthyThreshold: 3 };

/** Options of Upstreams, as they are edited one after the other; TLS there always is. */
const edits: readonly object[] = [
  { loadBalancerConfig: { leastRequest: {} } },
  { loadBalancerConfig: { ringHash: { ringHashConfig: { maximumRingSize: 2048 } }, healthyPanicThreshold: 10 } },
  { healthChecks: [{ ...check, httpHealthCheck: { path: "/healthz" } }] },
  { healthChecks: [{ ...check, tcpHealthCheck: {} }], outlierDetection: { interval: "10s" } },
  { sslConfig: { secretRef, sni: "web.test" } },
  {
    sslConfig: {
      secretRef,
      verifySubjectAltName: ["web.test"],
      parameters: { minimumProtocolVersion: "TLSv1_3" },
      alpnProtocols: ["http/1.1"],
    },
  },
  { circuitBreakers: { maxConnections: 100 }, connectionConfig: { connectTimeout: "2s", maxRequestsPerConnection: 10 } },
  {},
];

function consulUpstream(options: object = {}, more: object = {}) {
  return object("Upstream", "by-consul", { sslConfig: {}, consul: { serviceName: "web", ...more }, ...options });
}

function staticUpstream(servers: readonly TlsBackend[], options: object = {}) {
  return object("Upstream", "by-hosts", {
    sslConfig: {},
    static: { hosts: servers.slice(0, 2).map(({ port }) => ({ addr: "127.0.0.1", port })) },
    ...options,
  });
}

function settings(consul: RunningConsul, more: object = {}) {
  return object("Settings", "default", {
    consul: { httpAddress: `127.0.0.1:${consul.httpPort}`, serviceDiscovery: {}, ...more },
    discovery: { fdsMode: "DISABLED", udsOptions: { enabled: false } },
  });
}

function caSecret(certificate: string) {
  return { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: secretRef, stringData: { "ca.crt": certificate } };
}

const routes = object("VirtualService", "all", {
  virtualHost: {
    domains: ["*"],
    routes: ["consul", "hosts"].map((name) => ({
      matchers: [{ prefix: name === "hosts" ? "/static" : "/consul" }],
      routeAction: { single: { upstream: { name: `by-${name}`, namespace: "gloo-system" } } },
    })),
  },
});

interface TlsBackend extends Disposable {
  readonly port: number;
}

async function tlsBackend({ certificate, key }: { readonly certificate: string; readonly key: string }): Promise<TlsBackend> {
  const server = createTlsServer({ cert: certificate, key }, (_, response) => response.end("ok"));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function register(consul: RunningConsul, name: string, id: string, port: number): Promise<void> {
  return consul.register({ ID: id, Name: name, Address: "127.0.0.1", Port: port });
}

async function answer({ port }: InProcess, path: string): Promise<string | undefined> {
  return fetch(`http://127.0.0.1:${port}${path}`).then(
    (response) => response.text(),
    () => undefined,
  );
}

/** The Upstream, and the one that destinations mean which name the service itself. */
const ofWeb = ["by-consul_gloo-system", "consul-svc:web_gloo-system"];

/** Notes what is published, and each set of endpoints without any, or taken back. */
function watching(published: string[], emptied: string[]): ResourceConsumer {
  return {
    publish(_, { upserts, removals }) {
      for (const { typeUrl, name, bytes } of upserts) {
        published.push(name);
        if (typeUrl !== typeUrls.endpoint) continue;
        if (fromBinary(ClusterLoadAssignmentSchema, bytes).endpoints.every(({ lbEndpoints }) => lbEndpoints.length === 0))
          emptied.push(name);
      }
      for (const { typeUrl, name } of removals) if (typeUrl === typeUrls.endpoint) emptied.push(name);
    },
    retire: () => undefined,
  };
}
