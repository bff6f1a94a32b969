// What of one side is in our custody: its body as far as it is kept, or shown and not answered, and what may go on. The order of things is that of Envoy's
// processor_state.cc.

import type { Headers } from "../http1/headers.ts";
import { Chunks } from "./extProcChunks.ts";
import type { Desk, Port } from "./extProcContract.ts";
import type { SideMode } from "./extProcModes.ts";
import { Passage } from "./extProcPassage.ts";
import type { Side } from "./extProcSide.ts";

export type Waits = "nothing" | "headers" | "buffered" | "streamed" | "partial" | "trailers";

export class Custody {
  readonly side: Side;
  readonly port: Port;
  readonly desk: Desk;
  readonly passage: Passage;
  mode: SideMode;
  /** For an answer to what. */
  waits: Waits = "nothing";
  /** Kept since the head is, or until all is there. */
  readonly held = new Chunks();
  /** What the processor was shown, or is about to be, and has not answered. */
  readonly queue = new Chunks();
  /** What one read brought, which is shown as one. */
  readonly gathered = new Chunks();
  hasNoBody = false;
  sawBody = false;
  /** All of it is here. */
  isReceived = false;
  trailers: Headers | undefined;
  toldTrailers = false;
  /** Of the body, as long as it is what it was. */
  ownLength = -1;
  /** Another body is in the place of what still comes. */
  isReplaced = false;
  isPartDone = false;
  /** From here on the processor has no part in it. */
  isOver = false;

  constructor(side: Side, port: Port, mode: SideMode, desk: Desk) {
    this.side = side;
    this.port = port;
    this.mode = mode;
    this.desk = desk;
    this.passage = new Passage(port);
  }

  /** Parts of the body are shown before the head is answered. */
  goesAhead(): boolean {
    return this.mode.body === "duplex" || (this.mode.body === "streamed" && this.desk.sendsBodyEarly);
  }

  hold(data: Buffer): void {
    this.held.push(data);
    if (this.held.bytes <= this.port.limit) return;
    if (this.waits === "headers" && this.mode.body !== "buffered") this.port.pause();
    else this.desk.tooLarge(this.side);
  }

  showGathered(): void {
    if (this.gathered.isEmpty) return;
    const data = this.gathered.join();
    this.gathered.clear();
    if (this.desk.onlyObserves) this.desk.tellBody(this.side, data, false);
    else this.show(data, false);
  }

  show(data: Buffer, isEnd: boolean): void {
    this.sawBody = true;
    if (this.mode.body !== "duplex") {
      this.queue.push(data, isEnd);
      if (this.queue.bytes > this.port.limit) this.port.pause();
    }
    if (this.waits !== "headers") this.waits = "streamed";
    this.desk.tellBody(this.side, data, isEnd);
  }

  addPart(data: Buffer, isEnd: boolean): void {
    this.queue.push(data, isEnd);
    if (this.waits === "partial") {
      if (this.queue.bytes > this.port.limit) this.port.pause();
    } else if (isEnd || this.queue.bytes > this.port.limit) this.showQueue(isEnd);
  }

  /** All that is there so far, as one. */
  showQueue(isEnd: boolean): void {
    this.waits = "partial";
    this.desk.tellBody(this.side, this.queue.join(isEnd), isEnd);
  }

  showHeld(isEnd: boolean): void {
    this.waits = "buffered";
    this.desk.tellBody(this.side, this.held.join(), isEnd);
  }

  tellTrailers(trailers: Headers): void {
    this.toldTrailers = true;
    if (this.waits === "nothing") this.waits = "trailers";
    this.desk.tellTrailers(this.side, trailers);
  }

  keepTrue(before: number): void {
    if (this.port.view.length >= 0) this.port.view.length = before;
  }

  /** Nothing more is waited for. */
  complete(): void {
    this.passage.allOf(this.held.takeAll(), this.isReceived ? { trailers: this.trailers } : undefined);
  }

  passEndIfDone(): void {
    const isOpen = this.waits !== "nothing" || !this.queue.isEmpty || !this.held.isEmpty;
    if (this.isReceived && !isOpen && this.passage.headIsGone) this.passage.end(this.trailers);
  }
}
