// Work for many clients, a slice at a time, so that a change for a thousand of them (or a thousand of them coming at once) leaves
// the event loop free for others in between. Each waits its turn in the order of waking; waking twice is once.

const sliceMs = 10;

export class Pump<T> {
  readonly #work: (item: T) => void;
  readonly #waiting = new Set<T>();
  #isScheduled = false;

  constructor(work: (item: T) => void) {
    this.#work = work;
  }

  wake(item: T): void {
    this.#waiting.add(item);
    this.#schedule();
  }

  drop(item: T): void {
    this.#waiting.delete(item);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#slice());
  }

  #slice(): void {
    this.#isScheduled = false;
    const end = performance.now() + sliceMs;
    for (const item of this.#waiting) {
      this.#waiting.delete(item);
      this.#work(item);
      if (performance.now() >= end) break;
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
