import { expect, test } from "vitest";
import { resourcesOf, worldOf } from "../lib/testing/world.ts";
import type { Resource } from "../model/resource.ts";
import { upstreamGroupProblems } from "./upstream-group.ts";

function said(destination: string, settings = {}, others = ""): readonly string[] {
  const resources = resourcesOf(
    `kind: UpstreamGroup\nmetadata: {name: g, namespace: shop}\nspec: {destinations: [{weight: 1, destination: ${destination}}]}${others}`,
  );
  const [group] = resources as Resource<"UpstreamGroup">[];
  return group ? upstreamGroupProblems(group, worldOf(resources, settings)).map(({ message }) => message) : [];
}

test("a service of Consul is not there without a Consul; with one it is Consul that knows", () => {
  const toTill = "{consul: {serviceName: till}}";
  expect(said(toTill)).toEqual(["destination # 1: upstream not found: list did not find upstream gloo-system.consul-svc:till"]);
  expect(said(toTill, { consul: { serviceDiscovery: {} } })).toEqual([]);
  const known = '\n---\nkind: Upstream\nmetadata: {name: "consul-svc:other", namespace: gloo-system}\nspec: {consul: {serviceName: other}}';
  expect(said(toTill, { consul: { serviceDiscovery: {} } }, known)).toHaveLength(1);
  expect(said("{consul: {serviceName: other}}", { consul: { serviceDiscovery: {} } }, known)).toEqual([]);
});

test("an Upstream without namespace is looked for beside the group", () => {
  expect(said("{upstream: {name: none}}")).toEqual(["destination # 1: upstream not found: list did not find upstream shop.none"]);
});
