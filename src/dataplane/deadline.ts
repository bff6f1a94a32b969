// A deadline that is moved at every request and almost never reached: moving it costs a comparison, not a timer.

export class Deadline {
  #at = Number.POSITIVE_INFINITY;
  #armedFor = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  readonly #onReached: () => void;

  constructor(onReached: () => void) {
    this.#onReached = onReached;
  }

  /** From now; replaces an earlier deadline. */
  set(ms: number): void {
    if (ms > 2 ** 31 - 1) {
      this.#at = Number.POSITIVE_INFINITY;
      return;
    }
    const at = performance.now() + ms;
    this.#at = at;
    // An armed timer that fires too early looks at the clock and goes on waiting; only a sooner deadline needs a new one.
    if (at < this.#armedFor) this.#arm(at, ms);
  }

  clear(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** Leaves no timer behind. */
  close(): void {
    this.#at = Number.POSITIVE_INFINITY;
    this.#armedFor = Number.POSITIVE_INFINITY;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(at: number, ms: number): void {
    clearTimeout(this.#timer);
    this.#armedFor = at;
    this.#timer = setTimeout(this.#fire, ms);
  }

  readonly #fire = (): void => {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#timer = undefined;
    if (this.#at === Number.POSITIVE_INFINITY) return;
    const left = this.#at - performance.now();
    if (left > 0.5) {
      this.#arm(this.#at, Math.ceil(left));
      return;
    }
    this.#at = Number.POSITIVE_INFINITY;
    this.#onReached();
  };
}
