// What one batch did.
import type { Collection } from "./collection.ts";

/** Absent `before`: the entry is new. Absent `after`: it is gone. */
export interface Change<V> {
  readonly before?: V;
  readonly after?: V;
}

/** The changed keys of one collection, in the order in which they settled. */
export type Changes<V> = ReadonlyMap<string, Change<V>>;

/** A function given to the graph threw. The key has no value (or the one that `onError` gave); everything else is as it should be. */
export interface Failure {
  /** Name of the collection or, as `collection.index`, of the index. */
  readonly collection: string;
  /** What it was run for: a key of the input, a group, or `""` for a single value. */
  readonly key: string;
  readonly error: unknown;
}

export interface BatchResult {
  /** What changed in one collection; empty where nothing did. */
  changesOf<V>(collection: Collection<V>): Changes<V>;
  /** The collections that changed, in the order of their creation. */
  readonly changes: ReadonlyMap<Collection<unknown>, Changes<unknown>>;
  /** By name of the collection: what its function was run for (see {@link Failure.key}). */
  readonly ran: ReadonlyMap<string, readonly string[]>;
  readonly runs: number;
  /** Of the runs, how many gave what was there before, so that the wave stopped. */
  readonly cutOff: number;
  /** Also of collections created since the batch before. */
  readonly failures: readonly Failure[];
}

/** Written while a batch settles. */
export class BatchLog {
  readonly ran = new Map<string, string[]>();
  runs = 0;
  cutOff = 0;
  readonly failures: Failure[] = [];

  run(collection: string, unit: string): void {
    this.runs++;
    const units = this.ran.get(collection);
    if (units === undefined) this.ran.set(collection, [unit]);
    else units.push(unit);
  }

  /** Failures stay: somebody must be told. */
  forgetRuns(): void {
    this.ran.clear();
    this.runs = 0;
    this.cutOff = 0;
  }

  fail(collection: string, key: string, error: unknown): void {
    this.failures.push({ collection, key, error });
  }

  result(changes: ReadonlyMap<Collection<unknown>, Changes<unknown>>): BatchResult {
    const { ran, runs, cutOff, failures } = this;
    return {
      changes,
      changesOf: <V>(collection: Collection<V>) => (changes.get(collection) ?? unchanged) as Changes<V>,
      ran,
      runs,
      cutOff,
      failures,
    };
  }
}

const unchanged: Changes<never> = new Map();
