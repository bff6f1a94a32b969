// All Envoy resources of one Proxy, as its clients may have them. Usually that is the newest of each; but
//
// - of a refused one it is the last that was accepted;
// - a cluster whose endpoints come over EDS and are not known yet is withheld: Envoy would wait for them with all its clusters;
// - endpoints that are gone can still be had for a while: a client may be about to ask for those of a cluster it was just sent.
import { type EnvoyResource, type Refusal, type ResourceChanges, type TypeUrl, typeUrls } from "../model/envoy-resource.ts";
import { endpointsNameOf } from "./wire.ts";

interface Entry {
  current: EnvoyResource;
  /** A client refused `current`, and none had taken it. It is sent to nobody again; a change of content starts anew. */
  isRefused: boolean;
  /** A client refused `current`, which another had taken. */
  isDisputed?: boolean;
  /** What a client acknowledged last, and before that: in force while `current` is refused. */
  accepted?: EnvoyResource;
  acceptedBefore?: EnvoyResource;
  /** For a Cluster: the name of its endpoints, when they come over EDS. */
  readonly endpoints?: string;
}

export type RefusalFacts = Pick<Refusal, "acceptedBefore" | "isTaken" | "isSuperseded">;

/** Names, by type, whose resource may have changed for some client. */
export type ChangedNames = ReadonlyMap<string, ReadonlySet<string>>;

/** Told of changes: the clients of a Proxy. */
export interface Follower {
  changed(names: ChangedNames): void;
  /** What was kept from before may go now. */
  reconsider(): void;
}

/** Twice as long as Envoy waits for endpoints that it has asked for. */
const departedMs = 30_000;

export class ProxyResources {
  readonly followers = new Set<Follower>();
  readonly #types = new Map<string, Map<string, Entry>>();
  /** Clusters by the name of their endpoints. */
  readonly #clustersOf = new Map<string, Set<string>>();
  /** Which was published when, by count. */
  readonly #published = new WeakMap<EnvoyResource, number>();
  #publications = 0;
  #keepsUnknown: boolean;
  /** While it does: what went since we started, by type and name, which is known. */
  readonly #gone = new Set<string>();
  readonly #departed = new Map<string, { readonly resource: EnvoyResource; readonly since: number }>();

  constructor(keepsUnknown = false) {
    this.#keepsUnknown = keepsUnknown;
  }

  /** See {@link ResourceConsumer.keepUnknown}. */
  keepUnknown(isSo: boolean): void {
    this.#keepsUnknown = isSo;
    this.#gone.clear();
    // Also those who came before anything was read: they were taken for others who have what they should not.
    for (const follower of this.followers) follower.reconsider();
  }

  /** Nobody knows whether it is to be there. */
  isUnknown(typeUrl: string, name: string): boolean {
    return this.#keepsUnknown && this.#entry(typeUrl, name) === undefined && !this.#gone.has(`${typeUrl} ${name}`);
  }

