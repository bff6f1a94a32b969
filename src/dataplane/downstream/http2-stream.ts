// One request of a client on a stream of HTTP/2, and its response.

import type { ServerHttp2Stream } from "node:http2";
import type { TextLog } from "../compile/access-log.ts";
import type { CompiledHcm } from "../compile/hcm.ts";
import type { Deadline } from "../deadline.ts";
import { sendHeaders } from "../edge.ts";
import { Exchange } from "../exchange/exchange.ts";
import type { TlsView } from "../formatter.ts";
import type { Headers } from "../http1/headers.ts";
import { HeadFault } from "../http1/request-head.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { responseList, trailerList, trailerObject } from "../http2/heads.ts";
import { endStreamFlag, errorCodes } from "../http2/node-http2.ts";
import { parseRequestList } from "../http2/request.ts";
import { countPassing } from "../passing-bytes.ts";
import type { ClientStream } from "./client.ts";
import { refusalPhrase } from "./http1-response.ts";
import type { Http2Connection } from "./http2-connection.ts";
import { SlowBodyWatch } from "./slow-body.ts";
import { StreamTimers } from "./stream-timers.ts";

/** Of a stream that is over: whoever still sets one must not set that of another stream. */
const noTimers = new StreamTimers();

// The old generation of the heap keeps streams of node:http2 long after they are closed, and what they lead to; so that they lead here only while they
// are open, and by way of listeners that are the same for all.
const client = Symbol("client");

type OwnedStream = ServerHttp2Stream & { [client]?: Http2ClientStream | undefined };

export class Http2ClientStream implements ClientStream {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isTls: boolean;
  readonly #stream: OwnedStream;
  readonly #connection: Http2Connection;
  #timers: StreamTimers;
  #body: SlowBodyWatch | undefined;
  #exchange: Exchange | undefined;
  #isReading = false;
  #isBodyEnded = false;
  #hasNoBody = false;
  /** Of a response that has begun, while nothing of it was sent: what comes in one go leaves in one go. */
  #heldHead: readonly string[] | undefined;
  #heldBody: Buffer[] = [];
  #waitsForDrain = false;
  #requestTrailers: Headers | undefined;
  #trailers: Headers | undefined;

  constructor(stream: ServerHttp2Stream, connection: Http2Connection) {
    this.#stream = stream;
    this.#connection = connection;
    this.remoteAddress = connection.remoteAddress;
    this.remotePort = connection.remotePort;
    this.localAddress = connection.localAddress;
    this.localPort = connection.localPort;
    this.isTls = connection.isTls;
    this.#timers = connection.takeTimers();
    this.#stream[client] = this;
    stream.on("error", listeners.error);
    stream.on("close", listeners.close);
  }

  get request(): Deadline {
    return this.#timers.request;
  }

  get try(): Deadline {
    return this.#timers.try;
  }

  get idle(): Deadline {
    return this.#timers.idle;
  }

  get serverName(): string {
    return this.#connection.owner.hello.serverName;
  }

  get tls(): TlsView | undefined {
    return this.#connection.tls;
  }

  get connection(): object {
    return this.#connection;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  begin(list: readonly string[], flags: number): void {
    const { hcm, stats, tables } = this.#connection.owner;
    const endsHere = (flags & endStreamFlag) !== 0;
    this.#isBodyEnded = endsHere;
    const head = parseRequestList(list, endsHere, {
      ...hcm.limits,
      maxHeadBytes: hcm.maxHeadBytes,
      allowsConnect: hcm.http2.allowsConnect,
    });
    stats.downstream_rq_total++;
    if (head instanceof HeadFault) {
      this.#refuse(head);
      return;
    }
    stats.downstream_rq_active++;
    if (head.expectsContinue) this.#stream.additionalHeaders({ ":status": 100 });
    const exchange = new Exchange(head, this, hcm, tables);
    this.#exchange = exchange;
    this.#timers.exchange = exchange;
    if (!endsHere && head.upgrade === undefined) this.#readBody(hcm);
    exchange.begin();
  }

