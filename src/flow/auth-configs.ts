// AuthConfigs → the clusters of servers whose addresses they have. All proxies get them, as they get those of Upstreams.
import type { Collection, Graph } from "../graph/mod.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Problem, problem } from "../model/problem.ts";
import { type Inputs, sameJson } from "./inputs.ts";
import type { Contributor } from "./judgements.ts";
import { type Made, withLastGood } from "./last-good.ts";
import type { Making } from "./making.ts";
import { sameEnvoyResource, sameVersions } from "./upstreams.ts";
import { type InService, worldOf } from "./world.ts";

export interface AuthConfigs {
  /** By key of the AuthConfig. */
  readonly made: Collection<Made<readonly EnvoyResource[]>>;
  /** By type and name: several may need the same Secret, which stays until the last of them goes. */
  readonly resources: Collection<EnvoyResource>;
  readonly contribute: Contributor;
}

/** What is wrong with AuthConfigs by themselves. */
export function badAuthConfigs(graph: Graph, inputs: Inputs, { features }: Making): Collection<readonly Problem[]> {
  return graph.derive(
    "bad auth configs",
    inputs.given.AuthConfig,
    ({ key, spec }) => {
      const faults = spec ? features.flatMap((feature) => feature.authConfig?.fault(spec) ?? []) : [];
      if (faults.length === 0) return undefined;
      return faults.map(({ message, ...details }) => problem("error", key, "EnterpriseOnly", message, details));
    },
    { equals: sameJson },
  );
}

export function authConfigsFlow(
  graph: Graph,
  inputs: Inputs,
  known: InService,
  bad: Collection<readonly Problem[]>,
  making: Making,
): AuthConfigs {
  const made = graph.derive(
    "servers of auth configs",
    known.of.AuthConfig,
    (config, _key, read): Made<readonly EnvoyResource[]> | undefined =>
      withLastGood<readonly EnvoyResource[]>(read, inputs, worldOf(read, known), {
        owner: config.key,
        nothing: [],
        make: (world, inUse) => {
          const version = inUse(config);
          const context = { world, secretsApart: making.secretsApart };
          const all = version ? making.features.flatMap((feature) => feature.authConfig?.resources(version, context) ?? []) : [];
          return { made: all, reports: new Map([[config.key, []]]) };
        },
        sent: (all) => all,
      }),
    { equals: (a, b) => sameVersions(a.made, b.made) && sameJson([...a.reports], [...b.reports]) },
  );
  return {
    made,
    resources: graph.deriveMany(
      "resources of auth configs",
      made,
      ({ made: all }) => all.map((each) => [`${each.typeUrl} ${each.name}`, each] as const),
      { equals: sameEnvoyResource },
    ),
    contribute({ kind, key }, read) {
      if (kind !== "AuthConfig") return [];
      return [{ problems: read.get(bad, key) ?? [] }, { problems: read.get(made, key)?.reports.get(key) ?? [] }];
    },
  };
}
