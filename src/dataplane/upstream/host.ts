// One host of a cluster: where it is, how well it is, and its connections.

import { connect as connectTcp, Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Candidate } from "../balancing/candidate.ts";
import type { EndpointSpec } from "../compile/endpoints.ts";
import type { ClusterRuntime } from "./cluster.ts";
import type { OutlierHost } from "./outliers.ts";
import { ConnectionPool, type Opened, type PoolHost, type PoolProtocol, type Waiter } from "./pool.ts";
import { type PoolClient, PoolsByClient } from "./pools-by-client.ts";
import { type ProxiedClient, type ProxyVersion, proxyHeader } from "./proxy-header.ts";
import type { UpstreamStream } from "./stream.ts";
import type { TlsClient } from "./tls.ts";

export class Host implements PoolHost, Candidate, OutlierHost {
  readonly cluster: ClusterRuntime;
  readonly address: string;
  readonly port: number;
  readonly isPipe: boolean;
  /** `address:port`, as access logs name it. */
  readonly label: string;
  /** Health, weight, priority: may change while connections stay. */
  spec: EndpointSpec;
  /** Its active health checks say that it is not well, or have not said anything yet. */
  failsChecks = false;
  isEjected = false;
  activeRequests = 0;
  readonly #tls: TlsClient | undefined;
  readonly #proxyProtocol: ProxyVersion | undefined;
  /** One for each protocol that requests asked for; nearly always one. */
  readonly #pools = new Map<PoolProtocol, ConnectionPool>();
  /** Instead, where connections say whom they are for. */
  readonly #byClient: PoolsByClient | undefined;
  /** Connections that somebody has to himself, from the beginning to the end. */
  readonly #adopted = new Set<Socket>();
  #isDraining = false;

  constructor(
    cluster: ClusterRuntime,
    address: string,
    spec: EndpointSpec,
    tls: TlsClient | undefined,
    proxyProtocol: ProxyVersion | undefined = undefined,
  ) {
    this.cluster = cluster;
    this.address = address;
    this.port = spec.port;
    this.isPipe = spec.isPipe;
    this.label = spec.isPipe ? address : address.includes(":") ? `[${address}]:${spec.port}` : `${address}:${spec.port}`;
    this.spec = spec;
    this.#tls = tls;
    this.#proxyProtocol = proxyProtocol;
    this.#byClient =
      proxyProtocol === undefined ? undefined : new PoolsByClient(this, (protocol, client) => this.open(protocol, undefined, client));
  }

  get isHealthy(): boolean {
    return this.spec.health === "healthy" && !this.failsChecks && !this.isEjected;
  }

  get isDegraded(): boolean {
    return this.spec.health === "degraded" && !this.failsChecks && !this.isEjected;
  }

  /**
   * A connection at once, or undefined: then the waiter is told later (or `overflow` is, at once).
   *
   * @param client whose request it is for; undefined: a question of our own
   */
  acquire(waiter: Waiter, isHighPriority: boolean, protocol: PoolProtocol, client?: PoolClient): UpstreamStream | undefined {
    if (this.#byClient !== undefined) return this.#byClient.acquire(waiter, isHighPriority, protocol, client);
    let pool = this.#pools.get(protocol);
    if (pool === undefined) {
      pool = new ConnectionPool(this, protocol);
      this.#pools.set(protocol, pool);
      if (this.#isDraining) pool.drain();
    }
    return pool.acquire(waiter, isHighPriority);
  }

  /** The waiter no longer waits. */
  cancel(waiter: Waiter): void {
    for (const pool of this.#allPools()) if (pool.cancel(waiter)) return;
  }

  *#allPools(): Iterable<ConnectionPool | PoolsByClient> {
    if (this.#byClient !== undefined) yield this.#byClient;
    yield* this.#pools.values();
  }

  /** Counts it among the connections of the host until it is closed. */
  adopt(socket: Socket): void {
    this.#adopted.add(socket);
    socket.once("close", () => {
      this.#adopted.delete(socket);
      this.onPoolEmpty();
    });
  }

  /**
   * @param port another than that of the host: health checks
   * @param client whom it is for, where the host is told
   */
  open(protocol: PoolProtocol | "tcp", port = this.port, client?: ProxiedClient): Opened {
    // Whoever asks: what could not be compiled may have been what protects the connection.
    if (this.cluster.config.unusable !== undefined) return unopened("not executed by the embedded data plane");
    try {
      const options = this.#tls?.optionsFor(protocol);
      if (options === undefined && this.#tls !== undefined) return unopened("TLS error: Secret is not supplied by SDS"); // Envoy's words
      const target = { ...(this.isPipe ? { path: this.address } : { host: this.address, port }), ...tcpOptions };
      if (this.#proxyProtocol !== undefined) return openProxied(connectTcp(target), this.#proxyProtocol, client, options);
      if (options === undefined) return { socket: connectTcp(target), connected: "connect" };
      const socket = connectTls({ ...options, ...target });
      socket.setNoDelay(true);
      socket.setKeepAlive(true, tcpOptions.keepAliveInitialDelay);
      return { socket, connected: "secureConnect" };
    } catch (error) {
      return unopened(`TLS error: ${(error as Error).message}`);
    }
  }

  onPoolEmpty(): void {
    if (this.#isDraining && this.isEmpty) this.cluster.onEmpty(this);
  }

  /** Without connections, open or under way. */
  get isEmpty(): boolean {
    for (const pool of this.#allPools()) if (!pool.isEmpty) return false;
    return this.#adopted.size === 0;
  }

  /** Closes connections that were idle for longer than the cluster allows; returns how many idle ones stay. */
  closeIdle(now: number): number {
    let left = 0;
    for (const pool of this.#allPools()) left += pool.closeIdle(now);
    return left;
  }

  /** Whoever was found unwell should not keep what was connected to it. */
  closeConnections(): void {
    for (const pool of this.#allPools()) pool.destroyConnections();
    for (const socket of this.#adopted) socket.destroy();
  }

  /** Takes no new requests; what is under way finishes. */
  drain(): void {
    this.#isDraining = true;
    for (const pool of this.#allPools()) pool.drain();
  }

  /** Closes everything now. */
  destroy(): void {
    this.#isDraining = true;
    for (const pool of this.#allPools()) pool.destroy();
    for (const socket of this.#adopted) socket.destroy();
  }
}

const tcpOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };

/** First of all the header, also before TLS. */
function openProxied(socket: Socket, version: ProxyVersion, client: ProxiedClient | undefined, tls: ConnectionOptions | undefined): Opened {
  socket.once("connect", () => {
    const { localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 } = socket;
    // As the host sees it, where nobody else is the client.
    const own = { remoteAddress: localAddress, remotePort: localPort, localAddress: remoteAddress, localPort: remotePort };
    socket.write(proxyHeader(version, client, own));
  });
  if (tls === undefined) return { socket, connected: "connect" };
  const secure = connectTls({ ...tls, socket });
  socket.on("error", (error) => secure.destroy(error));
  secure.on("close", () => socket.destroy());
  return { socket: secure, connected: "secureConnect" };
}

/** A socket that fails before it has called anybody. */
function unopened(why: string): Opened {
  const socket = new Socket();
  socket.destroy(new Error(why));
  return { socket, connected: "connect" };
}
