// Who is to blame when a client refuses an Envoy resource.
//
// A cluster is made from one Upstream, so there is no question. A route configuration is made from all that a Gateway serves; it
// was fine until a batch changed something, so what that batch changed is to blame; Envoy's words may narrow it further.
// Where nothing tells the many apart, the first owner, the Gateway, is told, and nobody loses a version.
import type { EnvoyResource, Refusal } from "../model/envoy-resource.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";

/** How many batches and versions are remembered. A refusal comes within seconds. */
const memory = 1000;

export class Blame {
  #batch = 0;
  /** What each batch changed. */
  readonly #changed = new Map<number, ReadonlySet<ResourceKey>>();
  /** The batch that brought a version of an Envoy resource. */
  readonly #broughtBy = new Map<string, number>();

  /** Notes what a batch changed and sent. */
  note(changed: Iterable<ResourceKey>, sent: readonly EnvoyResource[]): void {
    this.#batch++;
    this.#changed.set(this.#batch, new Set(changed));
    forgetOldest(this.#changed);
    for (const resource of sent) {
      if (resource.owners.length < 2) continue;
      const key = versionKey(resource);
      this.#broughtBy.delete(key);
      this.#broughtBy.set(key, this.#batch);
      forgetOldest(this.#broughtBy);
    }
  }

  culprits({ resource, message }: Pick<Refusal, "resource" | "message">): Culprits {
    const { owners } = resource;
    if (owners.length < 2) return { keys: owners, isCertain: true };
    const changed = this.#changed.get(this.#broughtBy.get(versionKey(resource)) ?? -1);
    const recent = changed ? owners.filter((owner) => changed.has(owner)) : [];
    const named = (recent.length > 0 ? recent : owners).filter((owner) => isNamed(owner, message));
    if (named.length > 0) return { keys: named, isCertain: true };
    return recent.length > 0 ? { keys: recent, isCertain: true } : { keys: owners.slice(0, 1), isCertain: false };
  }
}

export interface Culprits {
  readonly keys: readonly ResourceKey[];
  /** False: somebody has to be told, but it may be anybody's fault. */
  readonly isCertain: boolean;
}

function versionKey({ typeUrl, name, version }: EnvoyResource): string {
  return `${typeUrl} ${name} ${version}`;
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
