// What the access log of a listener tells of a connection when it is closed, whoever served it, or nobody.

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { AccessLogger } from "../compile/access-log.ts";
import type { FormatContext } from "../formatter.ts";
import type { TcpLogView } from "../tcp/tcp-log-view.ts";
import type { Telemetry } from "../telemetry.ts";
import { plainAddress } from "./client.ts";
import type { ProxiedEnds } from "./proxy-protocol.ts";
import { tlsView } from "./tls-view.ts";

type Ends = Pick<FormatContext, "remoteAddress" | "remotePort" | "localAddress" | "localPort">;

export class ConnectionLog {
  readonly #startedAt = Date.now();
  readonly #began = performance.now();
  readonly #direct: Ends;
  #ends: Ends;
  #serverName = "";
  #tls: FormatContext["tls"];
  /** What bytes of the client are read from: without TLS, where there is any. */
  #plain: Socket | undefined;
  #protocol = "";
  #tcp: TcpLogView | undefined;
  #flags = "";

  /** Taken at once: a closed socket does not know its addresses. */
  constructor(socket: Socket) {
    this.#direct = {
      remoteAddress: plainAddress(socket.remoteAddress),
      remotePort: socket.remotePort ?? 0,
      localAddress: plainAddress(socket.localAddress),
      localPort: socket.localPort ?? 0,
    };
    this.#ends = this.#direct;
  }

  /** It is on behalf of another. */
  standIn(ends: ProxiedEnds): void {
    this.#ends = { ...this.#ends, ...(ends as Partial<Ends>) };
  }

  said(serverName: string): void {
    this.#serverName = serverName;
  }

  /** No filter chain takes it. */
  refused(): void {
    this.#flags = "NR";
  }

  /** @param protocol of HTTP, as soon as there is a request */
  served(socket: Socket, protocol: string, tcp: TcpLogView | undefined): void {
    this.#plain = socket;
    this.#tls = tlsView(socket as TLSSocket);
    this.#protocol = protocol;
    this.#tcp = tcp;
  }

  write(logs: readonly AccessLogger[], writeLog: (path: string, line: string) => void, telemetry: Telemetry | undefined): void {
    const view = this.#view();
    for (const log of logs) {
      if (log.accepts?.(view) === false) continue;
      if (log.kind === "text") writeLog(log.path, log.line(view));
      else telemetry?.add(log.sink, log.entry(view));
    }
  }

  #view(): FormatContext {
    const bytesReceived = this.#plain?.bytesRead ?? 0;
    return {
      ...nothing,
      ...this.#ends,
      startedAt: this.#startedAt,
      durationMs: performance.now() - this.#began,
      directRemoteAddress: this.#direct.remoteAddress,
      directRemotePort: this.#direct.remotePort,
      serverName: this.#serverName,
      tls: this.#tls,
      protocol: bytesReceived > 0 ? this.#protocol : "",
      responseFlags: this.#flags || (this.#tcp?.responseFlags ?? ""),
      bytesReceived,
      bytesSent: this.#plain?.bytesWritten ?? 0,
      upstreamCluster: this.#tcp?.upstreamCluster ?? "",
      upstreamHost: this.#tcp?.upstreamHost ?? "",
      upstreamHostName: this.#tcp?.upstreamHostName ?? "",
      upstreamLocal: this.#tcp?.upstreamLocal,
      upstreamFailure: this.#tcp?.upstreamFailure ?? "",
      attempts: this.#tcp?.attempts ?? 0,
    };
  }
}

type Told =
  | "startedAt"
  | "durationMs"
  | "directRemoteAddress"
  | "directRemotePort"
  | "serverName"
  | "tls"
  | "protocol"
  | "responseFlags"
  | "bytesReceived"
  | "bytesSent"
  | "upstreamCluster"
  | "upstreamHost"
  | "upstreamHostName"
  | "upstreamLocal"
  | "upstreamFailure"
  | "attempts";

/** There is no request in it. */
const nothing: Omit<FormatContext, keyof Ends | Told> = {
  request: { method: "", path: "", authority: "", scheme: "", headers: [], random: 0 },
  routeName: "",
  virtualHostName: "",
  upstreamProtocol: "",
  responseStatus: 0,
  responseHeaders: undefined,
  responseTrailers: undefined,
  responseDetails: "",
  accessLogType: "NotSet",
  dynamicMetadata: undefined,
  routeMetadata: undefined,
  times: { requestEnd: undefined, upstreamRequestEnd: undefined, responseBegin: undefined },
};
