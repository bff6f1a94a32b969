// The rule of isolation: the newest version of each resource where it is good, else the last one that was.
//
// Something is made of the newest versions first. Each resource that is to blame for an error in that is then replaced by its last
// good version, where there is one, and the thing is made once more. Where there is none, the newest stays: whoever
// makes things leaves the broken part out.
import { type Collection, GraphMisuse, type Read } from "../graph/mod.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Problem, problem, rejects } from "../model/problem.ts";
import { formatRef, parseResourceKey, type Ref, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Kind, Resource } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";
import type { Inputs } from "./inputs.ts";
import { refusalOf, refusalProblem } from "./refusals.ts";

/** What was found, by resource: every resource that took part is there, if with an empty list. */
export type Reports = ReadonlyMap<ResourceKey, readonly Problem[]>;

export interface Made<T> {
  /** What is in service. */
  readonly made: T;
  /** About the newest versions, whichever are in service. */
  readonly reports: Reports;
  /** What a plug-in, or we, threw: for the log. */
  readonly fault?: unknown;
}

/** What is made, for whom. */
export interface Making<T> {
  /** Who answers for a fault. */
  readonly owner: ResourceKey;
  /** What there is after one. */
  readonly nothing: T;
  readonly make: Make<T>;
  /** What of it is sent as it is. Absent: nothing that is made from one resource alone. */
  readonly sent?: (made: T) => readonly EnvoyResource[];
}

/** How often culprits are looked for: a last good version may itself lead to another culprit. */
const passes = 3;

/** The version of a resource to use; undefined where none may be. */
export type InUse = <K extends Kind>(resource: Resource<K>) => Resource<K> | undefined;

/** By key, what takes the place of the newest version; undefined: nothing does, it is left out. */
export type Replaced = ReadonlyMap<ResourceKey, Resource | undefined>;

type Make<T> = (world: World, inUse: InUse, replaced: Replaced) => Made<T>;

export function withLastGood<T>(read: Read, inputs: Inputs, knownWorld: World, making: Making<T>): Made<T> {
  const { sent } = making;
  const departed = new Set<ResourceKey>();
  const world = worldWithDeparted(knownWorld, read, inputs, departed);
  const replaced = new Map<ResourceKey, Resource | undefined>();
  const first = attempt(making, world, (resource) => resource, replaced);
  let latest = first;
  const sentAtFirst = sent?.(first.made);
  const more: Problem[] = [];
  for (let pass = 0; pass < passes; pass++) {
    const before = replaced.size;
    for (const [key, problems] of latest.reports) {
      if (replaced.has(key)) continue;
      const refused = refusalOf(key, read, inputs, sentAtFirst);
      const isOut = refused !== undefined && refused.mayBe === undefined;
      if (pass === 0 && isOut && sent && refused.made) more.push(refusalProblem(key, refused));
      if (!isOut && !rejects(problems)) continue;
      const good = lastGoodOf(key, read, inputs);
      // Clients that go on with an earlier version lose it if nothing is sent.
      if (good !== undefined || (isOut && !(sent && refused.made?.keepsEarlier))) replaced.set(key, good);
    }
    if (replaced.size === before) break;
    const inUse = inUseOf(replaced);
    latest = attempt(making, worldWith(world, replaced, inUse), inUse, replaced);
  }
  const vain = [...replaced.keys()].filter((key) => isVain(first.reports.get(key), latest.reports.get(key)));
  if (vain.length > 0) {
    for (const key of vain) replaced.delete(key);
    const inUse = inUseOf(replaced);
    latest = attempt(making, worldWith(world, replaced, inUse), inUse, replaced);
  }
  for (const key of departed) more.push(departedProblem(key, making.owner));
  const reports = more.length === 0 ? first.reports : withProblems(first.reports, more);
  return { made: latest.made, reports, ...(first.fault !== undefined && { fault: first.fault }) };
}

