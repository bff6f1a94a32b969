// One side of what a processor sees, the request or the response: what was shown to it, what it has not answered yet, and what may go on. The order of
// things is that of Envoy's processor_state.cc.

import type { BodyMutation, CommonResponse, TrailersResponse } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import { CommonResponse_ResponseStatus as Status } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Headers } from "../http1/headers.ts";
import { Chunks, mutated } from "./extProcChunks.ts";
import { type Desk, type Fault, faults, type Port } from "./extProcContract.ts";
import { PlainHeaders } from "./extProcHeaders.ts";
import { losesLength, type SideMode } from "./extProcModes.ts";
import { Passage } from "./extProcPassage.ts";

type Waits = "nothing" | "headers" | "buffered" | "streamed" | "partial" | "trailers";

export class Side {
  readonly port: Port;
  readonly #desk: Desk;
  readonly #passage: Passage;
  #mode: SideMode;
  #waits: Waits = "nothing";
  /** Kept since the head is, or until all is there. */
  readonly #held = new Chunks();
  /** What the processor was shown, or is about to be, and has not answered. */
  readonly #queue = new Chunks();
  /** What one read brought, which is shown as one. */
  readonly #gathered = new Chunks();
  #hasNoBody = false;
  #sawBody = false;
  #hasBegun = false;
  /** All of it is here. */
  #isReceived = false;
  #trailers: Headers | undefined;
  #toldTrailers = false;
  /** Of the body, as long as it is what it was. */
  #ownLength = -1;
  /** Another body is in the place of what still comes. */
  #isReplaced = false;
  #isPartDone = false;
  /** From here on the processor has no part in it. */
  #isOver = false;

  constructor(port: Port, mode: SideMode, desk: Desk) {
    this.port = port;
    this.#mode = mode;
    this.#desk = desk;
    this.#passage = new Passage(port);
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }
  get headIsGone(): boolean {
    return this.#passage.headIsGone;
  }
  /** More was shown than is answered. */
  get isOwed(): boolean {
    return this.#waits === "streamed" && !this.#queue.isEmpty;
  }
  get waits(): Waits {
    return this.#waits;
  }

