// How long to wait before the next attempt: ever longer, and by chance, so that the clients of a server that restarts do not all come at once.

const firstMs = 200;
const lastMs = 2_000;

export class BackOff {
  readonly #random: () => number;
  #ceilingMs = firstMs * 2;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Between 0.2 s and a time that doubles with each attempt, up to 2 s. */
  nextMs(): number {
    const waitMs = firstMs + this.#random() * (this.#ceilingMs - firstMs);
    this.#ceilingMs = Math.min(this.#ceilingMs * 2, lastMs);
    return Math.round(waitMs);
  }

  /** The last attempt was a success, and not for a moment only. */
  reset(): void {
    this.#ceilingMs = firstMs * 2;
  }
}
