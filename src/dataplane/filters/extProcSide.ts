// One side of what a processor sees, the request or the response: what was shown to it, what it has not answered yet, and what may go on. The order of
// things is that of Envoy's processor_state.cc.

import type { BodyMutation, CommonResponse, TrailersResponse } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import { CommonResponse_ResponseStatus as Status } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Headers } from "../http1/headers.ts";
import { type HeaderView, PlainHeaders } from "./extProcHeaders.ts";
import { losesLength, type SideMode } from "./extProcModes.ts";

/** Where a message comes from and goes to. */
export interface Port {
  readonly isRequest: boolean;
  readonly view: HeaderView;
  /** How much of a body may be kept. */
  readonly limit: number;
  passHead(): void;
  passData(data: Buffer): void;
  passEnd(trailers: Headers | undefined): void;
  /** There is one, although it may have come without. */
  gainBody(): void;
  /** Sends what was passed on. */
  flush(): void;
  pause(): void;
  resume(): void;
}

/** Whoever speaks with the processor. */
export interface Desk {
  readonly onlyObserves: boolean;
  readonly sendsBodyEarly: boolean;
  /** False: nobody can be told, and what follows from that has happened. */
  tellHeaders(side: Side, hasNoBody: boolean): boolean;
  tellBody(side: Side, data: Buffer, isEnd: boolean): boolean;
  tellTrailers(side: Side, trailers: Headers): boolean;
  /** Returns what is wrong. */
  mutate(
    view: HeaderView,
    response: Pick<CommonResponse, "headerMutation">,
    how: { isReplacing?: boolean; keepsNoLength?: boolean },
  ): Fault;
  clearRoute(side: Side, response: CommonResponse): void;
  tooLarge(side: Side): void;
}

/** `spurious`: nobody asked for it. */
export type Fault = { readonly details: string; readonly isSpurious: boolean } | undefined;

const spurious: Fault = { details: "spurious_message", isSpurious: true };

/** The answer is of another mode than what was shown. */
const otherMode = (details: string): Fault => ({ details: `spurious_message:_${details}`, isSpurious: true });
const notDuplex = otherMode("streamed_response_is_received_while_body_mode__is_not_FULL_DUPLEX_STREAMED");
const notOfDuplex = otherMode("Normal_body_mutation_response_is_received_while_body_mode__is_FULL_DUPLEX_STREAMED");

type Waits = "nothing" | "headers" | "buffered" | "streamed" | "partial" | "trailers";

interface Chunk {
  readonly data: Buffer;
  readonly isEnd: boolean;
}

export class Side {
  readonly port: Port;
  readonly #desk: Desk;
  #mode: SideMode;
  #waits: Waits = "nothing";
  /** Kept since the head is, or until all is there. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** What the processor was shown, or is about to be, and has not answered. */
  #queue: Chunk[] = [];
  #queuedBytes = 0;
  /** What one read brought, which is shown as one. */
  #gathered: Buffer[] = [];
  #hasNoBody = false;
  #sawBody = false;
  #hasBegun = false;
  /** All of it is here. */
  #isReceived = false;
  #trailers: Headers | undefined;
  #toldTrailers = false;
  #headIsGone = false;
  #endIsGone = false;
  /** Another body is in the place of what still comes. */
  #isReplaced = false;
  #isPartDone = false;
  /** From here on the processor has no part in it. */
  #isOver = false;
  /** Something else became of the message. */
  #isDead = false;

