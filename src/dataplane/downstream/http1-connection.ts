// One connection from a client: reads requests one after another (pipelined ones wait), hands each to an exchange, and ends as HTTP/1.1 says.

import type { Socket } from "node:net";
import type { AccessLogger } from "../compile/access-log.ts";
import { Deadline } from "../deadline.ts";
import { Exchange } from "../exchange/exchange.ts";
import { ChunkedDecoder } from "../http1/chunked.ts";
import type { Headers } from "../http1/headers.ts";
import { HeadFault, parseRequestHead } from "../http1/request-head.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { MessageWriter } from "../http1/writer.ts";
import { type ClientConnection, type ClientStream, type ConnectionOwner, plainAddress } from "./client.ts";
import { hasBareLf, isHttp2Preface, isPlausible } from "./first-line.ts";
import { answerText, type Closing, framing, headText, refusalText, tunnelFraming } from "./http1-response.ts";
import { countStatus } from "./listener-stats.ts";

/** Slow bodies: this long without enough bytes ends the request, unless the configuration has a time of its own. */
const slowBodyMs = 30_000;
const slowBodyBytesPerSecond = 240;

/** After an answer that ends the connection, how long the client may go on sending before it is cut: it should be able to read the answer. */
const lingerMs = 1_000;

/** Of pipelined requests, how much is read ahead. */
const readAheadLimit = 65_536;

const headState = 0;
const lengthState = 1;
const chunkedState = 2;
/** The request is read; its response is not out yet. */
const waitState = 3;
const tunnelState = 4;
/** No more is read but thrown away. */
const closingState = 5;

const continueText = "HTTP/1.1 100 Continue\r\n\r\n";
const noBytes = Buffer.alloc(0);

