// A connection that is passed on as it is: a host is picked and connected, then bytes go both ways until both sides have ended. Nothing is read of
// the client before there is somebody to give it to.

import type { Socket } from "node:net";
import { tcpPickContext } from "../compile/tcp-proxy.ts";
import { Deadline } from "../deadline.ts";
import type { ClientConnection } from "../downstream/client.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import type { Host } from "../upstream/host.ts";
import type { UpstreamFailure } from "../upstream/stream.ts";
import { type Dial, dial } from "./dial.ts";
import { type RelayListener, relay } from "./relay.ts";
import { type TcpLogType, TcpLogView } from "./tcp-log-view.ts";
import type { TcpSeat } from "./tcp-seat.ts";

/** Envoy's drain time: how long a connection may last that no filter chain would take any more. */
const drainMs = 600_000;

export class TcpConnection implements ClientConnection, RelayListener {
  readonly #socket: Socket;
  readonly #seat: TcpSeat;
  readonly view: TcpLogView;
  readonly #idle = new Deadline(() => this.#onIdle());
  readonly #longest = new Deadline(() => this.#onLongest());
  #logTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #drainTimer: NodeJS.Timeout | undefined;
  #dial: Dial | undefined;
  #cluster: ClusterRuntime | undefined;
  #upstream: Socket | undefined;
  #isPaused = false;

