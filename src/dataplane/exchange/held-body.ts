// The body of a response that a filter wants to see whole: its head waits until then.

import type { BodyChange, BodySink, FilteredResponse } from "../filters/http-filter.ts";
import type { Headers } from "../http1/headers.ts";
import { reply } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { mostHeldBack } from "./request-body.ts";

export class HeldBody implements BodySink {
  readonly #exchange: Exchange;
  readonly #response: FilteredResponse;
  readonly #held: Extract<BodyChange, { kind: "whole" }>;
  readonly #goOn: (response: FilteredResponse) => BodySink;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(
    exchange: Exchange,
    response: FilteredResponse,
    held: Extract<BodyChange, { kind: "whole" }>,
    goOn: (response: FilteredResponse) => BodySink,
  ) {
    this.#exchange = exchange;
    this.#response = response;
    this.#held = held;
    this.#goOn = goOn;
  }

  data(data: Buffer): void {
    if (this.#exchange.isDone) return;
    this.#parts.push(data);
    this.#size += data.length;
    if (this.#size <= mostHeldBack(this.#exchange)) return;
    this.#parts = [];
    // Nothing of it was sent: this is the answer instead, and no filter's.
    this.#exchange.headSent = false;
    reply(this.#exchange, 500, "Internal Server Error", "", "response_payload_too_large", { isUnfiltered: true });
  }

  flush(): boolean {
    return true;
  }

  end(trailers: Headers | undefined): void {
    if (this.#exchange.isDone) return;
    const whole = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    const changed = this.#held.change(whole, trailers);
    if (changed.body !== whole) {
      this.#response.contentLength = changed.body.length;
      this.#response.hasNoBody = changed.body.length === 0 && changed.trailers === undefined;
    }
    const next = this.#goOn(this.#response);
    if (changed.body.length > 0) next.data(changed.body);
    next.end(changed.trailers);
  }
}
