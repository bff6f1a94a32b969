// An UpstreamGroup judged by itself: each destination names something that exists.
import { imaginedService } from "../envoy/names.ts";
import type { Destination } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { destinationsOf } from "../model/destination.ts";
import { type Problem, Report } from "../model/problem.ts";
import { formatRef, type Ref } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
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
    const ref = upstreamOf(destination);
    if (ref && world.get("Upstream", ref) === undefined)
      report.error("DestinationNil", `destination # ${i + 1}: upstream not found: list did not find upstream ${formatRef(ref)}`, {
        path: `${path}.${type}`,
        elsewhere: true,
      });
  }
  return report.problems;
}

/** Whether a service of Consul exists is known to Consul only. */
function upstreamOf({ destinationType: type }: Destination): Ref | undefined {
  if (type.case === "upstream") return type.value;
  return type.case === "kube" && type.value.ref ? imaginedService(type.value.ref, type.value.port) : undefined;
}
