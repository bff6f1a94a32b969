// What a computation has read, and who has read it: the edges of the graph beyond those that its shape gives.
import type { Derived } from "./derived.ts";

/** `get`: one key. `lookup`: one key of an index. `list`, `size`: a whole collection. `value`: a single value. */
export type ReadKind = "get" | "lookup" | "list" | "size" | "value";

/** Something that was read at least once and may change: a key, an index key, a whole collection. */
export class Source {
  readonly owner: SourceOwner;
  readonly kind: ReadKind;
  readonly key: string;
  /** The run that read this last, so that reading twice is noted once. */
  readInRun = 0;
  /** Most have one reader, a few have a hundred thousand: the lightest form that fits. */
  #readers: Reader | readonly Reader[] | Set<Reader> | undefined;

  constructor(owner: SourceOwner, kind: ReadKind, key: string) {
    this.owner = owner;
    this.kind = kind;
    this.key = key;
  }

  /** This has changed: who has read it runs again. */
  changed(): void {
    const readers = this.#readers;
    if (readers === undefined) return;
    if (readers instanceof Reader) readers.node.mark(readers.unit, this);
    else for (const reader of readers) reader.node.mark(reader.unit, this);
  }

  add(reader: Reader): void {
    const readers = this.#readers;
    if (readers === undefined) this.#readers = reader;
    else if (readers instanceof Reader) this.#readers = [readers, reader];
    else if (readers instanceof Set) readers.add(reader);
    else if (readers.length < 8) this.#readers = [...readers, reader];
    else this.#readers = new Set(readers).add(reader);
  }

  /** Without readers nothing is kept. */
  remove(reader: Reader): void {
    const readers = this.#readers;
    if (readers instanceof Set) {
      readers.delete(reader);
      if (readers.size === 0) this.#release();
    } else if (readers === reader) {
      this.#release();
    } else if (readers !== undefined && !(readers instanceof Reader)) {
      const rest = readers.filter((each) => each !== reader);
      this.#readers = rest.length === 1 ? rest[0] : rest;
    }
  }

  #release(): void {
    this.#readers = undefined;
    this.owner.release(this);
  }
}

export interface SourceOwner {
  readonly name: string;
  /** Nobody reads this source any more. */
  release(source: Source): void;
}

/** The reads of one run of one unit (see {@link Derived}). Exists only for units that read more than what they are made from. */
export class Reader {
  readonly node: Derived<unknown>;
  readonly unit: string;
  reads: readonly Source[] = [];
  /** What made it run last; undefined: what it is made from. */
  cause: Source | undefined;

  constructor(node: Derived<unknown>, unit: string) {
    this.node = node;
    this.unit = unit;
  }
}