  /**
   * The resource a client should have; undefined when there is none. A client that runs the newest version keeps it, also when
   * another refused it: taking it back would be a change that nobody made.
   */
  get(typeUrl: string, name: string, running?: string): EnvoyResource | undefined {
    const entry = this.#entry(typeUrl, name);
    if (entry === undefined || this.#isWithheld(entry)) return undefined;
    return entry.isRefused && running !== entry.current.version ? entry.accepted : entry.current;
  }

  /** Not to be had yet, a cluster or its endpoints: what a client has under this name it keeps, and is told nothing. */
  isWithheld(typeUrl: string, name: string): boolean {
    const entry = this.#entry(typeUrl, name);
    if (entry === undefined) return typeUrl === typeUrls.endpoint && this.#clustersOf.has(name);
    return this.#isWithheld(entry);
  }

  /** The clusters that wait for their endpoints. */
  withheld(): string[] {
    return [...this.names(typeUrls.cluster)].filter((name) => this.isWithheld(typeUrls.cluster, name));
  }

  /** Endpoints that were there until a moment ago. */
  departed(typeUrl: string, name: string): EnvoyResource | undefined {
    return typeUrl === typeUrls.endpoint ? this.#departed.get(name)?.resource : undefined;
  }

  names(typeUrl: string): Iterable<string> {
    return this.#types.get(typeUrl)?.keys() ?? [];
  }

  size(typeUrl: string): number {
    return this.#types.get(typeUrl)?.size ?? 0;
  }

  /** The EDS name of a cluster's endpoints, if it takes them from there. */
  endpointsOf(cluster: string): string | undefined {
    return this.#entry(typeUrls.cluster, cluster)?.endpoints;
  }

  /** Everything as a client that connects now would get it. */
  served(): Record<string, EnvoyResource[]> {
    const served: Record<string, EnvoyResource[]> = {};
    for (const [typeUrl, entries] of this.#types) {
      const resources = [...entries.keys()].map((name) => this.get(typeUrl, name)).filter((resource) => resource !== undefined);
      if (resources.length > 0) served[typeUrl] = resources;
    }
    return served;
  }

  publish({ upserts, removals }: ResourceChanges, now: number): void {
    const changed = new Map<string, Set<string>>();
    for (const { typeUrl, name } of removals) {
      if (this.#remove(typeUrl, name, now)) this.#note(changed, typeUrl, name);
    }
    for (const resource of upserts) {
      if (this.#put(resource)) this.#note(changed, resource.typeUrl, resource.name);
    }
    this.#tell(changed);
  }

  /** Everything there is, as removals. */
  all(): ResourceChanges["removals"] {
    return [...this.#types].flatMap(([typeUrl, entries]) => [...entries.keys()].map((name) => ({ typeUrl: typeUrl as TypeUrl, name })));
  }

  /** Lets go of what departed long ago; in order of departure. */
  sweep(now: number): void {
    for (const [name, { since }] of this.#departed) {
      if (now - since < departedMs) return;
      this.#departed.delete(name);
    }
  }

  /** A client has taken this version. Of two that were taken the one published later counts, whoever took it last. */
  accept(resource: EnvoyResource): void {
    const entry = this.#entry(resource.typeUrl, resource.name);
    if (entry === undefined || entry.accepted?.version === resource.version) return;
    if (entry.accepted !== undefined && this.#isOlder(resource, entry.accepted)) return;
    if (entry.isRefused && resource.version === entry.current.version) return;
    entry.acceptedBefore = entry.accepted;
    entry.accepted = resource;
    if (entry.isRefused) this.#tell(new Map([[resource.typeUrl, new Set([resource.name])]]));
  }

  #isOlder(one: EnvoyResource, other: EnvoyResource): boolean {
    return (this.#published.get(one) ?? 0) < (this.#published.get(other) ?? 0);
  }

  /** A client refused this version. What is to be known of that; undefined when it is no news. */
  refuse(resource: EnvoyResource): RefusalFacts | undefined {
    const entry = this.#entry(resource.typeUrl, resource.name);
    if (entry === undefined) return undefined;
    const isTaken = entry.accepted?.version === resource.version;
    const acceptedBefore = (isTaken ? entry.acceptedBefore : entry.accepted)?.version;
    const facts = { isTaken, ...(acceptedBefore !== undefined && { acceptedBefore }) };
    if (entry.current.version !== resource.version) return { ...facts, isSuperseded: true };
    if (entry.isRefused || entry.isDisputed) return undefined;
    // One odd client must not take from the others what they run, nor keep it from those who come.
    if (isTaken) {
      entry.isDisputed = true;
      return facts;
    }
    entry.isRefused = true;
    this.#tell(new Map([[resource.typeUrl, new Set([resource.name])]]));
    return facts;
  }

  /** Whoever refused it wants to try again. */
  forgive(typeUrl: string, name: string): void {
    const entry = this.#entry(typeUrl, name);
    if (entry === undefined) return;
    entry.isRefused = false;
    entry.isDisputed = false;
  }

  /** Refused, and no earlier version is known: what a client has under this name it keeps. */
  isWithoutSubstitute(typeUrl: string, name: string): boolean {
    const entry = this.#entry(typeUrl, name);
    return entry?.isRefused === true && entry.accepted === undefined;
  }

  #entry(typeUrl: string, name: string): Entry | undefined {
    return this.#types.get(typeUrl)?.get(name);
  }

  #isWithheld({ endpoints }: Entry): boolean {
    return endpoints !== undefined && this.get(typeUrls.endpoint, endpoints) === undefined;
  }

  #remove(typeUrl: TypeUrl, name: string, now: number): boolean {
    const entry = this.#entry(typeUrl, name);
    if (entry === undefined) return false;
    const last = entry.isRefused ? entry.accepted : entry.current;
    this.#types.get(typeUrl)?.delete(name);
    if (this.#keepsUnknown) this.#gone.add(`${typeUrl} ${name}`);
    this.#unlink(entry);
    if (typeUrl === typeUrls.endpoint && last !== undefined) {
      this.#departed.delete(name);
      this.#departed.set(name, { resource: last, since: now });
    }
    return true;
  }

  /** False when the client-visible content is what it was. */
  #put(resource: EnvoyResource): boolean {
    let entries = this.#types.get(resource.typeUrl);
    if (entries === undefined) {
      entries = new Map();
      this.#types.set(resource.typeUrl, entries);
    }
    this.#published.set(resource, ++this.#publications);
    const before = entries.get(resource.name);
    if (before?.current.version === resource.version) {
      before.current = resource; // its owners may differ
      return false;
    }
    const entry: Entry = {
      current: resource,
      isRefused: false,
      accepted: before?.accepted,
      acceptedBefore: before?.acceptedBefore,
      ...(resource.typeUrl === typeUrls.cluster && { endpoints: endpointsName(resource) }),
    };
    if (before !== undefined) this.#unlink(before);
    entries.set(resource.name, entry);
    this.#link(entry);
    return true;
  }

  #link({ endpoints, current }: Entry): void {
    if (endpoints === undefined) return;
    const clusters = this.#clustersOf.get(endpoints);
    if (clusters === undefined) this.#clustersOf.set(endpoints, new Set([current.name]));
    else clusters.add(current.name);
  }

  #unlink({ endpoints, current }: Entry): void {
    if (endpoints === undefined) return;
    const clusters = this.#clustersOf.get(endpoints);
    clusters?.delete(current.name);
    if (clusters?.size === 0) this.#clustersOf.delete(endpoints);
  }

  /** With endpoints come and go the clusters that wait for them. */
  #note(changed: Map<string, Set<string>>, typeUrl: string, name: string): void {
    add(changed, typeUrl, name);
    if (typeUrl !== typeUrls.endpoint) return;
    for (const cluster of this.#clustersOf.get(name) ?? []) add(changed, typeUrls.cluster, cluster);
  }

  #tell(changed: ChangedNames): void {
    if (changed.size === 0) return;
    for (const follower of this.followers) follower.changed(changed);
  }
}

function add(changed: Map<string, Set<string>>, typeUrl: string, name: string): void {
  const names = changed.get(typeUrl);
  if (names === undefined) changed.set(typeUrl, new Set([name]));
  else names.add(name);
}

/** A Cluster that cannot be read has no endpoints we know of; Envoy will say what is wrong with it. */
function endpointsName(cluster: EnvoyResource): string | undefined {
  try {
    return endpointsNameOf(cluster.bytes);
  } catch {
    return undefined;
  }
}
