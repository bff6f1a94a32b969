// Where services can be asked for their functions whose addresses other resources tell (kube: EndpointSlices): computed for those
// Upstreams only that are to be asked.
import { fdsMode, isChosen } from "../discovery/function-plan.ts";
import type { Collection, Graph } from "../graph/mod.ts";
import { Report } from "../model/problem.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Endpoint } from "../plugin/upstream-type.ts";
import { typedUpstream } from "../translate/clusters.ts";
import { sameJson } from "./inputs.ts";
import { type InService, worldOf } from "./world.ts";

export function functionAddresses(
  graph: Graph,
  of: Collection<Resource<"Upstream">>,
  known: InService,
  plugins: Plugins,
): Collection<readonly Endpoint[]> {
  return graph.derive(
    `addresses for functions of ${of.name}`,
    of,
    (upstream, _key, read) => {
      const kind = upstream.custom?.kind ?? upstream.spec?.upstreamType.case;
      if (kind === undefined || plugins.upstreamTypes[kind]?.assignment === undefined) return undefined;
      const labelsOf = (namespace: string) =>
        read.get(known.of.Namespace, resourceKey("Namespace", { namespace: "", name: namespace }))?.labels;
      if (!isChosen(upstream, fdsMode(read.value(known.settings)), labelsOf)) return undefined;
      const report = new Report(upstream.key);
      const typed = typedUpstream(upstream, plugins, report);
      if (!typed?.type.assignment) return undefined;
      try {
        return typed.type.assignment(typed.upstream, { world: worldOf(read, known), report });
      } catch {
        // The plug-in's fault is told where its endpoints are made.
        return undefined;
      }
    },
    { equals: sameJson },
  );
}
