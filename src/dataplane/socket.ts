// A listening socket. It belongs to an address, not to a listener: when a listener changes, or another takes its address over, the socket stays
// and nobody who is just connecting is turned away.

import { createServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ConnectionGate } from "./compile/connection-gate.ts";
import type { DownstreamTls } from "./compile/downstream-tls.ts";
import type { CompiledChain, FilterChains } from "./compile/filter-chains.ts";
import type { ListenAddress } from "./compile/listener.ts";
import { type ClientConnection, plainAddress } from "./downstream/client.ts";
import { ConnectionLog } from "./downstream/connection-log.ts";
import { Http1Connection } from "./downstream/http1-connection.ts";
import { Http2Connection } from "./downstream/http2-connection.ts";
import { ListenerStats } from "./downstream/listener-stats.ts";
import { type ProxiedEnds, readProxyHeader } from "./downstream/proxy-protocol.ts";
import type { Tables } from "./exchange/tables.ts";
import { readFirstBytes, type Told } from "./first-bytes.ts";
import { hasSameTerms, Seat } from "./seat.ts";
import { TcpConnection } from "./tcp/tcp-connection.ts";
import { TcpSeat } from "./tcp/tcp-seat.ts";
import type { TcpStats } from "./tcp/tcp-stats.ts";
import { chooseChain } from "./tls/choose-chain.ts";
import { type Hello, plainHello, readHello } from "./tls/client-hello.ts";
import { Terminator } from "./tls/terminator.ts";
import type { SecretLookup } from "./upstream/tls.ts";

export type SocketState = "binding" | "bound" | "failed" | "closed";

export interface SocketEnvironment {
  readonly tables: Tables;
  readonly secret: SecretLookup;
  readonly writeLog: (path: string, line: string) => void;
  readonly tcpStats: (prefix: string) => TcpStats;
  /** The state changed, or an attempt failed. */
  readonly onChange: (socket: ListeningSocket) => void;
  /** Where it is not this process that binds. */
  readonly listen: Listen | undefined;
}

/** All of it is put back: TLS begins with it. */
function told(data: Buffer): Told<Hello> | "more" {
  const value = readHello(data);
  return value === undefined ? "more" : { size: 0, value };
}

/** Has the server listen; what goes wrong is an `error` of the server. */
export type Listen = (server: Server, address: ListenAddress, backlog: number) => void;

const firstRetryMs = 200;
const lastRetryMs = 5_000;

/** At the very end, how long close frames of tunnels may take. */
const goodbyeMs = 150;

export class ListeningSocket {
  readonly address: ListenAddress;
  readonly stats = new ListenerStats();
  #chains: FilterChains | undefined;
  state: SocketState = "binding";
  error: NodeJS.ErrnoException | undefined;
  isDraining = false;
  readonly tables: Tables;
  readonly writeLog: (path: string, line: string) => void;
  readonly tcpStats: (prefix: string) => TcpStats;
  readonly #onChange: (socket: ListeningSocket) => void;
  readonly #secret: SecretLookup;
  readonly #connections = new Map<ClientConnection, Seat | TcpSeat>();
  /** Nobody knows yet which filter chain they are for. */
  readonly #arriving = new Set<Socket>();
  /** What lies under connections with TLS, from the handshake to the end. */
  readonly #encrypted = new Set<Socket>();
  /** Whom connections are for whose other end said so. */
  readonly #proxied = new WeakMap<Socket, Proxied>();
  /** Where the listener has an access log. */
  readonly #logged = new WeakMap<Socket, ConnectionLog>();
  readonly #terminators = new WeakMap<DownstreamTls, Terminator>();
  readonly #backlog: number | undefined;
  readonly #listen: Listen;
  #server: Server | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #whenEmpty: (() => void)[] = [];
  #boundPort = 0;

  constructor(address: ListenAddress, chains: FilterChains | undefined, backlog: number | undefined, environment: SocketEnvironment) {
    this.address = address;
    this.#chains = chains;
    this.#backlog = backlog;
    this.tables = environment.tables;
    this.#secret = environment.secret;
    this.writeLog = environment.writeLog;
    this.tcpStats = environment.tcpStats;
    this.#onChange = environment.onChange;
    this.#listen = environment.listen ?? listenHere;
  }

  /** What serves the connections; undefined: they are closed at once. */
  get chains(): FilterChains | undefined {
    return this.#chains;
  }

