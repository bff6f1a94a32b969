// Runs a generator that follows a list, while there is anything in the list: it is given the list now and whenever it has changed, and is
// called anew when it fails or is told to. One run ends before the next begins; one that does not end when it is told to is left behind.
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

export interface HookRunOptions<T, R> {
  readonly hook: (lists: AsyncIterable<readonly T[]>, signal: AbortSignal) => AsyncIterable<R>;
  readonly take: (result: R) => void;
  /** A fault of the hook, which is called again later and later. */
  readonly onFailure: (error: unknown) => void;
  /** Ends all of it. */
  readonly signal: AbortSignal;
  /** How long a run that is told to end may take. */
  readonly graceMs?: number;
}

const firstPauseMs = 1_000;
const longestPauseMs = 60_000;
const defaultGraceMs = 10_000;

export class HookRun<K, T, R> {
  readonly #options: HookRunOptions<T, R>;
  readonly #items = new Map<K, T>();
  #run: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #hasNews = false;
  #wake: () => void = () => undefined;

  constructor(options: HookRunOptions<T, R>) {
    this.#options = options;
  }

  has(key: K): boolean {
    return this.#items.has(key);
  }

  set(key: K, item: T): void {
    this.#items.set(key, item);
    this.#note();
    if (!this.#isOn) this.#start();
  }

  /** False where it was not in the list. */
  delete(key: K): boolean {
    if (!this.#items.delete(key)) return false;
    this.#note();
    if (this.#items.size === 0) this.#run?.abort();
    return true;
  }

  /** What the hook was told besides the list has changed. */
  restart(): void {
    if (!this.#isOn) return;
    this.#run?.abort();
    this.#start();
  }

  /** Resolves when the hook has ended. */
  async end(): Promise<void> {
    this.#run?.abort();
    await this.#running;
  }

  /** Also where the hook has ended by itself: there was nothing to do for it as things are. */
  get #isOn(): boolean {
    return this.#run !== undefined && !this.#run.signal.aborted;
  }

  #note(): void {
    this.#hasNews = true;
    this.#wake();
  }

  #start(): void {
    const run = new AbortController();
    this.#run = run;
    const signal = AbortSignal.any([this.#options.signal, run.signal]);
    const before = this.#running;
    this.#running = before.then(() => this.#untilLate(this.#follow(signal), signal));
  }

  /** Resolves when the run has ended, or was told to and does not. Nothing of what it gives then is taken. */
  async #untilLate(run: Promise<void>, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const { onFailure, graceMs = defaultGraceMs } = this.#options;
    const late = async () => {
      if (!signal.aborted) await once(signal, "abort", { signal: over.signal });
      await delay(graceMs, undefined, { signal: over.signal });
      onFailure(new Error(`the hook goes on ${graceMs / 1000} s after its signal was aborted; it is left behind`));
    };
    await Promise.race([run, late().catch(() => run)]);
    over.abort();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { hook, take, onFailure } = this.#options;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        for await (const result of hook(this.#lists(signal), signal)) {
          failures = 0;
          if (signal.aborted) return;
          take(result);
        }
        return;
      } catch (error) {
        if (signal.aborted) return;
        onFailure(error);
      }
      await delay(Math.min(longestPauseMs, firstPauseMs * 2 ** failures), undefined, { signal }).catch(() => undefined);
    }
  }

  async *#lists(signal: AbortSignal): AsyncGenerator<readonly T[]> {
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    this.#hasNews = true;
    while (!signal.aborted) {
      if (this.#hasNews) {
        this.#hasNews = false;
        yield [...this.#items.values()];
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
