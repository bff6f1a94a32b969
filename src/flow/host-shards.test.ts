// Tables so large that they go by shards: the same law as for all others, and an edit costs its shard.
import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { RouteConfigurationSchema } from "../gen/envoy/envoy/config/route/v3/route_pb.js";
import { typeUrls } from "../model/envoy-resource.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { Flow } from "./flow.ts";
import { mostInOneBlock } from "./host-shards.ts";
import { resourcesOfProxy } from "./publisher.ts";
import { read } from "./testing/plane.ts";

const site = (i: number, body = "hello") => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: host-${i}, namespace: gloo-system}
spec: {virtualHost: {domains: [h${i}.test], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ${body}}}]}}
---`;

const sites = (from: number, below: number) => read(Array.from({ length: below - from }, (_, i) => site(from + i)).join(""));

function flowOf(resources: readonly Resource[]): Flow {
  const flow = new Flow(builtins);
  apply(flow, resources);
  return flow;
}

function apply(flow: Flow, resources: readonly Resource[]) {
  return flow.graph.batch(() => {
    for (const resource of resources) flow.apply("test", resource);
  });
}

function tableOf(flow: Flow) {
  const [proxy] = [...flow.proxies()];
  const found = resourcesOfProxy(flow, proxy ?? "~").find(({ typeUrl }) => typeUrl === typeUrls.route);
  if (found === undefined) throw new Error("no route configuration");
  const names = fromBinary(RouteConfigurationSchema, found.bytes).virtualHosts.map(({ name }) => name);
  return { ...found, names };
}

test("one virtual host edited makes one shard again, and the table has each host once", () => {
  const flow = flowOf(sites(0, mostInOneBlock + 100));
  const before = tableOf(flow);
  expect(new Set(before.names).size).toBe(mostInOneBlock + 100);
  expect(before.names).toHaveLength(mostInOneBlock + 100);
  const result = apply(flow, read(site(7, "edited")));
  expect(result.ran.get("virtual hosts in shards")).toHaveLength(1);
  const after = tableOf(flow);
  expect(after.version).not.toBe(before.version);
  expect(after.names).toEqual(before.names);
  expect(Buffer.from(after.bytes).includes("edited")).toBe(true);
});

test("growing into shards and out of them gives what the same resources give at once, byte for byte", () => {
  const few = mostInOneBlock - 2;
  const flow = flowOf(sites(0, few));
  const small = tableOf(flow);
  expect(small.names).toEqual([...small.names].sort());
  apply(flow, sites(few, few + 10));
  const scratch = tableOf(flowOf(sites(0, few + 10).toReversed()));
  const large = tableOf(flow);
  expect(large.version).toBe(scratch.version);
  expect(Buffer.compare(large.bytes, scratch.bytes)).toBe(0);
  expect(large.owners).toHaveLength(few + 11);
  flow.graph.batch(() => {
    for (let i = few; i < few + 10; i++)
      flow.delete("test", resourceKey("VirtualService", { namespace: "gloo-system", name: `host-${i}` }));
  });
  const again = tableOf(flow);
  expect(again.version).toBe(small.version);
  expect(Buffer.compare(again.bytes, small.bytes)).toBe(0);
});
