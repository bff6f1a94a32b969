// Listeners that the server has taken away, and that stay until those that take their place are in force.
import { typeUrls } from "../model/envoy-resource.ts";
import type { Holding, Holdings } from "./holdings.ts";
import type { Reference } from "./references.ts";
import type { UnboundListeners } from "./unbound.ts";

export class LeavingListeners {
  readonly #holdings: Holdings;
  readonly #unbound: UnboundListeners;
  readonly #names = new Set<string>();

  constructor(holdings: Holdings, unbound: UnboundListeners) {
    this.#holdings = holdings;
    this.#unbound = unbound;
  }

  get size(): number {
    return this.#names.size;
  }

  add(listener: Reference, now: number): void {
    this.#unbound.gone(listener.name);
    this.#holdings.discard(listener, now);
    if (this.#holdings.current(listener)) this.#names.add(listener.name);
  }

  /** The server has it again. */
  delete(name: string): void {
    this.#names.delete(name);
  }

  /** Takes out those that may go now: nothing but what comes waits to take their place, nor was refused a moment ago. */
  take(comes: readonly Holding[], now: number): Reference[] {
    const isAwaited = this.#holdings.waiting().some((each) => each.resource.typeUrl === typeUrls.listener && !comes.includes(each));
    if (isAwaited || this.#unbound.isRecent(now)) return [];
    const leaving = [...this.#names].map((name) => ({ typeUrl: typeUrls.listener, name }));
    this.#names.clear();
    return leaving.filter((each) => this.#holdings.remove(each, now));
  }
}
