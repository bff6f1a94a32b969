// One connection from a client that speaks HTTP/2. Its streams are exchanges of their own; here are the limits that they share, and its end.

import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Deadline } from "../deadline.ts";
import type { TlsView } from "../formatter.ts";
import { nodeHttp2 } from "../http2/node-http2.ts";
import { type ClientConnection, type ConnectionOwner, type Peer, plainAddress } from "./client.ts";
import { tellClosed } from "./closing.ts";
import { Http2ClientStream } from "./http2-stream.ts";
import { StreamTimers } from "./stream-timers.ts";
import { tlsView } from "./tls-view.ts";

/** Between the notice that no new streams will be served and the refusal of such: what is on its way is still served. */
const noticeMs = 250;

/** At most, for close frames of WebSockets to leave at the very end. */
const goodbyeMs = 500;

/** Kept for streams to come, at most. */
const mostTimers = 32;

/** The highest stream that can be: a GOAWAY that ends nothing yet. */
const lastPossibleStream = 2 ** 31 - 1;

/** Frames that are none, and streams beyond the limit, before a client is taken for an attacker. */
const maxInvalidFrames = 100;
const maxRejectedStreams = 1_000;

export class Http2Connection implements ClientConnection, Peer {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isTls: boolean;
  readonly owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  readonly #streams = new Set<Http2ClientStream>();
  /** At the very end, those that have said so and are not closed yet. */
  readonly #leaving = new Set<Http2ClientStream>();
  /** For the first request, or for the next one. */
  readonly #waiting = new Deadline(() => this.#onIdle());
  /** Those that no stream uses now. */
  readonly #timers: StreamTimers[] = [];
  #served = 0;
  #isDraining = false;
  #notice: NodeJS.Timeout | undefined;

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.#socket = socket;
    this.owner = owner;
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    this.isTls = owner.isTls;
    // Also after node:http2 has let go of it.
    socket.on("error", () => undefined);
    const { hcm, stats } = owner;
    const { http2 } = hcm;
    stats.downstream_cx_total++;
    stats.downstream_cx_http2_total++;
    stats.downstream_cx_active++;
    this.#session = nodeHttp2().performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: http2.maxStreams,
        initialWindowSize: http2.streamWindow,
        headerTableSize: http2.tableSize,
        maxHeaderListSize: hcm.maxHeadBytes,
        enableConnectProtocol: http2.allowsConnect,
      },
      // More than that is answered, up to twice as many; beyond, node:http2 resets the stream.
      maxHeaderListPairs: 2 * hcm.limits.maxHeaders + 8,
      maxSessionInvalidFrames: maxInvalidFrames,
      maxSessionRejectedStreams: maxRejectedStreams,
      ...http2.resets,
    } as Parameters<ReturnType<typeof nodeHttp2>["performServerHandshake"]>[1]);
    this.#session.setLocalWindowSize(http2.connectionWindow);
    this.#session.on("stream", (stream, _, flags, ...rest) => this.#onStream(stream, flags, (rest as unknown as [string[]?])[0] ?? []));
    this.#session.on("error", () => {
      stats.downstream_cx_protocol_error++;
    });
    this.#session.on("close", () => this.#onClose());
    this.#waiting.set(hcm.headTimeoutMs);
  }

  #onStream(stream: ServerHttp2Stream, flags: number, list: readonly string[]): void {
    this.#waiting.clear();
    this.#served++;
    const client = new Http2ClientStream(stream, this);
    this.#streams.add(client);
    client.begin(list, flags);
    if (this.#served >= this.owner.hcm.requestsPerConnection) this.drain();
  }

  takeTimers(): StreamTimers {
    return this.#timers.pop() ?? new StreamTimers();
  }

  giveBack(timers: StreamTimers): void {
    timers.clear();
    if (this.#session.destroyed || this.#timers.length >= mostTimers) timers.close();
    else this.#timers.push(timers);
  }

  get tls(): TlsView | undefined {
    return this.isTls ? tlsView(this.#socket) : undefined;
  }

  onStreamClose(stream: Http2ClientStream): void {
    if (this.#leaving.delete(stream) && this.#leaving.size === 0) this.#cut();
    if (!this.#streams.delete(stream) || this.#streams.size > 0) return;
    if (this.#isDraining) this.#endWhenIdle();
    else this.#waiting.set(this.owner.hcm.idleTimeoutMs);
  }

  #onIdle(): void {
    this.owner.stats.downstream_rq_idle_timeout++;
    this.drain();
  }

  drain(): void {
    if (this.#isDraining || this.#session.destroyed) return;
    this.#isDraining = true;
    this.#waiting.clear();
    this.#session.goaway(0, lastPossibleStream);
    this.#notice = setTimeout(() => {
      this.#notice = undefined;
      this.#endWhenIdle();
    }, noticeMs);
  }

  #endWhenIdle(): void {
    if (this.#notice === undefined && !this.#session.closed) this.#session.close();
  }

  destroy(): void {
    for (const stream of this.#streams) if (stream.sayGoodbye()) this.#leaving.add(stream);
    // What was said has to leave first.
    if (this.#leaving.size === 0) this.#cut();
    else setTimeout(() => this.#cut(), goodbyeMs).unref();
  }

  #cut(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  #onClose(): void {
    clearTimeout(this.#notice);
    this.#waiting.close();
    for (const stream of [...this.#streams]) stream.onClose();
    for (const timers of this.#timers.splice(0)) timers.close();
    tellClosed(this);
    this.owner.stats.downstream_cx_active--;
    this.owner.onClose(this);
  }
}
