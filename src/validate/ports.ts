// Two Gateways of one proxy cannot listen on one port. The first keeps it.
import { type Problem, problem } from "../model/problem.ts";
import { formatRef, type ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";

export interface PortVerdict {
  /** The Gateways that are served. */
  readonly served: ReadonlySet<ResourceKey>;
  readonly problems: ReadonlyMap<ResourceKey, readonly Problem[]>;
}

/** `gateways`: those of one proxy that have a listener. */
export function judgePorts(gateways: readonly Resource<"Gateway">[]): PortVerdict {
  const served = new Set<ResourceKey>();
  const problems = new Map<ResourceKey, Problem[]>();
  for (const sharing of Map.groupBy(gateways, (gateway) => gateway.spec?.bindPort ?? 0).values()) {
    const [first, ...others] = [...sharing].sort(byAge);
    if (first) served.add(first.key);
    if (others.length === 0) continue;
    const names = sharing.map((gateway) => formatRef(gateway.ref)).sort();
    for (const { key, spec, ref } of sharing) {
      const keeps = key === first?.key;
      const message = `bind-address ${spec?.bindAddress}:${spec?.bindPort} is not unique in a proxy. gateways: ${names.join(",")}`;
      const hint = keeps
        ? "this one keeps the port"
        : `${first ? formatRef(first.ref) : "another"} has the port; give ${formatRef(ref)} another`;
      problems.set(key, [
        problem("error", key, "PortConflict", message, { path: "bindPort", costs: keeps ? "nothing" : "listener", elsewhere: true, hint }),
      ]);
    }
  }
  return { served, problems };
}

function byAge(a: Resource, b: Resource): number {
  const [x, y] = [a.createdAt ?? "", b.createdAt ?? ""];
  if (x !== y) return x === "" ? 1 : y === "" ? -1 : x < y ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}
