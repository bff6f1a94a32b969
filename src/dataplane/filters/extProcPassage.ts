// What of a message has gone on: its head once, first; its end once, last.

import type { Headers } from "../http1/headers.ts";
import type { Chunk } from "./extProcChunks.ts";
import type { Port } from "./extProcContract.ts";

export class Passage {
  readonly #port: Port;
  #headIsGone = false;
  #endIsGone = false;
  /** Something else became of the message. */
  #isDropped = false;

  constructor(port: Port) {
    this.#port = port;
  }

  get headIsGone(): boolean {
    return this.#headIsGone;
  }
  get isDropped(): boolean {
    return this.#isDropped;
  }

  head(): void {
    if (this.#headIsGone || this.#isDropped) return;
    this.#headIsGone = true;
    this.#port.passHead();
  }

  data(data: Buffer): void {
    if (data.length === 0 || this.#isDropped) return;
    this.head();
    if (!this.#isDropped) this.#port.passData(data);
  }

  end(trailers: Headers | undefined): void {
    if (this.#endIsGone || this.#isDropped) return;
    this.#endIsGone = true;
    this.#port.passEnd(trailers);
  }

  /** @param ending undefined: more is to come */
  allOf(parts: readonly Chunk[], ending: { readonly trailers: Headers | undefined } | undefined): void {
    if (this.#isDropped) return;
    // A request that is whole goes on as a whole: filters behind, and retries, need not wait for it.
    const headIsLast = this.#port.isRequest && !this.#headIsGone;
    if (!headIsLast) this.head();
    for (const { data } of parts) if (data.length > 0 && !this.#isDropped) this.#port.passData(data);
    if (ending !== undefined) this.end(ending.trailers);
    this.head();
    this.#port.resume();
  }

  drop(): void {
    this.#isDropped = true;
  }
}
