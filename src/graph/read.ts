// What the functions of derived collections read with. Each read is remembered, also of what is not there.
import { type Collection, Table } from "./collection.ts";
import type { Engine } from "./engine.ts";
import { type Index, Lookup } from "./lookup.ts";
import { GraphMisuse } from "./misuse.ts";
import type { Single, SingleTable } from "./single.ts";
import type { Entry } from "./sorted.ts";
import type { ReadKind } from "./source.ts";

/** Works only while the function it was handed to runs, and only on collections created before that function's own. */
export interface Read {
  get<V>(collection: Collection<V>, key: string): V | undefined;
  has(collection: Collection<unknown>, key: string): boolean;
  /** The entries under one key of an index, sorted by their own keys. */
  lookup<V>(index: Index<V>, indexKey: string): readonly Entry<V>[];
  /** All entries, sorted by key. The reader runs again whenever anything in the collection changes: prefer an index. */
  list<V>(collection: Collection<V>): readonly Entry<V>[];
  size(collection: Collection<unknown>): number;
  /** Throws where the function of the value did. */
  value<V>(single: Single<V>): V;
}

export function trackedRead(engine: Engine): Read {
  const noted = <V>(collection: Collection<V>, kind: Exclude<ReadKind, "lookup">, key: string): Table<V> => {
    const table = readable(engine, collection);
    engine.tracker.note(table.source(kind, key));
    return table;
  };
  return {
    get: (collection, key) => noted(collection, "get", key).values.get(key),
    has: (collection, key) => noted(collection, "get", key).values.has(key),
    list: (collection) => noted(collection, "list", "").list(),
    size: (collection) => noted(collection, "size", "").values.size,
    value<V>(single: Single<V>): V {
      return (noted(single, "value", "") as SingleTable<V>).current();
    },
    lookup<V>(index: Index<V>, indexKey: string): readonly Entry<V>[] {
      readable(engine, index.collection);
      const lookup = index as Lookup<V>;
      engine.tracker.note(lookup.source(indexKey));
      return lookup.list(indexKey);
    },
  };
}

/** The collection, if the running function may read it. */
function readable<V>(engine: Engine, collection: Collection<V>): Table<V> {
  const reader = engine.tracker.running;
  if (reader === undefined) throw new GraphMisuse(`"${collection.name}" was read after the function that was handed "read" had ended`);
  const table = tableOf(engine, collection);
  if (table.order >= reader.order) {
    throw new GraphMisuse(`"${reader.name}" reads "${table.name}", which was not created before it; create what is read first`);
  }
  return table;
}

export function tableOf<V>(engine: Engine, collection: Collection<V>): Table<V> {
  if (!(collection instanceof Table) || collection.engine !== engine) {
    throw new GraphMisuse(`collection "${collection.name}" belongs to another graph`);
  }
  return collection;
}

export function lookupOf<V>(engine: Engine, index: Index<V>): Lookup<V> {
  if (!(index instanceof Lookup) || index.collection.engine !== engine) {
    throw new GraphMisuse(`index "${index.name}" belongs to another graph`);
  }
  return index;
}
