// Why a key has the value it has: what was read for it, and what made it run last.
import type { Table } from "./collection.ts";
import { Derived } from "./derived.ts";
import type { ReadKind, Source } from "./source.ts";

/** One thing that was read. `name` is that of a collection or an index; `key` is absent where the whole was read. */
export interface ReadOf {
  readonly kind: ReadKind;
  readonly name: string;
  readonly key?: string;
}

export interface Explanation {
  readonly collection: string;
  readonly key: string;
  readonly exists: boolean;
  /** The runs that give this key; the first is the one whose value counts. None: it is an input, or there is nothing to make it from. */
  readonly runs: readonly RunExplanation[];
}

export interface RunExplanation {
  /** The entry or group it is made from; absent for a single value. */
  readonly from?: ReadOf;
  /** What the function read besides. */
  readonly reads: readonly ReadOf[];
  /** The change that made it run last; of several in one batch the one that settled first. Absent: it ran because it was created. */
  readonly cause?: ReadOf;
  /** What the function threw. */
  readonly error?: unknown;
}

export function explain(table: Table<unknown>, key: string): Explanation {
  const runs = table instanceof Derived ? table.unitsOf(key).map((unit) => explainRun(table, unit)) : [];
  return { collection: table.name, key, exists: table.values.has(key), runs };
}

function explainRun(table: Derived<unknown>, unit: string): RunExplanation {
  const reader = table.readers.get(unit);
  const from = table.madeFrom(unit);
  const cause = reader?.cause === undefined ? from : readOf(reader.cause);
  return {
    ...(from && { from }),
    reads: (reader?.reads ?? []).map(readOf),
    ...(cause && { cause }),
    ...(table.failures.has(unit) && { error: table.failures.get(unit) }),
  };
}

function readOf({ kind, owner, key }: Source): ReadOf {
  return kind === "list" || kind === "size" || kind === "value" ? { kind, name: owner.name } : { kind, name: owner.name, key };
}
