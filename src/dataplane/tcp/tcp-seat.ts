// Where a TCP connection sits: in a filter chain that passes connections on. What the chain said when the connection came in holds until its end.

import type { ConnectionGate } from "../compile/connection-gate.ts";
import type { CompiledChain } from "../compile/filter-chains.ts";
import type { CompiledTcpProxy } from "../compile/tcp-proxy.ts";
import type { ClientConnection } from "../downstream/client.ts";
import type { Tables } from "../exchange/tables.ts";
import { hasSameTerms } from "../seat.ts";
import type { Hello } from "../tls/client-hello.ts";
import type { TcpStats } from "./tcp-stats.ts";

/** What seats share. */
export interface TcpSeatListener {
  readonly tables: Tables;
  readonly writeLog: (path: string, line: string) => void;
  tcpStats(prefix: string): TcpStats;
  onClose(connection: ClientConnection): void;
}

export class TcpSeat {
  readonly proxy: CompiledTcpProxy;
  readonly hello: Hello;
  readonly stats: TcpStats;
  readonly gate: ConnectionGate | undefined;
  readonly #listener: TcpSeatListener;
  readonly #tls: CompiledChain["tls"];

  constructor(listener: TcpSeatListener, chain: CompiledChain, proxy: CompiledTcpProxy, hello: Hello) {
    this.#listener = listener;
    this.#tls = chain.tls;
    this.proxy = proxy;
    this.hello = hello;
    this.stats = listener.tcpStats(proxy.statPrefix);
    this.gate = chain.gate;
  }

  get tables(): Tables {
    return this.#listener.tables;
  }

  /** Whether the client would be let in by this chain too. */
  moveTo(chain: CompiledChain): boolean {
    return chain.serves.kind === "tcp" && hasSameTerms(this.#tls, chain.tls);
  }

  writeLog(path: string, line: string): void {
    this.#listener.writeLog(path, line);
  }

  onClose(connection: ClientConnection): void {
    this.#listener.onClose(connection);
  }
}