export class Http1Connection implements ClientStream, ClientConnection, Closing {
  readonly #writer: MessageWriter;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isTls: boolean;
  /** Route time-out, per-try time-out, stream idle time-out: of the exchange that is under way. */
  readonly request = new Deadline(() => this.#exchange?.onRouteTimeout());
  readonly try = new Deadline(() => this.#exchange?.onTryTimeout());
  readonly idle = new Deadline(() => this.#exchange?.onIdleTimeout());
  /** Waiting for a head, for a body, or for the next request. */
  readonly #read = new Deadline(() => this.#onReadTimeout());
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #state = headState;
  #stash: Buffer | undefined;
  #exchange: Exchange | undefined;
  #left = 0;
  #chunked: ChunkedDecoder | undefined;
  #isReading = false;
  #isPaused = false;
  #isClosing = false;
  #served = 0;
  #bodyMark = 0;
  #bodyRead = 0;
  #hasWholeBody = true;
  #isHeadStarted = false;
  /** Of the response under way. */
  #isChunkedOut = false;

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#writer = new MessageWriter(socket);
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    this.isTls = owner.isTls;
    owner.stats.downstream_cx_total++;
    owner.stats.downstream_cx_active++;
    socket.on("data", this.#onData);
    socket.on("drain", () => this.#exchange?.onDownstreamDrain());
    socket.on("error", () => undefined); // `close` follows
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#onClose());
    this.#read.set(owner.hcm.headTimeoutMs);
  }

  /** In the middle of what one read brought: more for the upstream may follow at once. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Whether the connection ends after the response, which then says so. */
  closesAfter(wanted: boolean): boolean {
    this.#isClosing ||= wanted || this.#owner.isDraining || this.#served >= this.#owner.hcm.requestsPerConnection;
    return this.#isClosing;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#state === closingState) return;
    if (this.#stash === undefined) this.#consume(chunk);
    else if (this.#state === waitState) {
      this.#stash = Buffer.concat([this.#stash, chunk]);
      if (this.#stash.length > readAheadLimit) this.#socket.pause();
    } else {
      const data = Buffer.concat([this.#stash, chunk]);
      this.#stash = undefined;
      this.#consume(data);
    }
  };

  #consume(data: Buffer): void {
    this.#isReading = true;
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
          this.#bodyRead += take;
          if (this.#left === 0) this.#endBody(part);
          else this.#exchange?.onBodyData(part);
          break;
        }
        case chunkedState: {
          const decoder = this.#chunked as ChunkedDecoder;
          const end = decoder.read(data, at, (part) => {
            this.#bodyRead += part.length;
            this.#exchange?.onBodyData(part);
          });
          if (end < 0) {
            this.#owner.stats.downstream_cx_protocol_error++;
            this.#isClosing = true;
            this.#state = closingState;
            if (this.#exchange === undefined) this.#linger();
            else this.#exchange.onRequestMalformed();
            at = data.length;
            break;
          }
          at = end;
          if (decoder.isDone) this.#endBody(noBytes);
          break;
        }
        case waitState:
          this.#stash = at === 0 ? data : data.subarray(at);
          if (this.#stash.length > readAheadLimit) this.#socket.pause();
          at = data.length;
          break;
        case tunnelState:
          this.#exchange?.onBodyData(at === 0 ? data : data.subarray(at));
          at = data.length;
          break;
        default:
          at = data.length;
      }
    }
    this.#isReading = false;
    this.#exchange?.onBodyFlush();
  }

  /** Returns where the head ends, or the length of the data when it is not whole. */
  #readHead(data: Buffer, from: number): number {
    let at = from;
    // RFC 9112 §2.2: an empty line before a request is skipped.
    while (at + 1 < data.length && data[at] === 0x0d && data[at + 1] === 0x0a) at += 2;
    if (at >= data.length) return data.length;
    const { hcm, stats } = this.#owner;
    if (this.#served === 0 && data[at] === 0x50 && this.#mayBeHttp2(data, at)) return data.length;
    const end = data.indexOf("\r\n\r\n", at, "latin1");
    if (end < 0 || end - at > hcm.maxHeadBytes) {
      if (data.length - at > hcm.maxHeadBytes) this.#refuse(new HeadFault(431, "head too large"));
      else if (!isPlausible(data, at) || hasBareLf(data, at)) this.#refuse(new HeadFault(400, "request line or bare LF"));
      else {
        if (!this.#isHeadStarted) {
          this.#isHeadStarted = true;
          this.#read.set(hcm.headTimeoutMs);
        }
        this.#stash = at === 0 ? data : data.subarray(at);
      }
      return data.length;
    }
    this.#isHeadStarted = false;
    const head = parseRequestHead(data.toString("latin1", at, end + 2), hcm.limits);
    if (head instanceof HeadFault) {
      this.#refuse(head);
      return data.length;
    }
    const next = end + 4;
    stats.downstream_rq_total++;
    stats.downstream_rq_active++;
    this.#served++;
    if (head.wantsClose || (head.protocol === "HTTP/1.0" && !head.wantsKeepAlive)) this.#isClosing = true;
    const exchange = new Exchange(head, this, hcm, this.#owner.tables);
    this.#exchange = exchange;
    const hasBody = head.isChunked || head.contentLength > 0;
    if (hasBody) {
      this.#hasWholeBody = head.contentLength > 0 && data.length - next >= head.contentLength;
      this.#left = head.contentLength;
      this.#chunked = head.isChunked ? new ChunkedDecoder() : undefined;
      this.#state = head.isChunked ? chunkedState : lengthState;
      this.#bodyRead = 0;
      this.#bodyMark = 0;
      this.#read.set(hcm.requestTimeoutMs === Number.POSITIVE_INFINITY ? slowBodyMs : hcm.requestTimeoutMs);
      if (head.expectsContinue && !this.#hasWholeBody) this.#socket.write(continueText, "latin1");
    } else {
      this.#hasWholeBody = true;
      this.#state = waitState;
      this.#read.clear();
    }
    exchange.begin();
    return next;
  }

  /** The first bytes of a connection: whether they are, or may be, those of HTTP/2. */
  #mayBeHttp2(data: Buffer, at: number): boolean {
    if (this.#owner.hcm.codec === "http1") return false;
    const found = isHttp2Preface(data, at);
    if (found === "maybe") this.#stash = data.subarray(at);
    else if (found) this.#handOver(data.subarray(at));
    return found !== false;
  }

  #handOver(data: Buffer): void {
    this.#state = closingState;
    this.#closeTimers();
    const { stats } = this.#owner;
    stats.downstream_cx_total--;
    stats.downstream_cx_active--;
    for (const event of ["data", "drain", "error", "end", "close"]) this.#socket.removeAllListeners(event);
    this.#socket.pause();
    this.#socket.unshift(data);
    this.#owner.onHttp2(this, this.#socket);
  }

  #endBody(last: Buffer): void {
    this.#hasWholeBody = true;
    this.#read.clear();
    const exchange = this.#exchange;
    // The exchange may be over already: then the body was only read to get to the next request.
    this.#state = exchange === undefined ? headState : waitState;
    if (exchange === undefined) {
      this.#read.set(this.#owner.hcm.idleTimeoutMs);
      return;
    }
    if (last.length > 0) exchange.onBodyData(last);
    exchange.onBodyEnd(undefined);
  }

  /** Answers what is not a request, and ends the connection: where the next request begins is anybody's guess. */
  #refuse(fault: HeadFault): void {
    const { stats } = this.#owner;
    stats.downstream_cx_protocol_error++;
    stats.downstream_rq_4xx++;
    this.#isClosing = true;
    this.#state = closingState;
    this.#writer.text(refusalText(fault, this.#owner.hcm));
    this.#writer.flush();
    this.#linger();
  }

  // — what exchanges ask for —

  sendAnswer(exchange: Exchange, status: number, headers: Headers, body: string): void {
    this.#writer.text(answerText(exchange, status, headers, body, this));
    this.#writer.flush();
  }

  sendHead(exchange: Exchange, head: ResponseHead): void {
    const text = headText(head.status, head.headers);
    if (exchange.isTunnel) {
      this.#isChunkedOut = false;
      this.#writer.text(`${text}${tunnelFraming(exchange, head)}\r\n`);
      return;
    }
    const { text: lines, isChunked } = framing(exchange, head, this);
    this.#isChunkedOut = isChunked;
    this.#writer.text(`${text}${lines}\r\n`);
  }

  sendData(data: Buffer): void {
    if (this.#isChunkedOut) this.#writer.chunk(data);
    else this.#writer.data(data);
  }

  /** Trailers are for HTTP/2: here Envoy sends none unless it is told to. */
  sendEnd(): void {
    if (this.#isChunkedOut) this.#writer.text("0\r\n\r\n");
    this.#writer.flush();
  }

  flush(): boolean {
    return this.#writer.flush();
  }

  pauseBody(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  resumeBody(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#bodyMark = this.#bodyRead - slowBodyBytesPerSecond * (slowBodyMs / 1_000);
    this.#socket.resume();
  }

  beginTunnel(): void {
    this.#state = tunnelState;
    this.#read.clear();
    this.#hasWholeBody = true;
    const early = this.#stash;
    this.#stash = undefined;
    if (early !== undefined) queueMicrotask(() => this.#exchange !== undefined && this.#consume(early));
  }

  /** Cuts the connection so that the client sees it. */
  abort(): void {
    this.#state = closingState;
    this.#writer.flush();
    // Only TCP has a reset. In TLS it is the missing close_notify that tells.
    if (this.isTls || this.remoteAddress === "") this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  log(logger: AccessLogger, exchange: Exchange): void {
    this.#owner.writeLog(logger.path, logger.line(exchange));
  }

  onExchangeEnd(exchange: Exchange, closes: boolean): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    this.request.clear();
    this.try.clear();
    this.idle.clear();
    const { stats, hcm } = this.#owner;
    stats.downstream_rq_active--;
    countStatus(stats, exchange.responseStatus);
    if (this.#socket.destroyed) return;
    const isBodyLeft = this.#state === lengthState || this.#state === chunkedState;
    if (closes || this.closesAfter(false) || (isBodyLeft && !this.#hasWholeBody)) {
      this.#state = closingState;
      this.#linger();
      return;
    }
    if (this.#isPaused) this.resumeBody();
    if (isBodyLeft) return;
    this.#state = headState;
    this.#read.set(hcm.idleTimeoutMs);
    const stash = this.#stash;
    if (stash === undefined) return;
    // The next pipelined request. Not at once: a thousand of them must not nest a thousand calls.
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    const stash = this.#stash;
    if (this.#state !== headState || stash === undefined) return;
    this.#stash = undefined;
    this.#socket.resume();
    this.#consume(stash);
  };

  /** Sends what is left to send, listens no more, and is gone after a moment. */
  #linger(): void {
    this.#socket.resume();
    this.#socket.end();
    this.#read.set(lingerMs);
  }

  #onReadTimeout(): void {
    const { stats, hcm } = this.#owner;
    if (this.#state === closingState) {
      this.#socket.destroy();
      return;
    }
    if (this.#state === headState) {
      if (this.#isHeadStarted) {
        stats.downstream_rq_header_timeout++;
        this.#refuse(new HeadFault(408, "head too slow"));
      } else {
        stats.downstream_rq_idle_timeout++;
        this.#state = closingState;
        this.#socket.end();
        this.#read.set(lingerMs);
      }
      return;
    }
    if (this.#exchange === undefined) {
      this.#socket.destroy();
      return;
    }
    if (hcm.requestTimeoutMs !== Number.POSITIVE_INFINITY) {
      this.#exchange.onIdleTimeout();
      return;
    }
    // Whoever is held back by a slow upstream is not slow himself.
    const isSlow =
      !this.#isPaused && !hcm.explicitStreamIdle && this.#bodyRead - this.#bodyMark < slowBodyBytesPerSecond * (slowBodyMs / 1_000);
    this.#bodyMark = this.#bodyRead;
    if (isSlow) this.#exchange.onIdleTimeout();
    else this.#read.set(slowBodyMs);
  }

  #onEnd(): void {
    // A client that closes its half is gone, as for Envoy; only a tunnel is told.
    if (this.#state === closingState) return;
    this.#exchange?.onDownstreamClose();
    this.#state = closingState;
    this.#socket.end();
    this.#read.set(lingerMs);
  }

  #onClose(): void {
    this.#state = closingState;
    this.#exchange?.onDownstreamClose();
    this.#exchange = undefined;
    this.#closeTimers();
    this.#stash = undefined;
    this.#owner.stats.downstream_cx_active--;
    this.#owner.onClose(this);
  }

  #closeTimers(): void {
    this.request.close();
    this.try.close();
    this.idle.close();
    this.#read.close();
  }

  /** Finishes what is under way and takes no more. */
  drain(): void {
    this.#isClosing = true;
    if (this.#exchange === undefined && !this.#isHeadStarted && this.#state === headState) {
      this.#state = closingState;
      this.#socket.end();
      this.#read.set(lingerMs);
    }
  }

  /** The deadline is over. */
  destroy(): void {
    if (this.#exchange?.isTunnel && this.#exchange.isWebSocket) {
      // Close frame, 1001: going away (RFC 6455 §7.4.1).
      this.#socket.end(Buffer.from([0x88, 0x02, 0x03, 0xe9]));
      this.#state = closingState;
      setTimeout(() => this.#socket.destroy(), 100).unref();
      return;
    }
    this.#socket.destroy();
  }
}
