// A collection: values by key, with what must be told when one of them changes.
import type { Change, Changes } from "./batch.ts";
import type { Derived } from "./derived.ts";
import type { Engine } from "./engine.ts";
import { type Index, Lookup } from "./lookup.ts";
import { GraphMisuse } from "./misuse.ts";
import { type Entry, SortedEntries } from "./sorted.ts";
import { type ReadKind, Source, type SourceOwner } from "./source.ts";

/** Values by key. Its own methods are for use outside of the graph's functions; those read through {@link Read}. */
export interface Collection<V> {
  readonly name: string;
  readonly size: number;
  get(key: string): V | undefined;
  has(key: string): boolean;
  /** Whether any function read this very key, there or not, when it last ran. */
  isRead(key: string): boolean;
  /** Sorted by key, in code-unit order. The list is never written to again. */
  entries(): readonly Entry<V>[];
  /** Finds entries by other keys than their own: as many for each as `keysOf` gives. It must be pure. */
  index(name: string, keysOf: (value: V, key: string) => Iterable<string>): Index<V>;
}

export interface CollectionOptions<V> {
  /**
   * When two values count as the same, so that nothing after them runs and the older one is kept. Default: `Object.is`. It must be
   * true only for values that no reader can tell apart (same `version`, same content): otherwise what is kept depends on history.
   */
  readonly equals?: (before: V, after: V) => boolean;
}

export type Observer<V> = (changes: Changes<V>) => void;

export abstract class Table<V> implements Collection<V>, SourceOwner {
  readonly engine: Engine;
  readonly name: string;
  /** Place in the order of creation. */
  readonly order: number;
  readonly values = new Map<string, V>();
  /** What this batch changed so far. */
  #changes: Map<string, Change<V>> | undefined;
  observers: readonly Observer<V>[] = [];
  /** Collections made from this one, key by key. */
  readonly children: Derived<unknown>[] = [];
  readonly #equals: ((before: V, after: V) => boolean) | undefined;
  readonly #lookups: Lookup<V>[] = [];
  readonly #sources = new Map<string, Source>();
  #listSource: Source | undefined;
  #sizeSource: Source | undefined;
  #sizeBefore = 0;
  /** From the first listing on. */
  #sorted: SortedEntries<V> | undefined;

  constructor(engine: Engine, name: string, options: CollectionOptions<V>) {
    engine.expectIdle(`collection "${name}" was created`);
    if (engine.tables.some((each) => each.name === name)) throw new GraphMisuse(`there are two collections named "${name}"`);
    this.engine = engine;
    this.name = name;
    this.order = engine.tables.length;
    this.#equals = options.equals;
    engine.tables.push(this as unknown as Table<unknown>);
  }

  /** Brings this up to date. Everything created before is. */
  abstract settle(): void;

  get size(): number {
    this.engine.expectNoComputation(`"${this.name}".size`);
    return this.values.size;
  }

  get(key: string): V | undefined {
    this.engine.expectNoComputation(`"${this.name}".get`);
    return this.values.get(key);
  }

  has(key: string): boolean {
    this.engine.expectNoComputation(`"${this.name}".has`);
    return this.values.has(key);
  }

  isRead(key: string): boolean {
    this.engine.expectNoComputation(`"${this.name}".isRead`);
    return this.#sources.has(key);
  }

  entries(): readonly Entry<V>[] {
    this.engine.expectNoComputation(`"${this.name}".entries`);
    return this.list();
  }

  index(name: string, keysOf: (value: V, key: string) => Iterable<string>): Index<V> {
    this.engine.expectIdle(`index "${name}" of "${this.name}" was created`);
    const lookup = new Lookup(this, name, keysOf);
    for (const [key, value] of this.values) lookup.update(key, undefined, value);
    lookup.finish();
    this.#lookups.push(lookup);
    return lookup;
  }

  list(): readonly Entry<V>[] {
    this.#sorted ??= SortedEntries.of(this.values);
    return this.#sorted.list();
  }

  /** Where reads of this are noted. */
  source(kind: Exclude<ReadKind, "lookup">, key: string): Source {
    if (kind === "list") {
      this.#listSource ??= new Source(this, kind, "");
      return this.#listSource;
    }
    if (kind === "size") {
      this.#sizeSource ??= new Source(this, kind, "");
      return this.#sizeSource;
    }
    let source = this.#sources.get(key);
    if (source === undefined) {
      source = new Source(this, kind, key);
      this.#sources.set(key, source);
    }
    return source;
  }

  release(source: Source): void {
    if (source === this.#listSource) this.#listSource = undefined;
    else if (source === this.#sizeSource) this.#sizeSource = undefined;
    else this.#sources.delete(source.key);
  }

  /** Sets a key, or removes it where `after` is undefined, and tells who depends on it. False: it was the same already. */
  protected put(key: string, after: V | undefined): boolean {
    const before = this.values.get(key);
    if (this.isSame(key, before, after)) return false;
    if (this.#changes === undefined) {
      this.#changes = new Map();
      this.#sizeBefore = this.values.size;
    }
    this.#changes.set(key, before === undefined ? { after } : after === undefined ? { before } : { before, after });
    if (after === undefined) this.values.delete(key);
    else this.values.set(key, after);
    this.#sorted?.set(key, after);
    for (const child of this.children) child.mark(key, undefined);
    for (const lookup of this.#lookups) lookup.update(key, before, after);
    this.sourceChanged(key);
    return true;
  }

  /** What this batch changed, once; undefined: nothing. */
  takeChanges(): Changes<V> | undefined {
    const changes = this.#changes;
    this.#changes = undefined;
    return changes;
  }

  /** Tells who has read this very key. */
  protected sourceChanged(key: string): void {
    this.#sources.get(key)?.changed();
  }

  /** All keys of this batch are put: tells who depends on the whole. */
  protected finish(): void {
    if (this.#changes === undefined) return;
    for (const lookup of this.#lookups) lookup.finish();
    this.#listSource?.changed();
    if (this.values.size !== this.#sizeBefore) this.#sizeSource?.changed();
  }

  /** A comparison that fails counts as a change: running too often is the smaller harm. */
  protected isSame(key: string, before: V | undefined, after: V | undefined): boolean {
    if (Object.is(before, after)) return true;
    if (before === undefined || after === undefined || this.#equals === undefined) return false;
    try {
      return this.#equals(before, after);
    } catch (error) {
      this.engine.log.fail(this.name, key, error);
      return false;
    }
  }
}
