// What else is wrong with objects that have fields which cannot be read. Such an object is not taken over, so nothing more is said of it
// until that is mended, and then something else may be: here it is judged without the bad fields, for the sake of findings alone. What
// may follow from their absence is left out, as a finding that goes away by itself costs trust.
import { type Finding, type Translation, translateOnce } from "../control-plane.ts";
import type { Reason } from "../model/catalog.ts";
import type { Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Source } from "../plugin/source.ts";

export async function findingsBehind(translation: Translation, source: Source, plugins: Plugins): Promise<readonly Finding[]> {
  const broken = new Map<ResourceKey, Resource>();
  const resources = [...translation.resources.values()].flatMap((each) => {
    if (each.origin.source === "discovery") return [];
    if (each.spec !== undefined || each.readable === undefined) return [each];
    broken.set(each.key, each);
    return [{ ...each, spec: each.readable, problems: [] }];
  });
  if (broken.size === 0) return [];
  const { findings } = await translateOnce({ source: holding(resources, source), plugins });
  return findings.filter(({ problem }) => {
    const resource = problem.resource && broken.get(problem.resource);
    return resource !== undefined && !isRelative(problem) && !mayFollow(problem, resource.problems);
  });
}

/** Knows of places what the source knows. */
function holding(resources: readonly Resource[], source: Source): Source {
  return {
    name: source.name,
    read: async () => ({ changes: [{ kind: "reset", resources }] }),
    watch: (signal) => source.watch(signal),
    locate: (resource, path) => source.locate(resource, path),
  };
}

/** About how objects stand to each other, which the bad field may have changed. */
const relative: readonly string[] = [
  "DomainConflict",
  "GatewayDomainConflict",
  "PortConflict",
  "FilterChainConflict",
  "HybridEmpty",
  "NotServed",
  "RouteUnreachable",
  "SubTableProblem",
  "DelegationCycle",
  "ChildMatcherIncompatible",
] satisfies Reason[];

function isRelative({ reason, repeats }: Problem): boolean {
  return repeats !== undefined || relative.includes(reason);
}

/** It speaks of something around a bad field, or beside it: of what that field might have been. */
function mayFollow({ path }: Problem, mistakes: readonly Problem[]): boolean {
  if (path === undefined) return true;
  return mistakes.some((mistake) => {
    if (mistake.severity !== "error") return false;
    const bad = mistake.path ?? "";
    const around = bad.replace(/(\.[^.[\]]+|\["(?:[^"\\]|\\.)*"\]|\[\d+\])$|^[^.[\]]+$/, "");
    return isWithin(bad, path) || (around === "" ? isWithin(path, bad) : isWithin(path, around));
  });
}

function isWithin(path: string, parent: string): boolean {
  return path.startsWith(parent) && /^($|[.[])/.test(path.slice(parent.length));
}
