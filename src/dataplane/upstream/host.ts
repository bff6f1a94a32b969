// One host of a cluster and its connections. Free connections are taken last in, first out, so that few stay warm and the others time out.

import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { EndpointSpec } from "../compile/endpoints.ts";
import type { ClusterRuntime } from "./cluster.ts";
import { type ConnectionOwner, Http1Upstream } from "./http1-connection.ts";
import type { UpstreamFailure, UpstreamStream } from "./stream.ts";

/** Somebody who waits for a connection. */
export interface Waiter {
  onConnection(upstream: UpstreamStream): void;
  onNoConnection(failure: UpstreamFailure, detail: string): void;
}

export class Host implements ConnectionOwner {
  readonly cluster: ClusterRuntime;
  readonly address: string;
  readonly port: number;
  readonly isPipe: boolean;
  /** `address:port`, as access logs name it. */
  readonly label: string;
  /** Health, weight, priority: may change while connections stay. */
  spec: EndpointSpec;
  activeRequests = 0;
  /** For smooth weighted round robin. */
  currentWeight = 0;
  readonly #tls: ConnectionOptions | undefined;
  readonly #idle: Http1Upstream[] = [];
  readonly #all = new Set<Http1Upstream>();
  readonly #connecting = new Set<Socket>();
  readonly #waiting: Waiter[] = [];
  #isDraining = false;

  constructor(cluster: ClusterRuntime, address: string, spec: EndpointSpec, tls: ConnectionOptions | undefined) {
    this.cluster = cluster;
    this.address = address;
    this.port = spec.port;
    this.isPipe = spec.isPipe;
    this.label = spec.isPipe ? address : address.includes(":") ? `[${address}]:${spec.port}` : `${address}:${spec.port}`;
    this.spec = spec;
    this.#tls = tls;
  }

  get maxResponseHeaders(): number {
    return this.cluster.config.maxResponseHeaders;
  }

  get maxResponseHeadBytes(): number {
    return this.cluster.config.maxResponseHeadBytes;
  }

  /** A free connection at once, or undefined: then the waiter is told later (or `overflow` is, at once). */
  acquire(waiter: Waiter, isHighPriority: boolean): UpstreamStream | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) break;
      if (!connection.isClosed && !connection.socket.destroyed) return connection;
    }
    const { cluster } = this;
    const limits = isHighPriority ? cluster.config.limits.high : cluster.config.limits.normal;
    if (cluster.pending >= limits.pending) {
      cluster.stats.upstream_rq_pending_overflow++;
      waiter.onNoConnection("overflow", "overflow");
      return undefined;
    }
    cluster.pending++;
    cluster.stats.upstream_rq_pending_total++;
    this.#waiting.push(waiter);
    if (this.#connecting.size < this.#waiting.length) {
      // A host always gets its first connection; beyond that the limit counts.
      if (cluster.connections < limits.connections || this.#all.size + this.#connecting.size === 0) this.#connect();
      else cluster.stats.upstream_cx_overflow++;
    }
    return undefined;
  }

  /** The waiter no longer waits. */
  cancel(waiter: Waiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.cluster.pending--;
  }

  #connect(): void {
    const { cluster } = this;
    cluster.connections++;
    cluster.stats.upstream_cx_total++;
    const socket = this.#open();
    this.#connecting.add(socket);
    let isDone = false;
    const timer = setTimeout(() => {
      cluster.stats.upstream_cx_connect_timeout++;
      failed("connectTimeout", "connection timeout");
    }, cluster.config.connectTimeoutMs);
    const finish = () => {
      isDone = true;
      clearTimeout(timer);
      this.#connecting.delete(socket);
    };
    const failed = (failure: UpstreamFailure, detail: string) => {
      if (isDone) return;
      finish();
      cluster.connections--;
      cluster.stats.upstream_cx_connect_fail++;
      socket.destroy();
      this.#failWaiting(failure, detail);
    };
    socket.once(this.#tls === undefined ? "connect" : "secureConnect", () => {
      if (isDone) return;
      finish();
      socket.removeAllListeners("error");
      socket.removeAllListeners("close");
      const connection = new Http1Upstream(socket, this);
      this.#all.add(connection);
      this.onIdle(connection);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => failed("connect", error.code ?? error.message));
    socket.on("close", () => failed("connect", "closed"));
  }

  #open(): Socket {
    const target = this.isPipe ? { path: this.address } : { host: this.address, port: this.port };
    if (this.#tls !== undefined) return connectTls({ ...this.#tls, ...target });
    return connectTcp({ ...target, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  }

  #failWaiting(failure: UpstreamFailure, detail: string): void {
    // As Envoy: who waits for a host that cannot be reached should decide anew, not wait for the next attempt.
    const waiting = this.#waiting.splice(0);
    this.cluster.pending -= waiting.length;
    for (const waiter of waiting) waiter.onNoConnection(failure, detail);
  }

  onIdle(connection: Http1Upstream): void {
    if (connection.served >= this.cluster.config.requestsPerConnection || connection.socket.destroyed) {
      connection.socket.destroy();
      return;
    }
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) {
      this.cluster.pending--;
      waiter.onConnection(connection);
      return;
    }
    if (this.#isDraining) {
      connection.socket.destroy();
      return;
    }
    connection.idleSince = performance.now();
    this.#idle.push(connection);
    this.cluster.watchIdle();
  }

  onClose(connection: Http1Upstream): void {
    if (!this.#all.delete(connection)) return;
    this.cluster.connections--;
    this.cluster.stats.upstream_cx_destroy++;
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#isDraining && this.isEmpty) this.cluster.onEmpty(this);
    // Those who wait for a free connection must not wait for one that is gone.
    if (this.#waiting.length > this.#connecting.size) this.#connect();
  }

  /** Without connections, open or under way. */
  get isEmpty(): boolean {
    return this.#all.size + this.#connecting.size + this.#waiting.length === 0;
  }

  /** Closes connections that were idle for longer than the cluster allows; returns how many idle ones stay. */
  closeIdle(now: number): number {
    const limit = this.cluster.config.idleTimeoutMs;
    while (this.#idle.length > 0 && now - (this.#idle[0] as Http1Upstream).idleSince >= limit) this.#idle.shift()?.socket.destroy();
    return this.#idle.length;
  }

  /** Takes no new requests; what is under way finishes. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#idle.splice(0)) connection.socket.destroy();
  }

  /** Closes everything now. */
  destroy(): void {
    this.drain();
    for (const socket of this.#connecting) socket.destroy();
    for (const connection of this.#all) connection.socket.destroy();
  }
}
