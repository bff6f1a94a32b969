// Listeners and clusters: those in force, and those that wait ("warm") for what they refer to while the version before serves on.
import { type EnvoyResource, resourceKeyOf } from "../model/envoy-resource.ts";
import type { Reference, References } from "./references.ts";
import type { Answer } from "./subscription.ts";

export interface Holding {
  readonly resource: EnvoyResource;
  /** The server's version. */
  readonly version: string;
  readonly references: References;
  /** Of the response that it came in. */
  readonly answer: Answer;
  /** Since when it waits. */
  since: number;
  isChecked: boolean;
}

interface Counted {
  readonly reference: Reference;
  uses: number;
  unusedSince: number;
}

export interface Wants {
  want(reference: Reference): void;
}

export class Holdings {
  readonly #wants: Wants;
  readonly #current = new Map<string, Holding>();
  readonly #waiting = new Map<string, Holding>();
  readonly #counts = new Map<string, Counted>();
  readonly #unused = new Set<Counted>();

  constructor(wants: Wants) {
    this.#wants = wants;
  }

  current(resource: Reference): Holding | undefined {
    return this.#current.get(resourceKeyOf(resource));
  }

  currentOf(typeUrl: string): EnvoyResource[] {
    return [...this.#current.values()].map(({ resource }) => resource).filter((resource) => resource.typeUrl === typeUrl);
  }

  waiting(): readonly Holding[] {
    return [...this.#waiting.values()];
  }

  /** In the place of what waited under this name. */
  hold(holding: Holding): void {
    for (const reference of holding.references.wanted) this.#use(reference);
    this.discard(holding.resource, holding.since);
    this.#waiting.set(resourceKeyOf(holding.resource), holding);
  }

  /** It is in force, in the place of what was. */
  commit(holding: Holding, now: number): void {
    const key = resourceKeyOf(holding.resource);
    const before = this.#current.get(key);
    this.#waiting.delete(key);
    this.#current.set(key, holding);
    this.#release(before, now);
  }

  /** What waits under this name does so no more. */
  discard(resource: Reference, now: number): Holding | undefined {
    const key = resourceKeyOf(resource);
    const holding = this.#waiting.get(key);
    this.#waiting.delete(key);
    holding?.answer.waitsFor.delete(holding);
    this.#release(holding, now);
    return holding;
  }

  /** Whether it was in force. */
  remove(resource: Reference, now: number): boolean {
    this.discard(resource, now);
    const key = resourceKeyOf(resource);
    const before = this.#current.get(key);
    this.#current.delete(key);
    this.#release(before, now);
    return before !== undefined;
  }

  /** What nothing has referred to since then. */
  takeUnused(until: number): Reference[] {
    const taken = [...this.#unused].filter(({ unusedSince }) => unusedSince <= until);
    for (const counted of taken) {
      this.#unused.delete(counted);
      this.#counts.delete(resourceKeyOf(counted.reference));
    }
    return taken.map(({ reference }) => reference);
  }

  get hasUnused(): boolean {
    return this.#unused.size > 0;
  }

  #use(reference: Reference): void {
    const key = resourceKeyOf(reference);
    const known = this.#counts.get(key);
    if (known === undefined) {
      this.#counts.set(key, { reference, uses: 1, unusedSince: 0 });
      this.#wants.want(reference);
      return;
    }
    known.uses++;
    this.#unused.delete(known);
  }

  #release(holding: Holding | undefined, now: number): void {
    for (const reference of holding?.references.wanted ?? []) {
      const counted = this.#counts.get(resourceKeyOf(reference));
      if (counted === undefined || --counted.uses > 0) continue;
      counted.unusedSince = now;
      this.#unused.add(counted);
    }
  }
}
