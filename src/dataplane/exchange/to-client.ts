// The end of the way of a response through the filters: the client.

import type { BodySink } from "../filters/http-filter.ts";
import type { Headers } from "../http1/headers.ts";
import type { Exchange } from "./exchange.ts";

/** Its head was sent; this is the body. */
export class ToClient implements BodySink {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  data(data: Buffer): void {
    const exchange = this.#exchange;
    // A filter may have made a 204 of what had a body.
    if (exchange.isDone || exchange.isHead || exchange.responseStatus === 204 || exchange.responseStatus === 304) return;
    exchange.bytesSent += data.length;
    exchange.client.sendData(data);
  }

  flush(): boolean {
    return this.#exchange.isDone || this.#exchange.client.flush();
  }

  end(trailers: Headers | undefined): void {
    const exchange = this.#exchange;
    if (exchange.isDone) return;
    exchange.client.sendEnd(trailers);
    exchange.end();
  }
}