  constructor(port: Port, mode: SideMode, desk: Desk) {
    this.port = port;
    this.#mode = mode;
    this.#desk = desk;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }
  get headIsGone(): boolean {
    return this.#headIsGone;
  }
  get waits(): Waits {
    return this.#waits;
  }

  /** The head is here. */
  begin(hasNoBody: boolean): void {
    this.#hasBegun = true;
    this.#hasNoBody = hasNoBody;
    if (this.#isOver) {
      this.#complete();
      return;
    }
    if (this.#desk.onlyObserves) {
      if (this.#mode.headers) this.#desk.tellHeaders(this, hasNoBody);
      this.#passHead();
      return;
    }
    if (this.#mode.headers) {
      this.#waits = "headers";
      if (!this.#desk.tellHeaders(this, hasNoBody)) return;
    }
    if (!this.#isOver && losesLength(this.#mode)) this.port.view.length = -1;
    if (!this.#mode.headers) this.#passHead();
  }

  data(data: Buffer): void {
    if (this.#isDead || this.#isReplaced || data.length === 0) return;
    if (this.#isOver) {
      this.port.passData(data);
      return;
    }
    const { body } = this.#mode;
    if (this.#desk.onlyObserves) {
      if (body === "streamed") this.#gathered.push(data);
      this.port.passData(data);
      return;
    }
    this.#sawBody = true;
    if (this.#waits === "headers" && !this.#goesAhead()) {
      this.#hold(data);
      return;
    }
    switch (body) {
      case "none":
        this.port.passData(data);
        break;
      case "buffered":
        this.#hold(data);
        break;
      case "partial":
        if (this.#isPartDone) this.port.passData(data);
        else this.#addPart(data, false);
        break;
      default:
        this.#gathered.push(data);
    }
  }

  /** All that one read brought is here. False: the sender should wait. */
  flush(): boolean {
    this.#showGathered();
    return this.#heldBytes <= this.port.limit && this.#queuedBytes <= this.port.limit;
  }

  end(trailers: Headers | undefined): void {
    if (this.#isDead || this.#isReceived) return;
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
    if (this.#waits !== "headers") return spurious;
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
        if (isDuplex !== hasParts) return isDuplex ? notOfDuplex : notDuplex;
        mayGoOn = isDuplex ? this.#onDuplex(response.bodyMutation) : this.#onChunk(response.bodyMutation);
        break;
      }
      default:
        return spurious;
    }
    if (fault !== undefined) return fault;
    this.#desk.clearRoute(this, response);
    const trailers = this.#queue.length === 0 && this.#mode.body !== "duplex" ? this.#trailers : undefined;
    if (trailers !== undefined && this.#mode.trailers) this.#tellTrailers(trailers);
    else if (mayGoOn || trailers !== undefined) this.#complete();
    return undefined;
  }

  onTrailers(response: TrailersResponse): Fault {
    if (this.#waits !== "trailers" && !(this.#mode.body === "duplex" && this.#toldTrailers)) return spurious;
    const fault = this.#desk.mutate(new PlainHeaders(this.#trailers ?? []), response, {});
    if (fault !== undefined) return fault;
    this.#waits = "nothing";
    this.#complete();
    return undefined;
  }

  /** The processor has no more part in it: what is here goes on as it is. */
  release(): void {
    if (this.#isOver || this.#isDead) return;
    this.#isOver = true;
    this.#waits = "nothing";
    for (const { data } of this.#queue) this.#held.push(data);
    this.#held.push(...this.#gathered);
    this.#gathered = [];
    this.#queue = [];
    this.#queuedBytes = 0;
    if (this.#hasBegun) this.#complete();
  }

  /** Nothing of it goes anywhere any more. */
  drop(): void {
    this.#isDead = true;
    this.#held = [];
    this.#queue = [];
    this.#gathered = [];
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
    this.#heldBytes += data.length;
    if (this.#heldBytes <= this.port.limit) return;
    if (this.#waits === "headers") this.port.pause();
    else this.#desk.tooLarge(this);
  }

  #showGathered(): void {
    const gathered = this.#gathered;
    if (gathered.length === 0 || this.#isDead) return;
    this.#gathered = [];
    const data = gathered.length === 1 ? (gathered[0] as Buffer) : Buffer.concat(gathered);
    if (this.#isOver && !this.#desk.onlyObserves) this.port.passData(data);
    else if (this.#desk.onlyObserves) this.#desk.tellBody(this, data, false);
    else this.#show(data, false);
  }

  #show(data: Buffer, isEnd: boolean): void {
    if (this.#mode.body !== "duplex") {
      this.#enqueue(data, isEnd);
      if (this.#queuedBytes > this.port.limit) this.port.pause();
    }
    if (this.#waits !== "headers") this.#waits = "streamed";
    this.#desk.tellBody(this, data, isEnd);
  }

  #enqueue(data: Buffer, isEnd: boolean): void {
    this.#queue.push({ data, isEnd });
    this.#queuedBytes += data.length;
  }

  #addPart(data: Buffer, isEnd: boolean): void {
    this.#enqueue(data, isEnd);
    if (this.#waits === "partial") {
      if (this.#queuedBytes > this.port.limit) this.port.pause();
    } else if (isEnd || this.#queuedBytes > this.port.limit) this.#showQueue(isEnd);
  }

  /** All that is there so far, as one. */
  #showQueue(isEnd: boolean): void {
    const data = Buffer.concat(this.#queue.map((each) => each.data));
    this.#queue = [{ data, isEnd }];
    this.#waits = "partial";
    this.#desk.tellBody(this, data, isEnd);
  }

  #showHeld(isEnd: boolean): void {
    this.#held = [Buffer.concat(this.#held)];
    this.#waits = "buffered";
    this.#desk.tellBody(this, this.#held[0] as Buffer, isEnd);
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
    if (body === "buffered" && this.#held.length > 0) this.#showHeld(false);
    else if (body === "partial" && this.#waits === "nothing" && this.#queue.length > 0) this.#showQueue(false);
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
      const body = mutated(Buffer.concat(this.#held), bodyMutation);
      this.#held = [body];
      if (body.length > 0) this.port.gainBody();
    } else this.#keepTrue(before);
    this.#queue = [];
    this.#queuedBytes = 0;
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
    const isAhead = this.#goesAhead() && (this.#queue.length > 0 || (body === "duplex" && this.#sawBody));
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
    const held = this.#held;
    switch (this.#mode.body) {
      case "buffered":
        this.port.resume();
        return;
      case "partial":
        this.#takeHeld();
        for (const data of held) this.#enqueue(data, false);
        if (this.#queuedBytes > this.port.limit) this.#showQueue(false);
        else this.port.resume();
        return;
      default:
        this.#takeHeld();
        if (held.length > 0) this.#show(Buffer.concat(held), false);
        if (this.#isDead || this.#isOver) return;
        this.#passHead();
        this.port.resume();
    }
  }

  #takeHeld(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }

  #onWhole(response: CommonResponse): Fault {
    const { view } = this.port;
    if (!this.#headIsGone) {
      const fault = this.#desk.mutate(view, response, { keepsNoLength: losesLength(this.#mode) });
      if (fault !== undefined) return fault;
    }
    const { bodyMutation } = response;
    let [whole = Buffer.alloc(0)] = this.#held;
    if (bodyMutation?.mutation.case !== undefined) {
      const said = bodyMutation.mutation.case === "body" ? bodyMutation.mutation.value.length : 0;
      if (!this.#headIsGone && view.length >= 0 && view.length !== said) return wrongLength;
      whole = mutated(whole, bodyMutation);
      this.#held = [whole];
    }
    // What was not changed is as long as it was, whatever is said of it.
    if (!this.#headIsGone && view.length >= 0) view.length = whole.length;
    this.#waits = "nothing";
    return undefined;
  }

  #onPart(response: CommonResponse): Fault {
    if (!this.#headIsGone) {
      const fault = this.#desk.mutate(this.port.view, response, { keepsNoLength: true });
      if (fault !== undefined) return fault;
    }
    const [first, ...rest] = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#waits = "nothing";
    this.#isPartDone = true;
    this.#inject(mutated(first?.data ?? Buffer.alloc(0), response.bodyMutation));
    for (const { data } of rest) this.#inject(data);
    this.port.resume();
    return undefined;
  }

  /** Returns whether it was the last one. */
  #onChunk(mutation: BodyMutation | undefined): boolean {
    const chunk = this.#queue.shift();
    if (chunk === undefined) return false;
    this.#queuedBytes -= chunk.data.length;
    this.#waits = this.#queue.length === 0 ? "nothing" : "streamed";
    this.#inject(mutated(chunk.data, mutation));
    if (this.#queuedBytes < this.port.limit / 2) this.port.resume();
    return chunk.isEnd;
  }

  /** Processors answer in parts of their own. */
  #onDuplex(mutation: BodyMutation | undefined): boolean {
    if (mutation?.mutation.case !== "streamedResponse") return false;
    const { body, endOfStream } = mutation.mutation.value;
    this.#waits = endOfStream ? "nothing" : "streamed";
    this.#inject(Buffer.from(body));
    if (!endOfStream) return false;
    // What still comes has nowhere to go.
    this.#isReplaced = true;
    this.#isReceived = true;
    return true;
  }

  #inject(data: Buffer): void {
    if (data.length === 0) return;
    this.#passHead();
    if (!this.#isDead) this.port.passData(data);
  }

  #passHead(): void {
    if (this.#headIsGone || this.#isDead) return;
    this.#headIsGone = true;
    this.port.passHead();
  }

  /** Nothing more is waited for. */
  #complete(): void {
    const held = this.#held;
    this.#takeHeld();
    // A request that is whole goes on as a whole: filters behind, and retries, need not wait for it.
    if (this.port.isRequest) {
      for (const data of held) if (data.length > 0) this.port.passData(data);
      this.#passEndIfDone(true);
      this.#passHead();
      this.port.resume();
      return;
    }
    this.#passHead();
    if (!this.#isDead) for (const data of held) if (data.length > 0) this.port.passData(data);
    this.#passEndIfDone();
    this.port.resume();
  }

  #passEndIfDone(isAhead = false): void {
    const isOpen = this.#waits !== "nothing" || this.#queue.length > 0 || this.#held.length > 0;
    if (!this.#isReceived || isOpen || this.#endIsGone || this.#isDead || (!this.#headIsGone && !isAhead)) return;
    this.#endIsGone = true;
    this.port.passEnd(this.#trailers);
  }
}

const wrongLength: Fault = { details: "mismatch_between_content_length_and_the_length_of_the_mutated_body", isSpurious: false };

function mutated(data: Buffer, mutation: BodyMutation | undefined): Buffer {
  switch (mutation?.mutation.case) {
    case "body":
      return Buffer.from(mutation.mutation.value);
    case "clearBody":
      return mutation.mutation.value ? Buffer.alloc(0) : data;
    default:
      return data;
  }
}