  /** The head is here. */
  begin(hasNoBody: boolean): void {
    this.#hasBegun = true;
    this.#hasNoBody = hasNoBody;
    this.#ownLength = this.port.view.length;
    if (this.#isOver) {
      this.#complete();
      return;
    }
    if (this.#desk.onlyObserves) {
      if (this.#mode.headers) this.#desk.tellHeaders(this, hasNoBody);
      this.#passage.head();
      return;
    }
    if (this.#mode.headers) {
      this.#waits = "headers";
      if (!this.#desk.tellHeaders(this, hasNoBody)) return;
    }
    if (!this.#isOver && losesLength(this.#mode)) this.port.view.length = -1;
    if (!this.#mode.headers) this.#passage.head();
  }

  data(data: Buffer): void {
    if (this.#isReplaced || data.length === 0) return;
    if (this.#isOver) {
      this.#passage.data(data);
      return;
    }
    const { body } = this.#mode;
    if (this.#desk.onlyObserves) {
      if (body === "streamed") this.#gathered.push(data);
      this.#passage.data(data);
      return;
    }
    this.#sawBody = true;
    if (this.#waits === "headers" && !this.#goesAhead()) {
      this.#hold(data);
      return;
    }
    switch (body) {
      case "none":
        this.#passage.data(data);
        break;
      case "buffered":
        this.#hold(data);
        break;
      case "partial":
        if (this.#isPartDone) this.#passage.data(data);
        else this.#addPart(data, false);
        break;
      default:
        this.#gathered.push(data);
    }
  }

  /** All that one read brought is here. False: the sender should wait. */
  flush(): boolean {
    this.#showGathered();
    return this.#held.bytes <= this.port.limit && this.#queue.bytes <= this.port.limit;
  }

  end(trailers: Headers | undefined): void {
    if (this.#passage.isDropped || this.#isReceived) return;
    this.#showGathered();
    this.#isReceived = true;
    this.#trailers = trailers;
    if (this.#desk.onlyObserves && !this.#isOver) this.#observeEnd(trailers);
    else if (this.#hasNoBody || this.#isOver || this.#isReplaced) this.#passEndIfDone();
    else if (this.#waits === "headers" && !this.#goesAhead()) return;
    else if (trailers === undefined) this.#endBody();
    else this.#endWith(trailers);
  }

  // — what the processor answers —

  onHeaders(response: CommonResponse): Fault {
    if (this.#waits !== "headers") return faults.spurious;
    const isReplacing = response.status === Status.CONTINUE_AND_REPLACE;
    const before = this.port.view.length;
    const fault = this.#desk.mutate(this.port.view, response, { isReplacing, keepsNoLength: losesLength(this.#mode) });
    if (fault !== undefined) return fault;
    this.#desk.clearRoute(this, response);
    this.#waits = "nothing";
    if (isReplacing) {
      this.#replace(response, before);
      return undefined;
    }
    // A length that is not that of the body is no length: only who gets the whole of it may say another.
    if (this.#mode.body !== "buffered" || this.#hasNoBody) this.#keepTrue(before);
    this.#afterHeaders();
    return undefined;
  }

  onBody(response: CommonResponse): Fault {
    let fault: Fault;
    let mayGoOn = false;
    switch (this.#waits) {
      case "buffered":
        fault = this.#onWhole(response);
        mayGoOn = true;
        break;
      case "partial":
        fault = this.#onPart(response);
        mayGoOn = true;
        break;
      case "streamed": {
        const isDuplex = this.#mode.body === "duplex";
        const hasParts = response.bodyMutation?.mutation.case === "streamedResponse";
        if (isDuplex !== hasParts) return isDuplex ? faults.notOfDuplex : faults.notDuplex;
        mayGoOn = isDuplex ? this.#onDuplex(response.bodyMutation) : this.#onChunk(response.bodyMutation);
        break;
      }
      default:
        return faults.spurious;
    }
    if (fault !== undefined) return fault;
    this.#desk.clearRoute(this, response);
    const trailers = this.#queue.isEmpty && this.#mode.body !== "duplex" ? this.#trailers : undefined;
    if (trailers !== undefined && this.#mode.trailers) this.#tellTrailers(trailers);
    else if (mayGoOn || trailers !== undefined) this.#complete();
    return undefined;
  }

  onTrailers(response: TrailersResponse): Fault {
    if (this.#waits !== "trailers" && !(this.#mode.body === "duplex" && this.#toldTrailers)) return faults.spurious;
    const fault = this.#desk.mutate(new PlainHeaders(this.#trailers ?? []), response, {});
    if (fault !== undefined) return fault;
    this.#waits = "nothing";
    this.#complete();
    return undefined;
  }

  /** The processor has no more part in it: what is here goes on as it is. */
  release(): void {
    if (this.#isOver || this.#passage.isDropped) return;
    this.#isOver = true;
    // It may have said another length, of a body that it never made.
    if (this.#waits === "headers" || this.#waits === "buffered" || this.#waits === "nothing") this.#keepTrue(this.#ownLength);
    this.#waits = "nothing";
    for (const each of [...this.#queue.takeAll(), ...this.#gathered.takeAll()]) this.#held.push(each.data);
    if (this.#hasBegun) this.#complete();
  }

  /** Nothing of it goes anywhere any more. */
  drop(): void {
    this.#passage.drop();
    for (const each of [this.#held, this.#queue, this.#gathered]) each.clear();
  }

  /** A processor may want to see something else of it than it was to; the head that it has seen, it has seen. */
  change(mode: SideMode): void {
    this.#mode = this.#hasBegun ? { ...mode, headers: this.#mode.headers } : mode;
  }

  // — its own —

  /** Parts of the body are shown before the head is answered. */
  #goesAhead(): boolean {
    return this.#mode.body === "duplex" || (this.#mode.body === "streamed" && this.#desk.sendsBodyEarly);
  }

  #hold(data: Buffer): void {
    this.#held.push(data);
    if (this.#held.bytes <= this.port.limit) return;
    if (this.#waits === "headers" && this.#mode.body !== "buffered") this.port.pause();
    else this.#desk.tooLarge(this);
  }

  #showGathered(): void {
    if (this.#gathered.isEmpty) return;
    const data = this.#gathered.join();
    this.#gathered.clear();
    if (this.#desk.onlyObserves) this.#desk.tellBody(this, data, false);
    else this.#show(data, false);
  }

  #show(data: Buffer, isEnd: boolean): void {
    this.#sawBody = true;
    if (this.#mode.body !== "duplex") {
      this.#queue.push(data, isEnd);
      if (this.#queue.bytes > this.port.limit) this.port.pause();
    }
    if (this.#waits !== "headers") this.#waits = "streamed";
    this.#desk.tellBody(this, data, isEnd);
  }

  #addPart(data: Buffer, isEnd: boolean): void {
    this.#queue.push(data, isEnd);
    if (this.#waits === "partial") {
      if (this.#queue.bytes > this.port.limit) this.port.pause();
    } else if (isEnd || this.#queue.bytes > this.port.limit) this.#showQueue(isEnd);
  }

  /** All that is there so far, as one. */
  #showQueue(isEnd: boolean): void {
    this.#waits = "partial";
    this.#desk.tellBody(this, this.#queue.join(isEnd), isEnd);
  }

  #showHeld(isEnd: boolean): void {
    this.#waits = "buffered";
    this.#desk.tellBody(this, this.#held.join(), isEnd);
  }

  #tellTrailers(trailers: Headers): void {
    this.#toldTrailers = true;
    if (this.#waits === "nothing") this.#waits = "trailers";
    this.#desk.tellTrailers(this, trailers);
  }

  #endBody(): void {
    switch (this.#mode.body) {
      case "none":
        this.#passEndIfDone();
        break;
      case "buffered":
        this.#showHeld(true);
        break;
      case "partial":
        if (this.#isPartDone) this.#passEndIfDone();
        else this.#addPart(Buffer.alloc(0), true);
        break;
      default:
        this.#show(Buffer.alloc(0), true);
    }
  }

  #endWith(trailers: Headers): void {
    const { body } = this.#mode;
    if (body === "buffered" && !this.#held.isEmpty) this.#showHeld(false);
    else if (body === "partial" && this.#waits === "nothing" && !this.#queue.isEmpty) this.#showQueue(false);
    else if (this.#waits !== "nothing" && !(body === "duplex" && this.#mode.trailers)) return;
    else if (this.#mode.trailers) this.#tellTrailers(trailers);
    else this.#complete();
  }

  #observeEnd(trailers: Headers | undefined): void {
    if (trailers !== undefined && this.#mode.trailers) this.#desk.tellTrailers(this, trailers);
    else if (trailers === undefined && this.#mode.body === "streamed" && !this.#hasNoBody) this.#desk.tellBody(this, Buffer.alloc(0), true);
    this.#passEndIfDone();
  }

  #replace({ bodyMutation }: CommonResponse, before: number): void {
    if (bodyMutation?.mutation.case !== undefined) {
      this.#isReplaced = true;
      this.port.view.length = -1;
      const body = mutated(this.#held.join(), bodyMutation);
      this.#held.clear();
      this.#held.push(body);
      if (body.length > 0) this.port.gainBody();
    } else this.#keepTrue(before);
    this.#queue.clear();
    this.#mode = { ...this.#mode, body: "none", trailers: false };
    this.#complete();
  }

  #keepTrue(before: number): void {
    if (this.port.view.length >= 0) this.port.view.length = before;
  }

  #afterHeaders(): void {
    const { body, trailers: wantsTrailers } = this.#mode;
    // Whoever said how, while it was asked of the head: what passes may change its length.
    if (losesLength(this.#mode) && !this.#hasNoBody) this.port.view.length = -1;
    const isAhead = this.#goesAhead() && (!this.#queue.isEmpty || (body === "duplex" && this.#sawBody));
    if (isAhead) this.#waits = "streamed";
    else if (body === "duplex" && this.#toldTrailers) this.#waits = "trailers";
    if (!this.#hasNoBody && body !== "none") {
      if (this.#isReceived && body === "duplex") return;
      if (this.#isReceived && !isAhead) {
        if (this.#sawBody || this.#trailers === undefined) {
          // All of it came before the answer: one message, whatever the mode.
          this.#showHeld(this.#trailers === undefined);
          return;
        }
      } else {
        this.#goOnWithBody();
        return;
      }
    }
    if (wantsTrailers && this.#trailers !== undefined) this.#tellTrailers(this.#trailers);
    else this.#complete();
  }

  /** Its end is still to come. */
  #goOnWithBody(): void {
    switch (this.#mode.body) {
      case "buffered":
        // Not what it was to be when its head was shown.
        if (this.#held.bytes > this.port.limit) this.#desk.tooLarge(this);
        else this.port.resume();
        return;
      case "partial":
        for (const { data } of this.#held.takeAll()) this.#queue.push(data);
        if (this.#queue.bytes > this.port.limit) this.#showQueue(false);
        else this.port.resume();
        return;
      default: {
        const held = this.#held.join();
        this.#held.clear();
        if (held.length > 0) this.#show(held, false);
        if (this.#isOver) return;
        this.#passage.head();
        this.port.resume();
      }
    }
  }

  #onWhole(response: CommonResponse): Fault {
    const { view } = this.port;
    if (!this.headIsGone) {
      const fault = this.#desk.mutate(view, response, { keepsNoLength: losesLength(this.#mode) });
      if (fault !== undefined) return fault;
    }
    const { bodyMutation } = response;
    let whole = this.#held.join();
    if (bodyMutation?.mutation.case !== undefined) {
      const said = bodyMutation.mutation.case === "body" ? bodyMutation.mutation.value.length : 0;
      if (!this.headIsGone && view.length >= 0 && view.length !== said) return faults.wrongLength;
      whole = mutated(whole, bodyMutation);
      this.#held.clear();
      this.#held.push(whole);
    }
    // What was not changed is as long as it was, whatever is said of it.
    if (!this.headIsGone && view.length >= 0) view.length = whole.length;
    this.#ownLength = view.length;
    this.#waits = "nothing";
    return undefined;
  }

  #onPart(response: CommonResponse): Fault {
    if (!this.headIsGone) {
      const fault = this.#desk.mutate(this.port.view, response, { keepsNoLength: true });
      if (fault !== undefined) return fault;
    }
    const [first, ...rest] = this.#queue.takeAll();
    this.#waits = "nothing";
    this.#isPartDone = true;
    this.#passage.data(mutated(first?.data ?? Buffer.alloc(0), response.bodyMutation));
    for (const { data } of rest) this.#passage.data(data);
    this.port.resume();
    return undefined;
  }

  /** Returns whether it was the last one. */
  #onChunk(mutation: BodyMutation | undefined): boolean {
    const chunk = this.#queue.shift();
    if (chunk === undefined) return false;
    this.#waits = this.#queue.isEmpty ? "nothing" : "streamed";
    this.#passage.data(mutated(chunk.data, mutation));
    if (this.#queue.bytes < this.port.limit / 2) this.port.resume();
    return chunk.isEnd;
  }

  /** Processors answer in parts of their own. */
  #onDuplex(mutation: BodyMutation | undefined): boolean {
    if (mutation?.mutation.case !== "streamedResponse") return false;
    const { body, endOfStream } = mutation.mutation.value;
    this.#waits = endOfStream ? "nothing" : "streamed";
    this.#passage.data(Buffer.from(body));
    if (!endOfStream) return false;
    // What still comes has nowhere to go.
    this.#isReplaced = true;
    this.#isReceived = true;
    return true;
  }

  /** Nothing more is waited for. */
  #complete(): void {
    this.#passage.allOf(this.#held.takeAll(), this.#isReceived ? { trailers: this.#trailers } : undefined);
  }

  #passEndIfDone(): void {
    const isOpen = this.#waits !== "nothing" || !this.#queue.isEmpty || !this.#held.isEmpty;
    if (this.#isReceived && !isOpen && this.headIsGone) this.#passage.end(this.#trailers);
  }
}
