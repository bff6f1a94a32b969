// One connection to an upstream host: sends a request at a time, reads its response, and goes back to its pool only when both are whole.

import type { Socket } from "node:net";
import { ChunkedDecoder } from "../http1/chunked.ts";
import { HeadFault } from "../http1/request-head.ts";
import { requestText } from "../http1/request-text.ts";
import { parseResponseHead } from "../http1/response-head.ts";
import { MessageWriter } from "../http1/writer.ts";
import { countPassing } from "../passing-bytes.ts";
import type { OutgoingRequest, ResponseHandler, UpstreamFailure, UpstreamStream } from "./stream.ts";

export interface ConnectionOwner {
  readonly maxResponseHeaders: number;
  readonly maxResponseHeadBytes: number;
  /** The connection is free again. */
  onIdle(connection: Http1Upstream): void;
  onClose(connection: Http1Upstream): void;
}

const maxInterim = 10;

const headState = 0;
const lengthState = 1;
const chunkedState = 2;
const untilCloseState = 3;
const tunnelState = 4;
const idleState = 5;

export class Http1Upstream implements UpstreamStream {
  readonly socket: Socket;
  /** Kept: a closed socket does not know it any more. */
  readonly local: { readonly address: string; readonly port: number };
  readonly protocol = "HTTP/1.1";
  readonly #writer: MessageWriter;
  /** Requests that it has carried. */
  served = 0;
  /** When it became idle. */
  idleSince = 0;
  readonly #owner: ConnectionOwner;
  #handler: ResponseHandler | undefined;
  #state = idleState;
  #stash: Buffer | undefined;
  #left = 0;
  #chunked: ChunkedDecoder | undefined;
  #isHead = false;
  #isUpgrade = false;
  #isChunkedOut = false;
  #requestEnded = false;
  #responseBegan = false;
  #keepsAlive = false;
  #interim = 0;
  #isClosed = false;

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.socket = socket;
    this.local = { address: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    this.#writer = new MessageWriter(socket);
    this.#owner = owner;
    socket.on("data", this.#onData);
    socket.on("drain", () => this.#handler?.onUpstreamDrain());
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error) => this.#onError(error));
    socket.on("close", () => this.#onClose());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get mayHaveBeenStale(): boolean {
    return this.served > 1 && !this.#responseBegan;
  }

  begin(handler: ResponseHandler, request: OutgoingRequest): void {
    this.#handler = handler;
    this.#isHead = request.method === "HEAD";
    this.#isUpgrade = request.upgrade !== undefined;
    this.#isChunkedOut = request.isChunked;
    this.#requestEnded = false;
    this.#responseBegan = false;
    this.#interim = 0;
    this.#state = headState;
    this.served++;
    this.#writer.text(requestText(request));
  }

  sendData(data: Buffer): void {
    if (this.#isChunkedOut) this.#writer.chunk(data);
    else this.#writer.data(data);
  }

  endRequest(): void {
    if (this.#isChunkedOut) this.#writer.text("0\r\n\r\n");
    // What goes through a tunnel is never the whole of it.
    this.#requestEnded = !this.#isUpgrade;
  }

  flush(): boolean {
    return this.#writer.flush();
  }

  pauseResponse(): void {
    this.socket.pause();
  }

  resumeResponse(): void {
    this.socket.resume();
  }

  /** The exchange wants no more of it: the response is not read to its end, so the connection cannot be used again. */
  abandon(): void {
    this.#handler = undefined;
    this.socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#state === idleState) {
      // Bytes that nobody asked for: never the beginning of the next response.
      this.socket.destroy();
      return;
    }
    this.#responseBegan = true;
    countPassing(chunk.length);
    const handler = this.#handler;
    let data = chunk;
    if (this.#stash !== undefined) {
      data = Buffer.concat([this.#stash, chunk]);
      this.#stash = undefined;
    }
    let at = 0;
    while (at < data.length && this.#handler !== undefined && this.#handler === handler) {
      switch (this.#state) {
        case headState:
          at = this.#readHead(data, at);
          break;
        case lengthState: {
          const take = Math.min(this.#left, data.length - at);
          const part = at === 0 && take === data.length ? data : data.subarray(at, at + take);
          at += take;
          this.#left -= take;
          handler?.onResponseData(part);
          if (this.#left === 0 && this.#handler === handler) this.#finish(data.length - at);
          break;
        }
        case chunkedState: {
          const decoder = this.#chunked as ChunkedDecoder;
          const end = decoder.read(data, at, (part) => this.#handler === handler && handler?.onResponseData(part));
          if (end < 0) {
            this.#fail("malformed", "chunked body");
            return;
          }
          at = end;
          if (decoder.isDone && this.#handler === handler) this.#finish(data.length - at);
          break;
        }
        case idleState:
          this.socket.destroy();
          return;
        default:
          handler?.onResponseData(at === 0 ? data : data.subarray(at));
          at = data.length;
      }
    }
    handler?.onResponseFlush();
  };

  /** Returns where the body begins, or the length of the data when the head is not whole yet. */
  #readHead(data: Buffer, at: number): number {
    const end = data.indexOf("\r\n\r\n", at, "latin1");
    if (end < 0 || end - at > this.#owner.maxResponseHeadBytes) {
      if (data.length - at > this.#owner.maxResponseHeadBytes) this.#fail("malformed", "head too large");
      else if (!mayBeHead(data, at)) this.#fail("malformed", "status line");
      else this.#stash = at === 0 ? data : data.subarray(at);
      return data.length;
    }
    const head = parseResponseHead(data.toString("latin1", at, end + 2), this.#owner.maxResponseHeaders);
    if (head instanceof HeadFault) {
      this.#fail("malformed", head.reason);
      return data.length;
    }
    const next = end + 4;
    if (head.status < 200 && head.status !== 101) {
      if (++this.#interim > maxInterim) {
        this.#fail("malformed", "too many interim responses");
        return data.length;
      }
      return next;
    }
    const handler = this.#handler as ResponseHandler;
    if (head.status === 101) {
      if (!this.#isUpgrade) {
        this.#fail("malformed", "101 unasked");
        return data.length;
      }
      this.#state = tunnelState;
      this.#isChunkedOut = false;
      handler.onResponseHead(head);
      return next;
    }
    this.#keepsAlive = head.keepsAlive;
    const hasNoBody = this.#isHead || head.status === 204 || head.status === 304;
    // RFC 9112 §6.3: 204 and 304 have no body whatever they claim; a 204 that claims one is not trusted further.
    if (head.status === 204 && (head.contentLength > 0 || head.isChunked)) {
      this.#fail("malformed", "204 with a body");
      return data.length;
    }
    if (hasNoBody || head.contentLength === 0) {
      handler.onResponseHead(head);
      if (this.#handler === handler) this.#finish(data.length - next);
      return next;
    }
    if (head.isChunked) {
      this.#chunked = new ChunkedDecoder();
      this.#state = chunkedState;
    } else if (head.contentLength > 0) {
      this.#left = head.contentLength;
      this.#state = lengthState;
    } else {
      this.#keepsAlive = false;
      this.#state = untilCloseState;
    }
    handler.onResponseHead(head);
    return next;
  }

  /** The response is whole; `extra` bytes follow it. */
  #finish(extra: number): void {
    const handler = this.#handler as ResponseHandler;
    this.#handler = undefined;
    this.#state = idleState;
    // What follows a response unasked could answer the next request: such a connection is not used again. Nor is one whose request the
    // upstream did not wait for.
    if (this.#keepsAlive && this.#requestEnded && extra === 0) this.#owner.onIdle(this);
    else this.socket.destroy();
    handler.onResponseEnd(undefined);
  }

  #fail(failure: UpstreamFailure, detail: string): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.socket.destroy();
    handler?.onUpstreamFailure(failure, detail);
  }

  #onEnd(): void {
    if (this.#handler === undefined) return;
    if (this.#state === untilCloseState || this.#state === tunnelState) {
      const handler = this.#handler;
      this.#handler = undefined;
      if (this.#state === untilCloseState) this.socket.destroy();
      handler.onResponseEnd(undefined);
    } else this.#fail("closed", "remote connection closed");
  }

  #onError(error: Error): void {
    this.#fail("reset", error.message);
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#owner.onClose(this);
    if (this.#handler !== undefined) this.#fail("closed", "connection closed");
  }
}

const start = Buffer.from("HTTP/1.");

function mayBeHead(data: Buffer, at: number): boolean {
  const length = Math.min(start.length, data.length - at);
  return data.compare(start, 0, length, at, at + length) === 0;
}
