// What is said about each resource: the findings of everything that was made from it, and its status.
import type { Collection, Graph, Read, Single } from "../graph/mod.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Problem, problem, rejects } from "../model/problem.ts";
import { type Kind, kinds, type Resource } from "../model/resource.ts";
import type { Status } from "../model/status.ts";
import { byKind, type Inputs, sameJson } from "./inputs.ts";
import { refusalOf, refusalProblem } from "./refusals.ts";
import { isWatched, type Watched } from "./watched.ts";

export interface Judgement {
  /** Of the newest version. */
  readonly version: string;
  readonly problems: readonly Problem[];
  /** Absent on kinds that have none. */
  readonly status?: Status;
  /** The newest version is in service whole: it becomes the last good one. */
  readonly isGood: boolean;
  /** An older version is in service instead. */
  readonly keepsLastGood: boolean;
}

export type Judged = { readonly [K in Kind]: Collection<Judgement> };

/** What one stage says about one resource. */
export interface Contribution {
  readonly problems: readonly Problem[];
  /** `<proxy>_<namespace>`, when that proxy found it, or takes the resource without finding anything. */
  readonly proxy?: string;
  /** Worth saying, and nothing that Gloo has a status for: scripts that wait for Accepted shall go on. */
  readonly leavesStatus?: true;
}

/** Asks a stage about a resource. */
export type Contributor = (resource: Resource, read: Read) => readonly Contribution[];

/** What is sent of a resource together with others. */
export type SentOf = (resource: Resource, read: Read) => readonly EnvoyResource[];

export type StatusRule = (
  resource: Resource,
  problems: readonly Problem[],
  byProxy: ReadonlyMap<string, readonly Problem[]>,
) => Status | undefined;

export function judge(
  graph: Graph,
  inputs: Inputs,
  watched: Single<Watched>,
  contributors: readonly Contributor[],
  sentOf: SentOf,
  statusOf: StatusRule,
): Judged {
  return byKind((kind) =>
    graph.derive(
      `judged ${kind}`,
      inputs.given[kind] as Collection<Resource>,
      (resource, _key, read) =>
        isWatched(resource, read.value(watched))
          ? judgementOf(resource, read, inputs, contributors, sentOf, statusOf)
          : notWatched(resource),
      {
        equals: sameJudgement,
      },
    ),
  );
}

function notWatched(resource: Resource): Judgement {
  const message = `the namespace ${resource.ref.namespace} is not among watchNamespaces of Settings, so this is not read`;
  const problems = resource.kind in kinds ? [problem("warning", resource.key, "NamespaceNotWatched", message)] : [];
  return { version: resource.version, problems, isGood: false, keepsLastGood: false };
}

function judgementOf(
  resource: Resource,
  read: Read,
  inputs: Inputs,
  contributors: readonly Contributor[],
  sentOf: SentOf,
  statusOf: StatusRule,
): Judgement {
  const own: Problem[] = [...resource.problems, ...refusal(resource, read, inputs, sentOf)];
  const aside: Problem[] = [];
  const byProxy = new Map<string, Problem[]>();
  for (const contributor of contributors) {
    for (const { proxy, problems, leavesStatus } of contributor(resource, read)) {
      if (leavesStatus) aside.push(...problems);
      else if (proxy === undefined) own.push(...problems);
      else byProxy.set(proxy, [...(byProxy.get(proxy) ?? []), ...problems]);
    }
  }
  for (const [, finding] of read.lookup(inputs.outsideByResource, resource.key)) own.push(...finding.problems);
  const distinct = withoutRepeats([...own, ...[...byProxy.values()].flat(), ...aside]);
  const status = statusOf(resource, own, byProxy);
  return {
    version: resource.version,
    problems: distinct,
    ...(status && { status }),
    isGood: resource.spec !== undefined && !resource.isStale && !distinct.some((each) => each.severity === "error" || each.withholds),
    keepsLastGood: rejects(distinct) && servesAnother(resource, read, inputs),
  };
}

/** What is wrong with a version that is in service itself (a port that is taken) leaves no older one to serve. */
function servesAnother(resource: Resource, read: Read, inputs: Inputs): boolean {
  const good = read.get(inputs.lastGood[resource.kind] as Collection<Resource>, resource.key);
  return resource.isStale === true || (good !== undefined && good.version !== resource.version);
}

/** Envoy said no to what this very version was made into. Of what is made from it alone, whoever makes it says so. */
function refusal(resource: Resource, read: Read, inputs: Inputs, sentOf: SentOf): Problem[] {
  if (!read.has(inputs.refused, resource.key)) return [];
  const refused = refusalOf(resource.key, read, inputs, sentOf(resource, read));
  return refused === undefined || (refused.made && refused.mayBe === undefined) ? [] : [refusalProblem(resource.key, refused)];
}

/**
 * A resource that serves several proxies or gateways is found fault with once for each; its user needs to hear it once. And where Gloo
 * has a warning beside an error about the same thing, the error is enough.
 */
function withoutRepeats(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length < 2) return problems;
  const seen = new Set<string>();
  const matter = ({ reason, path = "" }: Problem) => `${reason} ${path}`;
  const errors = new Set(problems.filter(({ severity, repeats }) => severity === "error" && repeats === undefined).map(matter));
  return problems.filter((each) => {
    if (each.severity === "warning" && each.repeats === undefined && each.path !== undefined && errors.has(matter(each))) return false;
    const key = `${each.severity} ${each.reason} ${each.path ?? ""} ${each.message}`;
    return !seen.has(key) && seen.add(key);
  });
}

function sameJudgement(a: Judgement, b: Judgement): boolean {
  return a.version === b.version && sameJson(a, b);
}
