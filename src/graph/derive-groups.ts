// A collection with the keys of an index: each value made from all entries under that key.
import { Derived, type DeriveOptions } from "./derived.ts";
import type { Lookup } from "./lookup.ts";
import type { Read } from "./read.ts";
import type { Entry } from "./sorted.ts";
import type { Source } from "./source.ts";

/** Pure. What there is for a group; undefined: nothing. `entries` are sorted by key and at least one. */
export type DeriveGroup<P, V> = (groupKey: string, entries: readonly Entry<P>[], read: Read) => V | undefined;

export class GroupTable<P, V> extends Derived<V> {
  readonly #index: Lookup<P>;
  readonly #compute: DeriveGroup<P, V>;
  readonly #read: Read;
  readonly #onError: DeriveOptions<V>["onError"];

  constructor(index: Lookup<P>, name: string, compute: DeriveGroup<P, V>, read: Read, options: DeriveOptions<V>) {
    super(index.collection.engine, name, options);
    this.#index = index;
    this.#compute = compute;
    this.#read = read;
    this.#onError = options.onError;
    index.children.push(this as unknown as Derived<unknown>);
    for (const key of index.groups.keys()) this.mark(key, undefined);
  }

  madeFrom(unit: string) {
    return { kind: "lookup", name: this.#index.name, key: unit } as const;
  }

  unitsOf(key: string): readonly string[] {
    return this.#index.groups.has(key) ? [key] : [];
  }

  protected refresh(groupKey: string, cause: Source | undefined): void {
    const entries = this.#index.list(groupKey);
    if (entries.length === 0) {
      this.drop(groupKey);
      this.put(groupKey, undefined);
      return;
    }
    const result = this.run(groupKey, cause, () => this.#compute(groupKey, entries, this.#read), this.#onError);
    if (!this.put(groupKey, result)) this.engine.log.cutOff++;
  }
}
