// The connections of one host in one protocol. Free connections of HTTP/1.1 are taken last in, first out, so that few stay warm and the others time
// out; connections of HTTP/2 are shared.

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { CompiledHttp2 } from "../compile/http2-options.ts";
import type { ClusterRuntime } from "./cluster.ts";
import { type ConnectionOwner, Http1Upstream } from "./http1-connection.ts";
import { Http2Session, type SessionOwner } from "./http2-session.ts";
import type { UpstreamFailure, UpstreamStream } from "./stream.ts";

/** `auto`: what the host chooses in the TLS handshake. */
export type PoolProtocol = "http1" | "http2" | "auto";

/** Somebody who waits for a connection. */
export interface Waiter {
  onConnection(upstream: UpstreamStream): void;
  onNoConnection(failure: UpstreamFailure, detail: string): void;
}

/** Begins to connect; `connected` is the event that tells when it is done. */
export interface Opened {
  readonly socket: Socket;
  readonly connected: "connect" | "secureConnect";
}

export interface PoolHost {
  readonly cluster: ClusterRuntime;
  open(protocol: PoolProtocol): Opened;
  onPoolEmpty(): void;
}

export class ConnectionPool implements ConnectionOwner, SessionOwner {
  readonly #host: PoolHost;
  readonly #cluster: ClusterRuntime;
  readonly #protocol: PoolProtocol;
  readonly #idle: Http1Upstream[] = [];
  readonly #all = new Set<Http1Upstream>();
  readonly #sessions: Http2Session[] = [];
  readonly #connecting = new Set<Socket>();
  readonly #waiting: Waiter[] = [];
  #isDraining = false;
  /** What the last connection turned out to speak. */
  #spoken: "http1" | "http2";

  constructor(host: PoolHost, protocol: PoolProtocol) {
    this.#host = host;
    this.#cluster = host.cluster;
    this.#protocol = protocol;
    this.#spoken = protocol === "http2" ? "http2" : "http1";
  }

  get maxResponseHeaders(): number {
    return this.#cluster.config.maxResponseHeaders;
  }

  get maxResponseHeadBytes(): number {
    return this.#cluster.config.maxResponseHeadBytes;
  }

  get http2(): CompiledHttp2 {
    return this.#cluster.config.http2;
  }

  /** A free connection at once, or undefined: then the waiter is told later (or `overflow` is, at once). */
  acquire(waiter: Waiter, isHighPriority: boolean): UpstreamStream | undefined {
    const free = this.#free();
    if (free !== undefined) return free;
    const cluster = this.#cluster;
    const limits = isHighPriority ? cluster.config.limits.high : cluster.config.limits.normal;
    if (cluster.pending >= limits.pending) {
      cluster.stats.upstream_rq_pending_overflow++;
      waiter.onNoConnection("overflow", "overflow");
      return undefined;
    }
    cluster.pending++;
    cluster.stats.upstream_rq_pending_total++;
    this.#waiting.push(waiter);
    if (this.#connecting.size * this.#requestsEach < this.#waiting.length) {
      // A host always gets its first connection; beyond that the limit counts.
      if (cluster.connections < limits.connections || this.#size === 0) this.#connect();
      else cluster.stats.upstream_cx_overflow++;
    }
    return undefined;
  }

  #free(): UpstreamStream | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) break;
      if (!connection.isClosed && !connection.socket.destroyed) return connection;
    }
    for (const session of this.#sessions) if (session.canTake) return this.#openStream(session);
    return undefined;
  }

  #openStream(session: Http2Session): UpstreamStream {
    const stream = session.open();
    if (session.served >= this.#cluster.config.requestsPerConnection) session.drain();
    return stream;
  }

