// One request of a client on a stream of HTTP/2, and its response.

import type { ServerHttp2Stream } from "node:http2";
import type { AccessLogger } from "../compile/access-log.ts";
import type { CompiledHcm } from "../compile/hcm.ts";
import { Deadline } from "../deadline.ts";
import { sendHeaders } from "../edge.ts";
import { Exchange } from "../exchange/exchange.ts";
import type { TlsView } from "../formatter.ts";
import type { Headers } from "../http1/headers.ts";
import { HeadFault } from "../http1/request-head.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { responseList, trailerList, trailerObject } from "../http2/heads.ts";
import { endStreamFlag, errorCodes } from "../http2/node-http2.ts";
import { parseRequestList } from "../http2/request.ts";
import type { ClientStream } from "./client.ts";
import { refusalPhrase } from "./http1-response.ts";
import type { Http2Connection } from "./http2-connection.ts";
import { SlowBodyWatch } from "./slow-body.ts";

export class Http2ClientStream implements ClientStream {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isTls: boolean;
  readonly request = new Deadline(() => this.#exchange?.onRouteTimeout());
  readonly try = new Deadline(() => this.#exchange?.onTryTimeout());
  readonly idle = new Deadline(() => this.#exchange?.onIdleTimeout());
  readonly #stream: ServerHttp2Stream;
  readonly #connection: Http2Connection;
  #body: SlowBodyWatch | undefined;
  #exchange: Exchange | undefined;
  #isReading = false;
  #isBodyEnded = false;
  #hasNoBody = false;
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
    stream.on("error", () => undefined); // `close` follows
    stream.on("close", () => this.#onClose());
    stream.on("drain", () => this.#exchange?.onDownstreamDrain());
    stream.on("wantTrailers", () => this.#endWithTrailers());
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
    if (!endsHere && head.upgrade === undefined) this.#readBody(hcm);
    exchange.begin();
  }

  #readBody(hcm: CompiledHcm): void {
    const stream = this.#stream;
    this.#body = new SlowBodyWatch(() => this.#exchange?.onIdleTimeout());
    this.#body.start(hcm);
    this.#listen();
    stream.on("trailers", (...[, , list = []]: [unknown, number, string[]?]) => {
      this.#requestTrailers = trailerList(list);
    });
  }

  #listen(): void {
    this.#stream.on("data", (data: Buffer) => {
      this.#body?.add(data.length);
      this.#isReading = true;
      this.#exchange?.onBodyData(data);
      this.#isReading = false;
      this.#exchange?.onBodyFlush();
    });
    this.#stream.on("end", () => this.#onBodyEnd());
  }

  #onBodyEnd(): void {
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
  #respond(status: number, headers: Headers, isWhole: boolean, waitForTrailers = false): boolean {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || stream.headersSent) return false;
    stream.respond(responseList(status, headers) as never, { endStream: isWhole, waitForTrailers });
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
      this.#respond(200, headers, false, true);
      return;
    }
    this.#hasNoBody = head.isWhole || exchange.isHead || status === 204 || status === 304;
    const list: Headers = contentLength < 0 || status === 204 ? headers : [...headers, "content-length", String(contentLength)];
    // Even where no trailers can come: without it, node:http2 ends a stream cleanly before it resets it, and half a response would look whole.
    this.#respond(status, list, this.#hasNoBody, !this.#hasNoBody);
  }

  sendData(data: Buffer): void {
    if (!this.#hasNoBody && !this.#stream.destroyed && !this.#stream.closed) this.#stream.write(data);
  }

  sendEnd(trailers: Headers | undefined): void {
    this.#trailers = trailers;
    if (!this.#hasNoBody && !this.#stream.destroyed) this.#stream.end();
  }

  #endWithTrailers(): void {
    const stream = this.#stream;
    if (!stream.closed && !stream.destroyed) stream.sendTrailers(trailerObject(this.#trailers));
  }

  flush(): boolean {
    return !this.#stream.writableNeedDrain;
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
    if (!this.#stream.closed) this.#stream.close(errorCodes.internalError);
  }

  log(logger: AccessLogger, exchange: Exchange): void {
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
    this.request.close();
    this.try.close();
    this.idle.close();
    this.#body?.close();
  }

  /** At the very end, a WebSocket gets its close frame, 1001: going away (RFC 6455 §7.4.1). True when it does. */
  sayGoodbye(): boolean {
    if (!this.#exchange?.isTunnel || !this.#exchange.isWebSocket) return false;
    this.#stream.end(Buffer.from([0x88, 0x02, 0x03, 0xe9]));
    return true;
  }

  onConnectionClose(): void {
    this.#onClose();
  }

  #onClose(): void {
    this.#exchange?.onDownstreamClose();
    this.#exchange = undefined;
    this.#closeTimers();
    this.#connection.onStreamClose(this);
  }
}
