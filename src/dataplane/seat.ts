// Where a connection of HTTP sits: in a filter chain of a listener, for as long as there is one that would take it and asks the same of its client.

import type { Socket } from "node:net";
import type { ConnectionGate } from "./compile/connection-gate.ts";
import type { ClientAuthentication } from "./compile/downstream-tls.ts";
import type { CompiledChain } from "./compile/filter-chains.ts";
import type { CompiledHcm } from "./compile/hcm.ts";
import type { ClientConnection, ConnectionOwner } from "./downstream/client.ts";
import type { ListenerStats } from "./downstream/listener-stats.ts";
import type { Tables } from "./exchange/tables.ts";
import type { Hello } from "./tls/client-hello.ts";

/** What seats share. */
export interface SeatListener {
  readonly tables: Tables;
  readonly isDraining: boolean;
  readonly stats: ListenerStats;
  readonly writeLog: (path: string, line: string) => void;
  onClose(connection: ClientConnection): void;
  onHttp2(connection: ClientConnection, socket: Socket, seat: Seat): void;
}

export class Seat implements ConnectionOwner {
  readonly hello: Hello;
  readonly isTls: boolean;
  readonly tables: Tables;
  readonly stats: ListenerStats;
  readonly writeLog: (path: string, line: string) => void;
  hcm: CompiledHcm;
  /** Who let it in, and is told when it is gone. */
  readonly gate: ConnectionGate | undefined;
  readonly #listener: SeatListener;
  #tls: CompiledChain["tls"];

  constructor(listener: SeatListener, chain: CompiledChain, hcm: CompiledHcm, hello: Hello) {
    this.#listener = listener;
    this.#tls = chain.tls;
    this.hello = hello;
    this.isTls = chain.tls !== undefined;
    this.hcm = hcm;
    this.gate = chain.gate;
    this.tables = listener.tables;
    this.stats = listener.stats;
    this.writeLog = listener.writeLog;
  }

  get isDraining(): boolean {
    return this.#listener.isDraining;
  }

  /** False, and it stays, when the other chain would not have let the client in on the same terms. */
  moveTo(chain: CompiledChain): boolean {
    if (chain.serves.kind !== "http" || !hasSameTerms(this.#tls, chain.tls)) return false;
    this.#tls = chain.tls;
    this.hcm = chain.serves.hcm;
    return true;
  }

  onClose(connection: ClientConnection): void {
    this.#listener.onClose(connection);
  }

  onHttp2(connection: ClientConnection, socket: Socket): void {
    this.#listener.onHttp2(connection, socket, this);
  }
}

/** Whether clients are let in for the same reasons. */
export function hasSameTerms(a: CompiledChain["tls"], b: CompiledChain["tls"]): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a === "unusable" || b === "unusable") return false;
  return termsOf(a.clients) === termsOf(b.clients);
}

function termsOf({ isRequired, validation, validationSecret }: ClientAuthentication): string {
  const { ca, acceptUntrusted, subjectNames } = validation ?? {};
  const authority = ca === undefined || ca === "system" ? ca : ca.toString("latin1");
  return JSON.stringify([isRequired, validationSecret, authority, acceptUntrusted, subjectNames?.map(({ describe }) => describe)]);
}
