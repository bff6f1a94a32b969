// One derived value.

import type { Collection } from "./collection.ts";
import { Derived, type DeriveOptions } from "./derived.ts";
import type { Engine } from "./engine.ts";
import type { Read } from "./read.ts";
import type { Source } from "./source.ts";

/** As a collection (for observing and explaining) it has at most one entry, under the key `""`. */
export interface Single<V> extends Collection<V> {
  /** Throws where its function did. */
  readonly value: V;
}

export class SingleTable<V> extends Derived<V> implements Single<V> {
  readonly #compute: (read: Read) => V;
  readonly #read: Read;
  readonly #onError: DeriveOptions<V>["onError"];

  constructor(engine: Engine, name: string, compute: (read: Read) => V, read: Read, options: DeriveOptions<V>) {
    super(engine, name, options);
    this.#compute = compute;
    this.#read = read;
    this.#onError = options.onError;
    this.mark(only, undefined);
  }

  get value(): V {
    this.engine.expectNoComputation(`"${this.name}".value`);
    return this.current();
  }

  current(): V {
    const value = this.values.get(only);
    if (value === undefined && this.failures.has(only)) {
      throw new Error(`"${this.name}" has no value: its function threw`, { cause: this.failures.get(only) });
    }
    return value as V;
  }

  madeFrom() {
    return undefined;
  }

  unitsOf(key: string): readonly string[] {
    return key === only ? [only] : [];
  }

  protected refresh(unit: string, cause: Source | undefined): void {
    const failedBefore = this.failures.has(only);
    const changed = this.put(
      only,
      this.run(unit, cause, () => this.#compute(this.#read), this.#onError),
    );
    if (changed) return;
    // Readers of a failed value are handed its error, which is another one now or gone.
    if (failedBefore || this.failures.has(only)) this.sourceChanged(only);
    else this.engine.log.cutOff++;
  }
}

const only = "";