  /** Connections move to the chain that would take them now. Where there is none, or one that asks other things of its clients, they finish. */
  set chains(chains: FilterChains | undefined) {
    this.#chains = chains;
    for (const [connection, seat] of this.#connections) this.#seatAgain(connection, seat);
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
    const backlog = this.#backlog ?? 4_096;
    try {
      this.#listen(server, this.address, backlog);
    } catch (error) {
      // Thrown, not emitted, for what is no port at all.
      server.emit("error", error as Error);
    }
  }

  #accept(socket: Socket): void {
    const chains = this.#chains;
    if (chains === undefined || this.isDraining) {
      socket.destroy();
      return;
    }
    if (chains.accessLogs.length > 0) this.#logWhenClosed(socket);
    // The usual case of a gateway without TLS: nothing to look at, nothing to wait for.
    if (chains.only !== undefined) {
      this.#enter(socket, chains.only, plainHello);
      return;
    }
    this.#arriving.add(socket);
    socket.on("close", () => this.#leave(socket));
    socket.on("error", () => undefined); // `close` follows
    if (chains.proxyProtocol === undefined) this.#inspect(socket, chains);
    else
      readProxyHeader(socket, chains.proxyProtocol, (ends) => {
        if (ends !== undefined) this.#standIn(socket, ends);
        this.#inspect(socket, chains);
        if (chains.areInspected) socket.resume();
      });
  }

  #logWhenClosed(socket: Socket): void {
    const log = new ConnectionLog(socket);
    this.#logged.set(socket, log);
    socket.once("close", () => log.write(this.#chains?.accessLogs ?? [], this.writeLog, this.tables.telemetry));
  }

  /** From here on the connection is that of another. */
  #standIn(socket: Socket, ends: ProxiedEnds): void {
    this.#proxied.set(socket, { ends, directAddress: plainAddress(socket.remoteAddress) });
    wear(socket, ends);
    this.#logged.get(socket)?.standIn(ends);
  }

  /** What the client says first tells whom it is for, where anybody asks. */
  #inspect(socket: Socket, chains: FilterChains): void {
    const decide = (said: Hello) => {
      const hello = { ...said, ...endsOf(socket, this.#proxied.get(socket)) };
      this.#arriving.delete(socket);
      this.#admit(socket, this.#chains && chooseChain(this.#chains, hello), hello);
    };
    if (chains.areInspected) readFirstBytes(socket, told, decide);
    else decide(plainHello);
  }

  /** As Envoy, without a word to those whom no chain takes. */
  #admit(socket: Socket, chain: CompiledChain | undefined, hello: Hello): void {
    const log = this.#logged.get(socket);
    log?.said(hello.serverName);
    if (chain === undefined) log?.refused();
    if (chain === undefined || chain.tls === "unusable" || chain.serves.kind === "closed") socket.destroy();
    else if (chain.tls === undefined) {
      this.#enter(socket, chain, hello);
      // Who passes bytes on reads when there is somebody to give them to.
      if (chain.serves.kind === "http") socket.resume();
    } else {
      this.#encrypted.add(socket);
      this.#terminatorOf(chain.tls).accept(socket, hello);
    }
  }

  #terminatorOf(tls: DownstreamTls): Terminator {
    let terminator = this.#terminators.get(tls);
    if (terminator === undefined) {
      terminator = new Terminator(tls, { secret: this.#secret, onSecure: (socket) => this.#enterSecure(socket, tls) });
      this.#terminators.set(tls, terminator);
    }
    return terminator;
  }

  /** The chains may have been replaced during the handshake, which was on the terms that it began with. */
  #enterSecure(socket: TLSSocket, tls: DownstreamTls): void {
    const below = under(socket);
    if (below === undefined) {
      socket.destroy();
      return;
    }
    const proxied = this.#proxied.get(below);
    if (proxied !== undefined) wear(socket, proxied.ends);
    const hello = { ...saidIn(socket), ...endsOf(socket, proxied) };
    const chain = this.#chains && chooseChain(this.#chains, hello);
    if (chain === undefined || !hasSameTerms(chain.tls, tls)) socket.destroy();
    else this.#enter(socket, chain, hello);
  }

  #enter(socket: Socket, chain: CompiledChain, hello: Hello): void {
    if (this.isDraining || socket.destroyed || chain.serves.kind === "closed") {
      socket.destroy();
      return;
    }
    if (chain.gate !== undefined && !this.#isLetIn(socket, chain.gate)) return;
    if (chain.serves.kind === "tcp") {
      const seat = new TcpSeat(this, chain, chain.serves.proxy, hello);
      const connection = new TcpConnection(socket, seat);
      this.#logged.get(under(socket as TLSSocket) ?? socket)?.served(socket, "", connection.view);
      this.#connections.set(connection, seat);
      return;
    }
    const { hcm } = chain.serves;
    const seat = new Seat(this, chain, hcm, hello);
    const isHttp2 = hcm.codec === "http2" || (hcm.codec === "auto" && (socket as TLSSocket).alpnProtocol === "h2");
    this.#logged.get(under(socket as TLSSocket) ?? socket)?.served(socket, isHttp2 ? "HTTP/2" : "HTTP/1.1", undefined);
    this.#connections.set(isHttp2 ? new Http2Connection(socket, seat) : new Http1Connection(socket, seat), seat);
  }

  #isLetIn(socket: Socket, gate: ConnectionGate): boolean {
    const closesAfterMs = gate.enter(performance.now());
    if (closesAfterMs === undefined) return true;
    // It may wait, and is not listened to.
    this.#arriving.add(socket);
    socket.pause();
    const timer = setTimeout(() => socket.destroy(), closesAfterMs);
    socket.on("close", () => {
      clearTimeout(timer);
      this.#leave(socket);
    });
    socket.on("error", () => undefined); // `close` follows
    return false;
  }

