// The call to a processor: opened when there is something to tell, closed once, and counted.

import type { Exchange } from "../exchange/exchange.ts";
import { mostHeld, mostHeldBack } from "../exchange/request-body.ts";
import { usualMessageBytes } from "../sds/message-reader.ts";
import { GrpcStream } from "../upstream/grpc-stream.ts";
import type { Processing } from "./extProcConfig.ts";

const path = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

export interface CallListener {
  onMessage(bytes: Uint8Array): void;
  onEnd(status: number, why: string): void;
  /** There is room for more. */
  onDrain(): void;
  /** There is nobody to call. */
  onNoTarget(): void;
}

export class Call {
  readonly #processing: Processing;
  readonly #exchange: Exchange;
  readonly #listener: CallListener;
  readonly #count: (name: string) => void;
  #stream: GrpcStream | undefined;
  #linger: NodeJS.Timeout | undefined;

  constructor(processing: Processing, exchange: Exchange, listener: CallListener, count: (name: string) => void) {
    this.#processing = processing;
    this.#exchange = exchange;
    this.#listener = listener;
    this.#count = count;
  }

  /** False: there is none, and what follows from that has happened. */
  open(): boolean {
    if (this.#stream !== undefined) return true;
    const { target } = this.#processing;
    if (target === undefined) {
      this.#listener.onNoTarget();
      return false;
    }
    // Bodies that may be held may come back whole.
    const mostBytes = usualMessageBytes + Math.max(mostHeld(this.#exchange), mostHeldBack(this.#exchange));
    const stream = new GrpcStream(this.#exchange.tables.cluster(target.cluster), target, path, this.#listener, mostBytes);
    this.#stream = stream;
    stream.start();
    if (this.#stream === undefined) return false;
    this.#count("streams_started");
    return true;
  }

  /** False: it does not keep up. */
  send(bytes: Uint8Array): boolean {
    return this.#stream?.send(bytes) ?? true;
  }

  /** It is over already. */
  forget(): void {
    this.#stream = undefined;
  }

  /** What comes is nothing that could be answered. */
  abandon(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  close(): void {
    clearTimeout(this.#linger);
    if (this.#stream === undefined) return;
    this.abandon();
    this.#count("streams_closed");
  }

  /** A processor that nobody waits for may still read. */
  closeLater(afterMs: number): void {
    if (this.#stream !== undefined) this.#linger = setTimeout(() => this.close(), afterMs).unref();
  }
}
