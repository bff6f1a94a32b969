// What a cluster has, as resources: each object decoded once, when it changes. Pure bookkeeping.
//
// An object that cannot be understood keeps the content of its last version that could.
import type { Registry } from "@bufbuild/protobuf";
import type { KubeObject } from "../../lib/kubernetes/object.ts";
import type { Change } from "../../model/change.ts";
import { type Problem, problem } from "../../model/problem.ts";
import { type ResourceKey, resourceKey } from "../../model/ref.ts";
import type { Kind, Resource } from "../../model/resource.ts";
import type { Remembered, SourceBatch } from "../../plugin/source.ts";
import { readJson } from "../read-json.ts";
import { type ClusterKind, ownKinds } from "./kinds.ts";
import { PodWishes } from "./pod-wishes.ts";

export interface InventoryOptions {
  readonly types?: Registry;
  readonly customKinds?: readonly string[];
  /** What was in service before a restart stands in for what cannot be read. */
  readonly remembered?: readonly Remembered[];
}

export interface NamedObject {
  readonly namespace: string;
  readonly name: string;
}

export class Inventory {
  readonly #options: InventoryOptions;
  readonly #resources = new Map<ResourceKey, Resource>();
  readonly #remembered: Map<ResourceKey, Remembered>;
  /** What is only remembered, and neither seen nor missed yet. */
  readonly #standIns = new Set<ResourceKey>();
  readonly #podWishes = new PodWishes((key) => this.#resources.get(key));
  #changes = new Map<ResourceKey, Change>();
  #problems = new Map<string, readonly Problem[]>();
  readonly #placesWithProblems = new Set<string>();
  #noticedAt: number | undefined;

  constructor(options: InventoryOptions) {
    this.#options = options;
    const ours = (options.remembered ?? []).filter(({ resource }) => resource.origin.source === "kubernetes");
    this.#remembered = new Map(ours.map((each) => [each.key, each]));
  }

  get size(): number {
    return this.#resources.size;
  }

  get wantsPods(): boolean {
    return this.#podWishes.areThere;
  }

  has(key: ResourceKey): boolean {
    return this.#resources.has(key);
  }

  apply(kind: ClusterKind, object: KubeObject): void {
    const { namespace = "", name } = object.metadata;
    const key = keyOf(kind, { namespace, name });
    const reading = this.#readSafely(key, kind, object);
    const [read] = reading.resources;
    const known = this.#standIns.has(key) ? undefined : this.#resources.get(key);
    // Whoever writes the statuses of all objects, as we do, shall not have all of them handed on, and made anew in memory.
    if (read && known && isUnchanged(known, read, object)) return;
    this.setProblems(key, reading.problems);
    // Not ours to read: a token of an account, a ConfigMap that is a lock.
    if (read === undefined && reading.problems.length === 0) this.#remove(key);
    if (read === undefined) return;
    this.#put(this.#withLastGood(originated(read, object)));
  }

  /** A fault of ours costs the object that shows it. */
  #readSafely(key: ResourceKey, kind: ClusterKind, object: KubeObject): ReturnType<typeof readJson> {
    try {
      return readObject(kind, object, this.#options);
    } catch (fault) {
      const message = `${key} cannot be read, by a fault of ours (${(fault as Error).message}); what was read of it before stays in service`;
      return { resources: [], problems: [problem("error", key, "KubernetesObjectFault", message)] };
    }
  }

  delete(kind: ClusterKind, object: NamedObject): void {
    const key = keyOf(kind, object);
    this.setProblems(key, []);
    this.#remove(key);
  }

