// Listeners that were refused because their port is taken. They are asked for by name when it is free: nobody else can know when that is.
import type { EnvoyResource } from "../model/envoy-resource.ts";

interface Unbound {
  readonly resource: EnvoyResource;
  readonly reason: string;
  tryAt: number;
  waitMs: number;
  /** Others were served before it came, or the server has spoken of listeners since, and not of this one. */
  isBeside: boolean;
}

const firstTryMs = 250;
const lastTryMs = 5_000;

/** How long a listener that goes stays after another was refused: a server that hears of that may want it after all. */
const secondThoughtsMs = 2_000;

export class UnboundListeners {
  readonly #byName = new Map<string, Unbound>();
  #lastAt = Number.NEGATIVE_INFINITY;

  get size(): number {
    return this.#byName.size;
  }

  /** Whether a listener was refused for its port. */
  static isFor(reason: string): boolean {
    return reason.startsWith("cannot bind");
  }

  note(resource: EnvoyResource, reason: string, isBeside: boolean, now: number): void {
    this.#lastAt = now;
    this.#byName.set(resource.name, { resource, reason, tryAt: now + firstTryMs, waitMs: firstTryMs, isBeside });
  }

  /** The server has said something else of it. */
  forget(name: string): void {
    this.#byName.delete(name);
  }

  /** The server has spoken of listeners, and not of these. */
  allBeside(): void {
    for (const unbound of this.#byName.values()) unbound.isBeside = true;
  }

  /** The server may think again of what is to go. */
  isRecent(now: number): boolean {
    return now - this.#lastAt < secondThoughtsMs;
  }

  /** Of those that came later only where nothing is served in their place: the server knows of them, and goes on with what there is. */
  reasons(isIdle: boolean): string[] {
    return [...this.#byName.values()].filter(({ isBeside }) => !isBeside || isIdle).map(({ reason }) => reason);
  }

  /** Takes out those whose port is free by now. */
  async takeFree(check: (resource: EnvoyResource) => Promise<string | undefined>, now: number): Promise<string[]> {
    const free: string[] = [];
    for (const [name, unbound] of this.#byName) {
      if (now < unbound.tryAt) continue;
      if ((await check(unbound.resource)) === undefined) {
        this.#byName.delete(name);
        free.push(name);
      } else {
        unbound.waitMs = Math.min(unbound.waitMs * 2, lastTryMs);
        unbound.tryAt = now + unbound.waitMs;
      }
    }
    return free;
  }
}
