// One request to an upstream on a stream of HTTP/2.

import type { ClientHttp2Stream } from "node:http2";
import { type Headers, headerValue } from "../http1/headers.ts";
import { acceptOf } from "../http1/websocket.ts";
import { requestList, responseHead, trailerList, trailerObject } from "../http2/heads.ts";
import { endStreamFlag, errorCodes } from "../http2/node-http2.ts";
import { countPassing } from "../passing-bytes.ts";
import type { Http2Session } from "./http2-session.ts";
import type { OutgoingRequest, ResponseHandler, UpstreamStream } from "./stream.ts";

export class Http2Upstream implements UpstreamStream {
  readonly #session: Http2Session;
  #stream: ClientHttp2Stream | undefined;
  #handler: ResponseHandler | undefined;
  #trailers: Headers | undefined;
  #requestTrailers: Headers | undefined;
  /** What was asked for, with the key that HTTP/2 does not carry. */
  #tunnel: { readonly upgrade: string; readonly key: string | undefined } | undefined;
  #requestEnded = false;
  #headRead = false;
  #isOver = false;

  constructor(session: Http2Session) {
    this.#session = session;
  }

  readonly protocol = "HTTP/2";

  get local(): { readonly address: string; readonly port: number } {
    return this.#session.local;
  }

  /** A host that said goodbye before it read the request: nobody has seen it. */
  get mayHaveBeenStale(): boolean {
    return !this.#headRead && this.#stream?.rstCode === errorCodes.refusedStream && this.#session.isGoingAway;
  }

  begin(handler: ResponseHandler, request: OutgoingRequest): void {
    this.#handler = handler;
    if (request.upgrade !== undefined) this.#tunnel = { upgrade: request.upgrade, key: headerValue(request.headers, "sec-websocket-key") };
    const endStream = !request.isChunked && request.contentLength <= 0 && request.upgrade === undefined;
    this.#requestEnded = endStream;
    // Even where no trailers can come: without it, node:http2 ends a stream cleanly before it resets it, and half a body would look whole.
    const stream = this.#session.session.request(requestList(request) as never, { endStream, waitForTrailers: !endStream });
    this.#stream = stream;
    stream.on("response", (_, flags: number, list: string[] = []) => this.#onHead(list, (flags & endStreamFlag) !== 0));
    stream.on("data", (data: Buffer) => this.#onData(data));
    stream.on("trailers", (...[, , list = []]: [unknown, number, string[]?]) => {
      this.#trailers = trailerList(list);
    });
    stream.on("end", () => this.#onEnd());
    stream.on("drain", () => this.#handler?.onUpstreamDrain());
    if (!endStream) stream.on("wantTrailers", () => this.#endWithTrailers(stream));
    stream.on("error", () => undefined); // `close` follows
    stream.on("close", () => this.#onClose());
  }

  sendData(data: Buffer): void {
    const stream = this.#stream;
    if (stream !== undefined && !this.#requestEnded && !stream.destroyed) stream.write(data);
  }

  endRequest(trailers: Headers | undefined): void {
    // What goes through a tunnel is never the whole of it.
    if (this.#requestEnded || this.#tunnel !== undefined) return;
    this.#requestEnded = true;
    this.#requestTrailers = trailers;
    if (!this.#stream?.destroyed) this.#stream?.end();
  }

  #endWithTrailers(stream: ClientHttp2Stream): void {
    if (!stream.closed && !stream.destroyed) stream.sendTrailers(trailerObject(this.#requestTrailers));
  }

  flush(): boolean {
    return this.#stream?.writableNeedDrain !== true;
  }

  pauseResponse(): void {
    this.#stream?.pause();
  }

  resumeResponse(): void {
    this.#stream?.resume();
  }

  abandon(): void {
    this.#handler = undefined;
    const stream = this.#stream;
    if (stream === undefined) this.#leave();
    else if (!stream.closed) {
      stream.close(errorCodes.cancel);
      stream.resume();
    }
  }

  #onHead(list: readonly string[], isWhole: boolean): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    const head = responseHead(list, isWhole, this.#session.owner.maxResponseHeaders);
    if (head === undefined) {
      this.#handler = undefined;
      this.#stream?.close(errorCodes.protocolError);
      handler.onUpstreamFailure("malformed", "head");
      return;
    }
    this.#headRead = true;
    // A tunnel that was agreed to, in the words of HTTP/1.1.
    if (this.#tunnel !== undefined && head.status === 200) {
      const { upgrade, key } = this.#tunnel;
      const headers = key === undefined ? head.headers : [...head.headers, "sec-websocket-accept", acceptOf(key)];
      handler.onResponseHead({ ...head, headers, status: 101, upgrade });
    } else handler.onResponseHead(head);
    if (!isWhole) handler.onResponseFlush();
  }

  #onData(data: Buffer): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    countPassing(data.length);
    handler.onResponseData(data);
    handler.onResponseFlush();
  }

  #onEnd(): void {
    const handler = this.#handler;
    if (handler === undefined || !this.#headRead) return;
    // Broken off: `close` tells.
    if (this.#stream?.rstCode !== errorCodes.noError && this.#stream?.rstCode !== undefined) return;
    if (this.#session.isLost && this.#stream?.closed !== true) return;
    this.#handler = undefined;
    // RFC 9113 §8.1: a response may be whole before its request.
    if (!this.#requestEnded) this.#stream?.close(errorCodes.noError);
    handler.onResponseEnd(this.#trailers);
  }

  #onClose(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    const code = this.#stream?.rstCode;
    this.#leave();
    if (handler === undefined) return;
    if (code === errorCodes.refusedStream) handler.onUpstreamFailure("refused", "refused stream");
    else if (code === errorCodes.protocolError) handler.onUpstreamFailure("malformed", "stream reset: protocol error");
    else if (this.#session.isLost) handler.onUpstreamFailure("closed", "connection closed");
    else handler.onUpstreamFailure("remoteReset", `stream reset ${code}`);
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session.onStreamEnd();
  }
}
