// Refuses listeners whose address cannot be bound, in Envoy's words: whoever sent them hears of it, and what was served before is served on.
// The address is tried before anything changes. Who takes it in the moment between is a finding, and the socket tries again.
import { createServer } from "node:net";
import {
  type EnvoyResource,
  type RefusedResource,
  type ResourceChanges,
  type ResourceTaker,
  resourceKeyOf,
  typeUrls,
} from "../../model/envoy-resource.ts";
import { compileListener, type ListenAddress } from "../compile/listener.ts";

type TcpAddress = Extract<ListenAddress, { readonly kind: "tcp" }>;

const words: Readonly<Record<string, string>> = {
  EADDRINUSE: "Address already in use",
  EACCES: "Permission denied",
  EADDRNOTAVAIL: "Cannot assign requested address",
};

export class TakenPorts implements ResourceTaker {
  readonly #taker: ResourceTaker;
  /** Of the listeners in force, by name. */
  readonly #addresses = new Map<string, TcpAddress>();

  constructor(taker: ResourceTaker) {
    this.#taker = taker;
  }

  async apply({ upserts, removals }: ResourceChanges): Promise<readonly RefusedResource[]> {
    const refused: RefusedResource[] = [];
    const takes: EnvoyResource[] = [];
    for (const resource of upserts) {
      const reason = await this.#reasonNotToBind(resource);
      if (reason === undefined) takes.push(resource);
      else refused.push({ typeUrl: resource.typeUrl, name: resource.name, reason });
    }
    if (takes.length + removals.length > 0) refused.push(...(await this.#taker.apply({ upserts: takes, removals })));
    this.#note({ upserts: takes, removals }, refused);
    return refused;
  }

  async check(resource: EnvoyResource): Promise<string | undefined> {
    return (await this.#taker.check(resource)) ?? (await this.#reasonNotToBind(resource));
  }

  #note({ upserts, removals }: ResourceChanges, refused: readonly RefusedResource[]): void {
    const isRefused = new Set(refused.map(resourceKeyOf));
    for (const { typeUrl, name } of removals) if (typeUrl === typeUrls.listener) this.#addresses.delete(name);
    for (const resource of upserts) {
      const address = isRefused.has(resourceKeyOf(resource)) ? undefined : addressOf(resource);
      if (address) this.#addresses.set(resource.name, address);
    }
  }

  /** A port that is ours already is none that somebody else has. */
  async #reasonNotToBind(resource: EnvoyResource): Promise<string | undefined> {
    const address = addressOf(resource);
    if (address === undefined || [...this.#addresses.values()].some(({ port }) => port === address.port)) return undefined;
    const failure = await bindFailure(address);
    if (failure === undefined) return undefined;
    const host = address.host.includes(":") ? `[${address.host}]` : address.host;
    return `cannot bind '${host}:${address.port}': ${words[failure.code ?? ""] ?? failure.message}`;
  }
}

/** Undefined where there is nothing to try: what cannot be read is refused for that. */
function addressOf({ typeUrl, bytes }: EnvoyResource): TcpAddress | undefined {
  if (typeUrl !== typeUrls.listener) return undefined;
  try {
    const { address, chains } = compileListener(bytes, undefined);
    return chains !== undefined && address?.kind === "tcp" && address.port !== 0 ? address : undefined;
  } catch {
    return undefined;
  }
}

function bindFailure({ host, port, ipv6Only }: TcpAddress): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", resolve);
    try {
      server.listen({ host, port, ipv6Only, exclusive: true }, () => server.close(() => resolve(undefined)));
    } catch (error) {
      // Thrown, not emitted, for what is no port at all.
      resolve(error as Error);
    }
  });
}
