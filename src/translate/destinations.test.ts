import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DestinationSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { resourcesOf, worldOf } from "../lib/testing/world.ts";
import { resolveDestination } from "./destinations.ts";

const withConsul = `
kind: Settings
metadata: {name: default, namespace: gloo-system}
spec: {consul: {httpAddress: "127.0.0.1:8500", serviceDiscovery: {}}}
`;
const till = `
---
kind: Upstream
metadata: {name: "consul-svc:till", namespace: gloo-system}
spec: {consul: {serviceName: till, serviceTags: [v1, v2], dataCenters: [dc1]}}
`;

function toConsul(yaml: string, value: object, subset?: Record<string, string>) {
  const destination = create(DestinationSchema, {
    destinationType: { case: "consul", value },
    ...(subset && { subset: { values: subset } }),
  });
  return resolveDestination(destination, worldOf(resourcesOf(yaml)), () => true);
}

function toUpstream(yaml: string, name: string, subset: Record<string, string>) {
  const value = { name, namespace: "gloo-system" };
  const destination = create(DestinationSchema, { destinationType: { case: "upstream", value }, subset: { values: subset } });
  return resolveDestination(destination, worldOf(resourcesOf(yaml)), () => true);
}

test("a service that Consul does not have is told once Consul's services are known, and not before", () => {
  const message = "*v1.Upstream { gloo-system.consul-svc:gone } not found";
  const known = toConsul(withConsul + till, { serviceName: "gone" });
  expect(known).toMatchObject({ cluster: "consul-svc:gone_gloo-system", isMissing: true, findings: [{ severity: "warning", message }] });
  expect(toConsul(withConsul + till, { serviceName: "till" })).toMatchObject({ isMissing: false, findings: [] });
  expect(toConsul(withConsul, { serviceName: "gone" })).toMatchObject({ isMissing: false, findings: [] });
});

test("without a Consul in the Settings no service of it exists, and the finding says how there could be one", () => {
  const { isMissing, findings, metadataMatch } = toConsul("", { serviceName: "till", tags: ["v1"] });
  expect(isMissing).toBe(true);
  expect(metadataMatch).toBeUndefined();
  expect(findings).toMatchObject([{ severity: "warning", hint: expect.stringContaining("serviceDiscovery") }]);
});

test("tags and data centres of a Consul destination are its subset; one that is written besides counts where there are none", () => {
  const subset = { tag_v1: "0", tag_v2: "1" };
  const lb = (...args: Parameters<typeof toConsul>) => toConsul(...args).metadataMatch?.filterMetadata["envoy.lb"];
  expect(lb(withConsul + till, { serviceName: "till", tags: ["v1"] }, subset)).toEqual({ tag_v1: "1", tag_v2: "0" });
  expect(lb(withConsul + till, { serviceName: "till" }, subset)).toEqual(subset);
});

test("a Consul Upstream has subsets by data centre, by tag and by both; others are refused", () => {
  const upstream = `
kind: Upstream
metadata: {name: till, namespace: gloo-system}
spec: {consul: {serviceName: till, subsetTags: [v1], dataCenters: [dc1]}}
`;
  const messages = (subset: Record<string, string>) => toUpstream(upstream, "till", subset).findings.map(({ message }) => message);
  expect(messages({ tag_v1: "1" })).toEqual([]);
  expect(messages({ dc_dc1: "1" })).toEqual([]);
  expect(messages({ dc_dc1: "1", tag_v1: "0" })).toEqual([]);
  const { findings } = toUpstream(upstream, "till", { tag_v2: "1" });
  expect(findings).toMatchObject([
    { severity: "error", message: "route has a subset config, but none of the subsets in the upstream match it" },
  ]);
  expect(findings[0]?.hint).toContain("dc_dc1, tag_v1, dc_dc1+tag_v1");
});

test("a subset without a label is none", () => {
  const upstream = `
kind: Upstream
metadata: {name: plain, namespace: gloo-system}
spec: {static: {hosts: [{addr: 10.0.0.1, port: 80}]}}
`;
  expect(toUpstream(upstream, "plain", {})).toMatchObject({ findings: [] });
  expect(toUpstream(upstream, "plain", {}).metadataMatch).toBeUndefined();
  expect(toUpstream(upstream, "plain", { a: "b" }).findings).toMatchObject([{ severity: "warning" }]);
});
