// The client of a request that is only tried: nobody waits, and the answer is kept.

import { Deadline } from "../deadline.ts";
import type { ClientStream } from "../downstream/client.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";

export interface DryAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Time stands still. */
class NoDeadline extends Deadline {
  constructor() {
    super(() => undefined);
  }
  override set(): void {}
}

export class DryClient implements ClientStream {
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 0;
  readonly localAddress = "127.0.0.1";
  readonly localPort: number;
  readonly isTls: boolean;
  readonly request = new NoDeadline();
  readonly try = new NoDeadline();
  readonly idle = new NoDeadline();
  readonly connection = {};
  readonly isReading = true;
  readonly serverName = "";
  readonly tls = undefined;
  answer: DryAnswer | undefined;

  constructor(localPort: number, isTls: boolean) {
    this.localPort = localPort;
    this.isTls = isTls;
  }

  sendAnswer(_: Exchange, status: number, headers: Headers, body: string): void {
    this.answer = { status, headers, body };
  }
  sendHead(): void {}
  sendData(): void {}
  sendEnd(): void {}
  flush(): boolean {
    return true;
  }
  pauseBody(): void {}
  resumeBody(): void {}
  beginTunnel(): void {}
  abort(): void {}
  log(): void {}
  count(): void {}
  onExchangeEnd(): void {}
}
