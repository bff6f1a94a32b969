// What all derived collections have in common: which of their units must run again, and running one.
import { type CollectionOptions, Table } from "./collection.ts";
import type { Reader, Source } from "./source.ts";

export interface DeriveOptions<V, R = V> extends CollectionOptions<V> {
  /**
   * The function threw for this key: what to take instead (undefined: nothing, as without this). It must be pure too. The error
   * is in `BatchResult.failures` in any case.
   */
  readonly onError?: (key: string, error: unknown) => R | undefined;
}

/**
 * A unit is what the function runs for: a key of the collection it derives from, an index key, or `""` where there is only one.
 * That a unit depends on what it is made from is given by its name, and costs nothing to remember; only what it reads
 * besides is noted (`readers`).
 */
export abstract class Derived<V> extends Table<V> {
  readonly readers = new Map<string, Reader>();
  /** Units whose function threw in their last run. */
  readonly failures = new Map<string, unknown>();
  /** Units to run, with what made it necessary (undefined: what the unit is made from). */
  #dirty = new Map<string, Source | undefined>();

  mark(unit: string, cause: Source | undefined): void {
    if (!this.#dirty.has(unit)) this.#dirty.set(unit, cause);
  }

  settle(): void {
    if (this.#dirty.size === 0) return;
    const dirty = this.#dirty;
    this.#dirty = new Map();
    for (const [unit, cause] of dirty) this.refresh(unit, cause);
    this.finish();
  }

  /** What a unit is made from, for `explain`; undefined for a single value. */
  abstract madeFrom(unit: string): { readonly kind: "get" | "lookup"; readonly name: string; readonly key: string } | undefined;

  /** The units that give a key: the one whose value is taken first. */
  abstract unitsOf(key: string): readonly string[];

  /** Runs a unit, or drops it if what it is made from is gone, and puts what comes out. */
  protected abstract refresh(unit: string, cause: Source | undefined): void;

  /** Runs the function for a unit; undefined where it gave nothing, or threw and `onError` had nothing instead. */
  protected run<R>(
    unit: string,
    cause: Source | undefined,
    compute: () => R | undefined,
    onError: DeriveOptions<V, R>["onError"],
  ): R | undefined {
    const { log, tracker } = this.engine;
    log.run(this.name, unit);
    tracker.begin(this as unknown as Derived<unknown>, unit);
    try {
      const result = compute();
      if (this.failures.size > 0) this.failures.delete(unit);
      return result;
    } catch (error) {
      log.fail(this.name, unit, error);
      this.failures.set(unit, error);
      return this.#replacement(unit, error, onError);
    } finally {
      tracker.end(unit, cause);
    }
  }

  protected drop(unit: string): void {
    this.engine.tracker.drop(this as unknown as Derived<unknown>, unit);
    this.failures.delete(unit);
  }

  #replacement<R>(unit: string, error: unknown, onError: DeriveOptions<V, R>["onError"]): R | undefined {
    try {
      return onError?.(unit, error);
    } catch (another) {
      this.engine.log.fail(this.name, unit, another);
      return undefined;
    }
  }
}
