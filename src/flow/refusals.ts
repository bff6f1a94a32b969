// What Envoy refused, kept with the resources that are to blame, and how long that holds against them.
import type { Collection, Read } from "../graph/mod.ts";
import type { EnvoyResource, Refusal, TypeUrl } from "../model/envoy-resource.ts";
import { type Problem, problem } from "../model/problem.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { Kind, Resource } from "../model/resource.ts";
import type { Blame, Culprit } from "./blame.ts";
import type { Flow } from "./flow.ts";
import type { Inputs } from "./inputs.ts";
import type { Memory } from "./memory.ts";

/** Envoy refused something that this version of a resource was made into. */
export interface Refused {
  /** Of the resource, not of the Envoy resource: edited, it gets another chance. */
  readonly version: string;
  readonly message: string;
  /** What it was made into, where that is made from nothing else: when another version is made (of other Settings), it gets another chance too. */
  readonly made?: RefusedVersions;
  /** Which of these is at fault is not known. When one of them is edited, all get another chance. */
  readonly together?: readonly Required<Culprit>[];
  /** `anybody`: the version may be innocent. `client`: other clients run it. It stays in service, and its owner is told. */
  readonly mayBe?: "anybody" | "client";
}

interface RefusedVersions {
  readonly typeUrl: TypeUrl;
  readonly name: string;
  readonly versions: readonly string[];
  /** Clients go on with an earlier version as long as we do not say that it is gone. */
  readonly keepsEarlier: boolean;
}

/** Notes a refusal. Inside of a batch. False: there is nobody to tell. */
export function noteRefusal(refusal: Refusal, flow: Flow, blame: Blame, memory: Memory): boolean {
  const { culprits, isCertain, isTheirFault } = blame.culprits(refusal);
  const present = culprits.flatMap(({ key, version }) => {
    const given = flow.given(key)?.version;
    return given === undefined || (version !== undefined && version !== given) ? [] : [{ key, version: given }];
  });
  const { message } = refusal;
  for (const { key, version } of present) {
    if (refusal.isTaken) flow.inputs.refused.set(key, { version, message, mayBe: "client" });
    else if (!isCertain) flow.inputs.refused.set(key, { version, message, mayBe: "anybody", made: thisVersion(refusal) });
    else {
      if (isTheirFault) memory.withdraw(key, version);
      const made = madeAlone(refusal, flow.inputs.refused.get(key), version);
      flow.inputs.refused.set(key, { version, message, ...(made && { made }), ...(present.length > 1 && { together: present }) });
    }
  }
  return present.length > 0 || refusal.isSuperseded === true;
}

/** Those that are held to blame for a listener that could not be bound. */
export function unboundBy(listener: string, { inputs }: Flow): ResourceKey[] {
  const words = `${listener}: cannot bind '`;
  return [...inputs.refused.entries()].flatMap(([key, { message }]) => (message.includes(words) ? [key as ResourceKey] : []));
}

/** Those that get another chance because one with which they were suspected was edited: they are as good as edited themselves. */
export function releasedWith(changed: Iterable<ResourceKey>, inputs: Inputs): ResourceKey[] {
  return [...changed].flatMap((key) => (inputs.refused.get(key)?.together ?? []).map((each) => each.key));
}

function thisVersion({ resource: { typeUrl, name, version } }: Refusal): RefusedVersions {
  return { typeUrl, name, versions: [version], keepsEarlier: true };
}

/** A last good version may be refused as well, as the newest was: both are remembered, or they would take turns for ever. */
function madeAlone({ resource, keepsEarlier }: Refusal, before: Refused | undefined, version: string): RefusedVersions | undefined {
  if (resource.owners.length !== 1) return undefined;
  const { typeUrl, name } = resource;
  const known = before?.version === version && before.made?.name === name && before.made.typeUrl === typeUrl ? before.made : undefined;
  const versions = [...new Set([...(known?.versions ?? []), resource.version])];
  return { typeUrl, name, versions, keepsEarlier: keepsEarlier === true || known?.keepsEarlier === true };
}

/** What holds against the newest version of a resource. `sent`: what is made of it now. */
export function refusalOf(key: ResourceKey, read: Read, inputs: Inputs, sent: readonly EnvoyResource[] = []): Refused | undefined {
  const refused = read.get(inputs.refused, key);
  if (refused === undefined || givenVersion(key, read, inputs) !== refused.version) return undefined;
  const { made, together = [] } = refused;
  if (made) {
    const now = sent.find((each) => each.typeUrl === made.typeUrl && each.name === made.name);
    if (now !== undefined && !made.versions.includes(now.version)) return undefined;
  }
  return together.every((each) => givenVersion(each.key, read, inputs) === each.version) ? refused : undefined;
}

function givenVersion(key: ResourceKey, read: Read, inputs: Inputs): string | undefined {
  return read.get(inputs.given[parseResourceKey(key).kind as Kind] as Collection<Resource>, key)?.version;
}

/** For the resource's user. */
export function refusalProblem(key: ResourceKey, { mayBe, message }: Refused): Problem {
  if (mayBe === "client")
    return problem("warning", key, "RefusedByEnvoy", `one Envoy refused what this was translated to, others run it: ${message}`, {
      hint: "the list of clients shows which one; is it of another version?",
    });
  return problem("error", key, "RefusedByEnvoy", `Envoy refused what this was translated to: ${message}`, {
    ...addressPath(key, message),
    hint: message.includes("cannot bind")
      ? "choose another port, or free this one: headworks proxy then takes it by itself, an Envoy when it or we start again"
      : "this version is not sent again; correct the resource",
  });
}

/** The field that says where a Gateway listens, where that is what was refused. */
function addressPath(key: ResourceKey, message: string): { readonly path?: string } {
  if (!key.startsWith("Gateway ") || !message.includes("cannot bind")) return {};
  return { path: message.includes("Cannot assign requested address") ? "bindAddress" : "bindPort" };
}
