// An UpstreamGroup judged by itself: each destination names something that exists.
import { imaginedService } from "../envoy/names.ts";
import type { Destination } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { destinationsOf } from "../model/destination.ts";
import { type Problem, Report } from "../model/problem.ts";
import { formatRef, type Ref } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { hintOfConsul, imaginedConsulService, knowsConsul } from "../plugin/consul-services.ts";
import type { World } from "../plugin/world.ts";

export function upstreamGroupProblems(group: Resource<"UpstreamGroup">, world: World): readonly Problem[] {
  const report = new Report(group.key);
  for (const [i, { destination }] of destinationsOf(group).entries()) {
    const path = `destinations[${i}].destination`;
    if (destination === undefined) {
      report.error("DestinationNil", `destination # ${i + 1}: destination is nil`, { path });
      continue;
    }
    const { case: type } = destination.destinationType;
    if (type === undefined)
      report.error("DestinationNil", "no destination type specified", { path, hint: "name an upstream, kube or consul service" });
    const missing = missingOf(destination, world);
    if (missing)
      report.error("DestinationNil", `destination # ${i + 1}: upstream not found: list did not find upstream ${formatRef(missing)}`, {
        path: `${path}.${type}`,
        elsewhere: true,
        ...(type === "consul" && hintOfConsul(world)),
      });
  }
  return report.problems;
}

/** The Upstream that is not there. */
function missingOf({ destinationType: type }: Destination, world: World): Ref | undefined {
  switch (type.case) {
    case "consul": {
      const ref = imaginedConsulService(type.value.serviceName);
      return world.get("Upstream", ref) === undefined && knowsConsul(world) ? ref : undefined;
    }
    case "upstream":
      return world.get("Upstream", type.value) ? undefined : type.value;
    case "kube": {
      const ref = type.value.ref && imaginedService(type.value.ref, type.value.port);
      return ref && world.get("Upstream", ref) === undefined ? ref : undefined;
    }
    default:
      return undefined;
  }
}