  /** How many of those who wait a new connection will serve. */
  get #requestsEach(): number {
    return this.#spoken === "http2" ? this.http2.maxStreams : 1;
  }

  get #size(): number {
    return this.#all.size + this.#sessions.length + this.#connecting.size;
  }

  /** Whether the waiter was waiting here; no longer. */
  cancel(waiter: Waiter): boolean {
    const at = this.#waiting.indexOf(waiter);
    if (at < 0) return false;
    this.#waiting.splice(at, 1);
    this.#cluster.pending--;
    return true;
  }

  #connect(): void {
    const cluster = this.#cluster;
    cluster.connections++;
    cluster.stats.upstream_cx_total++;
    const { socket, connected } = this.#host.open(this.#protocol);
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
      if (this.#isDraining && this.isEmpty) this.#host.onPoolEmpty();
    };
    const onError = (error: NodeJS.ErrnoException) => failed("connect", error.code ?? error.message);
    const onClose = () => failed("connect", "closed");
    socket.once(connected, () => {
      if (isDone) return;
      finish();
      // Ours and no others: node:tls listens to its own socket.
      socket.off("error", onError);
      socket.off("close", onClose);
      this.#onConnected(socket);
    });
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  #onConnected(socket: Socket): void {
    const isHttp2 = this.#protocol === "http2" || (this.#protocol === "auto" && (socket as TLSSocket).alpnProtocol === "h2");
    this.#spoken = isHttp2 ? "http2" : "http1";
    if (isHttp2) {
      const session = new Http2Session(socket, this);
      this.#sessions.push(session);
      this.onRoom(session);
      // It turned out to take one at a time where many were hoped for.
    } else {
      const connection = new Http1Upstream(socket, this);
      this.#all.add(connection);
      this.onIdle(connection);
      while (this.#protocol === "auto" && this.#connecting.size < this.#waiting.length && this.#mayConnect) this.#connect();
    }
  }

  get #mayConnect(): boolean {
    return this.#cluster.connections < this.#cluster.config.limits.normal.connections;
  }

  #failWaiting(failure: UpstreamFailure, detail: string): void {
    // As Envoy: who waits for a host that cannot be reached should decide anew, not wait for the next attempt.
    const waiting = this.#waiting.splice(0);
    this.#cluster.pending -= waiting.length;
    for (const waiter of waiting) waiter.onNoConnection(failure, detail);
  }

  onRoom(session: Http2Session): void {
    while (this.#waiting.length > 0 && session.canTake) {
      const waiter = this.#waiting.shift() as Waiter;
      this.#cluster.pending--;
      waiter.onConnection(this.#openStream(session));
    }
    if (session.isEmpty) {
      if (this.#isDraining) session.drain();
      else this.#cluster.watchIdle();
    }
  }

  onIdle(connection: Http1Upstream): void {
    if (connection.served >= this.#cluster.config.requestsPerConnection || connection.socket.destroyed) {
      connection.socket.destroy();
      return;
    }
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) {
      this.#cluster.pending--;
      waiter.onConnection(connection);
      return;
    }
    if (this.#isDraining) {
      connection.socket.destroy();
      return;
    }
    connection.idleSince = performance.now();
    this.#idle.push(connection);
    this.#cluster.watchIdle();
  }

  onClose(connection: Http1Upstream | Http2Session): void {
    if (connection instanceof Http2Session) {
      const at = this.#sessions.indexOf(connection);
      if (at < 0) return;
      this.#sessions.splice(at, 1);
    } else {
      if (!this.#all.delete(connection)) return;
      const at = this.#idle.indexOf(connection);
      if (at >= 0) this.#idle.splice(at, 1);
    }
    this.#cluster.connections--;
    this.#cluster.stats.upstream_cx_destroy++;
    if (this.#isDraining && this.isEmpty) this.#host.onPoolEmpty();
    // Those who wait for a free connection must not wait for one that is gone.
    if (this.#waiting.length > this.#connecting.size * this.#requestsEach) this.#connect();
  }

  /** Without connections, open or under way. */
  get isEmpty(): boolean {
    return this.#size + this.#waiting.length === 0;
  }

  /** Closes connections that were idle for longer than the cluster allows; returns how many idle ones stay. */
  closeIdle(now: number): number {
    const limit = this.#cluster.config.idleTimeoutMs;
    while (this.#idle.length > 0 && now - (this.#idle[0] as Http1Upstream).idleSince >= limit) this.#idle.shift()?.socket.destroy();
    const empty = this.#sessions.filter((session) => session.isEmpty);
    const expired = empty.filter((session) => now - session.idleSince >= limit);
    for (const session of expired) session.drain();
    return this.#idle.length + empty.length - expired.length;
  }

  /** Takes no new requests; what is under way finishes. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#idle.splice(0)) connection.socket.destroy();
    for (const session of [...this.#sessions]) if (session.isEmpty) session.drain();
  }

  /** Closes everything now. */
  destroy(): void {
    this.drain();
    this.destroyConnections();
  }

  destroyConnections(): void {
    for (const socket of this.#connecting) socket.destroy();
    for (const connection of this.#all) connection.socket.destroy();
    for (const session of [...this.#sessions]) session.destroy();
  }
}
