// Host names, looked up again and again. A name that cannot be looked up for a while keeps the addresses it had.

export interface NamesOptions {
  /** The addresses of a name; rejects where there are none. */
  readonly lookUp: (name: string) => Promise<readonly string[]>;
  /** Asked before each round. */
  readonly everyMs: () => number;
  readonly signal: AbortSignal;
  /** The addresses of a name are known, or others than before. Empty: the first attempt has failed. */
  readonly onChange: (name: string, addresses: readonly string[]) => void;
  readonly onFault: (name: string, fault: Error | undefined) => void;
}

export class Names {
  readonly #options: NamesOptions;
  /** Empty: asked for, and nothing known. */
  readonly #known = new Map<string, readonly string[]>();
  #wanted: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: NamesOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** Replaces the names that are looked up. */
  want(names: ReadonlySet<string>): void {
    const fresh = names.difference(this.#wanted);
    this.#wanted = names;
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    for (const name of fresh) void this.#lookUp(name);
    this.#schedule();
  }

  /** Undefined until the name has been tried. */
  addressesOf(name: string): readonly string[] | undefined {
    return this.#known.get(name);
  }

  #schedule(): void {
    const { signal, everyMs } = this.#options;
    if (this.#timer !== undefined || signal.aborted || this.#wanted.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const name of this.#wanted) void this.#lookUp(name);
      this.#schedule();
    }, everyMs());
  }

  async #lookUp(name: string): Promise<void> {
    const { signal, onChange, onFault, lookUp } = this.#options;
    let addresses: readonly string[] | undefined;
    let fault: Error | undefined;
    try {
      addresses = [...new Set(await lookUp(name))].sort();
    } catch (error) {
      fault = error as Error;
    }
    if (signal.aborted || !this.#wanted.has(name)) return;
    onFault(name, fault);
    const before = this.#known.get(name);
    const now = addresses ?? before ?? [];
    if (before && JSON.stringify(before) === JSON.stringify(now)) return;
    this.#known.set(name, now);
    onChange(name, now);
  }
}
