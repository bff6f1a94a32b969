// What cannot be read at a start, and of which nothing is known from before: what was made of it, remote proxies may still serve.
import type { ResourceConsumer } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { StateStore } from "../state/store.ts";
import type { FileProblems } from "./file-problems.ts";
import type { Flow } from "./flow.ts";
import { allKinds } from "./inputs.ts";

export class UnknownAtStart {
  readonly #flow: Flow;
  readonly #files: FileProblems;
  readonly #consumers: readonly ResourceConsumer[];
  #keys: readonly ResourceKey[] = [];
  #places: readonly string[] = [];

  constructor(flow: Flow, files: FileProblems, consumers: readonly ResourceConsumer[]) {
    this.#flow = flow;
    this.#files = files;
    this.#consumers = consumers;
  }

  /** Before anything is published. What a state folder remembers stands in for what cannot be read. */
  begin(store: StateStore | undefined): readonly string[] {
    const remembered = new Set(store?.remembered.map(({ key }) => key));
    this.#keys = allKinds.flatMap((kind) =>
      [...this.#flow.inputs.given[kind].entries()].flatMap(([key, { spec }]) =>
        spec === undefined && !remembered.has(key as ResourceKey) ? [key as ResourceKey] : [],
      ),
    );
    this.#places = remembered.size > 0 ? [] : this.#files.unreadable;
    if (this.#isSome) this.#tell(true);
    return [...this.#keys, ...this.#places];
  }

  /** After each batch: whether all of it was mended, or is gone. True when that is so for the first time. */
  hasEnded(): boolean {
    if (!this.#isSome) return false;
    const isUnreadable = (key: ResourceKey) => {
      const resource = this.#flow.given(key);
      return resource !== undefined && resource.spec === undefined;
    };
    this.#keys = this.#keys.filter(isUnreadable);
    if (this.#places.length > 0) {
      const unreadable = new Set(this.#files.unreadable);
      this.#places = this.#places.filter((place) => unreadable.has(place));
    }
    if (this.#isSome) return false;
    this.#tell(false);
    return true;
  }

  get #isSome(): boolean {
    return this.#keys.length + this.#places.length > 0;
  }

  #tell(isSo: boolean): void {
    for (const consumer of this.#consumers) consumer.keepUnknown?.(isSo);
  }
}