  /** Puts what is remembered in the place of what is not known yet; returns of which kinds there was something. */
  standIn(isMissing: (kind: Kind) => boolean): ReadonlySet<Kind> {
    const stoodIn = new Set<Kind>();
    for (const [key, { resource }] of this.#remembered) {
      if (this.#resources.has(key) || !isMissing(resource.kind)) continue;
      this.#put(resource);
      this.#standIns.add(key);
      stoodIn.add(resource.kind);
    }
    return stoodIn;
  }

  /** Of a kind, what is remembered. */
  rememberedOf({ kind }: ClusterKind, namespace: string): Resource["ref"][] {
    const all = [...this.#remembered.values()].map(({ resource }) => resource);
    return all.filter((each) => each.kind === kind && (namespace === "" || each.ref.namespace === namespace)).map(({ ref }) => ref);
  }

  /** All objects of a kind have been seen: what stood in for others is gone, and nothing will any more. */
  dismissStandIns({ kind }: ClusterKind): void {
    for (const [key, { resource }] of this.#remembered) if (resource.kind === kind) this.#remembered.delete(key);
    for (const key of this.#standIns) if (this.#resources.get(key)?.kind === kind) this.#remove(key);
  }

  get standIns(): number {
    return this.#standIns.size;
  }

  setProblems(place: string, problems: readonly Problem[]): void {
    if (problems.length === 0 && !this.#placesWithProblems.has(place)) return;
    if (problems.length > 0) this.#placesWithProblems.add(place);
    else this.#placesWithProblems.delete(place);
    this.#problems.set(place, problems);
    this.#noticedAt ??= performance.now();
  }

  get hasNews(): boolean {
    return this.#changes.size > 0 || this.#problems.size > 0;
  }

  /** What changed since the last call. */
  take(): SourceBatch {
    const batch = { changes: [...this.#changes.values()], problems: this.#problems, noticedAt: this.#noticedAt ?? performance.now() };
    this.#forget();
    return batch;
  }

  /** All there is. */
  takeAll(): SourceBatch {
    const { problems, noticedAt } = this.take();
    return { changes: [{ kind: "reset", resources: [...this.#resources.values()] }], problems, noticedAt };
  }

  #forget(): void {
    this.#changes = new Map();
    this.#problems = new Map();
    this.#noticedAt = undefined;
  }

  #put(resource: Resource): void {
    this.#standIns.delete(resource.key);
    this.#noticedAt ??= performance.now();
    this.#resources.set(resource.key, resource);
    this.#changes.set(resource.key, { kind: "apply", resource });
    this.#podWishes.note(resource);
  }

  #remove(key: ResourceKey): void {
    if (!this.#resources.delete(key)) return;
    this.#standIns.delete(key);
    this.#noticedAt ??= performance.now();
    this.#podWishes.forget(key);
    this.#changes.set(key, { kind: "delete", key });
  }

  #withLastGood(resource: Resource): Resource {
    if (resource.spec !== undefined) return resource;
    const good = this.#resources.get(resource.key) ?? this.#remembered.get(resource.key)?.resource;
    if (good?.spec === undefined) return resource;
    const { spec, labels, annotations, custom } = good;
    return { ...resource, spec, labels, annotations, ...(custom && { custom }), isStale: true };
  }
}

/** As it would be read if it were in the cluster; undefined where it would not be. */
export function resourceOfObject(object: KubeObject, options: InventoryOptions): Resource | undefined {
  const group = object.apiVersion?.split("/")[0];
  const kind = ownKinds.find(({ type }) => type.group === group && type.kind === object.kind);
  const [read] = kind ? readObject(kind, object, options).resources : [];
  return read && originated(read, object);
}

function readObject(kind: ClusterKind, object: KubeObject, { types, customKinds }: InventoryOptions): ReturnType<typeof readJson> {
  return readJson(kind.trim(object), {
    source: "kubernetes",
    // Gloo's definitions have them dropped by the API server; what is in service for years is not to fail for one.
    unknownFields: "warning",
    ...(types && { types }),
    ...(customKinds && { customKinds }),
  });
}

/** The version is that of the content: without status. */
function isUnchanged({ version, origin }: Resource, read: Resource, { metadata: { uid, generation } }: KubeObject): boolean {
  return version === read.version && origin.uid === uid && origin.generation === generation;
}

function originated(read: Resource, { metadata: { uid, generation, resourceVersion } }: KubeObject): Resource {
  return {
    ...read,
    origin: { ...read.origin, uid, ...(generation !== undefined && { generation }), resourceVersion } as Resource["origin"],
  };
}

export function keyOf({ kind }: ClusterKind, ref: NamedObject): ResourceKey {
  return resourceKey(kind, ref);
}
