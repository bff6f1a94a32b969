// Instances whose address is a name: resolved by the DNS server of the Settings, again and again. A name that cannot be resolved for a
// while keeps the addresses it had.
import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";

export interface NamesOptions {
  /** `host:port`. */
  readonly server: string;
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** The addresses of a name are known, or others than before. */
  readonly onChange: (name: string) => void;
  readonly onFault: (name: string, fault: Error | undefined) => void;
}

export class Names {
  readonly #options: NamesOptions;
  /** Empty: asked for, and nothing known. */
  readonly #known = new Map<string, readonly string[]>();
  #wanted: ReadonlySet<string> = new Set();
  #resolver: Promise<Resolver> | undefined;

  constructor(options: NamesOptions) {
    this.#options = options;
    const timer = setInterval(() => {
      for (const name of this.#wanted) void this.#resolve(name);
    }, options.everyMs);
    options.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Replaces the names that are resolved. */
  want(names: ReadonlySet<string>): void {
    const fresh = names.difference(this.#wanted);
    this.#wanted = names;
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    for (const name of fresh) void this.#resolve(name);
  }

  /** Undefined until the name has been tried. */
  addressesOf(name: string): readonly string[] | undefined {
    return this.#known.get(name);
  }

  async #resolve(name: string): Promise<void> {
    const { signal, onChange, onFault } = this.#options;
    const before = this.#known.get(name);
    let addresses: readonly string[];
    try {
      addresses = await this.#addresses(name);
      if (signal.aborted || !this.#wanted.has(name)) return;
      onFault(name, undefined);
    } catch (error) {
      if (signal.aborted || !this.#wanted.has(name)) return;
      onFault(name, error as Error);
      addresses = before ?? [];
    }
    if (before && JSON.stringify(before) === JSON.stringify(addresses)) return;
    this.#known.set(name, addresses);
    onChange(name);
  }

  async #addresses(name: string): Promise<string[]> {
    this.#resolver ??= resolverOf(this.#options.server);
    const resolver = await this.#resolver.catch((error: unknown) => {
      this.#resolver = undefined;
      throw error;
    });
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (found.length > 0) return found.sort();
    throw v4.status === "rejected" ? v4.reason : new Error(`${name} has no address`);
  }
}

async function resolverOf(server: string): Promise<Resolver> {
  const [, host = server, port = "53"] = /^\[?(.*?)\]?:(\d+)$/.exec(server) ?? [];
  const address = isIP(host) === 0 ? (await lookup(host)).address : host;
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`]);
  return resolver;
}
