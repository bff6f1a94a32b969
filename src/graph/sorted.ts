// Entries in key order, listed when asked. A change is noted in passing; the next listing merges what was noted.

export type Entry<V> = readonly [key: string, value: V];

/** Up to this many entries or notes, one insertion after the other is cheaper than keeping notes or merging. */
const few = 8;

/**
 * Entries sorted by key, in code-unit order. Lists that were handed out are never written to: readers may keep them.
 * One change costs nothing until the next listing, which then copies the list instead of sorting it.
 */
export class SortedEntries<V> {
  #listed: readonly Entry<V>[];
  /** Changes since `#listed` was made; undefined as a value: removed. */
  #noted: Map<string, V | undefined> | undefined;

  constructor(listed: readonly Entry<V>[] = []) {
    this.#listed = listed;
  }

  static of<V>(values: ReadonlyMap<string, V>): SortedEntries<V> {
    return new SortedEntries([...values].sort(byKey));
  }

  /** Sets an entry, or removes it where `value` is undefined. */
  set(key: string, value: V | undefined): void {
    if (this.#noted === undefined && this.#listed.length <= few) {
      this.#listed = withEntry(this.#listed, key, value);
      return;
    }
    this.#noted ??= new Map();
    this.#noted.set(key, value);
    // Nobody listed for long: merge now, or keys that come and go would pile up as notes.
    if (this.#noted.size > this.#listed.length) this.list();
  }

  list(): readonly Entry<V>[] {
    if (this.#noted !== undefined) {
      this.#listed = withEntries(this.#listed, this.#noted);
      this.#noted = undefined;
    }
    return this.#listed;
  }
}

function withEntries<V>(listed: readonly Entry<V>[], noted: ReadonlyMap<string, V | undefined>): readonly Entry<V>[] {
  if (noted.size > few) return merged(listed, [...noted].sort(byKey));
  let result = listed;
  for (const [key, value] of noted) result = withEntry(result, key, value);
  return result;
}

/** A copy with one entry set or removed; the place is found by halving. */
function withEntry<V>(listed: readonly Entry<V>[], key: string, value: V | undefined): readonly Entry<V>[] {
  const place = placeOf(listed, key, 0);
  const isThere = listed[place]?.[0] === key;
  if (value === undefined) return isThere ? [...listed.slice(0, place), ...listed.slice(place + 1)] : listed;
  const copy = listed.slice();
  copy.splice(place, isThere ? 1 : 0, [key, value]);
  return copy;
}

function merged<V>(listed: readonly Entry<V>[], noted: readonly Entry<V | undefined>[]): readonly Entry<V>[] {
  const result: Entry<V>[] = [];
  let from = 0;
  for (const [key, value] of noted) {
    const place = placeOf(listed, key, from);
    for (; from < place; from++) result.push(listed[from]!);
    if (listed[place]?.[0] === key) from++;
    if (value !== undefined) result.push([key, value]);
  }
  for (; from < listed.length; from++) result.push(listed[from]!);
  return result;
}

/** Where `key` is, or would be, at `from` or after. */
function placeOf(listed: readonly Entry<unknown>[], key: string, from: number): number {
  let low = from;
  let high = listed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (listed[middle]![0] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byKey(a: Entry<unknown>, b: Entry<unknown>): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}
