// A collection with the keys of another: each value made from the value under the same key.
import type { Table } from "./collection.ts";
import { Derived, type DeriveOptions } from "./derived.ts";
import type { Read } from "./read.ts";
import type { Source } from "./source.ts";

/** Pure. What there is under `key`; undefined: nothing. */
export type Derive<P, V> = (value: P, key: string, read: Read) => V | undefined;

export class DerivedTable<P, V> extends Derived<V> {
  readonly #parent: Table<P>;
  readonly #compute: Derive<P, V>;
  readonly #read: Read;
  readonly #onError: DeriveOptions<V>["onError"];

  constructor(parent: Table<P>, name: string, compute: Derive<P, V>, read: Read, options: DeriveOptions<V>) {
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
    return this.#parent.values.has(key) ? [key] : [];
  }

  protected refresh(key: string, cause: Source | undefined): void {
    const value = this.#parent.values.get(key);
    if (value === undefined) {
      this.drop(key);
      this.put(key, undefined);
      return;
    }
    const result = this.run(key, cause, () => this.#compute(value, key, this.#read), this.#onError);
    if (!this.put(key, result)) this.engine.log.cutOff++;
  }
}
