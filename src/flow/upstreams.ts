// Upstreams → clusters and endpoints. Endpoints take their own path: an address change runs one function for one Upstream.
import type { Collection, Graph, Read } from "../graph/mod.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { type ClusterTranslation, clusterOf } from "../translate/clusters.ts";
import { type EndpointsTranslation, endpointsOf, loadAssignmentOf } from "../translate/endpoints.ts";
import { type Inputs, sameJson } from "./inputs.ts";
import type { Contributor } from "./judgements.ts";
import { type Made, withLastGood } from "./last-good.ts";
import type { Making } from "./making.ts";
import { type InService, worldOf } from "./world.ts";

export type Clusters = Collection<Made<ClusterTranslation>>;

/** Endpoints, and the host names whose addresses would be among them. */
export interface Endpoints extends EndpointsTranslation {
  readonly names?: readonly string[];
}

export interface Upstreams {
  /** By key of the Upstream. */
  readonly clusters: Clusters;
  /** What travels with clusters, by type and name: several may need the same (a token service), which stays until the last of them goes. */
  readonly extras: Collection<EnvoyResource>;
  /** Endpoints that travel by EDS, by key of the Upstream. */
  readonly endpoints: Collection<Endpoints>;
  /** The same of Upstreams that nobody wrote. */
  readonly generatedClusters: Clusters;
  readonly generatedEndpoints: Collection<Endpoints>;
  /** The cluster of an Upstream that discovery finds, made where it is asked for: nearly all of them are used by nobody. */
  readonly ofDiscovered: (key: string, read: Read) => Made<ClusterTranslation> | undefined;
  /** What was found about an Upstream. */
  readonly contribute: Contributor;
}

export function upstreamsFlow(graph: Graph, inputs: Inputs, known: InService, making: Making): Upstreams {
  const clusters = (name: string, of: Collection<Resource<"Upstream">>): Clusters =>
    graph.derive(name, of, (upstream, _key, read) => translateCluster(upstream, read, inputs, known, making), { equals: sameClusters });
  const endpoints = (name: string, of: Collection<Resource<"Upstream">>) =>
    graph.derive(name, of, (upstream, _key, read) => translateEndpoints(upstream, read, inputs, known, making), { equals: sameEndpoints });
  const own = clusters("clusters", known.of.Upstream);
  const ownEndpoints = endpoints("endpoints", known.of.Upstream);
  return {
    clusters: own,
    extras: graph.deriveMany(
      "extras of clusters",
      own,
      ({ made }) => made.extras.map((each) => [`${each.typeUrl} ${each.name}`, each] as const),
      {
        equals: sameEnvoyResource,
      },
    ),
    endpoints: ownEndpoints,
    generatedClusters: clusters("generated clusters", known.generated),
    generatedEndpoints: endpoints("generated endpoints", known.generated),
    ofDiscovered(key, read) {
      const upstream = read.get(known.discovered, key);
      return upstream && translateCluster(upstream, read, inputs, known, making);
    },
    contribute({ kind, key }, read) {
      if (kind !== "Upstream") return [];
      return [{ problems: read.get(own, key)?.reports.get(key) ?? [] }, { problems: read.get(ownEndpoints, key)?.problems ?? [] }];
    },
  };
}

/** Whether a cluster of that Upstream is sent. */
export function hasCluster(read: Read, { clusters, generatedClusters, ofDiscovered }: Upstreams, key: string): boolean {
  const made = read.get(clusters, key) ?? read.get(generatedClusters, key) ?? ofDiscovered(key, read);
  return made?.made.cluster !== undefined;
}

export function clusterResources({ made }: Made<ClusterTranslation>): readonly EnvoyResource[] {
  return made.cluster === undefined ? [] : [made.cluster];
}

/** Of Upstreams that nobody wrote: what each needs is its own. */
export function generatedResources({ made }: Made<ClusterTranslation>): readonly EnvoyResource[] {
  if (made.cluster === undefined) return [];
  return made.extras.length === 0 ? [made.cluster] : [made.cluster, ...made.extras];
}

export function endpointResources({ endpoints }: EndpointsTranslation): readonly EnvoyResource[] {
  return endpoints === undefined ? [] : [endpoints];
}

export function translateCluster(
  upstream: Resource<"Upstream">,
  read: Read,
  inputs: Inputs,
  known: InService,
  making: Making,
): Made<ClusterTranslation> {
  return withLastGood<ClusterTranslation>(read, inputs, worldOf(read, known), {
    owner: upstream.key,
    nothing: { extras: [], problems: [] },
    make: (world, inUse) => {
      const version = inUse(upstream);
      const made: ClusterTranslation = version ? clusterOf(version, world, making, making) : { extras: [], problems: [] };
      return { made, reports: new Map([[upstream.key, made.problems]]), ...(made.fault !== undefined && { fault: made.fault }) };
    },
    sent: ({ cluster }) => (cluster ? [cluster] : []),
  });
}

/** Live addresses where a type looks outside, else what other resources say. */
export function translateEndpoints(
  upstream: Resource<"Upstream">,
  read: Read,
  inputs: Inputs,
  known: InService,
  plugins: Plugins,
): Endpoints | undefined {
  const asked = new Set<string>();
  const addressesOf = (name: string) => {
    asked.add(name);
    return read.get(inputs.names, name);
  };
  const live = read.get(inputs.addresses, upstream.key);
  const translated: EndpointsTranslation =
    live === undefined
      ? endpointsOf(upstream, worldOf(read, known), plugins, addressesOf)
      : { endpoints: loadAssignmentOf(upstream, live, plugins.features, addressesOf), problems: [] };
  if (asked.size > 0) return { ...translated, names: [...asked].sort() };
  return translated.endpoints === undefined && translated.problems.length === 0 ? undefined : translated;
}

export function sameClusters(a: Made<ClusterTranslation>, b: Made<ClusterTranslation>): boolean {
  return (
    sameEnvoyResource(a.made.cluster, b.made.cluster) &&
    sameVersions(a.made.extras, b.made.extras) &&
    sameJson([...a.reports], [...b.reports])
  );
}

export function sameEndpoints(a: Endpoints, b: Endpoints): boolean {
  return sameEnvoyResource(a.endpoints, b.endpoints) && sameJson([a.problems, a.names], [b.problems, b.names]);
}

export function sameVersions(a: readonly EnvoyResource[], b: readonly EnvoyResource[]): boolean {
  return a.length === b.length && a.every((each, i) => sameEnvoyResource(each, b[i]));
}

/** Also made from the same: who is to blame for it must not depend on what was there before. */
export function sameEnvoyResource(a: EnvoyResource | undefined, b: EnvoyResource | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return (
    a.version === b.version &&
    a.name === b.name &&
    a.owners.length === b.owners.length &&
    a.owners.every((owner, i) => owner === b.owners[i])
  );
}
