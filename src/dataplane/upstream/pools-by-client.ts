// Pools of a host that is told who the client is: a connection says so once, at its beginning, so each client's connection has connections of its own,
// as in Envoy. Unlike Envoy's they end with it, and do not wait for an idle time-out: nobody else could use them.

import { whenClosed } from "../downstream/closing.ts";
import { ConnectionPool, type Opened, type PoolHost, type PoolProtocol, type Waiter } from "./pool.ts";
import type { ProxiedClient } from "./proxy-header.ts";
import type { UpstreamStream } from "./stream.ts";

export interface PoolClient extends ProxiedClient {
  /** What it shares with the other streams of its client. */
  readonly connection: object;
}

export class PoolsByClient {
  readonly #host: PoolHost;
  readonly #open: (protocol: PoolProtocol, client: ProxiedClient | undefined) => Opened;
  readonly #pools = new Map<object, Map<PoolProtocol, ConnectionPool>>();
  readonly #waitsIn = new WeakMap<Waiter, ConnectionPool>();
  #isDraining = false;

  /** @param open begins to connect on behalf of a client; undefined: of nobody */
  constructor(host: PoolHost, open: (protocol: PoolProtocol, client: ProxiedClient | undefined) => Opened) {
    this.#host = host;
    this.#open = open;
  }

  acquire(waiter: Waiter, isHighPriority: boolean, protocol: PoolProtocol, client: PoolClient | undefined): UpstreamStream | undefined {
    const pool = this.#poolOf(protocol, client);
    const stream = pool.acquire(waiter, isHighPriority);
    if (stream === undefined) this.#waitsIn.set(waiter, pool);
    return stream;
  }

  #poolOf(protocol: PoolProtocol, client: PoolClient | undefined): ConnectionPool {
    const key = client?.connection ?? this;
    let ofClient = this.#pools.get(key);
    if (ofClient === undefined) {
      ofClient = new Map();
      this.#pools.set(key, ofClient);
      if (client !== undefined) whenClosed(client.connection, () => this.#onClosed(client.connection));
    }
    let pool = ofClient.get(protocol);
    if (pool === undefined) {
      const open = (wanted: PoolProtocol) => this.#open(wanted, client);
      pool = new ConnectionPool({ cluster: this.#host.cluster, open, onPoolEmpty: () => this.#onPoolEmpty(key) }, protocol);
      ofClient.set(protocol, pool);
      if (this.#isDraining) pool.drain();
    }
    return pool;
  }

  /** The client is gone: what is under way for it ends by itself. */
  #onClosed(connection: object): void {
    for (const pool of this.#pools.get(connection)?.values() ?? []) pool.drain();
    this.#onPoolEmpty(connection);
  }

  #onPoolEmpty(key: object): void {
    const pools = [...(this.#pools.get(key)?.values() ?? [])];
    if (!pools.every((pool) => pool.isEmpty)) return;
    this.#pools.delete(key);
    this.#host.onPoolEmpty();
  }

  *#all(): Iterable<ConnectionPool> {
    for (const ofClient of [...this.#pools.values()]) yield* ofClient.values();
  }

  cancel(waiter: Waiter): boolean {
    return this.#waitsIn.get(waiter)?.cancel(waiter) ?? false;
  }

  get isEmpty(): boolean {
    for (const pool of this.#all()) if (!pool.isEmpty) return false;
    return true;
  }

  closeIdle(now: number): number {
    let left = 0;
    for (const pool of this.#all()) left += pool.closeIdle(now);
    return left;
  }

  drain(): void {
    this.#isDraining = true;
    for (const pool of this.#all()) pool.drain();
  }

  destroy(): void {
    this.#isDraining = true;
    for (const pool of this.#all()) pool.destroy();
  }

  destroyConnections(): void {
    for (const pool of this.#all()) pool.destroyConnections();
  }
}
