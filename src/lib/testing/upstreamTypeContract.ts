// What every Upstream type keeps to, ours and users' own: `upstreamTypeContract(type, samples)` in the type's test.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { clusterName } from "../../envoy/names.ts";
import { ClusterSchema } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { catalog } from "../../model/catalog.ts";
import type { Resource } from "../../model/resource.ts";
import type { Plugins } from "../../plugin/plugins.ts";
import type { AnyUpstreamType } from "../../plugin/upstream-type.ts";
import type { World } from "../../plugin/world.ts";
import { clusterOf } from "../../translate/clusters.ts";
import { endpointsOf, loadAssignmentOf } from "../../translate/endpoints.ts";
import { clusterJson } from "./clusters.ts";
import { refusalOf } from "./envoyValidate.ts";
import { resourcesOf, worldOf } from "./world.ts";

export interface ContractSamples {
  /** YAML with Upstreams of the type, and whatever they refer to, that must be served. */
  readonly good: string;
  /** YAML with Upstreams of the type of which each has something wrong. */
  readonly bad: string;
  /** Texts in the samples that nobody may read in a finding. */
  readonly secrets?: readonly string[];
  /** The features to run with. Default: none. */
  readonly features?: Plugins["features"];
}

export function upstreamTypeContract(type: AnyUpstreamType, samples: ContractSamples): void {
  const plugins: Plugins = { upstreamTypes: { [type.kind]: type }, features: samples.features ?? [] };
  const good = load(samples.good, type);
  const bad = load(samples.bad, type);

  describe(`the type ${type.kind} keeps the contract:`, () => {
    test("there are samples of both sorts", () => {
      expect(good.upstreams.length).toBeGreaterThan(0);
      expect(bad.upstreams.length).toBeGreaterThan(0);
    });

    test("a cluster has the Upstream's name, and its owner", () => {
      for (const upstream of good.upstreams) {
        const { cluster, problems } = clusterOf(upstream, good.world, plugins);
        expect(problems.filter(({ severity }) => severity === "error")).toEqual([]);
        expect(cluster?.name).toBe(clusterName(upstream.ref));
        expect(cluster?.owners).toEqual([upstream.key]);
      }
    });

    test("the same input gives the same bytes, in canonical order, and is not written to", () => {
      for (const upstream of [...good.upstreams, ...bad.upstreams]) {
        const world = good.upstreams.includes(upstream) ? good.world : bad.world;
        const frozen = deepFreeze(structuredClone(upstream));
        const [first, second] = [clusterOf(upstream, world, plugins), clusterOf(frozen, world, plugins)];
        expect(second.fault).toBeUndefined();
        expect(second).toEqual(first);
        if (first.cluster) expect(toBinary(ClusterSchema, fromBinary(ClusterSchema, first.cluster.bytes))).toEqual(first.cluster.bytes);
        expect(endpointsOf(frozen, world, plugins)).toEqual(endpointsOf(upstream, world, plugins));
      }
    });

    test("what is wrong with an Upstream is said, with a known reason, about it and nobody else", () => {
      for (const upstream of bad.upstreams) {
        const { cluster, problems, fault } = clusterOf(upstream, bad.world, plugins);
        expect(fault).toBeUndefined();
        expect(problems.length, `${upstream.key} has nothing wrong`).toBeGreaterThan(0);
        expect(cluster === undefined).toBe(problems.some(({ severity }) => severity === "error"));
        for (const problem of problems) {
          expect(problem.resource).toBe(upstream.key);
          expect(Object.keys(catalog)).toContain(problem.reason);
          expect(problem.message).not.toMatch(/\.$/);
        }
      }
    });

    test("no finding holds a secret", () => {
      const said = [
        ...good.upstreams.map((each) => clusterOf(each, good.world, plugins)),
        ...bad.upstreams.map((each) => clusterOf(each, bad.world, plugins)),
      ]
        .flatMap(({ problems }) => problems)
        .map((problem) => JSON.stringify(problem));
      for (const secret of samples.secrets ?? []) for (const each of said) expect(each).not.toContain(secret);
    });

    test("a last good version without a spec is not a fault", () => {
      const { spec: _, ...rest } = good.upstreams[0] as Resource<"Upstream">;
      expect(clusterOf({ ...rest, spec: undefined }, good.world, plugins)).toEqual({ extras: [], problems: [] });
    });

    test("endpoints have the cluster's name; their order does not matter", () => {
      for (const upstream of good.upstreams) {
        const endpoints = type.assignment ? endpointsOf(upstream, good.world, plugins).endpoints : loadAssignmentOf(upstream, []);
        expect(endpoints?.name).toBe(clusterName(upstream.ref));
        const some = [
          { address: "10.0.0.2", port: 1 },
          { address: "10.0.0.1", port: 2, labels: { b: "1", a: "2" } },
        ];
        const turned = [
          { address: "10.0.0.1", port: 2, labels: { a: "2", b: "1" } },
          { address: "10.0.0.2", port: 1 },
        ];
        expect(loadAssignmentOf(upstream, some)).toEqual(loadAssignmentOf(upstream, turned));
      }
    });

    test("a stock Envoy takes the clusters", () => {
      const clusters = good.upstreams.flatMap((upstream) => clusterOf(upstream, good.world, plugins).cluster ?? []);
      expect(refusalOf(clusters.map(clusterJson))).toBeUndefined();
    });
  });
}

function load(yaml: string, type: AnyUpstreamType): { readonly upstreams: readonly Resource<"Upstream">[]; readonly world: World } {
  const resources = resourcesOf(yaml, [type.kind]);
  return { upstreams: resources.filter((each) => each.kind === "Upstream") as Resource<"Upstream">[], world: worldOf(resources) };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)) {
    for (const each of Object.values(value)) deepFreeze(each);
    Object.freeze(value);
  }
  return value;
}
