// One connection from a client that speaks HTTP/1.1: hands each request to an exchange, writes its response, and ends as HTTP/1.1 says.

import type { Socket } from "node:net";
import type { TextLog } from "../compile/access-log.ts";
import type { CompiledHcm } from "../compile/hcm.ts";
import { Deadline } from "../deadline.ts";
import { Exchange } from "../exchange/exchange.ts";
import type { TlsView } from "../formatter.ts";
import type { Headers } from "../http1/headers.ts";
import { HeadFault, type RequestHead } from "../http1/request-head.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { MessageWriter } from "../http1/writer.ts";
import { countPassing } from "../passing-bytes.ts";
import { type ClientConnection, type ClientStream, type ConnectionOwner, plainAddress } from "./client.ts";
import { tellClosed } from "./closing.ts";
import { answerText, type Closing, framing, headText, refusalText, tunnelFraming } from "./http1-response.ts";
import { type RequestListener, RequestReader } from "./request-reader.ts";
import { SlowBodyWatch } from "./slow-body.ts";
import { tlsView } from "./tls-view.ts";

/** After an answer that ends the connection, how long the client may go on sending before it is cut: it should be able to read the answer. */
const lingerMs = 1_000;

const continueText = "HTTP/1.1 100 Continue\r\n\r\n";