  #readBody(hcm: CompiledHcm): void {
    const stream = this.#stream;
    this.#body = new SlowBodyWatch(() => this.#exchange?.onIdleTimeout());
    this.#body.start(hcm);
    this.#listen();
    stream.on("trailers", listeners.trailers);
  }

  #listen(): void {
    this.#stream.on("data", listeners.data);
    this.#stream.on("end", listeners.end);
  }

  onTrailers(list: readonly string[]): void {
    this.#requestTrailers = trailerList(list);
  }

  onData(data: Buffer): void {
    countPassing(data.length);
    this.#body?.add(data.length);
    this.#isReading = true;
    this.#exchange?.onBodyData(data);
    this.#isReading = false;
    this.#exchange?.onBodyFlush();
  }

  onEnd(): void {
    // Reset by the client: `close` tells.
    if (this.#stream.aborted || this.#stream.rstCode !== errorCodes.noError) return;
    this.#isBodyEnded = true;
    this.#body?.close();
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (exchange.isTunnel) exchange.onDownstreamClose();
    else {
      exchange.onBodyEnd(this.#requestTrailers);
      exchange.onBodyFlush();
    }
  }

  /** Answers what is not a request that we take. */
  #refuse(fault: HeadFault): void {
    const { hcm, stats } = this.#connection.owner;
    stats.onResponse(fault.status, 0);
    const body = fault.hasBody ? refusalPhrase(fault.status) : "";
    const headers: Headers = body === "" ? [] : ["content-length", String(body.length), "content-type", "text/plain"];
    sendHeaders(headers, hcm, true);
    this.#respond(fault.status, headers, body === "");
    if (body !== "") this.#stream.end(body, "latin1");
    if (!this.#isBodyEnded) this.#leaveRest();
  }

  /** False when there is nobody to answer. */
  #respond(status: number, headers: Headers, isWhole: boolean): boolean {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || stream.headersSent) return false;
    stream.respond(responseList(status, headers) as never, { endStream: isWhole });
    return true;
  }

  // — what the exchange asks for —

  sendAnswer(exchange: Exchange, status: number, headers: Headers, body: string): void {
    const hasNoBody = body === "" || exchange.isHead || status === 204 || status === 304;
    const list: Headers = body === "" || status === 204 ? headers : ["content-length", String(body.length), ...headers];
    if (this.#respond(status, list, hasNoBody) && !hasNoBody) this.#stream.end(body, "latin1");
  }

  sendHead(exchange: Exchange, head: ResponseHead): void {
    const { status, headers, contentLength } = head;
    if (exchange.isTunnel) {
      this.#beginResponse(responseList(200, headers), true);
      return;
    }
    this.#hasNoBody = head.isWhole || exchange.isHead || status === 204 || status === 304;
    const list: Headers = contentLength < 0 || status === 204 ? headers : [...headers, "content-length", String(contentLength)];
    if (this.#hasNoBody) this.#respond(status, list, true);
    else this.#heldHead = responseList(status, list);
  }

  sendData(data: Buffer): void {
    if (this.#hasNoBody) return;
    if (this.#heldHead !== undefined) this.#heldBody.push(data);
    else this.#write(data);
  }

  #write(data: Buffer): void {
    if (!this.#stream.destroyed && !this.#stream.closed) this.#stream.write(data);
  }

  sendEnd(trailers: Headers | undefined): void {
    this.#trailers = trailers;
    if (this.#hasNoBody) return;
    // All of it is here, so that nothing can go wrong any more between its head and its end.
    const last = this.#sendHeld(trailers !== undefined);
    const stream = this.#stream;
    if (!stream.destroyed) stream.end(stream.closed ? undefined : last);
  }

  /**
   * @param waitForTrailers even where no trailers can come, as long as the end is not here: without it, node:http2 ends a stream cleanly before it resets it,
   *   and half a response would look whole
   */
  #beginResponse(list: readonly string[], waitForTrailers: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || stream.headersSent) return;
    if (waitForTrailers) stream.on("wantTrailers", listeners.wantTrailers);
    stream.respond(list as never, { endStream: false, waitForTrailers });
  }

  /** Sends what is held, but for the last piece of the body. */
  #sendHeld(waitForTrailers: boolean): Buffer | undefined {
    const head = this.#heldHead;
    if (head === undefined) return undefined;
    this.#heldHead = undefined;
    this.#beginResponse(head, waitForTrailers);
    const body = this.#heldBody;
    const last = body.pop();
    for (const data of body) this.#write(data);
    this.#heldBody = [];
    return last;
  }

  onWantTrailers(): void {
    const stream = this.#stream;
    if (!stream.closed && !stream.destroyed) stream.sendTrailers(trailerObject(this.#trailers));
  }

  flush(): boolean {
    const last = this.#sendHeld(true);
    if (last !== undefined) this.#write(last);
    const stream = this.#stream;
    if (!stream.writableNeedDrain) return true;
    if (!this.#waitsForDrain) stream.on("drain", listeners.drain);
    this.#waitsForDrain = true;
    return false;
  }

  pauseBody(): void {
    this.#body?.pause();
    this.#stream.pause();
  }

  resumeBody(): void {
    if (!this.#stream.isPaused()) return;
    this.#body?.resume();
    this.#stream.resume();
  }

  beginTunnel(): void {
    this.#listen();
  }

  abort(): void {
    this.flush();
    if (!this.#stream.closed) this.#stream.close(errorCodes.internalError);
  }

  log(logger: TextLog, exchange: Exchange): void {
    this.#connection.owner.writeLog(logger.path, logger.line(exchange));
  }

  count(name: string): void {
    this.#connection.owner.stats.count(name);
  }

  onExchangeEnd(exchange: Exchange): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    this.#closeTimers();
    const { stats } = this.#connection.owner;
    stats.downstream_rq_active--;
    stats.onResponse(exchange.responseStatus, exchange.durationMs);
    if (!this.#isBodyEnded) this.#leaveRest();
  }

  /** RFC 9113 §8.1: the response is whole, the rest of the request is of no interest. */
  #leaveRest(): void {
    this.#stream.resume();
    if (!this.#stream.closed) this.#stream.close(errorCodes.noError);
  }

  #closeTimers(): void {
    this.#body?.close();
    if (this.#timers === noTimers) return;
    this.#connection.giveBack(this.#timers);
    this.#timers = noTimers;
  }

  /** At the very end, a WebSocket gets its close frame, 1001: going away (RFC 6455 §7.4.1). True when it does. */
  sayGoodbye(): boolean {
    if (!this.#exchange?.isTunnel || !this.#exchange.isWebSocket) return false;
    this.#stream.end(Buffer.from([0x88, 0x02, 0x03, 0xe9]));
    return true;
  }

  onDrain(): void {
    this.#exchange?.onDownstreamDrain();
  }

  /** Of the stream or of its connection. */
  onClose(): void {
    this.#stream[client] = undefined;
    this.#exchange?.onDownstreamClose();
    this.#exchange = undefined;
    this.#closeTimers();
    this.#connection.onStreamClose(this);
  }
}

const listeners = {
  error: () => undefined, // `close` follows
  close(this: OwnedStream) {
    this[client]?.onClose();
  },
  drain(this: OwnedStream) {
    this[client]?.onDrain();
  },
  data(this: OwnedStream, data: Buffer) {
    this[client]?.onData(data);
  },
  end(this: OwnedStream) {
    this[client]?.onEnd();
  },
  trailers(this: OwnedStream, ...[, , list = []]: [unknown, number, string[]?]) {
    this[client]?.onTrailers(list);
  },
  wantTrailers(this: OwnedStream) {
    this[client]?.onWantTrailers();
  },
};
