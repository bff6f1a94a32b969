// What becomes of one side by the answers of a processor: to its head, to parts of its body, to its trailers.

import type { BodyMutation, CommonResponse, TrailersResponse } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import { CommonResponse_ResponseStatus as Status } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import { mutated } from "./extProcChunks.ts";
import { type Fault, faults } from "./extProcContract.ts";
import type { Custody } from "./extProcCustody.ts";
import { PlainHeaders } from "./extProcHeaders.ts";
import { losesLength } from "./extProcModes.ts";

export function onHeaders(custody: Custody, response: CommonResponse): Fault {
  if (custody.waits !== "headers") return faults.spurious;
  const isReplacing = response.status === Status.CONTINUE_AND_REPLACE;
  const before = custody.port.view.length;
  const fault = custody.desk.mutate(custody.port.view, response, { isReplacing, keepsNoLength: losesLength(custody.mode) });
  if (fault !== undefined) return fault;
  custody.desk.clearRoute(custody.side, response);
  custody.waits = "nothing";
  if (isReplacing) {
    replace(custody, response, before);
    return undefined;
  }
  // A length that is not that of the body is no length: only who gets the whole of it may say another.
  if (custody.mode.body !== "buffered" || custody.hasNoBody) custody.keepTrue(before);
  afterHeaders(custody);
  return undefined;
}

export function onBody(custody: Custody, response: CommonResponse): Fault {
  let fault: Fault;
  let mayGoOn = false;
  switch (custody.waits) {
    case "buffered":
      fault = onWhole(custody, response);
      mayGoOn = true;
      break;
    case "partial":
      fault = onPart(custody, response);
      mayGoOn = true;
      break;
    case "streamed": {
      const isDuplex = custody.mode.body === "duplex";
      const hasParts = response.bodyMutation?.mutation.case === "streamedResponse";
      if (isDuplex !== hasParts) return isDuplex ? faults.notOfDuplex : faults.notDuplex;
      mayGoOn = isDuplex ? onDuplex(custody, response.bodyMutation) : onChunk(custody, response.bodyMutation);
      break;
    }
    default:
      return faults.spurious;
  }
  if (fault !== undefined) return fault;
  custody.desk.clearRoute(custody.side, response);
  const trailers = custody.queue.isEmpty && custody.mode.body !== "duplex" ? custody.trailers : undefined;
  if (trailers !== undefined && custody.mode.trailers) custody.tellTrailers(trailers);
  else if (mayGoOn || trailers !== undefined) custody.complete();
  return undefined;
}

export function onTrailers(custody: Custody, response: TrailersResponse): Fault {
  if (custody.waits !== "trailers" && !(custody.mode.body === "duplex" && custody.toldTrailers)) return faults.spurious;
  const fault = custody.desk.mutate(new PlainHeaders(custody.trailers ?? []), response, {});
  if (fault !== undefined) return fault;
  custody.waits = "nothing";
  custody.complete();
  return undefined;
}

function replace(custody: Custody, { bodyMutation }: CommonResponse, before: number): void {
  if (bodyMutation?.mutation.case !== undefined) {
    custody.isReplaced = true;
    custody.port.view.length = -1;
    const body = mutated(custody.held.join(), bodyMutation);
    custody.held.clear();
    custody.held.push(body);
    if (body.length > 0) custody.port.gainBody();
  } else custody.keepTrue(before);
  custody.queue.clear();
  custody.mode = { ...custody.mode, body: "none", trailers: false };
  custody.complete();
}

