// What else is wrong with objects that have fields which cannot be read. Such an object is not taken over, so nothing more is said of it
// until that is mended, and then something else may be: here it is judged without the bad fields, for the sake of findings alone. What
// may follow from their absence is left out, as a finding that goes away by itself costs trust.
import { type Finding, type Translation, translateOnce } from "../control-plane.ts";
import { byPlace } from "../flow/view.ts";
import type { Reason } from "../model/catalog.ts";
import type { Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Source } from "../plugin/source.ts";

/**
 * The findings of a translation, with those that were hidden. What is said of other objects only because one could not be read (an
 * Upstream "not found", no Gateway that serves a VirtualService) is left out: it is gone when that one is mended.
 */
export async function withFindingsBehind(
  findings: readonly Finding[],
  translation: Translation,
  source: Source,
  plugins: Plugins,
): Promise<readonly Finding[]> {
  const broken = new Map<ResourceKey, Resource>();
  const resources = [...translation.resources.values()].flatMap((each) => {
    if (each.origin.source === "discovery") return [];
    if (each.spec !== undefined || each.readable === undefined) return [each];
    broken.set(each.key, each);
    return [{ ...each, spec: each.readable, problems: [] }];
  });
  if (broken.size === 0) return findings;
  const behind = (await translateOnce({ source: holding(resources, source), plugins })).findings;
  const stays = new Set(behind.map(sameFinding));
  const isFollowing = (found: Finding) =>
    following.includes(found.problem.reason) && !broken.has(found.problem.resource as ResourceKey) && !stays.has(sameFinding(found));
  const unserved = new Set(findings.filter((each) => each.problem.reason === "NotServed" && isFollowing(each)).map(resourceOf));
  const isHidden = ({ problem }: Finding) => {
    if (problem.resource === undefined || isRelative(problem)) return false;
    const resource = broken.get(problem.resource);
    return resource ? !mayFollow(problem, resource.problems) : unserved.has(problem.resource);
  };
  const known = new Set(findings.map(sameFinding));
  const hidden = behind.filter((each) => isHidden(each) && !known.has(sameFinding(each)));
  return [...findings.filter((each) => !isFollowing(each)), ...hidden].sort(byPlace);
}

/** What may be said of an object because another one could not be read. */
const following: readonly string[] = [
  "UpstreamNotFound",
  "DelegateTargetUnknown",
  "DestinationNil",
  "TlsSecretNotFound",
  "NotServed",
] satisfies Reason[];

function sameFinding({ problem: { resource, reason, path } }: Finding): string {
  return `${resource} ${reason} ${path}`;
}

const resourceOf = ({ problem }: Finding) => problem.resource;

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
