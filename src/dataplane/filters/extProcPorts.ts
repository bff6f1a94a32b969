// The request and the response of an exchange, as a processor's sides of them: where heads wait, and where bodies come from and go to.

import type { Exchange } from "../exchange/exchange.ts";
import { mostHeld, mostHeldBack, passBody } from "../exchange/request-body.ts";
import type { Headers } from "../http1/headers.ts";
import type { Port } from "./extProcContract.ts";
import { type HeaderLimits, RequestHeaders, ResponseHeaders } from "./extProcHeaders.ts";
import type { Side } from "./extProcSide.ts";
import type { BodySink, FilteredResponse } from "./http-filter.ts";

export class RequestPort implements Port {
  readonly isRequest = true;
  readonly view: RequestHeaders;
  readonly #exchange: Exchange;
  readonly #onHead: () => void;
  #next: BodySink | undefined;

  constructor(exchange: Exchange, onHead: () => void) {
    this.#exchange = exchange;
    this.#onHead = onHead;
    this.view = new RequestHeaders(exchange);
  }

  /** From here on the body passes the side. */
  readBody(side: Side): void {
    passBody(this.#exchange, (next) => {
      this.#next = next;
      return {
        data: (data) => side.data(data),
        flush: () => bothOf(side.flush(), next.flush()),
        end: (trailers) => side.end(trailers),
      };
    });
  }

  get limit(): number {
    return mostHeld(this.#exchange);
  }

  passHead(): void {
    this.#onHead();
  }

  passData(data: Buffer): void {
    const exchange = this.#exchange;
    if (this.#next !== undefined) {
      this.#next.data(data);
      return;
    }
    // It had no body.
    exchange.bodyParts.push(data);
    exchange.bodySize += data.length;
    exchange.contentLength = -1;
    exchange.isChunked = true;
  }

  passEnd(trailers: Headers | undefined): void {
    this.#next?.end(trailers);
  }

  gainBody(): void {}

  flush(): void {
    if (!this.#exchange.isDone && this.#next?.flush() === false && !this.#exchange.clientEnded) this.#exchange.client.pauseBody();
  }

  pause(): void {
    if (!this.#exchange.clientEnded) this.#exchange.client.pauseBody();
  }

  resume(): void {
    if (!this.#exchange.isDone && !this.#exchange.clientEnded && this.#next?.flush() !== false) this.#exchange.client.resumeBody();
  }
}

export class ResponsePort implements Port {
  readonly isRequest = false;
  readonly view: ResponseHeaders;
  readonly #exchange: Exchange;
  readonly #response: FilteredResponse;
  readonly #goOn: () => BodySink;
  #next: BodySink | undefined;

  constructor(exchange: Exchange, response: FilteredResponse, goOn: () => BodySink) {
    this.#exchange = exchange;
    this.#response = response;
    this.#goOn = goOn;
    this.view = new ResponseHeaders(response, limitsOf(exchange));
  }

  get limit(): number {
    return mostHeldBack(this.#exchange);
  }

  passHead(): void {
    if (this.view.length === 0) this.#response.hasNoBody = true;
    this.#next = this.#goOn();
  }

  passData(data: Buffer): void {
    this.#next?.data(data);
  }

  passEnd(trailers: Headers | undefined): void {
    this.#next?.end(trailers);
  }

  flush(): void {
    if (!this.#exchange.isDone && this.#next?.flush() === false) this.#exchange.upstream?.pauseResponse();
  }

  pause(): void {
    this.#exchange.upstream?.pauseResponse();
  }

  resume(): void {
    if (!this.#exchange.isDone && this.#next?.flush() !== false) this.#exchange.upstream?.resumeResponse();
  }

  gainBody(): void {
    if (!this.#response.isBare) this.#response.hasNoBody = false;
  }

  sinkFor(side: Side): BodySink {
    return {
      data: (data) => side.data(data),
      flush: () => bothOf(side.flush(), this.#next?.flush() ?? true),
      end: (trailers) => side.end(trailers),
    };
  }
}

/** Of what an upstream may send; answers of our own have none. */
function limitsOf({ upstream, cluster }: Exchange): HeaderLimits | undefined {
  if (upstream === undefined || cluster === undefined) return undefined;
  return { count: cluster.config.maxResponseHeaders, bytes: cluster.config.maxResponseHeadBytes };
}

/** Each is to be asked, whatever the other says. */
function bothOf(one: boolean, other: boolean): boolean {
  return one && other;
}
