// The whole control plane with a real Consul: what is registered there is served, and an outage takes nothing away.
import { setTimeout as delay } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { ControlPlane } from "../../src/control-plane.ts";
import { ClusterLoadAssignmentSchema } from "../../src/gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { bestOfThree } from "../../src/lib/testing/bestOf.ts";
import { eventually, steady } from "../../src/lib/testing/eventually.ts";
import { type EnvoyResource, type ResourceConsumer, typeUrls } from "../../src/model/envoy-resource.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { readText } from "../../src/sources/read-text.ts";
import { findConsul, startConsul } from "../servers/consul.ts";

const isMissing = findConsul() === undefined;
if (isMissing && process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("the control plane with Consul needs a Consul");
if (isMissing) console.warn("SKIPPED: the control plane with Consul needs a Consul");

const configuration = (url: string) => `
apiVersion: gloo.solo.io/v1
kind: Settings
metadata: {name: default, namespace: gloo-system}
spec:
  consul: {httpAddress: "${url}", serviceDiscovery: {}, waitTime: 1s}
---
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: gateway-proxy, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: 8080, proxyNames: [gateway-proxy], httpGateway: {}}
---
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: store, namespace: gloo-system}
spec:
  virtualHost:
    domains: ['*']
    routes:
    - matchers: [{prefix: /till}]
      routeAction: {single: {upstream: {name: till, namespace: gloo-system}}}
    - matchers: [{prefix: /mine}]
      routeAction: {single: {upstream: {name: mine, namespace: gloo-system}}}
---
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: mine, namespace: gloo-system}
spec:
  consul: {serviceName: till, instanceTags: [v2]}
`;

/** Keeps what is in service, as a proxy would. */
class Served implements ResourceConsumer {
  readonly resources = new Map<string, EnvoyResource>();

  publish(_: string, { upserts, removals }: Parameters<ResourceConsumer["publish"]>[1]): void {
    for (const { typeUrl, name } of removals) this.resources.delete(`${typeUrl} ${name}`);
    for (const each of upserts) this.resources.set(`${each.typeUrl} ${each.name}`, each);
  }

  retire(): void {}

  get clusters(): string[] {
    return [...this.resources.values()]
      .filter(({ typeUrl }) => typeUrl === typeUrls.cluster)
      .map(({ name }) => name)
      .sort();
  }

  /** Addresses with their ports; undefined where there is no such set. */
  endpoints(cluster: string): string[] | undefined {
    const resource = this.resources.get(`${typeUrls.endpoint} ${cluster}`);
    if (resource === undefined) return undefined;
    return fromBinary(ClusterLoadAssignmentSchema, resource.bytes)
      .endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)
      .map(({ hostIdentifier }) => {
        const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
        return address?.case === "socketAddress" ? `${address.value.address}:${address.value.portSpecifier.value}` : "";
      });
  }
}

describe.skipIf(isMissing)("the control plane with a real Consul", () => {
  test("serves discovered and written Upstreams, follows instances, and keeps all in an outage", bestOfThree, async () => {
    await using consul = await startConsul();
    const one = { ID: "t1", Name: "till", Address: "10.60.0.1", Port: 8080, Tags: ["v1"] };
    const two = { ID: "t2", Name: "till", Address: "10.60.0.2", Port: 8080, Tags: ["v2"] };
    await consul.register(one);
    const served = new Served();
    const nothing = () => undefined;
    const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
    const source = memorySource(readText(configuration(consul.url), "config.yaml").resources);
    await using plane = new ControlPlane({ sources: [source], consumers: [served], plugins: builtins, log, looksOutside: true }).start();
    await plane.ready;
    await eventually(() => served.endpoints("till_gloo-system"), ["10.60.0.1:8080"]);
    await eventually(() => served.endpoints("consul-svc:till_gloo-system"), ["10.60.0.1:8080"]);
    await eventually(() => served.endpoints("mine_gloo-system"), []);
    expect(served.clusters).toEqual(["consul-svc:till_gloo-system", "mine_gloo-system", "till_gloo-system"]);

    const discovered = ["consul-svc:till_gloo-system", "till_gloo-system"].map((name) => `${typeUrls.cluster} ${name}`);
    const versions = discovered.map((name) => served.resources.get(name)?.version);
    await consul.register(two);
    expect(await eventually(() => served.endpoints("mine_gloo-system"), ["10.60.0.2:8080"])).toBeLessThan(1000);
    await eventually(() => served.endpoints("till_gloo-system"), ["10.60.0.1:8080", "10.60.0.2:8080"]);

    // The new tag is a subset of the discovered Upstreams, which are looked at apart from endpoints.
    await eventually(() => discovered.map((name, i) => served.resources.get(name)?.version !== versions[i]), [true, true]);

    const now = () => new Map([...served.resources].map(([name, { version }]) => [name, version]));
    const before = await steady(now);
    await consul.kill();
    await delay(1500);
    await consul.restart();
    await delay(3000);
    expect(now()).toEqual(before);

    await consul.register(one);
    await consul.register({ ...two, Port: 9090 });
    expect(await eventually(() => served.endpoints("mine_gloo-system"), ["10.60.0.2:9090"])).toBeLessThan(5000);
  });
});
