// The client's side of an exchange: a connection of HTTP/1.1, or a stream of HTTP/2. And what either needs of its listener.

import type { Socket } from "node:net";
import type { TextLog } from "../compile/access-log.ts";
import type { CompiledHcm } from "../compile/hcm.ts";
import type { Deadline } from "../deadline.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Tables } from "../exchange/tables.ts";
import type { TlsView } from "../formatter.ts";
import type { Headers } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { Hello } from "../tls/client-hello.ts";
import type { ListenerStats } from "./listener-stats.ts";

/** Who is at the other end, and where he came in. */
export interface Peer {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isTls: boolean;
}

export interface ClientStream extends Peer {
  /** SNI, in lower case. */
  readonly serverName: string;
  /** Undefined: plain text. */
  readonly tls: TlsView | undefined;
  /** Route time-out, per-try time-out, stream idle time-out of the exchange. */
  readonly request: Deadline;
  readonly try: Deadline;
  readonly idle: Deadline;
  /** What it shares with the other streams of its client. */
  readonly connection: object;
  /** In the middle of what one read brought: more for the upstream may follow at once. */
  readonly isReading: boolean;

  /** An answer of our own, whole. */
  sendAnswer(exchange: Exchange, status: number, headers: Headers, body: string): void;
  /** The head of an upstream's response, its headers ready to be sent. */
  sendHead(exchange: Exchange, head: ResponseHead): void;
  sendData(data: Buffer): void;
  /** The response is whole. */
  sendEnd(trailers: Headers | undefined): void;
  /** Sends what is gathered; false when the exchange should wait for `onDownstreamDrain`. */
  flush(): boolean;

  pauseBody(): void;
  resumeBody(): void;
  /** From here on, bytes go both ways. */
  beginTunnel(): void;
  /** Ends the response so that the client sees that it is not whole. */
  abort(): void;
  log(logger: TextLog, exchange: Exchange): void;
  /** One more in a counter of its listener, under Envoy's name: `rbac.denied`. */
  count(name: string): void;
  onExchangeEnd(exchange: Exchange, closes: boolean): void;
}

/** A connection of either kind, as its listener sees it. */
export interface ClientConnection {
  /** Finishes what is under way and takes no more. */
  drain(): void;
  /** The deadline is over. */
  destroy(): void;
}

/** What a connection needs of its listener: always the newest. */
export interface ConnectionOwner {
  readonly hello: Hello;
  readonly hcm: CompiledHcm;
  /** The client speaks TLS, which ends before this. */
  readonly isTls: boolean;
  readonly tables: Tables;
  readonly isDraining: boolean;
  readonly stats: ListenerStats;
  onClose(connection: ClientConnection): void;
  /** The client turned out to speak HTTP/2: `socket` is as if nothing had been read of it. */
  onHttp2(connection: ClientConnection, socket: Socket): void;
  writeLog(path: string, line: string): void;
}

/** An IPv4 address in IPv6 clothes is the IPv4 address. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
