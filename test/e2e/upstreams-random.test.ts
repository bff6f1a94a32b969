// Whatever is written into an Upstream, a running Envoy takes what is sent for it, and what is not sent is explained. There is no third
// outcome: what Envoy refused would freeze everything that came with it.
import { type JsonObject, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { envoyJson, envoyTypes } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { type Upstream, UpstreamSchema } from "../../src/gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { fieldsIn, fieldsOf } from "../../src/lib/testing/randomMessages.ts";
import { type Flavour, randomUpstream, upstreamRules } from "../../src/lib/testing/randomUpstreams.ts";
import { object, surroundings } from "../../src/lib/testing/surroundings.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import type { Resource } from "../../src/model/resource.ts";
import type { Plugins } from "../../src/plugin/plugins.ts";
import type { Endpoint, EndpointUpdate, UpstreamOf, UpstreamWatch } from "../../src/plugin/upstream-type.ts";
import { stat, until, withEnvoy } from "../conformance/xds/envoy.ts";
import type { RunningEnvoy } from "../servers/envoy.ts";
import { type Bootstrap, type InProcess, inProcess, proxy } from "./in-process.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const seed = Number(process.env.HEADWORKS_SEED ?? 7);
const inBatch = 500;
/** Some of the good ones contradict themselves. */
const batches: readonly Flavour[] = isLong ? plan(50, 10) : plan(6, 3);
const servedAtLeast = isLong ? 20_000 : 2000;

function plan(good: number, wild: number): Flavour[] {
  return [...Array.from({ length: good }, () => "good" as const), ...Array.from({ length: wild }, () => "wild" as const)];
}

withEnvoy("random Upstreams", () => {
  test(`a running Envoy takes all that are sent; all others are explained (HEADWORKS_SEED=${seed})`, { timeout: 1_800_000 }, async () => {
    using around = surroundings();
    await using running = await inProcess({
      objects: around.objects,
      plugins,
      bootstrap: (made) => withSds(made, around.sdsCluster),
    });
    const tried = new Set<string>();
    let served = 0;
    for (const [number, flavour] of batches.entries()) {
      const specs = fc.sample(randomUpstream(flavour, around), { numRuns: inBatch, seed: seed * 1000 + number });
      for (const spec of specs) for (const field of fieldsIn(UpstreamSchema, spec)) tried.add(field);
      const upstreams = specs.map((spec, i) => object("gloo.solo.io/v1", "Upstream", `b${number}-${i}`, "shop", spec));
      running.reset(...around.objects, ...upstreams);
      await running.freshEnvoy();
      await until("Envoy has this batch", () => isWithEnvoy(running, `b${number}-`), 60_000);
      served += await expectNoThirdOutcome(running, inBatch);
    }
    expect(served).toBeGreaterThan(servedAtLeast);
    expect(
      [...fieldsOf(UpstreamSchema, upstreamRules("wild", around))].filter((field) => !tried.has(field) && !enterprise.test(field)),
    ).toEqual([]);
  });
});

/** Deep inside of options that are refused as a whole. */
const enterprise = /^(advancedhttp|ai)\./;

/** Returns how many are served. */
async function expectNoThirdOutcome({ plane, server, envoy, refusals, faults }: InProcess, count: number): Promise<number> {
  const { findings, statuses, resources } = plane.current;
  const upstreams = [...resources.values()].filter((each): each is Resource<"Upstream"> => each.kind === "Upstream");
  expect(faults).toEqual([]);
  expect(upstreams).toHaveLength(count);
  const shown = (upstream: Resource<"Upstream"> | undefined) =>
    upstream?.spec && JSON.stringify(toJson(UpstreamSchema, upstream.spec as Upstream, { registry: envoyTypes() }));
  expect(
    refusals.map(({ resource, message }) => ({
      message,
      spec: shown(upstreams.find(({ key }) => resource.owners.includes(key))),
      sent: envoyJson(resource),
    })),
  ).toEqual([]);
  const sent = new Set(server.served(proxy)[typeUrls.cluster]?.map(({ name }) => name));
  const refused = new Map(findings.filter(({ problem }) => problem.severity === "error").map(({ problem }) => [problem.resource, problem]));
  for (const upstream of upstreams) {
    const { key, ref } = upstream;
    const isSent = sent.has(`${ref.name}_${ref.namespace}`);
    const status = statuses.get(key);
    const story = JSON.stringify({ isSent, error: refused.get(key), status, spec: shown(upstream) });
    expect(isSent, story).toBe(!refused.has(key));
    expect(status?.state, story).toMatch(isSent ? /Accepted|Warning/ : /Warning|Rejected/);
  }
  expect(server.withheld(proxy)).toEqual([]);
  for (const stats of ["cluster_manager.cds", "listener_manager.lds"]) expect(await stat(envoy, `${stats}.update_rejected`), stats).toBe(0);
  expect(Object.values(server.metrics.types).reduce((sum, { nacks }) => sum + nacks, 0)).toBe(0);
  return upstreams.length - upstreams.filter(({ key }) => refused.has(key)).length;
}

/**
 * Envoy has all clusters that are served, those of this batch among them; or it has refused something. Listeners of tunnels come when
 * the clusters are warm, which depends on names, SDS servers and health checks that nobody answers here; clusters.test.ts has them.
 */
async function isWithEnvoy({ server, refusals, envoy }: InProcess, prefix: string): Promise<boolean> {
  const { exitCode, signalCode } = envoy.process;
  if (exitCode !== null || signalCode !== null) throw new Error(`Envoy ended (${exitCode ?? signalCode}):\n${crashOf(envoy.log())}`);
  if (refusals.length > 0) return true;
  const served = server.served(proxy);
  const names = (served[typeUrls.cluster] ?? []).map(({ name }) => name);
  return names.some((name) => name.startsWith(prefix)) && new Set(names).isSubsetOf(await clustersOf(envoy));
}

function crashOf(log: string): string {
  return log
    .split("\n")
    .filter((line) => /\[(critical|error)\]|#\d+:/.test(line))
    .slice(0, 60)
    .join("\n");
}

/** The names of the clusters that Envoy was sent. */
async function clustersOf(envoy: RunningEnvoy): Promise<Set<string>> {
  const dump = JSON.parse(await envoy.admin("/config_dump")) as { configs: JsonObject[] };
  const all = (field: string) => dump.configs.flatMap((config) => (config[field] ?? []) as { cluster: { name: string } }[]);
  return new Set(["dynamic_active_clusters", "dynamic_warming_clusters"].flatMap(all).map(({ cluster }) => cluster.name));
}

/** The built-in types; those that look for addresses outside find some here. */
const plugins: Plugins = {
  ...builtins,
  upstreamTypes: Object.fromEntries(
    Object.entries(builtins.upstreamTypes).map(([kind, { discover: _, functions: __, ...type }]) => [
      kind,
      type.endpoints ? { ...type, endpoints: foundHere } : type,
    ]),
  ),
};

async function* foundHere(upstreams: UpstreamWatch<UpstreamOf<unknown>>): AsyncGenerator<EndpointUpdate> {
  for await (const list of upstreams) for (const [i, { key }] of list.entries()) yield { key, endpoints: addresses.slice(0, i % 4) };
}

const addresses: readonly Endpoint[] = [
  { address: "127.0.2.1", port: 80, labels: { dc_dc1: "1", tag_a: "0" } },
  { address: "127.0.2.2", port: 80, labels: { dc_dc1: "1", tag_a: "1" }, health: "unhealthy" },
  { address: "::1", port: 443, hostname: "a.test", weight: 3, locality: { region: "eu", zone: "a" } },
];

/** Names are not known, and that quickly: clusters are warm when their names have been looked up. */
const nobodysDns = {
  name: "envoy.network.dns_resolver.cares",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    resolvers: [{ socket_address: { address: "127.0.0.1", port_value: 1 } }],
    dns_resolver_options: { no_default_search_domain: true },
    query_timeout_seconds: 1,
    query_tries: 1,
  },
};

/** As the bootstrap of a proxy that has an SDS server beside it; nobody listens, so that Envoy need not wait for what it never says. */
function withSds(made: Bootstrap, name: string): object {
  const [headworks] = made.static_resources.clusters;
  const address = { socket_address: { address: "127.0.0.1", port_value: 1 } };
  const sds = { ...headworks, name, load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] } };
  return { ...made, static_resources: { clusters: [headworks, sds] }, typed_dns_resolver_config: nobodysDns };
}