/** The earlier version lacks the same: then the newest is served as far as it can be. */
function isVain(newest: readonly Problem[] = [], earlier: readonly Problem[] = []): boolean {
  const lacks = (problems: readonly Problem[]) => problems.some(({ withholds }) => withholds);
  return lacks(newest) && lacks(earlier) && !newest.some(({ severity, elsewhere }) => severity === "error" && !elsewhere);
}

/** A fault counts as a mistake in what it was made for: an older version may not meet it. */
function attempt<T>({ owner, nothing, make }: Making<T>, world: World, inUse: InUse, replaced: Replaced): Made<T> {
  try {
    return make(world, inUse, replaced);
  } catch (fault) {
    if (fault instanceof GraphMisuse) throw fault;
    const message = `we failed on this, and the log has where: ${fault instanceof Error ? fault.message : String(fault)}`;
    return { made: nothing, reports: new Map([[owner, [problem("error", owner, "PluginFailed", message)]]]), fault };
  }
}

function withProblems(reports: Reports, problems: readonly Problem[]): Reports {
  const all = new Map(reports);
  for (const each of problems) if (each.resource) all.set(each.resource, [...(all.get(each.resource) ?? []), each]);
  return all;
}

/** The last good version, if it is another than the newest. */
function lastGoodOf(key: ResourceKey, read: Read, inputs: Inputs): Resource | undefined {
  const { kind } = parseResourceKey(key);
  const good = read.get(inputs.lastGood[kind as Kind] as Collection<Resource>, key);
  const given = read.get(inputs.given[kind as Kind] as Collection<Resource>, key);
  return good?.version === given?.version ? undefined : good;
}

function inUseOf(replaced: Replaced): InUse {
  return <K extends Kind>(resource: Resource<K>) =>
    replaced.has(resource.key) ? (replaced.get(resource.key) as Resource<K> | undefined) : resource;
}

/**
 * A TLS Secret that was deleted is there, as it last was good, for whatever still refers to it: to serve without it would end all
 * connections to a host, or to an Upstream. Memory forgets it when nothing refers to it any more. Other Secrets say who may do what:
 * to delete one is to revoke it.
 */
function worldWithDeparted(world: World, read: Read, inputs: Inputs, departed: Set<ResourceKey>): World {
  return {
    get<K extends Kind>(kind: K, ref: Ref) {
      const found = world.get(kind, ref);
      if (found !== undefined || kind !== "Secret") return found;
      const key = resourceKey(kind, ref);
      const last = read.get(inputs.lastGood.Secret, key);
      if (!outlivesItself(last)) return undefined;
      departed.add(key);
      return last as Resource<Kind> as Resource<K>;
    },
    list: (kind, namespace, labels, fields) => world.list(kind, namespace, labels, fields),
    get settings() {
      return world.settings;
    },
  };
}

/** Of what is deleted, that which stays in service where it is referred to. */
export function outlivesItself(resource: Resource | undefined): boolean {
  return resource?.kind === "Secret" && (resource as Resource<"Secret">).spec?.kind.case === "tls";
}

function departedProblem(key: ResourceKey, owner: ResourceKey): Problem {
  const { ref } = parseResourceKey(key);
  return problem(
    "warning",
    owner,
    "SecretDeleted",
    `Secret ${formatRef(ref)} was deleted; what it last held stays in service until a restart, and is lost then`,
  );
}

function worldWith(world: World, replaced: Replaced, inUse: InUse): World {
  return {
    get<K extends Kind>(kind: K, ref: Ref) {
      const key = resourceKey(kind, ref);
      return replaced.has(key) ? (replaced.get(key) as Resource<K> | undefined) : world.get(kind, ref);
    },
    list: (kind, namespace, labels, fields) =>
      world
        .list(kind, namespace, labels, fields)
        .map(inUse)
        .filter((each) => each !== undefined),
    get settings() {
      return world.settings;
    },
  };
}
