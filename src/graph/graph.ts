// The graph: creates collections, carries batches of edits through them, tells observers.
import { BatchLog, type BatchResult, type Changes } from "./batch.ts";
import type { Collection, CollectionOptions, Observer } from "./collection.ts";
import { type Derive, DerivedTable } from "./derive.ts";
import { type DeriveGroup, GroupTable } from "./derive-groups.ts";
import { type DeriveMany, ManyTable } from "./derive-many.ts";
import type { Derived, DeriveOptions } from "./derived.ts";
import { Engine } from "./engine.ts";
import { type Explanation, explain } from "./explain.ts";
import { type Input, InputTable } from "./input.ts";
import type { Index } from "./lookup.ts";
import { lookupOf, type Read, tableOf, trackedRead } from "./read.ts";
import { type Single, SingleTable } from "./single.ts";
import type { Entry } from "./sorted.ts";

export interface GraphOptions {
  /** Told what observers and queued actions throw, in place of who began the batch: to him it is done all the same. */
  readonly onFault?: (error: unknown) => void;
}

export class Graph {
  readonly #options: GraphOptions;
  readonly #engine = new Engine();
  readonly #read = trackedRead(this.#engine);
  readonly #inputs: InputTable<unknown>[] = [];
  readonly #queue: (() => void)[] = [];
  #isDraining = false;

  constructor(options: GraphOptions = {}) {
    this.#options = options;
  }

  /** A collection that is written from outside. */
  input<V>(name: string, options: CollectionOptions<V> = {}): Input<V> {
    const input = new InputTable<V>(this.#engine, name, options);
    this.#inputs.push(input as unknown as InputTable<unknown>);
    return input;
  }

  /** A collection with the keys of another; `compute` is pure and gives undefined where there is no entry. */
  derive<P, V>(name: string, from: Collection<P>, compute: Derive<P, V>, options: DeriveOptions<V> = {}): Collection<V> {
    return this.#filled(new DerivedTable(tableOf(this.#engine, from), name, compute, this.#read, options));
  }

  /** A collection with keys of its own: each entry of `from` gives any number of entries. Same key twice: the lowest parent key counts. */
  deriveMany<P, V>(
    name: string,
    from: Collection<P>,
    compute: DeriveMany<P, V>,
    options: DeriveOptions<V, Iterable<Entry<V>>> = {},
  ): Collection<V> {
    return this.#filled(new ManyTable(tableOf(this.#engine, from), name, compute, this.#read, options));
  }

  /** A collection with the keys of an index: one value from all entries under a key. */
  deriveGroups<P, V>(name: string, from: Index<P>, compute: DeriveGroup<P, V>, options: DeriveOptions<V> = {}): Collection<V> {
    return this.#filled(new GroupTable(lookupOf(this.#engine, from), name, compute, this.#read, options));
  }

  /** One derived value. */
  value<V>(name: string, compute: (read: Read) => V, options: DeriveOptions<V> = {}): Single<V> {
    return this.#filled(new SingleTable(this.#engine, name, compute, this.#read, options));
  }

  /** Calls `observer` after each batch that changed the collection. Returns what ends that. */
  observe<V>(collection: Collection<V>, observer: Observer<V>): () => void {
    const table = tableOf(this.#engine, collection);
    const own: Observer<V> = (changes) => observer(changes);
    table.observers = [...table.observers, own];
    return () => {
      table.observers = table.observers.filter((each) => each !== own);
    };
  }

  /**
   * Carries edits through the graph: all of them, or none if `edit` throws. Observers are told when everything has settled,
   * then what was queued with {@link afterwards} runs. What those throw is thrown here, after all of them have run, unless there is an
   * `onFault` to tell it to.
   */
  batch(edit: () => void): BatchResult {
    this.#engine.expectIdle("a batch was started");
    this.#edit(edit);
    this.#settle(this.#engine.tables);
    const result = this.#result();
    const errors: unknown[] = [];
    this.#tellObservers(result.changes, errors);
    this.#drain(errors);
    this.#tellFaults(errors);
    return result;
  }

  /**
   * What a batch would do: carries edits through, lets `look` see what came of them, and takes them back with `undo`, whatever happens.
   * Nobody is told, and what is computed from the graph afterwards is what it was before.
   */
  trial<T>(edit: () => void, look: (result: BatchResult) => T, undo: () => void): T {
    this.#engine.expectIdle("a trial was started");
    this.#edit(edit);
    try {
      this.#settle(this.#engine.tables);
      return look(this.#result());
    } finally {
      this.#edit(undo);
      this.#settle(this.#engine.tables);
      this.#result();
    }
  }

  /** Runs `action` when the current batch has been observed, at once if there is none: how an observer starts another batch. */
  afterwards(action: () => void): void {
    this.#engine.expectNoComputation("graph.afterwards");
    this.#queue.push(action);
    if (this.#engine.phase !== "idle") return;
    const errors: unknown[] = [];
    this.#drain(errors);
    this.#tellFaults(errors);
  }

  /** What was read for a key, and what made it run last. */
  explain(collection: Collection<unknown>, key: string): Explanation {
    return explain(tableOf(this.#engine, collection), key);
  }

  /** All collections, in the order of their creation. */
  get collections(): readonly Collection<unknown>[] {
    return this.#engine.tables;
  }

  /** A new collection is computed at once from what is there; nobody is told. */
  #filled<T extends Pick<Derived<unknown>, "settle" | "takeChanges">>(table: T): T {
    this.#settle([table]);
    table.takeChanges();
    this.#engine.log.forgetRuns();
    return table;
  }

  #edit(edit: () => void): void {
    this.#engine.phase = "editing";
    try {
      edit();
    } catch (error) {
      for (const input of this.#inputs) input.discardEdits();
      throw error;
    } finally {
      this.#engine.phase = "idle";
    }
  }

  #settle(tables: readonly Pick<Derived<unknown>, "settle">[]): void {
    this.#engine.phase = "settling";
    try {
      for (const table of tables) table.settle();
    } finally {
      this.#engine.phase = "idle";
    }
  }

  #result(): BatchResult {
    const changes = new Map<Collection<unknown>, Changes<unknown>>();
    for (const table of this.#engine.tables) {
      const changed = table.takeChanges();
      if (changed !== undefined) changes.set(table, changed);
    }
    const log = this.#engine.log;
    this.#engine.log = new BatchLog();
    return log.result(changes);
  }

  #tellObservers(changes: ReadonlyMap<Collection<unknown>, Changes<unknown>>, errors: unknown[]): void {
    this.#engine.phase = "observing";
    for (const [collection, changed] of changes) {
      for (const observer of tableOf(this.#engine, collection).observers) {
        attempt(() => observer(changed), errors);
      }
    }
    this.#engine.phase = "idle";
  }

  #tellFaults(errors: readonly unknown[]): void {
    const { onFault } = this.#options;
    if (onFault) for (const error of errors) onFault(error);
    else throwAll(errors);
  }

  /** An action may run a batch, whose actions are then run by this same loop. */
  #drain(errors: unknown[]): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    for (let action = this.#queue.shift(); action !== undefined; action = this.#queue.shift()) attempt(action, errors);
    this.#isDraining = false;
  }
}

function attempt(action: () => void, errors: unknown[]): void {
  try {
    action();
  } catch (error) {
    errors.push(error);
  }
}

function throwAll(errors: readonly unknown[]): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} observers or queued actions of a batch threw`);
}
