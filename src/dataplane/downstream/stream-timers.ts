// The deadlines of one stream of HTTP/2 after another. They stay armed from stream to stream, as those of a connection of HTTP/1.1 do from request to
// request: a timer that is made and cleared for each stream costs more than all that is done with it.

import { Deadline } from "../deadline.ts";
import type { Exchange } from "../exchange/exchange.ts";

export class StreamTimers {
  /** Who is told. */
  exchange: Exchange | undefined;
  readonly request = new Deadline(() => this.exchange?.onRouteTimeout());
  readonly try = new Deadline(() => this.exchange?.onTryTimeout());
  readonly idle = new Deadline(() => this.exchange?.onIdleTimeout());

  /** For the next stream. */
  clear(): void {
    this.exchange = undefined;
    this.request.clear();
    this.try.clear();
    this.idle.clear();
  }

  /** Leaves no timer behind. */
  close(): void {
    this.request.close();
    this.try.close();
    this.idle.close();
  }
}
