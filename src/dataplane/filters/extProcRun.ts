// The conversation with a processor about one request and its response: what it is told, what it says, and what becomes of both when it fails. The call itself
// is in extProcCall.ts.

import { create, fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import {
  CommonResponseSchema,
  type ProcessingResponse,
  ProcessingResponseSchema,
} from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { grpcStatus } from "../upstream/grpc-stream.ts";
import { Call } from "./extProcCall.ts";
import { Clock } from "./extProcClock.ts";
import type { Processing } from "./extProcConfig.ts";
import { type Fault, faults } from "./extProcContract.ts";
import { ProcessingDesk } from "./extProcDesk.ts";
import { isSameOverride, isTunnelHidden, modesOf, unknownMode } from "./extProcModes.ts";
import { RequestPort, ResponsePort } from "./extProcPorts.ts";
import { type Answer, answerInstead, immediateAnswer } from "./extProcReply.ts";
import { Side } from "./extProcSide.ts";
import { Messages, type Part } from "./extProcTold.ts";
import type { BodyChange, FilteredResponse, FilterRun, Verdict } from "./http-filter.ts";

const timeoutStatus = 504;

const noResponse = create(CommonResponseSchema);

export class ProcessingRun implements FilterRun {
  readonly #processing: Processing;
  readonly #exchange: Exchange;
  #request: Side | undefined;
  #response: Side | undefined;
  readonly #desk: ProcessingDesk;
  readonly #call: Call;
  readonly #messages: Messages;
  readonly #clock = new Clock(() => this.#onTimeout());
  /** What a processor has said to show it instead. */
  #modes: Processing["modes"];
  /** No more is told, and nobody listens. */
  #isOver = false;

  constructor(processing: Processing, exchange: Exchange) {
    this.#processing = processing;
    this.#exchange = exchange;
    this.#modes = processing.modes;
    this.#messages = new Messages(processing, exchange);
    const count = (name: string) => this.#count(name);
    this.#desk = new ProcessingDesk(processing, exchange, {
      tell: (side, request) => this.#tell(side, request),
      answer: (status, body, details) => this.#answer({ status, body, details }),
      count,
    });
    const listener = {
      onMessage: (bytes: Uint8Array) => this.#onMessage(bytes),
      onEnd: (status: number, why: string) => this.#onEnd(status, why),
      onDrain: () => {
        for (const side of [this.#request, this.#response]) side?.port.resume();
      },
      onNoTarget: () => this.#onError("none"),
    };
    this.#call = new Call(processing, exchange, listener, count);
  }

  // — what the exchange tells —

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    let isGone = false;
    let isSync = true;
    const port = new RequestPort(exchange, () => {
      isGone = true;
      if (!isSync) resume();
    });
    const side = new Side(port, this.#modes.request, this.#desk);
    this.#request = side;
    const hasNoBody = exchange.requestEnded && exchange.bodySize === 0;
    side.begin(hasNoBody && exchange.upgrade === undefined);
    if (!hasNoBody && exchange.upgrade === undefined && !exchange.isDone) port.readBody(side);
    isSync = false;
    if (exchange.isDone || exchange.headSent) return "answered";
    if (isGone) return "next";
    exchange.client.resumeBody();
    return "wait";
  }

  onResponse(exchange: Exchange, response: FilteredResponse): BodyChange | undefined {
    // Its own answers are nobody's to process.
    if (this.#isOver || exchange !== this.#exchange) return undefined;
    const { headers, body, trailers } = this.#modes.response;
    if (!headers && body === "none" && !trailers) return undefined;
    return {
      kind: "later",
      into: (goOn) => {
        const port = new ResponsePort(exchange, response, goOn);
        const side = new Side(port, this.#modes.response, this.#desk);
        this.#response = side;
        exchange.responseStatus = response.status;
        exchange.responseHeaders = response.headers;
        side.begin(response.hasNoBody);
        return port.sinkFor(side);
      },
    };
  }

  onEnd(): void {
    this.#isOver = true;
    this.#clock.stopAll();
    this.#request?.drop();
    this.#response?.drop();
    if (this.#processing.onlyObserves) this.#call.closeLater(this.#processing.lingerMs);
    else this.#call.close();
  }

  /** False: nobody can be told, and what follows from that has happened. */
  #tell(side: Side, request: Part): boolean {
    if (this.#isOver || !this.#call.open()) return false;
    this.#count("stream_msgs_sent");
    if (!this.#processing.onlyObserves) this.#clock.start(side, this.#processing.messageMs);
    // A processor that does not keep up holds up whoever sends.
    if (!this.#call.send(this.#messages.about(side, request))) side.port.pause();
    return !this.#isOver;
  }

  // — what the processor says —

  #onMessage(bytes: Uint8Array): void {
    if (this.#isOver || this.#processing.onlyObserves) return;
    let response: ProcessingResponse;
    try {
      response = fromBinary(ProcessingResponseSchema, bytes);
    } catch {
      this.#call.abandon();
      this.#onEnd(grpcStatus.internal, "");
      return;
    }
    const { overrideMessageTimeout } = response;
    if (overrideMessageTimeout !== undefined) {
      this.#extend(overrideMessageTimeout);
      return;
    }
    const fault = this.#takeModes(response) ?? this.#dispatch(response);
    if (fault === undefined) this.#count("stream_msgs_received");
    else this.#onFault(fault);
    this.#request?.port.flush();
    this.#response?.port.flush();
  }

  #dispatch({ response, dynamicMetadata }: ProcessingResponse): Fault {
    if (response.case !== undefined) this.#takeMetadata(dynamicMetadata);
    switch (response.case) {
      case "requestHeaders":
        return this.#answeredBy(this.#request, (side) => side.onHeaders(response.value.response ?? noResponse));
      case "responseHeaders":
        return this.#answeredBy(this.#response, (side) => side.onHeaders(response.value.response ?? noResponse));
      case "requestBody":
        return this.#answeredBy(this.#request, (side) => side.onBody(response.value.response ?? noResponse));
      case "responseBody":
        return this.#answeredBy(this.#response, (side) => side.onBody(response.value.response ?? noResponse));
      case "requestTrailers":
        return this.#answeredBy(this.#request, (side) => side.onTrailers(response.value));
      case "responseTrailers":
        return this.#answeredBy(this.#response, (side) => side.onTrailers(response.value));
      case "immediateResponse":
        if (!this.#processing.takesAnswers) return faults.noAnswers;
        this.#answer(immediateAnswer(response.value, this.#processing.rules, () => this.#count("rejected_header_mutations")));
        return undefined;
      default:
        return faults.unhandled;
    }
  }

  #answeredBy(side: Side | undefined, take: (side: Side) => Fault): Fault {
    if (side === undefined || !side.hasBegun) return faults.spurious;
    this.#clock.stop(side);
    const fault = take(side);
    // Envoy waits for what is still owed as long as it takes.
    if (fault === undefined && side.isOwed && !this.#isOver) this.#clock.start(side, this.#processing.messageMs);
    return fault;
  }

  /** Who is to see what is not shown here must not be passed by. */
  #takeModes({ modeOverride, response }: ProcessingResponse): Fault {
    const { takesModes, allowedModes } = this.#processing;
    if (modeOverride === undefined || !takesModes) return undefined;
    const isAsked = this.#request?.waits === "headers" || this.#response?.waits === "headers";
    if (!isAsked || (response.case !== "requestHeaders" && response.case !== "responseHeaders")) return undefined;
    if (allowedModes.length > 0 && !allowedModes.some((each) => isSameOverride(each, modeOverride))) return undefined;
    const modes = modesOf(modeOverride);
    if (unknownMode(modeOverride) !== undefined || isTunnelHidden(this.#exchange.upgrade, modes)) return faults.notExecuted;
    this.#modes = modes;
    this.#request?.change(modes.request);
    this.#response?.change(modes.response);
    return undefined;
  }

  #takeMetadata(metadata: JsonObject | undefined): void {
    for (const name of this.#processing.receivedMetadata) {
      const said = metadata !== undefined && Object.hasOwn(metadata, name) ? metadata[name] : undefined;
      if (typeof said !== "object" || said === null || Array.isArray(said)) continue;
      const known = this.#exchange.dynamicMetadata;
      this.#exchange.dynamicMetadata = { ...known, [name]: { ...known?.[name], ...said } };
    }
  }

  // — what goes wrong —

  #onFault({ details, isSpurious }: Exclude<Fault, undefined>): void {
    this.#count(isSpurious ? "spurious_msgs_received" : "stream_msgs_received");
    if (isSpurious && this.#processing.allowsOnError) {
      this.#count("failure_mode_allowed");
      this.#finish();
    } else this.#answer({ status: this.#processing.statusOnError, body: "", details });
  }

  /** The call is over. */
  #onEnd(status: number, why: string): void {
    if (this.#isOver) return;
    if (status === grpcStatus.ok) {
      this.#count("server_half_closed");
      this.#count("streams_closed");
      this.#call.forget();
      this.#finish();
      return;
    }
    this.#count("streams_failed");
    this.#call.forget();
    this.#onError(`gRPC_error_${status}${why === "" ? "" : `{${why}}`}`);
  }

  #onError(what: string): void {
    const { allowsOnError, onlyObserves, statusOnError } = this.#processing;
    if (allowsOnError || onlyObserves) {
      if (allowsOnError) this.#count("failure_mode_allowed");
      this.#finish();
    } else this.#answer({ status: statusOnError, body: "", details: `ext_proc_error_${what}` });
  }

  #onTimeout(): void {
    this.#count("message_timeouts");
    if (this.#processing.allowsOnError) {
      this.#count("failure_mode_allowed");
      this.#finish();
    } else this.#answer({ status: timeoutStatus, body: "", details: "ext_proc_error_per-message_timeout_exceeded" });
  }

  #extend(duration: Duration): void {
    const ms = durationMs(duration);
    const isTaken = ms >= 1 && ms <= this.#processing.mostMessageMs && this.#clock.extend(ms);
    this.#count(isTaken ? "override_message_timeout_received" : "override_message_timeout_ignored");
  }

  /** Both go on without it. */
  #finish(): void {
    this.#isOver = true;
    this.#clock.stopAll();
    this.#call.close();
    for (const side of [this.#request, this.#response]) {
      side?.release();
      side?.port.flush();
    }
  }

  // — answers —

  #answer(answer: Answer): void {
    this.#count("immediate_responses_sent");
    this.#isOver = true;
    this.#clock.stopAll();
    this.#call.close();
    this.#request?.drop();
    this.#response?.drop();
    answerInstead(this.#exchange, this.#response, answer);
  }

  #count(name: string): void {
    this.#exchange.client.count(`${this.#processing.prefix}${name}`);
  }
}
