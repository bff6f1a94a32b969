// Notes what the running computation reads, and keeps the edges of the graph equal to what was read last.
import type { Derived } from "./derived.ts";
import { Reader, type Source } from "./source.ts";

/** There is one computation at a time, so there is one tracker in a graph. */
export class Tracker {
  #node: Derived<unknown> | undefined;
  #run = 0;
  /** What the unit read last time. As long as it reads the same again, only `#position` moves. */
  #last: readonly Source[] = none;
  #position = 0;
  #now: Source[] | undefined;

  /** The collection whose computation is running. */
  get running(): Derived<unknown> | undefined {
    return this.#node;
  }

  begin(node: Derived<unknown>, unit: string): void {
    this.#node = node;
    this.#run++;
    this.#last = node.readers.get(unit)?.reads ?? none;
    this.#position = 0;
    this.#now = undefined;
  }

  note(source: Source): void {
    if (source.readInRun === this.#run) return;
    source.readInRun = this.#run;
    if (this.#now !== undefined) this.#now.push(source);
    else if (this.#last[this.#position] === source) this.#position++;
    else this.#now = [...this.#last.slice(0, this.#position), source];
  }

  end(unit: string, cause: Source | undefined): void {
    const node = this.#node!;
    this.#node = undefined;
    let reader = node.readers.get(unit);
    const readsDiffer = this.#now !== undefined || this.#position < this.#last.length;
    if (reader === undefined) {
      if (!readsDiffer) return;
      reader = new Reader(node, unit);
      node.readers.set(unit, reader);
    }
    reader.cause = cause;
    if (readsDiffer) this.#subscribe(reader, this.#now ?? this.#last.slice(0, this.#position));
    this.#last = none;
    this.#now = undefined;
    // A unit that stopped reading and whose last cause is what it is made from needs no reader.
    if (reader.reads.length === 0 && cause === undefined) node.readers.delete(unit);
  }

  /** The unit is no more. */
  drop(node: Derived<unknown>, unit: string): void {
    const reader = node.readers.get(unit);
    if (reader === undefined) return;
    node.readers.delete(unit);
    for (const source of reader.reads) source.remove(reader);
  }

  #subscribe(reader: Reader, now: readonly Source[]): void {
    const run = this.#run;
    for (const source of reader.reads) {
      if (source.readInRun === run) source.readInRun = -run;
      else source.remove(reader);
    }
    for (const source of now) {
      if (source.readInRun === run) source.add(reader);
    }
    reader.reads = now.slice(); // a copy has no spare room, an array that grew does
  }
}

const none: readonly Source[] = [];
