// A queue that keeps only the newest value of each key: what its reader is too slow for is not worth reading.

export class Latest<K, V> implements AsyncIterable<V> {
  readonly #values = new Map<K, V>();
  readonly #signal: AbortSignal;
  #wake: () => void = () => undefined;

  /** The reader's loop ends when the signal aborts. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  put(key: K, value: V): void {
    this.#values.set(key, value);
    this.#wake();
  }

  drop(key: K): void {
    this.#values.delete(key);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<V> {
    while (!this.#signal.aborted) {
      const [first] = this.#values;
      if (first === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#values.delete(first[0]);
      yield first[1];
    }
  }
}
