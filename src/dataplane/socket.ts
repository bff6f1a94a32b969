// A listening socket. It belongs to an address, not to a listener: when a listener changes, or another takes its address over, the socket stays
// and nobody who is just connecting is turned away.

import { createServer, type Server, type Socket } from "node:net";
import type { CompiledHcm } from "./compile/hcm.ts";
import type { ListenAddress } from "./compile/listener.ts";
import { type ConnectionOwner, DownstreamConnection, ListenerStats } from "./downstream.ts";
import type { Tables } from "./exchange/tables.ts";

export type SocketState = "binding" | "bound" | "failed" | "closed";

export interface SocketEnvironment {
  readonly tables: Tables;
  readonly writeLog: (path: string, line: string) => void;
  /** The state changed, or an attempt failed. */
  readonly onChange: (socket: ListeningSocket) => void;
}

const firstRetryMs = 200;
const lastRetryMs = 5_000;

export class ListeningSocket implements ConnectionOwner {
  readonly address: ListenAddress;
  readonly stats = new ListenerStats();
  /** What serves the connections; undefined: they are closed at once. */
  current: CompiledHcm | undefined;
  state: SocketState = "binding";
  error: NodeJS.ErrnoException | undefined;
  isDraining = false;
  readonly tables: Tables;
  readonly writeLog: (path: string, line: string) => void;
  readonly #onChange: (socket: ListeningSocket) => void;
  readonly #connections = new Set<DownstreamConnection>();
  readonly #backlog: number | undefined;
  #server: Server | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #whenEmpty: (() => void)[] = [];
  #boundPort = 0;

  constructor(address: ListenAddress, hcm: CompiledHcm | undefined, backlog: number | undefined, environment: SocketEnvironment) {
    this.address = address;
    this.current = hcm;
    this.#backlog = backlog;
    this.tables = environment.tables;
    this.writeLog = environment.writeLog;
    this.#onChange = environment.onChange;
  }

  /** Only asked by connections, and those exist only while there is one. */
  get hcm(): CompiledHcm {
    return this.current as CompiledHcm;
  }

  /** The port that it really has, when 0 was asked for. */
  get port(): number {
    return this.#boundPort;
  }

  get connections(): number {
    return this.#connections.size;
  }

  bind(): void {
    if (this.state === "closed") return;
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, highWaterMark: 65_536 }, (socket) =>
      this.#accept(socket),
    );
    server.once("error", (error) => {
      this.state = "failed";
      this.error = error;
      server.close();
      this.#retry = setTimeout(() => this.bind(), this.#retryMs);
      this.#retry.unref();
      this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
      this.#onChange(this);
    });
    server.once("listening", () => {
      server.removeAllListeners("error");
      server.on("error", (error) => {
        this.error = error;
      });
      const bound = server.address();
      this.#boundPort = bound !== null && typeof bound === "object" ? bound.port : 0;
      this.state = "bound";
      this.error = undefined;
      this.#retryMs = firstRetryMs;
      this.#onChange(this);
    });
    this.#server = server;
    const backlog = this.#backlog === undefined ? { backlog: 4_096 } : { backlog: this.#backlog };
    const { address } = this;
    try {
      if (address.kind === "pipe") server.listen({ path: address.path, ...backlog });
      else server.listen({ host: address.host, port: address.port, ipv6Only: address.ipv6Only, ...backlog });
    } catch (error) {
      // Thrown, not emitted, for what is no port at all.
      server.emit("error", error as Error);
    }
  }

  #accept(socket: Socket): void {
    if (this.current === undefined || this.isDraining) {
      socket.destroy();
      return;
    }
    this.#connections.add(new DownstreamConnection(socket, this));
  }

  onClose(connection: DownstreamConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) for (const done of this.#whenEmpty.splice(0)) done();
  }

  /** Listens no more; connections finish what is under way. */
  close(): void {
    this.state = "closed";
    this.isDraining = true;
    clearTimeout(this.#retry);
    this.#server?.close();
    for (const connection of this.#connections) connection.drain();
  }

  /** Resolves when the last connection is gone. */
  empty(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  destroy(): void {
    this.close();
    for (const connection of this.#connections) connection.destroy();
  }
}
