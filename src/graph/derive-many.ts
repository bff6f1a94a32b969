// A collection with keys of its own: each entry of another one gives any number of entries.
import type { Table } from "./collection.ts";
import { Derived, type DeriveOptions } from "./derived.ts";
import type { Read } from "./read.ts";
import type { Entry } from "./sorted.ts";
import type { Source } from "./source.ts";

/** Pure. The entries that come from one; of two with the same key the first counts. */
export type DeriveMany<P, V> = (value: P, key: string, read: Read) => Iterable<Entry<V>> | undefined;

/**
 * Where several parents give the same key, the value of the parent with the lowest key counts, whatever came first; the next
 * one takes over when it goes.
 */
export class ManyTable<P, V> extends Derived<V> {
  readonly #parent: Table<P>;
  readonly #compute: DeriveMany<P, V>;
  readonly #read: Read;
  readonly #onError: DeriveOptions<V, Iterable<Entry<V>>>["onError"];
  /** The keys that each parent gives. */
  readonly #given = new Map<string, readonly string[]>();
  /** Who gives a key, lowest parent first. */
  readonly #claims = new Map<string, Claim<V>[]>();
  readonly #touched = new Set<string>();

  constructor(parent: Table<P>, name: string, compute: DeriveMany<P, V>, read: Read, options: DeriveOptions<V, Iterable<Entry<V>>>) {
    super(parent.engine, name, options);
    this.#parent = parent;
    this.#compute = compute;
    this.#read = read;
    this.#onError = options.onError;
    parent.children.push(this as unknown as Derived<unknown>);
    for (const key of parent.values.keys()) this.mark(key, undefined);
  }

  madeFrom(unit: string) {
    return { kind: "get", name: this.#parent.name, key: unit } as const;
  }

  unitsOf(key: string): readonly string[] {
    return (this.#claims.get(key) ?? []).map((claim) => claim.parent);
  }

  protected refresh(parentKey: string, cause: Source | undefined): void {
    const value = this.#parent.values.get(parentKey);
    if (value === undefined) {
      this.drop(parentKey);
      this.#give(parentKey, nothing);
      return;
    }
    // Collected inside of the run, because the iterable may be a generator that reads.
    const collect = () => collected(this.#compute(value, parentKey, this.#read));
    const onError = this.#onError && ((key: string, error: unknown) => collected(this.#onError?.(key, error)));
    const given = this.run(parentKey, cause, collect, onError) ?? nothing;
    if (!this.#give(parentKey, given)) this.engine.log.cutOff++;
  }

  /** All parents have run: each key they touched gets the value of its lowest parent, once. */
  protected override finish(): void {
    for (const key of this.#touched) this.put(key, this.#claims.get(key)?.[0]?.value);
    this.#touched.clear();
    super.finish();
  }

  /** Makes the parent's claims what it gives now. False: they were the same already. */
  #give(parentKey: string, given: ReadonlyMap<string, V>): boolean {
    let changed = false;
    for (const key of this.#given.get(parentKey) ?? []) {
      if (given.has(key)) continue;
      this.#unclaim(key, parentKey);
      changed = true;
    }
    for (const [key, value] of given) {
      if (this.#claim(key, parentKey, value)) changed = true;
    }
    if (given.size > 0) this.#given.set(parentKey, [...given.keys()]);
    else this.#given.delete(parentKey);
    return changed;
  }

  #claim(key: string, parent: string, value: V): boolean {
    const claims = this.#claims.get(key) ?? [];
    const place = placeOf(claims, parent);
    const claim = claims[place];
    if (claim?.parent === parent) {
      if (this.isSame(key, claim.value, value)) return false;
      claim.value = value;
    } else if (claims.length === 0) {
      this.#claims.set(key, [{ parent, value }]);
    } else {
      claims.splice(place, 0, { parent, value });
    }
    this.#touched.add(key);
    return true;
  }

  #unclaim(key: string, parent: string): void {
    const claims = this.#claims.get(key) ?? [];
    const place = placeOf(claims, parent);
    if (claims[place]?.parent !== parent) return;
    claims.splice(place, 1);
    if (claims.length === 0) this.#claims.delete(key);
    this.#touched.add(key);
  }
}

interface Claim<V> {
  readonly parent: string;
  value: V;
}

/** Where the claim of `parent` is, or would be. By halving: all tenants of a gateway may claim the same host. */
function placeOf(claims: readonly Claim<unknown>[], parent: string): number {
  let low = 0;
  let high = claims.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (claims[middle]!.parent < parent) low = middle + 1;
    else high = middle;
  }
  return low;
}

function collected<V>(entries: Iterable<Entry<V>> | undefined): ReadonlyMap<string, V> {
  const result = new Map<string, V>();
  if (entries === undefined) return result;
  for (const [key, value] of entries) {
    if (value !== undefined && !result.has(key)) result.set(key, value);
  }
  return result;
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>();
