// Learns from each batch which versions are good, so that there is something to fall back to.
import type { BatchResult, Input } from "../graph/mod.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { StateStore } from "../state/store.ts";
import type { Flow } from "./flow.ts";
import { allKinds } from "./inputs.ts";
import { outlivesItself } from "./last-good.ts";

export class Memory {
  readonly #flow: Flow;
  readonly #store: StateStore | undefined;
  /** The good version before the latest: Envoy's refusal of a version comes after we have taken it for good. */
  readonly #previous = new Map<ResourceKey, Resource>();
  readonly #editedWhileAway = new Map<ResourceKey, string>();
  /** TLS Secrets that were deleted and are in use all the same. */
  readonly #departed = new Set<ResourceKey>();

  /** Begins with what the store remembers from before. */
  constructor(flow: Flow, store: StateStore | undefined) {
    this.#flow = flow;
    this.#store = store;
    if (store === undefined || store.remembered.length === 0) return;
    flow.graph.batch(() => {
      for (const { resource } of store.remembered) this.#lastGood(resource).set(resource.key, resource);
    });
  }

  /**
   * Takes note of what a batch judged good, and of what is gone. Without a result: of everything there is. What is remembered may
   * itself change what is served; undefined when it changed nothing.
   */
  learn(result: BatchResult | undefined): BatchResult | undefined {
    const good: Resource[] = [];
    const gone: ResourceKey[] = [];
    for (const kind of allKinds) {
      const judgements = this.#flow.judged[kind];
      if (result === undefined) {
        for (const [key, judgement] of judgements.entries()) if (judgement.isGood) this.#addGood(key as ResourceKey, good);
        continue;
      }
      for (const [key, { after }] of result.changesOf(judgements)) {
        if (after === undefined) gone.push(key as ResourceKey);
        else if (after.isGood) this.#addGood(key as ResourceKey, good);
      }
    }
    if (result === undefined) gone.push(...this.#vanishedWhileAway());
    for (const key of gone) if (outlivesItself(this.#flow.lastGood(key).get(key))) this.#departed.add(key);
    const forgotten = [...gone.filter((key) => !this.#departed.has(key)), ...this.#noLongerInUse()];
    if (good.length === 0 && gone.length === 0 && forgotten.length === 0) return undefined;
    if (result === undefined) this.#noteEdited(good);
    for (const resource of good) {
      const before = this.#lastGood(resource).get(resource.key);
      if (before !== undefined && before.version !== resource.version) this.#previous.set(resource.key, before);
    }
    for (const key of gone) this.#previous.delete(key);
    const learned = this.#flow.graph.batch(() => {
      for (const resource of good) this.#lastGood(resource).set(resource.key, resource);
      for (const key of forgotten) this.#flow.lastGood(key).delete(key);
    });
    for (const resource of good) this.#store?.remember(resource);
    for (const key of gone) this.#store?.forget(key);
    return learned.runs === 0 ? undefined : learned;
  }

  /** What is new or another version since we were last there, with that version; nothing where nothing is remembered. */
  get editedWhileAway(): ReadonlyMap<ResourceKey, string> {
    return this.#editedWhileAway;
  }

  #noteEdited(good: readonly Resource[]): void {
    if (this.#store === undefined || this.#store.remembered.length === 0) return;
    for (const resource of good) {
      if (this.#lastGood(resource).get(resource.key)?.version !== resource.version)
        this.#editedWhileAway.set(resource.key, resource.version);
    }
  }

  /** A version was not good after all: what was good before it is so again. Inside of a batch. */
  withdraw(key: ResourceKey, version: string): void {
    const lastGood = this.#flow.lastGood(key);
    if (lastGood.get(key)?.version !== version) return;
    const previous = this.#previous.get(key);
    if (previous === undefined) {
      lastGood.delete(key);
      this.#store?.forget(key);
    } else {
      lastGood.set(key, previous);
      this.#store?.remember(previous);
    }
  }

  /** Secrets that are there again, or to which nothing refers any more. */
  #noLongerInUse(): ResourceKey[] {
    const forgotten: ResourceKey[] = [];
    for (const key of this.#departed) {
      const isBack = this.#flow.given(key) !== undefined;
      if (!isBack && this.#flow.lastGood(key).isRead(key)) continue;
      this.#departed.delete(key);
      if (!isBack) forgotten.push(key);
    }
    return forgotten;
  }

  #addGood(key: ResourceKey, good: Resource[]): void {
    const resource = this.#flow.given(key);
    if (resource?.spec !== undefined && !resource.isStale) good.push(resource);
  }

  /** Remembered, but no longer there: deleted while nobody watched. */
  #vanishedWhileAway(): ResourceKey[] {
    return (this.#store?.remembered ?? [])
      .map((each) => each.key)
      .filter((key) => this.#flow.given(key) === undefined && !this.#flow.discovered.has(key));
  }

  #lastGood(resource: Resource): Input<Resource> {
    return this.#flow.lastGood(resource.key);
  }
}
