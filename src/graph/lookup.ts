// An index: finds the entries of a collection by other keys than their own.
import type { Collection, Table } from "./collection.ts";
import type { Derived } from "./derived.ts";
import { type Entry, SortedEntries } from "./sorted.ts";
import { Source, type SourceOwner } from "./source.ts";

export interface Index<V> {
  /** `collection.index`, for messages. */
  readonly name: string;
  readonly collection: Collection<V>;
  /** The entries under one index key, sorted by their own keys. The list is never written to again. */
  lookup(indexKey: string): readonly Entry<V>[];
  /** The index keys that have entries, in no particular order. */
  keys(): Iterable<string>;
}

/** It is settled together with its collection, and so may be read by whatever may read the collection. */
export class Lookup<V> implements Index<V>, SourceOwner {
  readonly name: string;
  readonly collection: Table<V>;
  /** Collections made from this index, group by group. */
  readonly children: Derived<unknown>[] = [];
  readonly groups = new Map<string, Group<V>>();
  readonly #keysOf: (value: V, key: string) => Iterable<string>;
  readonly #sources = new Map<string, Source>();
  readonly #touched = new Set<string>();

  constructor(collection: Table<V>, name: string, keysOf: (value: V, key: string) => Iterable<string>) {
    this.collection = collection;
    this.name = `${collection.name}.${name}`;
    this.#keysOf = keysOf;
  }

  lookup(indexKey: string): readonly Entry<V>[] {
    this.collection.engine.expectNoComputation(`"${this.name}".lookup`);
    return this.list(indexKey);
  }

  keys(): Iterable<string> {
    this.collection.engine.expectNoComputation(`"${this.name}".keys`);
    return this.groups.keys();
  }

  list(indexKey: string): readonly Entry<V>[] {
    return this.groups.get(indexKey)?.entries.list() ?? none;
  }

  source(indexKey: string): Source {
    let source = this.#sources.get(indexKey);
    if (source === undefined) {
      source = new Source(this, "lookup", indexKey);
      this.#sources.set(indexKey, source);
    }
    return source;
  }

  release(source: Source): void {
    this.#sources.delete(source.key);
  }

  /**
   * An entry of the collection changed. Under which keys it was is asked again, not remembered: `keysOf` is pure, and a
   * list of keys for each entry would cost more than everything else here.
   */
  update(key: string, before: V | undefined, after: V | undefined): void {
    const left = before === undefined ? noKeys : this.#indexKeys(before, key, false);
    const entered = after === undefined ? noKeys : this.#indexKeys(after, key, true);
    for (const indexKey of left) {
      if (!has(entered, indexKey)) this.#leave(indexKey, key);
    }
    if (after === undefined) return;
    for (const indexKey of entered) this.#enter(indexKey, key, after, !has(left, indexKey));
  }

  finish(): void {
    if (this.#touched.size === 0) return;
    for (const indexKey of this.#touched) {
      for (const child of this.children) child.mark(indexKey, undefined);
      this.#sources.get(indexKey)?.changed();
    }
    this.#touched.clear();
  }

  /** Only what somebody is told of. */
  #touch(indexKey: string): void {
    if (this.children.length > 0 || this.#sources.has(indexKey)) this.#touched.add(indexKey);
  }

  /** An entry whose keys cannot be told is in no group. */
  #indexKeys(value: V, key: string, report: boolean): IndexKeys {
    try {
      const keys = this.#keysOf(value, key);
      return Array.isArray(keys) && keys.length < 2 ? keys : new Set(keys);
    } catch (error) {
      if (report) this.collection.engine.log.fail(this.name, key, error);
      return noKeys;
    }
  }

  #enter(indexKey: string, key: string, value: V, isNew: boolean): void {
    let group = this.groups.get(indexKey);
    if (group === undefined) {
      group = { size: 0, entries: new SortedEntries() };
      this.groups.set(indexKey, group);
    }
    if (isNew) group.size++;
    group.entries.set(key, value);
    this.#touch(indexKey);
  }

  #leave(indexKey: string, key: string): void {
    const group = this.groups.get(indexKey);
    if (group === undefined) return;
    group.size--;
    if (group.size === 0) this.groups.delete(indexKey);
    else group.entries.set(key, undefined);
    this.#touch(indexKey);
  }
}

interface Group<V> {
  /** Kept apart from the entries, which are merged only when somebody lists them. */
  size: number;
  readonly entries: SortedEntries<V>;
}

/** Without repetition. Most entries have one key, or none. */
type IndexKeys = readonly string[] | ReadonlySet<string>;

function has(keys: IndexKeys, key: string): boolean {
  return keys instanceof Set ? keys.has(key) : (keys as readonly string[])[0] === key;
}

const none: readonly Entry<never>[] = [];
const noKeys: IndexKeys = [];
