import { setTimeout as delay } from "node:timers/promises";
import { create, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { findConsul, startConsul } from "../../../test/servers/consul.ts";
import { SettingsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { bestOfThree } from "../../lib/testing/bestOf.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { catalogOf } from "./catalog.ts";
import { upstreamsOf } from "./discover.ts";
import { FollowedDiscovery } from "./testing/edge.ts";

const isMissing = findConsul() === undefined;
if (isMissing) {
  const message = "the tests of Consul's discovery need a Consul: run test/servers/install.ts, or set CONSUL_BIN";
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error(message);
  console.warn(`SKIPPED: ${message}`);
}

/** What would be written for one data centre, by name. */
function written(catalog: JsonObject, consulDiscovery: JsonObject = {}): Record<string, unknown> {
  const settings = fromJson(SettingsSchema, { consul: { serviceDiscovery: {} }, consulDiscovery });
  return Object.fromEntries(
    upstreamsOf(new Map([["dc1", catalogOf(catalog)]]), settings)
      .filter(({ isImplied }) => !isImplied)
      .map(({ ref, spec }) => [`${ref.namespace}.${ref.name}`, toJson(UpstreamSchema, spec)]),
  );
}

test("a service becomes an Upstream with all its tags and its data centre; Consul itself does not", () => {
  expect(written({ consul: [], till: ["v2", "blue"], "till.b": [] })).toEqual({
    "gloo-system.till": { consul: { serviceName: "till", serviceTags: ["blue", "v2"], dataCenters: ["dc1"] } },
    "gloo-system.till.b": { consul: { serviceName: "till.b", dataCenters: ["dc1"] } },
  });
});

test("options of the Settings are those of the Upstream; only services with an allowed tag are taken", () => {
  const options = { serviceTagsAllowlist: ["gloo"], consistencyMode: "StaleMode", queryOptions: { useCache: false } };
  expect(written({ till: ["gloo"], stock: ["other"] }, options)).toEqual({
    "gloo-system.till": {
      consul: {
        serviceName: "till",
        serviceTags: ["gloo"],
        dataCenters: ["dc1"],
        consistencyMode: "StaleMode",
        queryOptions: { useCache: false },
      },
    },
  });
});

const tls = { useTlsTagging: true, tlsTagName: "tls", rootCa: { name: "ca", namespace: "gloo-system" } };
const common = { serviceName: "till", serviceTags: ["plain", "tls"], dataCenters: ["dc1"] };
const sslConfig = { secretRef: { name: "ca", namespace: "gloo-system" } };

test("a service with the TLS tag is one Upstream with TLS, or two where that is wanted", () => {
  expect(written({ till: ["plain", "tls"] }, tls)).toEqual({ "gloo-system.till-tls": { consul: common, sslConfig } });
  expect(written({ till: ["plain", "tls"] }, { ...tls, splitTlsServices: true })).toEqual({
    "gloo-system.till": { consul: { ...common, instanceBlacklistTags: ["tls"] } },
    "gloo-system.till-tls": { consul: { ...common, instanceTags: ["tls"] }, sslConfig },
  });
});

test("without a root CA no Upstream pretends to be verified", () => {
  const { rootCa: _, ...without } = tls;
  expect(Object.keys(written({ till: ["tls"], stock: [] }, without))).toEqual(["gloo-system.stock"]);
});

test("for each there is one that consul destinations of routes mean", () => {
  const found = upstreamsOf(new Map([["dc1", catalogOf({ Till_A: [] })]]), create(SettingsSchema));
  expect(found.map(({ ref, labels, isImplied }) => [ref.name, labels, isImplied])).toEqual([
    ["Till_A", { discovered_by: "consulplugin" }, undefined],
    ["consul-svc:Till_A", {}, true],
  ]);
});

test("a service in two data centres is one Upstream; a name that no reference could hold is left out", () => {
  const catalogs = new Map([
    ["west", catalogOf({ till: ["a"], "no name": [], "a/b": [] })],
    ["east", catalogOf({ till: ["b"] })],
  ]);
  const found = upstreamsOf(catalogs, create(SettingsSchema)).filter(({ isImplied }) => !isImplied);
  expect(found.map(({ spec }) => toJson(UpstreamSchema, spec))).toEqual([
    { consul: { serviceName: "till", serviceTags: ["a", "b"], dataCenters: ["east", "west"] } },
  ]);
});

test("a service that is as it was is the same Upstream, not an equal one", () => {
  const settings = create(SettingsSchema);
  const made = new Map();
  const [first] = upstreamsOf(new Map([["dc1", catalogOf({ till: [] })]]), settings, new Map(), made);
  const [second, , third] = upstreamsOf(new Map([["dc1", catalogOf({ till: [], toll: [] })]]), settings, made);
  expect(second).toBe(first);
  expect(third?.ref.name).toBe("toll");
});

describe.skipIf(isMissing)("discovery from a real Consul", () => {
  test("services come and go within a second; instances make no noise", bestOfThree, async () => {
    await using consul = await startConsul();
    await using discovered = new FollowedDiscovery({ consul: { httpAddress: consul.url } });
    await eventually(() => discovered.names, []);
    await delay(300);
    await consul.register({ ID: "t1", Name: "till", Address: "10.60.0.1", Port: 1 });
    expect(await eventually(() => discovered.names, ["till"])).toBeLessThan(1000);
    const { list } = discovered;
    await consul.register({ ID: "t2", Name: "till", Address: "10.60.0.2", Port: 1 });
    await delay(500);
    expect(discovered.list).toBe(list);
    await consul.deregister("t1");
    await consul.deregister("t2");
    expect(await eventually(() => discovered.names, [])).toBeLessThan(1000);
  });

  test("a Consul that forgot everything takes no Upstream away until it has said so for a while", async () => {
    await using consul = await startConsul();
    const names = ["a", "b", "c", "d", "e", "f"];
    for (const name of names) await consul.register({ ID: name, Name: name, Address: "10.60.0.1", Port: 1 });
    await using discovered = new FollowedDiscovery({ consul: { httpAddress: consul.url }, holdMs: 4000 });
    await eventually(() => discovered.names, names);
    await consul.kill();
    await eventually(() => discovered.reasons, ["ConsulUnreachable"]);
    await consul.restart();
    await eventually(() => discovered.reasons, []);
    await delay(2000);
    expect(discovered.names).toEqual(names);
    await eventually(() => discovered.names, []);
  });

  test("TLS tagging without a root CA is told", async () => {
    await using consul = await startConsul();
    await using discovered = new FollowedDiscovery({ consul: { httpAddress: consul.url }, consulDiscovery: { useTlsTagging: true } });
    await eventually(() => discovered.reasons, ["ConsulRootCaMissing"]);
    await eventually(() => discovered.names, []);
  });
});