function afterHeaders(custody: Custody): void {
  const { body, trailers: wantsTrailers } = custody.mode;
  // Whoever said how, while it was asked of the head: what passes may change its length.
  if (losesLength(custody.mode) && !custody.hasNoBody) custody.port.view.length = -1;
  const isAhead = custody.goesAhead() && (!custody.queue.isEmpty || (body === "duplex" && custody.sawBody));
  if (isAhead) custody.waits = "streamed";
  else if (body === "duplex" && custody.toldTrailers) custody.waits = "trailers";
  if (!custody.hasNoBody && body !== "none") {
    if (custody.isReceived && body === "duplex") return;
    if (custody.isReceived && !isAhead) {
      if (custody.sawBody || custody.trailers === undefined) {
        // All of it came before the answer: one message, whatever the mode.
        custody.showHeld(custody.trailers === undefined);
        return;
      }
    } else {
      goOnWithBody(custody);
      return;
    }
  }
  if (wantsTrailers && custody.trailers !== undefined) custody.tellTrailers(custody.trailers);
  else custody.complete();
}

/** Its end is still to come. */
function goOnWithBody(custody: Custody): void {
  switch (custody.mode.body) {
    case "buffered":
      // Not what it was to be when its head was shown.
      if (custody.held.bytes > custody.port.limit) custody.desk.tooLarge(custody.side);
      else custody.port.resume();
      return;
    case "partial":
      for (const { data } of custody.held.takeAll()) custody.queue.push(data);
      if (custody.queue.bytes > custody.port.limit) custody.showQueue(false);
      else custody.port.resume();
      return;
    default: {
      const held = custody.held.join();
      custody.held.clear();
      if (held.length > 0) custody.show(held, false);
      if (custody.isOver) return;
      custody.passage.head();
      custody.port.resume();
    }
  }
}

function onWhole(custody: Custody, response: CommonResponse): Fault {
  const { view } = custody.port;
  if (!custody.passage.headIsGone) {
    const fault = custody.desk.mutate(view, response, { keepsNoLength: losesLength(custody.mode) });
    if (fault !== undefined) return fault;
  }
  const { bodyMutation } = response;
  let whole = custody.held.join();
  if (bodyMutation?.mutation.case !== undefined) {
    const said = bodyMutation.mutation.case === "body" ? bodyMutation.mutation.value.length : 0;
    if (!custody.passage.headIsGone && view.length >= 0 && view.length !== said) return faults.wrongLength;
    whole = mutated(whole, bodyMutation);
    custody.held.clear();
    custody.held.push(whole);
  }
  // What was not changed is as long as it was, whatever is said of it.
  if (!custody.passage.headIsGone && view.length >= 0) view.length = whole.length;
  custody.ownLength = view.length;
  custody.waits = "nothing";
  return undefined;
}

function onPart(custody: Custody, response: CommonResponse): Fault {
  if (!custody.passage.headIsGone) {
    const fault = custody.desk.mutate(custody.port.view, response, { keepsNoLength: true });
    if (fault !== undefined) return fault;
  }
  const [first, ...rest] = custody.queue.takeAll();
  custody.waits = "nothing";
  custody.isPartDone = true;
  custody.passage.data(mutated(first?.data ?? Buffer.alloc(0), response.bodyMutation));
  for (const { data } of rest) custody.passage.data(data);
  custody.port.resume();
  return undefined;
}

/** Returns whether it was the last one. */
function onChunk(custody: Custody, mutation: BodyMutation | undefined): boolean {
  const chunk = custody.queue.shift();
  if (chunk === undefined) return false;
  custody.waits = custody.queue.isEmpty ? "nothing" : "streamed";
  custody.passage.data(mutated(chunk.data, mutation));
  if (custody.queue.bytes < custody.port.limit / 2) custody.port.resume();
  return chunk.isEnd;
}

/** Processors answer in parts of their own. */
function onDuplex(custody: Custody, mutation: BodyMutation | undefined): boolean {
  if (mutation?.mutation.case !== "streamedResponse") return false;
  const { body, endOfStream } = mutation.mutation.value;
  custody.waits = endOfStream ? "nothing" : "streamed";
  custody.passage.data(Buffer.from(body));
  if (!endOfStream) return false;
  // What still comes has nowhere to go.
  custody.isReplaced = true;
  custody.isReceived = true;
  return true;
}