export class Http1Connection implements ClientStream, ClientConnection, Closing, RequestListener {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isTls: boolean;
  readonly request = new Deadline(() => this.#exchange?.onRouteTimeout());
  readonly try = new Deadline(() => this.#exchange?.onTryTimeout());
  readonly idle = new Deadline(() => this.#exchange?.onIdleTimeout());
  /** Waiting for a head, for the next request, or for the end. */
  readonly #waiting = new Deadline(() => this.#onWaitedLong());
  readonly #body = new SlowBodyWatch(() => this.#onSlowBody());
  readonly #reader = new RequestReader(this);
  readonly #writer: MessageWriter;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  /** On the socket, as long as it is ours. */
  readonly #listeners: Readonly<Record<string, (data: Buffer) => void>>;
  #exchange: Exchange | undefined;
  #isPaused = false;
  #isClosing = false;
  #served = 0;
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
    this.#listeners = {
      data: this.#reader.read,
      drain: () => this.#exchange?.onDownstreamDrain(),
      error: () => undefined, // `close` follows
      end: () => this.#onEnd(),
      close: () => this.#onClose(),
    };
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
    this.#waiting.set(owner.hcm.headTimeoutMs);
  }

  get hcm(): CompiledHcm {
    return this.#owner.hcm;
  }

  get serverName(): string {
    return this.#owner.hello.serverName;
  }

  get tls(): TlsView | undefined {
    return this.isTls ? tlsView(this.#socket) : undefined;
  }

  get connection(): object {
    return this;
  }

  get isReading(): boolean {
    return this.#reader.isReading;
  }

  /** Whether the connection ends after the response, which then says so. */
  closesAfter(wanted: boolean): boolean {
    this.#isClosing ||= wanted || this.#owner.isDraining || this.#served >= this.#owner.hcm.requestsPerConnection;
    return this.#isClosing;
  }

  // — what the client sends —

  onHeadBegun(): void {
    this.#waiting.set(this.#owner.hcm.headTimeoutMs);
  }

  onHead(head: RequestHead): void {
    const { hcm, stats, tables } = this.#owner;
    stats.downstream_rq_total++;
    stats.downstream_rq_active++;
    this.#served++;
    this.#waiting.clear();
    if (head.wantsClose || (head.protocol === "HTTP/1.0" && !head.wantsKeepAlive)) this.#isClosing = true;
    const exchange = new Exchange(head, this, hcm, tables);
    this.#exchange = exchange;
    if (this.#reader.isInBody) {
      this.#body.start(hcm);
      if (head.expectsContinue && !this.#reader.hasWholeBody) this.#socket.write(continueText, "latin1");
    }
    exchange.begin();
  }

  onBodyData(data: Buffer): void {
    countPassing(data.length);
    this.#body.add(data.length);
    this.#exchange?.onBodyData(data);
  }

  onBodyEnd(last: Buffer | undefined): void {
    this.#body.stop();
    const exchange = this.#exchange;
    if (exchange === undefined) {
      // The exchange is over already: the body was only read to get to the next request.
      this.#reader.expectNext();
      this.#waiting.set(this.#owner.hcm.idleTimeoutMs);
      return;
    }
    if (last !== undefined) exchange.onBodyData(last);
    exchange.onBodyEnd(undefined);
  }

  onFlush(): void {
    this.#exchange?.onBodyFlush();
  }

  onMalformedBody(): void {
    this.#owner.stats.downstream_cx_protocol_error++;
    this.#isClosing = true;
    if (this.#exchange === undefined) this.#linger();
    else this.#exchange.onRequestMalformed();
  }

  onTooFarAhead(): void {
    this.#socket.pause();
  }

  /** Answers what is not a request, and ends the connection: where the next request begins is anybody's guess. */
  onFault(fault: HeadFault): void {
    const { stats } = this.#owner;
    stats.downstream_cx_protocol_error++;
    stats.downstream_rq_total++;
    stats.onResponse(fault.status, 0);
    this.#isClosing = true;
    this.#writer.text(refusalText(fault, this.#owner.hcm));
    this.#writer.flush();
    this.#linger();
  }

  onHttp2(data: Buffer): void {
    this.#closeTimers();
    const { stats } = this.#owner;
    stats.downstream_cx_total--;
    stats.downstream_cx_active--;
    // Ours and no others: node:net and node:tls listen to their own sockets.
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
    this.#socket.pause();
    this.#socket.unshift(data);
    this.#owner.onHttp2(this, this.#socket);
  }

  // — what the exchange asks for —

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
    this.#body.pause();
    this.#socket.pause();
  }

  resumeBody(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#body.resume();
    this.#socket.resume();
  }

  beginTunnel(): void {
    this.#waiting.clear();
    this.#reader.beginTunnel(() => this.#exchange !== undefined);
  }

  /** Cuts the connection so that the client sees it. */
  abort(): void {
    this.#reader.close();
    this.#writer.flush();
    // Only TCP has a reset. In TLS it is the missing close_notify that tells.
    if (this.isTls || this.remoteAddress === "") this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  log(logger: TextLog, exchange: Exchange): void {
    this.#owner.writeLog(logger.path, logger.line(exchange));
  }

  count(name: string): void {
    this.#owner.stats.count(name);
  }

  onExchangeEnd(exchange: Exchange, closes: boolean): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    this.request.clear();
    this.try.clear();
    this.idle.clear();
    const { stats, hcm } = this.#owner;
    stats.downstream_rq_active--;
    stats.onResponse(exchange.responseStatus, exchange.durationMs);
    if (this.#socket.destroyed) return;
    const { isInBody, hasWholeBody } = this.#reader;
    if (closes || this.closesAfter(false) || (isInBody && !hasWholeBody)) {
      this.#reader.close();
      this.#linger();
      return;
    }
    if (this.#isPaused) this.resumeBody();
    if (isInBody) return;
    this.#waiting.set(hcm.idleTimeoutMs);
    // The next pipelined request. Not at once: a thousand of them must not nest a thousand calls.
    if (this.#reader.expectNext()) setImmediate(this.#readAhead);
  }

  readonly #readAhead = (): void => {
    if (!this.#reader.isAtHead) return;
    this.#socket.resume();
    this.#reader.readAhead();
  };

  // — its end —

  /** Sends what is left to send, listens no more, and is gone after a moment. */
  #linger(): void {
    this.#socket.resume();
    this.#end();
  }

  #end(): void {
    this.#socket.end();
    this.#waiting.set(lingerMs);
  }

  #onWaitedLong(): void {
    const { stats } = this.#owner;
    if (this.#reader.isClosed) this.#socket.destroy();
    else if (this.#reader.isHeadStarted) {
      stats.downstream_rq_header_timeout++;
      this.#reader.close();
      this.onFault(new HeadFault(408, "head too slow"));
    } else {
      stats.downstream_rq_idle_timeout++;
      this.#reader.close();
      this.#end();
    }
  }

  #onSlowBody(): void {
    if (this.#exchange === undefined) this.#socket.destroy();
    else this.#exchange.onIdleTimeout();
  }

  #onEnd(): void {
    // A client that closes its half is gone, as for Envoy; only a tunnel is told.
    if (this.#reader.isClosed) return;
    this.#exchange?.onDownstreamClose();
    this.#reader.close();
    this.#end();
  }

  #onClose(): void {
    this.#reader.close();
    this.#exchange?.onDownstreamClose();
    this.#exchange = undefined;
    this.#closeTimers();
    tellClosed(this);
    this.#owner.stats.downstream_cx_active--;
    this.#owner.onClose(this);
  }

  #closeTimers(): void {
    this.request.close();
    this.try.close();
    this.idle.close();
    this.#waiting.close();
    this.#body.close();
  }

  /** Finishes what is under way and takes no more. */
  drain(): void {
    this.#isClosing = true;
    if (this.#exchange === undefined && !this.#reader.isHeadStarted && this.#reader.isAtHead) {
      this.#reader.close();
      this.#end();
    }
  }

  destroy(): void {
    if (this.#exchange?.isTunnel && this.#exchange.isWebSocket) {
      // Close frame, 1001: going away (RFC 6455 §7.4.1).
      this.#socket.end(Buffer.from([0x88, 0x02, 0x03, 0xe9]));
      this.#reader.close();
      setTimeout(() => this.#socket.destroy(), 100).unref();
      return;
    }
    this.#socket.destroy();
  }
}
