// A TCP connection as command operators see it: without anything of HTTP.

import type { Socket } from "node:net";
import { plainAddress } from "../downstream/client.ts";
import { tlsView } from "../downstream/tls-view.ts";
import type { AddressView, FormatContext, TlsView } from "../formatter.ts";
import type { Host } from "../upstream/host.ts";

const noRequest = { method: "", path: "", authority: "", scheme: "", headers: [], random: 0 };
const noTimes = { requestEnd: undefined, upstreamRequestEnd: undefined, responseBegin: undefined };

export type TcpLogType = "TcpConnectionEnd" | "TcpUpstreamConnected" | "TcpPeriodic";

export class TcpLogView implements FormatContext {
  readonly request = noRequest;
  readonly protocol = "";
  readonly startedAt = Date.now();
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly directRemoteAddress: string;
  readonly directRemotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly serverName: string;
  readonly tls: TlsView | undefined;
  readonly routeName = "";
  readonly virtualHostName = "";
  readonly upstreamProtocol = "";
  readonly responseStatus = 0;
  readonly responseHeaders = undefined;
  readonly responseTrailers = undefined;
  readonly responseDetails = "";
  readonly dynamicMetadata = undefined;
  readonly routeMetadata = undefined;
  readonly times = noTimes;
  accessLogType: TcpLogType = "TcpConnectionEnd";
  upstreamCluster = "";
  upstreamLocal: AddressView | undefined;
  upstreamFailure = "";
  bytesReceived = 0;
  bytesSent = 0;
  attempts = 0;
  readonly #flags: string[] = [];
  readonly #began = performance.now();
  #host: Host | undefined;

  /** Taken at once: a closed socket does not know its addresses. */
  constructor(socket: Socket, serverName: string) {
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.directRemoteAddress = this.remoteAddress;
    this.directRemotePort = this.remotePort;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    this.serverName = serverName;
    this.tls = tlsView(socket);
  }

  get durationMs(): number {
    return performance.now() - this.#began;
  }

  set host(host: Host | undefined) {
    this.#host = host;
  }

  get upstreamHost(): string {
    return this.#host?.label ?? "";
  }

  get upstreamHostName(): string {
    return this.#host?.spec.hostname ?? "";
  }

  get responseFlags(): string {
    return this.#flags.join();
  }

  flag(flag: string): void {
    if (!this.#flags.includes(flag)) this.#flags.push(flag);
  }
}
