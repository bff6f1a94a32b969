// An UpstreamGroup judged by itself: each destination names something that exists.
import { type Problem, Report } from "../model/problem.ts";
import { formatRef } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";

export function upstreamGroupProblems(group: Resource<"UpstreamGroup">, world: World): readonly Problem[] {
  const report = new Report(group.key);
  for (const [i, { destination }] of (group.spec?.destinations ?? []).entries()) {
    const path = `destinations[${i}].destination`;
    const type = destination?.destinationType;
    if (destination === undefined) report.error("DestinationNil", `destination # ${i + 1}: destination is nil`, { path });
    else if (type?.case === "upstream" && world.get("Upstream", type.value) === undefined)
      report.error("DestinationNil", `destination # ${i + 1}: upstream not found: list did not find upstream ${formatRef(type.value)}`, {
        path: `${path}.upstream`,
        elsewhere: true,
      });
  }
  return report.problems;
}
