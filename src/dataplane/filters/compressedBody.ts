// A body that is compressed as it passes, beside the event loop: what comes out comes later.

import type { Transform } from "node:stream";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";
import type { BodySink } from "./http-filter.ts";

export type Coder = Transform;

export class CompressedBody implements BodySink {
  readonly #coder: Coder;
  #trailers: Headers | undefined;

  constructor(exchange: Exchange, coder: Coder, next: BodySink) {
    this.#coder = coder;
    coder.on("data", (data: Buffer) => {
      if (exchange.isDone) return;
      next.data(data);
      if (!next.flush()) exchange.upstream?.pauseResponse();
    });
    coder.on("drain", () => exchange.isDone || exchange.upstream?.resumeResponse());
    coder.on("end", () => exchange.isDone || next.end(this.#trailers));
    coder.on("error", () => {
      if (exchange.isDone) return;
      exchange.dropUpstream();
      exchange.client.abort();
      exchange.end();
    });
  }

  data(data: Buffer): void {
    this.#coder.write(data);
  }

  flush(): boolean {
    return !this.#coder.writableNeedDrain;
  }

  end(trailers: Headers | undefined): void {
    this.#trailers = trailers;
    this.#coder.end();
  }

  close(): void {
    this.#coder.destroy();
  }
}
