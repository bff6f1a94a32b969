// Judging takes the time of a process that serves Envoys, and anybody in the cluster can ask for it: one at a time, and never more than
// half of the time. Who would have to wait for longer than the API server does gets no verdict, and failurePolicy decides.

export interface TurnsOptions {
  /** Most that wait. */
  readonly most?: number;
  /** Longest that one waits. */
  readonly waitMs?: number;
}

export class Turns {
  readonly #options: Required<TurnsOptions>;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(options: TurnsOptions = {}) {
    this.#options = { most: 64, waitMs: 3_000, ...options };
  }

  /** Undefined where it was not its turn in time, or nobody waited for it any more; `work` itself must return something else. */
  async take<T extends object>(work: () => T, isWanted: () => boolean = () => true): Promise<T | undefined> {
    const { most, waitMs } = this.#options;
    if (this.#waiting >= most) return undefined;
    const asked = performance.now();
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    this.#waiting++;
    await before;
    this.#waiting--;
    const begun = performance.now();
    try {
      return begun - asked <= waitMs && isWanted() ? work() : undefined;
    } finally {
      // As long as it has worked, others have their turn.
      const worked = performance.now() - begun;
      if (worked < 1) setImmediate(resolve);
      else setTimeout(resolve, worked);
    }
  }
}