  /** A connection that began as HTTP/1.1 is HTTP/2. */
  onHttp2(connection: ClientConnection, socket: Socket, seat: Seat): void {
    this.#connections.delete(connection);
    this.#logged.get(under(socket as TLSSocket) ?? socket)?.served(socket, "HTTP/2", undefined);
    this.#connections.set(new Http2Connection(socket, seat), seat);
  }

  #seatAgain(connection: ClientConnection, seat: Seat | TcpSeat): void {
    const chain = this.#chains && chooseChain(this.#chains, seat.hello);
    if (chain === undefined || !seat.moveTo(chain)) connection.drain();
  }

  #leave(socket: Socket): void {
    this.#arriving.delete(socket);
    this.#encrypted.delete(socket);
    this.#checkEmpty();
  }

  onClose(connection: ClientConnection): void {
    this.#connections.get(connection)?.gate?.leave();
    this.#connections.delete(connection);
    this.#checkEmpty();
  }

  get #isEmpty(): boolean {
    return this.#connections.size + this.#arriving.size + this.#encrypted.size === 0;
  }

  #checkEmpty(): void {
    if (this.#isEmpty) for (const done of this.#whenEmpty.splice(0)) done();
  }

  /** Listens no more; connections finish what is under way. */
  close(): void {
    this.state = "closed";
    this.isDraining = true;
    clearTimeout(this.#retry);
    this.#server?.close();
    for (const [connection] of this.#connections) connection.drain();
    // Those who have not asked for anything yet lose nothing.
    for (const socket of this.#arriving) socket.destroy();
  }

  /** Resolves when the last connection is gone. */
  empty(): Promise<void> {
    if (this.#isEmpty) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  destroy(): void {
    this.close();
    for (const [connection] of this.#connections) connection.destroy();
    // And handshakes that nobody finishes. Connections may still say goodbye.
    const rest = setTimeout(() => {
      for (const socket of this.#encrypted) socket.destroy();
    }, goodbyeMs);
    rest.unref();
  }
}

/** A connection on behalf of another. */
interface Proxied {
  readonly ends: ProxiedEnds;
  /** Who opened it. */
  readonly directAddress: string;
}

/** What TLS was begun on, which Node keeps to itself. Addresses do not tell: all connections of a Unix socket have the same. */
function under(socket: TLSSocket): Socket | undefined {
  return (socket as unknown as { readonly _parent?: Socket })._parent;
}

function endsOf(socket: Socket, proxied: Proxied | undefined) {
  const remoteAddress = plainAddress(socket.remoteAddress);
  return {
    remoteAddress,
    remotePort: socket.remotePort ?? 0,
    localAddress: plainAddress(socket.localAddress),
    localPort: socket.localPort ?? 0,
    directAddress: proxied?.directAddress ?? remoteAddress,
  };
}

/** Everybody who asks the socket for its ends hears these. */
function wear(socket: Socket, ends: ProxiedEnds): void {
  for (const [name, value] of Object.entries(ends)) Object.defineProperty(socket, name, { value, configurable: true });
}

function saidIn(socket: TLSSocket): Hello {
  const serverName = typeof socket.servername === "string" ? socket.servername.toLowerCase() : "";
  const protocols = socket.alpnProtocol ? [socket.alpnProtocol] : [];
  return { isTls: true, serverName, protocols };
}

function listenHere(server: Server, address: ListenAddress, backlog: number): void {
  if (address.kind === "pipe") server.listen({ path: address.path, backlog });
  else server.listen({ host: address.host, port: address.port, ipv6Only: address.ipv6Only, backlog });
}
