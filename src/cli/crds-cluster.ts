// `headworks crds diff` and `headworks crds apply`: the definitions of this version against those of a cluster. What the API server would make
// of ours it says itself (a dry run of server-side apply); whether the objects that are stored would still fit, we look up.
import { isDeepStrictEqual } from "node:util";
import { load } from "js-yaml";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { pause } from "../lib/kubernetes/backoff.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import { listPages } from "../lib/kubernetes/list-all.ts";
import type { KubeObject, ResourceType } from "../lib/kubernetes/object.ts";
import { type Misfit, misfitsOf, type Schema } from "../lib/kubernetes/structural-schema.ts";
import { packageVersion } from "../lib/package-root.ts";
import { openCluster } from "./cluster.ts";
import { inWords } from "./cluster-once.ts";
import type { ClusterFlags } from "./cluster-options.ts";
import { definitionTexts } from "./crds.ts";
import { type Definition, type DefinitionVersion, differencesOf } from "./crds-differences.ts";
import { CommandError, type ExitCode, exitCodes } from "./exit.ts";
import { count, print, say } from "./terminal.ts";

export interface ApplyFlags extends ClusterFlags {
  readonly dryRun?: boolean;
}

const definitionType: ResourceType = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  isNamespaced: false,
};

/** Who applies; what Helm or kubectl have applied is taken over from them. */
const asUs = { fieldManager: "headworks-crds", force: true };
const establishedWithinMs = 30_000;
/** Of misfits and the like, so many are told. */
const mostTold = 5;

/** What is to be said of one definition. */
interface Plan {
  readonly definition: Definition;
  /** Undefined: it is not installed. */
  readonly live: Definition | undefined;
  readonly differences: readonly string[];
  /** Stored objects that do not fit, and do now. */
  readonly misfits: readonly string[];
}

export async function diffDefinitions(names: readonly string[], flags: ClusterFlags): Promise<ExitCode> {
  using api = await openCluster(flags);
  const plans = await plansFor(api, names);
  print(plans.map(textOf).join("\n"));
  return plans.every(({ live, differences }) => live && differences.length === 0) ? exitCodes.ok : exitCodes.findings;
}

/** All of them or, where one would take something away that is in use, none. */
export async function applyDefinitions(names: readonly string[], { dryRun = false, ...flags }: ApplyFlags): Promise<ExitCode> {
  using api = await openCluster(flags);
  const plans = await plansFor(api, names);
  const refused = plans.filter(({ misfits }) => misfits.length > 0);
  if (refused.length > 0) {
    print(refused.map(textOf).join("\n"));
    const kinds = refused.map(({ definition }) => definition.metadata.name).join(", ");
    throw new CommandError(
      `nothing was applied: objects that are stored do not fit the definitions of ${kinds}`,
      exitCodes.refused,
      "Mend them first.",
    );
  }
  const isSame = ({ live, differences }: Plan) => live !== undefined && differences.length === 0;
  const todo = plans.filter((plan) => !isSame(plan));
  for (const { definition, live } of todo) {
    if (!dryRun) await inWords(api, () => api.apply(definitionType, definition, asUs));
    say(`${dryRun ? "would be " : ""}${live ? "changed" : "installed"}: ${definition.metadata.name}`);
  }
  if (!dryRun) for (const { definition } of todo) await established(api, definition.metadata.name);
  const same = plans.length - todo.length;
  if (same > 0) say(`${count(same, "definition")} ${same === 1 ? "is" : "are"} as in headworks ${packageVersion}`);
  return exitCodes.ok;
}

async function plansFor(api: KubeApi, names: readonly string[]): Promise<Plan[]> {
  const definitions = definitionTexts(names).map((text) => load(text) as Definition);
  return inWords(api, async () => {
    const plans: Plan[] = [];
    for (const definition of definitions) plans.push(await planFor(api, definition));
    return plans;
  });
}

async function planFor(api: KubeApi, definition: Definition): Promise<Plan> {
  const live = await find(api, definition.metadata.name);
  const after = (await api.apply(definitionType, definition, { ...asUs, dryRun: true })) as Definition;
  if (live === undefined) return { definition, live, differences: [], misfits: [] };
  const isSame = isDeepStrictEqual(after.spec, live.spec);
  const differences = isSame ? [] : differencesOf(live, after);
  return { definition, live, differences, misfits: isSame ? [] : await storedMisfits(api, live, after) };
}

async function find(api: KubeApi, name: string): Promise<Definition | undefined> {
  try {
    return (await api.get(definitionType, { name })) as Definition;
  } catch (error) {
    if (error instanceof KubeError && error.fault === "missing") return undefined;
    throw error;
  }
}

/** In words, with the objects' names. What does not fit today either is no reason to leave everything as it is. */
async function storedMisfits(api: KubeApi, live: Definition, after: Definition): Promise<string[]> {
  const served = live.spec.versions.find((each) => each.served && after.spec.versions.some(({ name }) => name === each.name));
  const next = after.spec.versions.find(({ name }) => name === served?.name);
  if (served === undefined || next === undefined) return [];
  const { group, names, scope } = live.spec;
  const type = { group, version: served.name, plural: names.plural, kind: names.kind, isNamespaced: scope === "Namespaced" };
  const found: string[] = [];
  for await (const { items } of listPages(api, type)) {
    for (const object of items) {
      const { namespace, name } = object.metadata;
      for (const { path, message } of newMisfits(object, served, next))
        found.push(`${namespace ? `${namespace}/` : ""}${name}: ${path} ${message}`);
    }
  }
  return found;
}

function newMisfits(object: KubeObject, before: DefinitionVersion, after: DefinitionVersion): Misfit[] {
  const misfits = misfitsOf(schemaOf(after), object);
  if (misfits.length === 0) return misfits;
  const old = new Set(misfitsOf(schemaOf(before), object).map(({ path }) => path));
  return misfits.filter(({ path }) => !old.has(path));
}

function schemaOf({ schema }: DefinitionVersion): Schema {
  return schema?.openAPIV3Schema ?? {};
}

/** The kind can be used from then on. */
async function established(api: KubeApi, name: string): Promise<void> {
  const { signal } = new AbortController();
  const begun = performance.now();
  for (;;) {
    const { conditions = [] } = ((await inWords(api, () => api.get(definitionType, { name }))) as Definition).status ?? {};
    const isTrue = (type: string) => conditions.some((each) => each.type === type && each.status === "True");
    const names = conditions.find(({ type, status }) => type === "NamesAccepted" && status === "False");
    if (names) throw new CommandError(`${name} was applied, and its names are taken: ${names.message}`, exitCodes.refused);
    if (isTrue("Established")) return;
    if (performance.now() - begun > establishedWithinMs)
      throw new CommandError(`${name} was applied, and is not established after ${establishedWithinMs / 1000} s`, exitCodes.unreachable);
    await pause(100, signal);
  }
}

function textOf({ definition, live, differences, misfits }: Plan): string {
  const { name } = definition.metadata;
  if (live === undefined) return `${name} is not installed`;
  if (differences.length === 0) return `${name} is as in headworks ${packageVersion}`;
  const told = misfits.slice(0, mostTold).map((each) => `    ${each}`);
  const more = misfits.length > mostTold ? [`    … and ${misfits.length - mostTold} more`] : [];
  const doNotFit = misfits.length > 0 ? ["  stored objects that do not fit any more:", ...told, ...more] : [];
  return [`${name} differs:`, ...differences.map((each) => `  ${each}`), ...doNotFit].join("\n");
}
