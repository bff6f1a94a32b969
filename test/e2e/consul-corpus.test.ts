// The recorded cases with Consul, against a real one: discovery finds the services, endpoints their instances, and clusters come of both.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { discoverySource } from "../../src/discovery/source.ts";
import { clusterName } from "../../src/envoy/names.ts";
import { SettingsSchema } from "../../src/gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { type Upstream, UpstreamSchema } from "../../src/gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { worldOf } from "../../src/lib/testing/world.ts";
import type { ResourceKey } from "../../src/model/ref.ts";
import type { Resource } from "../../src/model/resource.ts";
import type { EdgeContext, Endpoint, TypedUpstream } from "../../src/plugin/upstream-type.ts";
import { readText } from "../../src/sources/read-text.ts";
import { clusterOf } from "../../src/translate/clusters.ts";
import { loadAssignmentOf } from "../../src/translate/endpoints.ts";
import { consul as consulType } from "../../src/upstreams/consul/consul.ts";
import { type Case, corpusFolder, readCases } from "../corpus/cases.ts";
import { differences, type Output } from "../corpus/compare.ts";
import { findConsul, startConsul } from "../servers/consul.ts";

const folder = corpusFolder(join(import.meta.dirname, "../.."));
const isMissing = folder === undefined || findConsul() === undefined;
if (isMissing && process.env.HEADWORKS_REQUIRE_SERVERS === "1")
  throw new Error("the recorded cases with Consul need the corpus and a Consul");
if (isMissing) console.warn("SKIPPED: the recorded cases with Consul need the corpus and a Consul");

const cases = isMissing ? [] : readCases(folder ?? "", ["consul/", "discovery/consul-"]);

describe.skipIf(isMissing)("as Gloo has it, with a real Consul", () => {
  test("there are cases", () => expect(cases.length).toBeGreaterThan(5));

  test.each(cases.map((each) => [each.id, each] as const))("%s", async (id, each) => {
    await using consul = await startConsul();
    const services = JSON.parse(readFileSync(join(folder ?? "", "cases", id, "consul-services.json"), "utf8")) as object[];
    for (const service of services) await consul.register(service);
    const got = await outputOf(each, consul.url);
    expect(differences(each.expected, got, ["clusters", "endpoints", "discovered"])).toEqual([]);
  });
});

async function outputOf({ input, settings: recorded, area, expected }: Case, url: string): Promise<Output> {
  // Recordings of the area consul were made without discovery of Upstreams.
  const discovery = { udsOptions: { enabled: area === "discovery" } };
  const spec = recorded.spec as JsonObject;
  const json = { ...spec, discovery, consul: { ...(spec.consul as JsonObject), httpAddress: url } };
  const ended = new AbortController();
  const nothing = () => undefined;
  const contextOf = (_: string, signal: AbortSignal): EdgeContext => ({
    signal,
    settings: () => fromJson(SettingsSchema, json),
    secret: nothing,
    report: nothing,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  });
  const source = discoverySource({ types: [consulType], contextOf });
  const [batch] = await Array.fromAsync(firstOf(source.watch(ended.signal)));
  const [reset] = batch?.changes ?? [];
  const discovered = (reset?.kind === "reset" ? reset.resources : []) as readonly Resource<"Upstream">[];
  const text = JSON.stringify({ ...recorded, spec: json });
  const resources = [...readText(text, "settings.json").resources, ...readText(input, "input.yaml").resources, ...discovered];
  const upstreams = resources.filter((resource): resource is Resource<"Upstream"> => resource.kind === "Upstream");
  const world = worldOf(resources);
  const sets = await endpointsOf(upstreams, contextOf("consul", ended.signal));
  ended.abort();
  const made = upstreams.flatMap((upstream) => clusterOf(upstream, world, builtins).cluster ?? []);
  return {
    statuses: {},
    listeners: [],
    routes: [],
    clusters: expected.clusters ? made.map(envoyJson) : [],
    endpoints: upstreams.map((upstream) => envoyJson(loadAssignmentOf(upstream, sets.get(upstream.key) ?? []))),
    discovered: discovered
      .filter(({ origin }) => origin.source === "discovery")
      .map(({ ref, labels, spec: found }) => ({
        metadata: { ...ref, labels: { ...labels } },
        spec: toJson(UpstreamSchema, found as Upstream),
      })),
  };
}

async function endpointsOf(upstreams: readonly Resource<"Upstream">[], context: EdgeContext) {
  const sets = new Map<ResourceKey, readonly Endpoint[]>();
  const typed = upstreams.flatMap(({ key, ref, spec }): TypedUpstream<"consul">[] =>
    spec?.upstreamType.case === "consul" ? [{ key, ref, name: clusterName(ref), spec: spec.upstreamType.value, upstream: spec }] : [],
  );
  if (typed.length === 0) return sets;
  async function* watch() {
    yield typed;
  }
  for await (const { key, endpoints } of consulType.endpoints?.(watch(), context) ?? []) {
    sets.set(key, endpoints);
    if (sets.size === typed.length) break;
  }
  return sets;
}

async function* firstOf<T>(values: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const value of values) {
    yield value;
    return;
  }
}
