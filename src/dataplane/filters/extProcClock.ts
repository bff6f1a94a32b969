// How long a processor may take for an answer, for each side on its own; once for each, it may ask for more.

import type { Side } from "./extProcSide.ts";

export class Clock {
  readonly #timers = new Map<Side, NodeJS.Timeout>();
  /** Who was given more time for what it is asked now. */
  readonly #extended = new Set<Side>();
  readonly #onTimeout: () => void;

  constructor(onTimeout: () => void) {
    this.#onTimeout = onTimeout;
  }

  start(side: Side, ms: number): void {
    this.stop(side);
    this.#timers.set(side, setTimeout(this.#onTimeout, ms));
  }

  /** False: nobody is being waited for, or not the first time. */
  extend(ms: number): boolean {
    const [side] = this.#timers.keys();
    if (side === undefined || this.#extended.has(side)) return false;
    this.start(side, ms);
    this.#extended.add(side);
    return true;
  }

  stop(side: Side): void {
    clearTimeout(this.#timers.get(side));
    this.#timers.delete(side);
    this.#extended.delete(side);
  }

  stopAll(): void {
    for (const side of this.#timers.keys()) this.stop(side);
  }
}
