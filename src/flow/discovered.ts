// What those discovered Upstreams need that something leads to. A cluster for each port of each Service of a large Kubernetes would be
// a burden for us and for every Envoy.
import type { Collection, Graph, Index } from "../graph/mod.ts";
import type { Resource } from "../model/resource.ts";
import type { Inputs } from "./inputs.ts";
import type { Making } from "./making.ts";
import { type Clusters, type Endpoints, sameClusters, sameEndpoints, translateCluster, translateEndpoints } from "./upstreams.ts";
import type { InService } from "./world.ts";

export interface DiscoveredInUse {
  readonly clusters: Clusters;
  readonly endpoints: Collection<Endpoints>;
}

/** `users`: what leads to discovered Upstreams, by their keys. One result for each of them; no Upstream is in two. */
export function discoveredInUse(
  graph: Graph,
  inputs: Inputs,
  known: InService,
  making: Making,
  users: readonly Index<unknown>[],
): DiscoveredInUse[] {
  const before: Collection<Resource<"Upstream">>[] = [];
  return users.map((index) => {
    const earlier = [...before];
    const used = graph.deriveGroups(`discovered upstreams of ${index.name}`, index, (key, _, read) =>
      earlier.some((each) => read.has(each, key)) ? undefined : read.get(known.discovered, key),
    );
    before.push(used);
    return {
      clusters: graph.derive(
        `discovered clusters of ${index.name}`,
        used,
        (upstream, _key, read) => translateCluster(upstream, read, inputs, known, making),
        { equals: sameClusters },
      ),
      endpoints: graph.derive(
        `discovered endpoints of ${index.name}`,
        used,
        (upstream, _key, read) => translateEndpoints(upstream, read, inputs, known, making),
        { equals: sameEndpoints },
      ),
    };
  });
}
