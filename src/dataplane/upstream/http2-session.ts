// A connection of HTTP/2 to an upstream host, and the streams on it. Many requests share it, until the host says that it is going away.

import type { ClientHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { CompiledHttp2 } from "../compile/http2-options.ts";
import { errorCodes, nodeHttp2 } from "../http2/node-http2.ts";
import { Http2Upstream } from "./http2-stream.ts";

export interface SessionOwner {
  readonly maxResponseHeaders: number;
  readonly http2: CompiledHttp2;
  /** There is room for another stream. */
  onRoom(session: Http2Session): void;
  onClose(session: Http2Session): void;
}

export class Http2Session {
  readonly socket: Socket;
  readonly session: ClientHttp2Session;
  /** Kept: a closed socket does not know it any more. */
  readonly local: { readonly address: string; readonly port: number };
  readonly owner: SessionOwner;
  /** Requests that it has carried. */
  served = 0;
  /** When the last stream ended. */
  idleSince = performance.now();
  /** Open streams. */
  streams = 0;
  /** The connection is gone, and with it what was under way. */
  isLost = false;
  #isDraining = false;
  #ping: NodeJS.Timeout | undefined;
  #pong: NodeJS.Timeout | undefined;

  constructor(socket: Socket, owner: SessionOwner) {
    this.socket = socket;
    this.local = { address: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    this.owner = owner;
    // Before node:http2 closes the streams for it: they should know why.
    socket.once("close", () => {
      this.isLost = true;
    });
    // Also after node:http2 has let go of it.
    socket.on("error", () => undefined);
    const { http2 } = owner;
    this.session = nodeHttp2().connect("http://upstream", {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: http2.streamWindow, headerTableSize: http2.tableSize },
      maxHeaderListPairs: owner.maxResponseHeaders + 8,
    });
    this.session.setLocalWindowSize(http2.connectionWindow);
    this.session.on("error", () => undefined); // `close` follows
    this.session.on("close", () => this.#onClose());
    this.session.on("remoteSettings", () => this.#tellRoom());
    if (http2.keepalive !== undefined) this.#startPings(http2.keepalive);
  }

  get canTake(): boolean {
    return !this.#isDraining && !this.isGoingAway && this.streams < this.#limit;
  }

  /** The host, or we, said that no new stream will be served. */
  get isGoingAway(): boolean {
    return this.session.closed || this.session.destroyed || this.isLost;
  }

  get isEmpty(): boolean {
    return this.streams === 0;
  }

  get #limit(): number {
    return Math.min(this.owner.http2.maxStreams, this.session.remoteSettings?.maxConcurrentStreams ?? Number.POSITIVE_INFINITY);
  }

  /** The next stream. */
  open(): Http2Upstream {
    this.streams++;
    this.served++;
    return new Http2Upstream(this);
  }

  onStreamEnd(): void {
    this.streams--;
    this.idleSince = performance.now();
    if (this.#isDraining) {
      if (this.streams === 0) this.session.close();
    } else this.#tellRoom();
  }

  #tellRoom(): void {
    if (this.canTake) this.owner.onRoom(this);
  }

  #startPings({ intervalMs, timeoutMs }: NonNullable<CompiledHttp2["keepalive"]>): void {
    this.#ping = setInterval(() => {
      if (this.isGoingAway || this.#pong !== undefined) return;
      let isAnswered = false;
      // After a stall of our own, timers come before what was received meanwhile: the answer may be there and not read yet.
      this.#pong = setTimeout(() => setImmediate(() => isAnswered || this.destroy()), timeoutMs);
      this.session.ping(() => {
        isAnswered = true;
        clearTimeout(this.#pong);
        this.#pong = undefined;
      });
    }, intervalMs);
    this.#ping.unref();
  }

  #onClose(): void {
    clearInterval(this.#ping);
    clearTimeout(this.#pong);
    this.isLost = true;
    this.owner.onClose(this);
  }

  /** Takes no new requests; what is under way finishes. */
  drain(): void {
    this.#isDraining = true;
    if (this.streams === 0) this.session.close();
  }

  destroy(): void {
    this.session.destroy(undefined, errorCodes.noError);
    this.socket.destroy();
  }
}
