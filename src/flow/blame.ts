// Who is to blame when a client refuses an Envoy resource.
//
// A cluster is made from one Upstream, so there is no question who is told; but where the Upstream was not edited, something that it
// uses was (Settings, a Secret), and its version is as good as before. A route configuration is made from all that a Gateway serves; it
// was fine until batches changed something, so what those changed since a client took it last is to blame; Envoy's words may narrow it
// further. Where nothing tells the many apart, the first owner, the Gateway, is told, and nobody loses a version.
import type { EnvoyResource, Refusal } from "../model/envoy-resource.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";

/** How many batches and versions are remembered. A refusal comes within seconds. */
const memory = 1000;

export interface Culprit {
  readonly key: ResourceKey;
  /** The version that was sent; undefined where it is not known: the newest is meant. */
  readonly version?: string;
}

export interface Culprits {
  readonly culprits: readonly Culprit[];
  /** False: somebody has to be told, but it may be anybody's fault. */
  readonly isCertain: boolean;
  /** The versions of the culprits are no good. False: it came with something that they use. */
  readonly isTheirFault: boolean;
}

export class Blame {
  #batch = 0;
  /** What each batch changed, with the version that came of it. */
  readonly #changed = new Map<number, ReadonlyMap<ResourceKey, string>>();
  /** Which Envoy resources of several owners each batch brought: a batch that did not touch one has no part in what it is. */
  readonly #brought = new Map<number, ReadonlySet<string>>();
  /** The batch that brought a version of an Envoy resource. */
  readonly #broughtBy = new Map<string, number>();

  /** Notes what a batch changed and sent. */
  note(changed: ReadonlyMap<ResourceKey, string>, sent: readonly EnvoyResource[]): void {
    this.#batch++;
    this.#changed.set(this.#batch, changed);
    forgetOldest(this.#changed);
    this.#brought.set(this.#batch, new Set(sent.filter(({ owners }) => owners.length > 1).map(nameKey)));
    forgetOldest(this.#brought);
    // The latest, where they are more than can be remembered: route configurations come last.
    for (const resource of sent.slice(-memory)) {
      const key = versionKey(resource);
      this.#broughtBy.delete(key);
      this.#broughtBy.set(key, this.#batch);
      forgetOldest(this.#broughtBy);
    }
  }

  culprits({ resource, message, acceptedBefore, isSuperseded }: Omit<Refusal, "proxy" | "node">): Culprits {
    const { owners } = resource;
    const batch = this.#broughtBy.get(versionKey(resource));
    if (owners.length < 2) {
      const changed = (batch === undefined ? undefined : this.#changed.get(batch)) ?? new Map();
      // The newest version will speak for itself.
      const culprits = isSuperseded ? [] : owners.map((key) => ({ key }));
      return { culprits, isCertain: true, isTheirFault: changed.size === 0 || owners.some((owner) => changed.has(owner)) };
    }
    const since = acceptedBefore === undefined ? undefined : this.#broughtBy.get(versionKey({ ...resource, version: acceptedBefore }));
    const changed = this.#changedBetween(since, batch, nameKey(resource));
    const recent = owners.filter((owner) => changed.has(owner));
    const named = namedIn(message, recent.length > 0 ? recent : owners);
    const certain = named.length > 0 ? named : recent;
    const withVersion = (key: ResourceKey): Culprit => {
      const version = changed.get(key);
      return version === undefined ? { key } : { key, version };
    };
    if (certain.length > 0) return { culprits: certain.map(withVersion), isCertain: true, isTheirFault: true };
    return { culprits: isSuperseded ? [] : owners.slice(0, 1).map(withVersion), isCertain: false, isTheirFault: false };
  }

  /** What the batches after one changed, up to another: edits that come while a client is busy travel together. */
  #changedBetween(after: number | undefined, last: number | undefined, name: string): ReadonlyMap<ResourceKey, string> {
    const changed = new Map<ResourceKey, string>();
    if (last === undefined) return changed;
    const first = after === undefined || after >= last ? last : after + 1;
    for (let batch = first; batch <= last; batch++) {
      if (!this.#brought.get(batch)?.has(name)) continue;
      for (const [key, version] of this.#changed.get(batch) ?? []) changed.set(key, version);
    }
    return changed;
  }
}

function nameKey({ typeUrl, name }: Pick<EnvoyResource, "typeUrl" | "name">): string {
  return `${typeUrl} ${name}`;
}

function versionKey({ typeUrl, name, version }: Pick<EnvoyResource, "typeUrl" | "name" | "version">): string {
  return `${typeUrl} ${name} ${version}`;
}

/** `shop` is not meant where `shop-api` is: a dash may follow a name, since routes are called `<virtual host>-route-0`. */
function namedIn(message: string, owners: readonly ResourceKey[]): readonly ResourceKey[] {
  const named = owners.filter((owner) => isNamed(owner, message));
  return named.filter((owner) => !named.some((other) => other.startsWith(`${owner}-`)));
}

/** Virtual hosts are called `namespace_name`, with underscores for dots. */
function isNamed(owner: ResourceKey, message: string): boolean {
  const { namespace, name } = parseResourceKey(owner).ref;
  return new RegExp(`(?<![A-Za-z0-9-])${`${namespace}.${name}`.replaceAll(/[.]/g, "[._]")}(?![A-Za-z0-9])`).test(message);
}

function forgetOldest(map: Map<unknown, unknown>): void {
  if (map.size <= memory) return;
  const [oldest] = map.keys();
  map.delete(oldest);
}
