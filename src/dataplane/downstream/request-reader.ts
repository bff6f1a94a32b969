// Reads requests of HTTP/1.1 from what a client sends: a head, its body, and then no further until the response is out. Pipelined requests wait.

import { ChunkedDecoder } from "../http1/chunked.ts";
import { HeadFault, parseRequestHead, type RequestHead, type RequestHeadLimits } from "../http1/request-head.ts";
import { hasBareLf, isHttp2Preface, isPlausible } from "./first-line.ts";

export interface RequestListener {
  /** Always the newest. */
  readonly hcm: { readonly limits: RequestHeadLimits; readonly maxHeadBytes: number; readonly codec: "auto" | "http1" | "http2" };
  /** A head begins, and is not whole yet. */
  onHeadBegun(): void;
  onHead(head: RequestHead): void;
  onBodyData(data: Buffer): void;
  onBodyEnd(last: Buffer | undefined): void;
  /** All that one read brought was handed over. */
  onFlush(): void;
  onFault(fault: HeadFault): void;
  onMalformedBody(): void;
  /** It is no HTTP/1.1 but HTTP/2; all that came so far. */
  onHttp2(data: Buffer): void;
  /** More than should be kept of pipelined requests: stop reading. */
  onTooFarAhead(): void;
}

/** Of pipelined requests, how much is read ahead. */
const readAheadLimit = 65_536;

const headState = 0;
const lengthState = 1;
const chunkedState = 2;
/** The request is read; its response is not out yet. */
const waitState = 3;
const tunnelState = 4;
/** No more is read but thrown away. */
const closedState = 5;

export class RequestReader {
  /** In the middle of what one read brought. */
  isReading = false;
  /** A part of a head came. */
  isHeadStarted = false;
  /** The body of the request under way has been read to its end, or lies here whole. */
  hasWholeBody = true;
  readonly #listener: RequestListener;
  #state = headState;
  #stash: Buffer | undefined;
  #left = 0;
  #chunked: ChunkedDecoder | undefined;
  #isFirst = true;

  constructor(listener: RequestListener) {
    this.#listener = listener;
  }

  get isClosed(): boolean {
    return this.#state === closedState;
  }

  get isAtHead(): boolean {
    return this.#state === headState;
  }

  get isInBody(): boolean {
    return this.#state === lengthState || this.#state === chunkedState;
  }

  readonly read = (chunk: Buffer): void => {
    if (this.#state === closedState) return;
    if (this.#stash === undefined) this.#consume(chunk);
    else if (this.#state === waitState) this.#keep(Buffer.concat([this.#stash, chunk]));
    else {
      const data = Buffer.concat([this.#stash, chunk]);
      this.#stash = undefined;
      this.#consume(data);
    }
  };

  #keep(data: Buffer): void {
    this.#stash = data;
    if (data.length > readAheadLimit) this.#listener.onTooFarAhead();
  }

  #consume(data: Buffer): void {
    const listener = this.#listener;
    this.isReading = true;
    let at = 0;
    while (at < data.length) {
      switch (this.#state) {
        case headState:
          at = this.#readHead(data, at);
          break;
        case lengthState: {
          const take = Math.min(this.#left, data.length - at);
          const part = at === 0 && take === data.length ? data : data.subarray(at, at + take);
          at += take;
          this.#left -= take;
          if (this.#left === 0) this.#endBody(part);
          else listener.onBodyData(part);
          break;
        }
        case chunkedState: {
          const decoder = this.#chunked as ChunkedDecoder;
          const end = decoder.read(data, at, (part) => listener.onBodyData(part));
          if (end < 0) {
            this.#state = closedState;
            listener.onMalformedBody();
            at = data.length;
            break;
          }
          at = end;
          if (decoder.isDone) this.#endBody(undefined);
          break;
        }
        case waitState:
          this.#keep(at === 0 ? data : data.subarray(at));
          at = data.length;
          break;
        case tunnelState:
          listener.onBodyData(at === 0 ? data : data.subarray(at));
          at = data.length;
          break;
        default:
          at = data.length;
      }
    }
    this.isReading = false;
    listener.onFlush();
  }

  /** Returns where the head ends, or the length of the data when it is not whole. */
  #readHead(data: Buffer, from: number): number {
    let at = from;
    // RFC 9112 §2.2: an empty line before a request is skipped.
    while (at + 1 < data.length && data[at] === 0x0d && data[at + 1] === 0x0a) at += 2;
    if (at >= data.length) return data.length;
    if (this.#isFirst && data[at] === 0x50 && this.#mayBeHttp2(data, at)) return data.length;
    const { limits, maxHeadBytes } = this.#listener.hcm;
    const end = data.indexOf("\r\n\r\n", at, "latin1");
    if (end < 0 || end - at > maxHeadBytes) {
      if (data.length - at > maxHeadBytes) this.#refuse(new HeadFault(431, "head too large"));
      else if (!isPlausible(data, at) || hasBareLf(data, at)) this.#refuse(new HeadFault(400, "request line or bare LF"));
      else this.#awaitHead(data, at);
      return data.length;
    }
    this.isHeadStarted = false;
    this.#isFirst = false;
    const head = parseRequestHead(data.toString("latin1", at, end + 2), limits);
    if (head instanceof HeadFault) {
      this.#refuse(head);
      return data.length;
    }
    const next = end + 4;
    if (head.isChunked || head.contentLength > 0) {
      this.hasWholeBody = head.contentLength > 0 && data.length - next >= head.contentLength;
      this.#left = head.contentLength;
      this.#chunked = head.isChunked ? new ChunkedDecoder() : undefined;
      this.#state = head.isChunked ? chunkedState : lengthState;
    } else {
      this.hasWholeBody = true;
      this.#state = waitState;
    }
    this.#listener.onHead(head);
    return next;
  }

  #awaitHead(data: Buffer, at: number): void {
    if (!this.isHeadStarted) {
      this.isHeadStarted = true;
      this.#listener.onHeadBegun();
    }
    this.#stash = at === 0 ? data : data.subarray(at);
  }

  /** The first bytes of a connection: whether they are, or may be, those of HTTP/2. */
  #mayBeHttp2(data: Buffer, at: number): boolean {
    if (this.#listener.hcm.codec === "http1") return false;
    const found = isHttp2Preface(data, at);
    if (found === "maybe") this.#awaitHead(data, at);
    else if (found) {
      this.#state = closedState;
      this.#listener.onHttp2(data.subarray(at));
    }
    return found !== false;
  }

  #refuse(fault: HeadFault): void {
    this.#state = closedState;
    this.#listener.onFault(fault);
  }

  #endBody(last: Buffer | undefined): void {
    this.hasWholeBody = true;
    this.#state = waitState;
    this.#listener.onBodyEnd(last);
  }

  /** The response is out: the next request may come. True when some of it is here already; then {@link readAhead} reads it. */
  expectNext(): boolean {
    this.#state = headState;
    return this.#stash !== undefined;
  }

  readAhead(): void {
    const stash = this.#stash;
    if (this.#state !== headState || stash === undefined) return;
    this.#stash = undefined;
    this.#consume(stash);
  }

  /** From here on all is data; what came too early as well. */
  beginTunnel(isWanted: () => boolean): void {
    this.#state = tunnelState;
    this.hasWholeBody = true;
    const early = this.#stash;
    this.#stash = undefined;
    if (early !== undefined) queueMicrotask(() => isWanted() && this.#consume(early));
  }

  close(): void {
    this.#state = closedState;
    this.#stash = undefined;
  }
}
