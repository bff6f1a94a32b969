// All Envoy resources of one Proxy, as its clients may have them: the newest of each, or the last accepted when the newest was refused.
import { type EnvoyResource, type ResourceChanges, type TypeUrl, typeUrls } from "../model/envoy-resource.ts";
import { endpointsNameOf } from "./wire.ts";

interface Entry {
  current: EnvoyResource;
  /** A client refused `current`. It is sent to nobody again; a change of content starts anew. */
  isRefused: boolean;
  /** What a client acknowledged last, and before that: in force while `current` is refused. */
  accepted?: EnvoyResource;
  acceptedBefore?: EnvoyResource;
  /** For a Cluster: the name of its endpoints, when they come over EDS. */
  readonly endpoints?: string;
}

/** Names, by type, whose resource may have changed for some client. */
export type ChangedNames = ReadonlyMap<string, ReadonlySet<string>>;

/** Told of changes: the clients of a Proxy. */
export interface Follower {
  changed(names: ChangedNames): void;
}

export class ProxyResources {
  readonly followers = new Set<Follower>();
  readonly #types = new Map<string, Map<string, Entry>>();

  /**
   * The resource a client should have; undefined when there is none. A client that runs the newest version keeps it, also when
   * another refused it: taking it back would be a change that nobody made.
   */
  get(typeUrl: string, name: string, running?: string): EnvoyResource | undefined {
    const entry = this.#types.get(typeUrl)?.get(name);
    if (entry === undefined) return undefined;
    return entry.isRefused && running !== entry.current.version ? entry.accepted : entry.current;
  }

  names(typeUrl: string): Iterable<string> {
    return this.#types.get(typeUrl)?.keys() ?? [];
  }

  size(typeUrl: string): number {
    return this.#types.get(typeUrl)?.size ?? 0;
  }

  /** The EDS name of a cluster's endpoints, if it takes them from there and there are some. */
  endpointsOf(cluster: string): string | undefined {
    const name = this.#types.get(typeUrls.cluster)?.get(cluster)?.endpoints;
    return name !== undefined && this.get(typeUrls.endpoint, name) !== undefined ? name : undefined;
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

  publish({ upserts, removals }: ResourceChanges): void {
    const changed = new Map<string, Set<string>>();
    for (const { typeUrl, name } of removals) {
      if (this.#types.get(typeUrl)?.delete(name)) note(changed, typeUrl, name);
    }
    for (const resource of upserts) {
      if (this.#put(resource)) note(changed, resource.typeUrl, resource.name);
    }
    this.#tell(changed);
  }

  /** Everything there is, as removals. */
  all(): ResourceChanges["removals"] {
    return [...this.#types].flatMap(([typeUrl, entries]) => [...entries.keys()].map((name) => ({ typeUrl: typeUrl as TypeUrl, name })));
  }

  /** A client has taken this version. */
  accept(resource: EnvoyResource): void {
    const entry = this.#types.get(resource.typeUrl)?.get(resource.name);
    if (entry === undefined || entry.accepted?.version === resource.version) return;
    // An ACK that comes late, for a version that is no longer the newest, is still good news if nothing newer was accepted.
    if (resource.version !== entry.current.version && entry.accepted?.version === entry.current.version) return;
    entry.acceptedBefore = entry.accepted;
    entry.accepted = resource;
  }

  /** A client refused this version. True when that is news: it is the newest, and nobody had refused it yet. */
  refuse(resource: EnvoyResource): boolean {
    const entry = this.#types.get(resource.typeUrl)?.get(resource.name);
    if (entry === undefined || entry.current.version !== resource.version || entry.isRefused) return false;
    entry.isRefused = true;
    if (entry.accepted?.version === resource.version) entry.accepted = entry.acceptedBefore;
    this.#tell(new Map([[resource.typeUrl, new Set([resource.name])]]));
    return true;
  }

  /** False when the client-visible content is what it was. */
  #put(resource: EnvoyResource): boolean {
    let entries = this.#types.get(resource.typeUrl);
    if (entries === undefined) {
      entries = new Map();
      this.#types.set(resource.typeUrl, entries);
    }
    const entry = entries.get(resource.name);
    if (entry?.current.version === resource.version) {
      entry.current = resource; // its owners may differ
      return false;
    }
    entries.set(resource.name, {
      current: resource,
      isRefused: false,
      accepted: entry?.accepted,
      acceptedBefore: entry?.acceptedBefore,
      ...(resource.typeUrl === typeUrls.cluster && { endpoints: endpointsName(resource) }),
    });
    return true;
  }

  #tell(changed: ChangedNames): void {
    if (changed.size === 0) return;
    for (const follower of this.followers) follower.changed(changed);
  }
}

function note(changed: Map<string, Set<string>>, typeUrl: string, name: string): void {
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
