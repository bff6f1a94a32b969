// Listeners that were refused because their port is taken. They are asked for by name when it is free: nobody else can know when that is.
import type { EnvoyResource } from "../model/envoy-resource.ts";

interface Unbound {
  readonly resource: EnvoyResource;
  readonly reason: string;
  tryAt: number;
  waitMs: number;
  /** Others were served before it came, or the server has spoken of listeners since, and not of this one. */
  isBeside: boolean;
  /** Its port is free, and the server has been asked for it. */
  isAsked: boolean;
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
    this.#byName.set(resource.name, { resource, reason, tryAt: now + firstTryMs, waitMs: firstTryMs, isBeside, isAsked: false });
  }

  /** The server has said something else of it. */
  forget(name: string): void {
    this.#byName.delete(name);
  }

  /** The server does not have it. It may have taken it back because it was refused, so that says something only after it was asked for. */
  gone(name: string): void {
    if (this.#byName.get(name)?.isAsked) this.#byName.delete(name);
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

  /** On a new stream, nobody has been asked for anything. */
  restart(): void {
    for (const unbound of this.#byName.values()) unbound.isAsked = false;
  }

  /** Those whose port is free by now, once. They are not served before the server has sent them. */
  async takeFree(check: (resource: EnvoyResource) => Promise<string | undefined>, now: number): Promise<string[]> {
    const free: string[] = [];
    for (const [name, unbound] of this.#byName) {
      if (unbound.isAsked || now < unbound.tryAt) continue;
      if ((await check(unbound.resource)) === undefined) {
        unbound.isAsked = true;
        free.push(name);
      } else {
        unbound.waitMs = Math.min(unbound.waitMs * 2, lastTryMs);
        unbound.tryAt = now + unbound.waitMs;
      }
    }
    return free;
  }
}
