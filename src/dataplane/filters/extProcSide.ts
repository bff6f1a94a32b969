// One side of what a processor sees, the request or the response: what comes of it, and what becomes of that. What is kept and shown is in extProcCustody.ts,
// what answers do to it in extProcAnswers.ts.

import type { CommonResponse, TrailersResponse } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Headers } from "../http1/headers.ts";
import { onBody, onHeaders, onTrailers } from "./extProcAnswers.ts";
import type { Desk, Fault, Port } from "./extProcContract.ts";
import { Custody, type Waits } from "./extProcCustody.ts";
import { losesLength, type SideMode } from "./extProcModes.ts";

export class Side {
  readonly port: Port;
  readonly #custody: Custody;
  #hasBegun = false;

  constructor(port: Port, mode: SideMode, desk: Desk) {
    this.port = port;
    this.#custody = new Custody(this, port, mode, desk);
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }
  get headIsGone(): boolean {
    return this.#custody.passage.headIsGone;
  }
  /** More was shown than is answered. */
  get isOwed(): boolean {
    return this.#custody.waits === "streamed" && !this.#custody.queue.isEmpty;
  }
  get waits(): Waits {
    return this.#custody.waits;
  }

  /** The head is here. */
  begin(hasNoBody: boolean): void {
    const custody = this.#custody;
    this.#hasBegun = true;
    custody.hasNoBody = hasNoBody;
    custody.ownLength = this.port.view.length;
    if (custody.isOver) {
      custody.complete();
      return;
    }
    if (custody.desk.onlyObserves) {
      if (custody.mode.headers) custody.desk.tellHeaders(this, hasNoBody);
      custody.passage.head();
      return;
    }
    if (custody.mode.headers) {
      custody.waits = "headers";
      if (!custody.desk.tellHeaders(this, hasNoBody)) return;
    }
    if (!custody.isOver && losesLength(custody.mode)) this.port.view.length = -1;
    if (!custody.mode.headers) custody.passage.head();
  }

  data(data: Buffer): void {
    const custody = this.#custody;
    if (custody.isReplaced || data.length === 0) return;
    if (custody.isOver) {
      custody.passage.data(data);
      return;
    }
    const { body } = custody.mode;
    if (custody.desk.onlyObserves) {
      if (body === "streamed") custody.gathered.push(data);
      custody.passage.data(data);
      return;
    }
    custody.sawBody = true;
    if (custody.waits === "headers" && !custody.goesAhead()) {
      custody.hold(data);
      return;
    }
    switch (body) {
      case "none":
        custody.passage.data(data);
        break;
      case "buffered":
        custody.hold(data);
        break;
      case "partial":
        if (custody.isPartDone) custody.passage.data(data);
        else custody.addPart(data, false);
        break;
      default:
        custody.gathered.push(data);
    }
  }

  /** All that one read brought is here. False: the sender should wait. */
  flush(): boolean {
    const custody = this.#custody;
    custody.showGathered();
    return custody.held.bytes <= this.port.limit && custody.queue.bytes <= this.port.limit;
  }

  end(trailers: Headers | undefined): void {
    const custody = this.#custody;
    if (custody.passage.isDropped || custody.isReceived) return;
    custody.showGathered();
    custody.isReceived = true;
    custody.trailers = trailers;
    if (custody.desk.onlyObserves && !custody.isOver) observeEnd(custody, trailers);
    else if (custody.hasNoBody || custody.isOver || custody.isReplaced) custody.passEndIfDone();
    else if (custody.waits === "headers" && !custody.goesAhead()) return;
    else if (trailers === undefined) endBody(custody);
    else endWith(custody, trailers);
  }

  // — what the processor answers —

  onHeaders(response: CommonResponse): Fault {
    return onHeaders(this.#custody, response);
  }

  onBody(response: CommonResponse): Fault {
    return onBody(this.#custody, response);
  }

  onTrailers(response: TrailersResponse): Fault {
    return onTrailers(this.#custody, response);
  }

  /** The processor has no more part in it: what is here goes on as it is. */
  release(): void {
    const custody = this.#custody;
    if (custody.isOver || custody.passage.isDropped) return;
    custody.isOver = true;
    // It may have said another length, of a body that it never made.
    if (custody.waits === "headers" || custody.waits === "buffered" || custody.waits === "nothing") custody.keepTrue(custody.ownLength);
    custody.waits = "nothing";
    for (const each of [...custody.queue.takeAll(), ...custody.gathered.takeAll()]) custody.held.push(each.data);
    if (this.#hasBegun) custody.complete();
  }

  /** Nothing of it goes anywhere any more. */
  drop(): void {
    const custody = this.#custody;
    custody.passage.drop();
    for (const each of [custody.held, custody.queue, custody.gathered]) each.clear();
  }

  /** A processor may want to see something else of it than it was to; the head that it has seen, it has seen. */
  change(mode: SideMode): void {
    const custody = this.#custody;
    custody.mode = this.#hasBegun ? { ...mode, headers: custody.mode.headers } : mode;
  }
}

function endBody(custody: Custody): void {
  switch (custody.mode.body) {
    case "none":
      custody.passEndIfDone();
      break;
    case "buffered":
      custody.showHeld(true);
      break;
    case "partial":
      if (custody.isPartDone) custody.passEndIfDone();
      else custody.addPart(Buffer.alloc(0), true);
      break;
    default:
      custody.show(Buffer.alloc(0), true);
  }
}

function endWith(custody: Custody, trailers: Headers): void {
  const { body } = custody.mode;
  if (body === "buffered" && !custody.held.isEmpty) custody.showHeld(false);
  else if (body === "partial" && custody.waits === "nothing" && !custody.queue.isEmpty) custody.showQueue(false);
  else if (custody.waits !== "nothing" && !(body === "duplex" && custody.mode.trailers)) return;
  else if (custody.mode.trailers) custody.tellTrailers(trailers);
  else custody.complete();
}

function observeEnd(custody: Custody, trailers: Headers | undefined): void {
  if (trailers !== undefined && custody.mode.trailers) custody.desk.tellTrailers(custody.side, trailers);
  else if (trailers === undefined && custody.mode.body === "streamed" && !custody.hasNoBody)
    custody.desk.tellBody(custody.side, Buffer.alloc(0), true);
  custody.passEndIfDone();
}