  constructor(socket: Socket, seat: TcpSeat) {
    this.#socket = socket;
    this.#seat = seat;
    this.view = new TcpLogView(socket, seat.hello.serverName);
    socket.allowHalfOpen = true;
    socket.pause();
    socket.on("error", () => undefined); // `close` follows
    socket.on("close", () => this.#onClose());
    seat.stats.downstream_cx_total++;
    this.#longest.set(seat.proxy.maxDurationMs());
    this.#watchLog();
    this.#connect();
  }

  // — to the upstream —

  #connect(): void {
    const { proxy, hello, tables, stats } = this.#seat;
    const view = this.view;
    const destination = proxy.destination(hello.serverName);
    const cluster = tables.cluster(destination.cluster);
    view.upstreamCluster = cluster === undefined ? "" : destination.cluster;
    if (cluster === undefined) {
      stats.downstream_cx_no_route++;
      this.#refuse("NC");
      return;
    }
    this.#cluster = cluster;
    if (cluster.connections >= cluster.config.limits.normal.connections) {
      cluster.stats.upstream_cx_overflow++;
      this.#refuse("UO");
      return;
    }
    if (view.attempts >= proxy.connectAttempts) {
      cluster.tcpStats.upstream_cx_connect_attempts_exceeded++;
      this.#refuse("URX");
      return;
    }
    const host = cluster.pick(tcpPickContext(proxy, destination, view.remoteAddress));
    if (host === undefined) {
      cluster.stats.upstream_cx_none_healthy++;
      this.#refuse("UH");
      return;
    }
    if (cluster.pending >= cluster.config.limits.normal.pending) {
      cluster.stats.upstream_rq_pending_overflow++;
      this.#refuse("UF");
      return;
    }
    view.attempts++;
    view.host = host;
    this.#dial = dial(host, view, {
      onConnected: (upstream) => this.#onConnected(cluster, host, upstream),
      onNotConnected: (failure, detail) => this.#onNotConnected(cluster, host, failure, detail),
    });
  }

  /** As Envoy, without a word. */
  #refuse(flag: string): void {
    this.view.flag(flag);
    this.#socket.destroy();
  }

  #onNotConnected(cluster: ClusterRuntime, host: Host, failure: UpstreamFailure, detail: string): void {
    this.#dial = undefined;
    cluster.report(host, { kind: "local" });
    this.view.flag("UF");
    this.view.upstreamFailure = failure === "connectTimeout" ? "connection timeout" : detail;
    if (this.#socket.destroyed) return;
    const { baseMs, maxMs } = this.#seat.proxy.backoff;
    const wait = Math.random() * Math.min(baseMs * 2 ** this.view.attempts, maxMs);
    this.#retryTimer = setTimeout(() => this.#connect(), wait);
  }

  #onConnected(cluster: ClusterRuntime, host: Host, upstream: Socket): void {
    this.#dial = undefined;
    cluster.report(host, { kind: "connected" });
    // Of a TCP connection nothing better is ever known.
    if (cluster.config.outliers?.splitsLocalErrors === false) cluster.report(host, { kind: "status", status: 200 });
    this.#upstream = upstream;
    this.view.upstreamLocal = { address: upstream.localAddress ?? "", port: upstream.localPort ?? 0 };
    this.#idle.set(this.#seat.proxy.idleTimeoutMs);
    if (this.#seat.proxy.logsConnected) this.#log("TcpUpstreamConnected");
    relay(this.#socket, upstream, this);
  }

  // — what passes —

  onActivity(): void {
    this.#idle.set(this.#seat.proxy.idleTimeoutMs);
  }

  onClientData(size: number): void {
    this.view.bytesReceived += size;
    this.#seat.stats.downstream_cx_rx_bytes_total += size;
    if (this.#cluster !== undefined) this.#cluster.tcpStats.upstream_cx_tx_bytes_total += size;
  }

  onUpstreamData(size: number): void {
    this.view.bytesSent += size;
    this.#seat.stats.downstream_cx_tx_bytes_total += size;
    if (this.#cluster !== undefined) this.#cluster.tcpStats.upstream_cx_rx_bytes_total += size;
  }

  onClientPaused(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#seat.stats.downstream_flow_control_paused_reading_total++;
  }

  onClientResumed(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#seat.stats.downstream_flow_control_resumed_reading_total++;
  }

  // — the end —

  #onIdle(): void {
    this.#seat.stats.idle_timeout++;
    this.destroy();
  }

  #onLongest(): void {
    this.#seat.stats.max_downstream_connection_duration++;
    this.view.flag("DT");
    this.destroy();
  }

  /** What goes on between others is not interrupted; it has time to come to its end. */
  drain(): void {
    this.#drainTimer ??= setTimeout(() => this.destroy(), drainMs).unref();
  }

  destroy(): void {
    this.#socket.destroy();
    this.#upstream?.destroy();
  }

  #onClose(): void {
    this.#dial?.cancel();
    this.#longest.close();
    for (const timer of [this.#retryTimer, this.#logTimer, this.#drainTimer]) clearTimeout(timer);
    this.#log("TcpConnectionEnd");
    this.#awaitFlush();
    this.#seat.onClose(this);
  }

  /** The upstream still gets what the client has sent, as long as it takes it. */
  #awaitFlush(): void {
    const upstream = this.#upstream;
    if (upstream === undefined || upstream.destroyed || upstream.writableLength === 0) {
      this.#idle.close();
      return;
    }
    const { stats } = this.#seat;
    stats.upstream_flush_total++;
    stats.upstream_flush_active++;
    upstream.once("close", () => {
      stats.upstream_flush_active--;
      this.#idle.close();
    });
  }

  #watchLog(): void {
    const { accessLogs, logIntervalMs } = this.#seat.proxy;
    if (accessLogs.length === 0 || logIntervalMs > 2 ** 31 - 1) return;
    this.#logTimer = setInterval(() => this.#log("TcpPeriodic"), Math.max(1, logIntervalMs));
    this.#logTimer.unref();
  }

  #log(type: TcpLogType): void {
    const view = this.view;
    view.accessLogType = type;
    for (const log of this.#seat.proxy.accessLogs) {
      if (log.accepts?.(view) === false) continue;
      if (log.kind === "text") this.#seat.writeLog(log.path, log.line(view));
      else this.#seat.tables.telemetry?.add(log.sink, log.entry(view));
    }
  }
}
