// Which source's word counts where several give a resource of one name: what people write before what discovery finds, and of two
// equals the first. The other's stands by, and counts when the first has gone.
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";

export class Offers {
  /** What counts. */
  readonly #first = new Map<ResourceKey, { readonly source: string; readonly resource: Resource }>();
  /** What is there to take, of a name that several give; none of most. */
  readonly #several = new Map<ResourceKey, Map<string, Resource>>();

  /** The source whose word counts. */
  giverOf(key: ResourceKey): string | undefined {
    return this.#first.get(key)?.source;
  }

  /** Whether the word of this source would count. */
  wouldCount(source: string, key: ResourceKey): boolean {
    const first = this.#first.get(key);
    return first === undefined || first.source === source || rank(source) > rank(first.source);
  }

  /** True when the word of this source counts now. */
  give(source: string, resource: Resource): boolean {
    const { key } = resource;
    const first = this.#first.get(key);
    const counts = this.wouldCount(source, key);
    if (first !== undefined && (first.source !== source || this.#several.has(key))) {
      const offers = this.#several.get(key) ?? new Map([[first.source, first.resource]]);
      this.#several.set(key, offers.set(source, resource));
    }
    if (counts) this.#first.set(key, { source, resource });
    return counts;
  }

  /** What would count if a source took its word back: another's, nothing, or (`same`) what counts now. */
  without(source: string, key: ResourceKey): "same" | "nothing" | Resource {
    return this.giverOf(key) === source ? (this.#next(source, key)?.[1] ?? "nothing") : "same";
  }

  /** What counts when a source takes its word back, as {@link without}. */
  takeBack(source: string, key: ResourceKey): "same" | "nothing" | Resource {
    const next = this.#next(source, key);
    const offers = this.#several.get(key);
    offers?.delete(source);
    if (offers !== undefined && offers.size < 2) this.#several.delete(key);
    if (this.giverOf(key) !== source) return "same";
    if (next === undefined) {
      this.#first.delete(key);
      return "nothing";
    }
    this.#first.set(key, { source: next[0], resource: next[1] });
    return next[1];
  }

  /** The best of those that stand by. */
  #next(source: string, key: ResourceKey): readonly [string, Resource] | undefined {
    const others = [...(this.#several.get(key) ?? [])].filter(([each]) => each !== source);
    return others.sort(([a], [b]) => rank(b) - rank(a))[0];
  }

  /** All that a source has given, also what stands by. */
  of(source: string): ResourceKey[] {
    const keys = [...this.#first].filter(([, first]) => first.source === source).map(([key]) => key);
    const standingBy = [...this.#several].filter(([key, offers]) => offers.has(source) && this.giverOf(key) !== source);
    return [...keys, ...standingBy.map(([key]) => key)];
  }
}

function rank(source: string): number {
  return source === "discovery" ? 0 : 1;
}
