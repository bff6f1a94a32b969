// The conversation with a processor about one request and its response: one call, opened when there is something to tell, closed when both are over.

import { create, fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { ExternalProcessor_RouteCacheAction as RouteAction } from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import {
  type CommonResponse,
  CommonResponseSchema,
  type ImmediateResponse,
  type ProcessingResponse,
  ProcessingResponseSchema,
} from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import { fail, reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { findRouteAgain } from "../exchange/receive.ts";
import { mostHeld, mostHeldBack } from "../exchange/request-body.ts";
import type { Headers } from "../http1/headers.ts";
import { usualMessageBytes } from "../sds/message-reader.ts";
import { GrpcStream, grpcStatus } from "../upstream/grpc-stream.ts";
import { Clock } from "./extProcClock.ts";
import type { Processing } from "./extProcConfig.ts";
import { type Desk, type Fault, faults, type MutationManner } from "./extProcContract.ts";
import { type HeaderView, mutateView, PlainHeaders, toldHeaders } from "./extProcHeaders.ts";
import { isSameOverride, isTunnelHidden, modesOf, unknownMode } from "./extProcModes.ts";
import { RequestPort, ResponsePort } from "./extProcPorts.ts";
import { Side } from "./extProcSide.ts";
import { Messages, type Part } from "./extProcTold.ts";
import type { BodyChange, FilteredResponse, FilterRun, Verdict } from "./http-filter.ts";

const path = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
const timeoutStatus = 504;

const noResponse = create(CommonResponseSchema);

export class ProcessingRun implements FilterRun, Desk {
  readonly #processing: Processing;
  readonly #exchange: Exchange;
  #stream: GrpcStream | undefined;
  #request: Side | undefined;
  #response: Side | undefined;
  readonly #messages: Messages;
  readonly #clock = new Clock(() => this.#onTimeout());
  /** What a processor has said to show it instead. */
  #modes: Processing["modes"];
  /** No more is told, and nobody listens. */
  #isOver = false;
  #linger: NodeJS.Timeout | undefined;

  constructor(processing: Processing, exchange: Exchange) {
    this.#processing = processing;
    this.#exchange = exchange;
    this.#modes = processing.modes;
    this.#messages = new Messages(processing, exchange);
  }

  // — what the exchange tells —

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    let isGone = false;
    let isSync = true;
    const port = new RequestPort(exchange, () => {
      isGone = true;
      if (!isSync) resume();
    });
    const side = new Side(port, this.#modes.request, this);
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
        const side = new Side(port, this.#modes.response, this);
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
    const stream = this.#stream;
    if (stream === undefined) return;
    if (this.#processing.onlyObserves) this.#linger = setTimeout(() => this.#closeStream(), this.#processing.lingerMs).unref();
    else this.#closeStream();
  }

  // — what the sides want to tell —

  get onlyObserves(): boolean {
    return this.#processing.onlyObserves;
  }
  get sendsBodyEarly(): boolean {
    return this.#processing.sendsBodyEarly;
  }

  tellHeaders(side: Side, endOfStream: boolean): boolean {
    const headers = toldHeaders(side.port.view, this.#processing.isForwarded);
    return this.#tell(side, { case: side.port.isRequest ? "requestHeaders" : "responseHeaders", value: { headers, endOfStream } });
  }

  tellBody(side: Side, body: Buffer, endOfStream: boolean): boolean {
    return this.#tell(side, { case: side.port.isRequest ? "requestBody" : "responseBody", value: { body, endOfStream } });
  }

  tellTrailers(side: Side, list: Headers): boolean {
    const trailers = toldHeaders(new PlainHeaders(list), this.#processing.isForwarded);
    return this.#tell(side, { case: side.port.isRequest ? "requestTrailers" : "responseTrailers", value: { trailers } });
  }

  mutate(view: HeaderView, { headerMutation }: Pick<CommonResponse, "headerMutation">, how: MutationManner): Fault {
    if (headerMutation === undefined) return undefined;
    const details = mutateView(view, headerMutation, this.#processing.rules, how, {
      rejected: () => this.#count("rejected_header_mutations"),
    });
    return details === undefined ? undefined : { details, isSpurious: false };
  }

  clearRoute(side: Side, { clearRouteCache, headerMutation }: CommonResponse): void {
    if (!side.port.isRequest) return;
    if (headerMutation === undefined) {
      if (clearRouteCache) this.#count("clear_route_cache_ignored");
      return;
    }
    const action = this.#processing.routeAction;
    if (action === RouteAction.RETAIN) {
      if (clearRouteCache) this.#count("clear_route_cache_disabled");
      return;
    }
    const clears = clearRouteCache || action === RouteAction.CLEAR;
    if (clears && !side.headIsGone) findRouteAgain(this.#exchange);
  }

  tooLarge(side: Side): void {
    if (side.port.isRequest) this.#answer(413, "Payload Too Large", "request_payload_too_large");
    else this.#answer(500, "Internal Server Error", "response_payload_too_large");
  }

  #tell(side: Side, request: Part): boolean {
    if (this.#isOver || !this.#open()) return false;
    this.#count("stream_msgs_sent");
    if (!this.onlyObserves) this.#clock.start(side, this.#processing.messageMs);
    // A processor that does not keep up holds up who sends.
    if (this.#stream?.send(this.#messages.about(side, request)) === false) side.port.pause();
    return !this.#isOver;
  }

  /** False: there is no call, and what follows from that has happened. */
  #open(): boolean {
    if (this.#stream !== undefined) return true;
    const { target } = this.#processing;
    if (target === undefined) {
      this.#onError("none");
      return false;
    }
    const listener = {
      onMessage: (bytes: Uint8Array) => this.#onMessage(bytes),
      onEnd: (status: number, why: string) => this.#onEnd(status, why),
      onDrain: () => {
        for (const side of [this.#request, this.#response]) side?.port.resume();
      },
    };
    // Bodies that may be held may come back whole.
    const mostBytes = usualMessageBytes + Math.max(mostHeld(this.#exchange), mostHeldBack(this.#exchange));
    const stream = new GrpcStream(this.#exchange.tables.cluster(target.cluster), target, path, listener, mostBytes);
    this.#stream = stream;
    stream.start();
    if (this.#isOver) return false;
    this.#count("streams_started");
    return true;
  }

  // — what the processor says —

  #onMessage(bytes: Uint8Array): void {
    if (this.#isOver || this.#processing.onlyObserves) return;
    let response: ProcessingResponse;
    try {
      response = fromBinary(ProcessingResponseSchema, bytes);
    } catch {
      this.#stream?.close();
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
        this.#answerWith(response.value);
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
    } else this.#answer(this.#processing.statusOnError, "", details);
  }

  /** The call is over. */
  #onEnd(status: number, why: string): void {
    if (this.#isOver) return;
    if (status === grpcStatus.ok) {
      this.#count("server_half_closed");
      this.#count("streams_closed");
      this.#stream = undefined;
      this.#finish();
      return;
    }
    this.#count("streams_failed");
    this.#stream = undefined;
    this.#onError(`gRPC_error_${status}${why === "" ? "" : `{${why}}`}`);
  }

  #onError(what: string): void {
    const { allowsOnError, onlyObserves, statusOnError } = this.#processing;
    if (allowsOnError || onlyObserves) {
      if (allowsOnError) this.#count("failure_mode_allowed");
      this.#finish();
    } else this.#answer(statusOnError, "", `ext_proc_error_${what}`);
  }

  #onTimeout(): void {
    this.#count("message_timeouts");
    if (this.#processing.allowsOnError) {
      this.#count("failure_mode_allowed");
      this.#finish();
    } else this.#answer(timeoutStatus, "", "ext_proc_error_per-message_timeout_exceeded");
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
    this.#closeStream();
    for (const side of [this.#request, this.#response]) {
      side?.release();
      side?.port.flush();
    }
  }

  // — answers —

  #answerWith({ status, headers, body, grpcStatus: grpc, details }: ImmediateResponse): void {
    const code = status?.code ?? 0;
    const change = (list: Headers) => {
      if (headers === undefined) return;
      mutateView(new PlainHeaders(list), headers, this.#processing.rules, {}, { rejected: () => this.#count("rejected_header_mutations") });
    };
    const text = Buffer.from(body).toString("latin1");
    this.#answer(code >= 200 && code <= 599 ? code : 200, text, details.replaceAll(/\s/g, "_"), {
      change,
      ...(grpc && { grpcStatus: grpc.status }),
    });
  }

  #answer(status: number, body: string, details: string, options: Parameters<typeof reply>[5] = {}): void {
    const exchange = this.#exchange;
    const response = this.#response;
    this.#count("immediate_responses_sent");
    this.#isOver = true;
    this.#clock.stopAll();
    this.#closeStream();
    this.#request?.drop();
    response?.drop();
    if (response === undefined) {
      if (exchange.headSent) fail(exchange, status, body, "", details);
      else reply(exchange, status, body, "", details, options);
    } else if (response.headIsGone) {
      exchange.responseDetails = details;
      fail(exchange, status, body, exchange.responseFlags, details);
    } else {
      // Nothing of it was sent: this is the answer instead, and no filter's.
      exchange.headSent = false;
      reply(exchange, status, body, "", details, { ...options, isUnfiltered: true });
    }
  }

  // — counters, the end —

  #count(name: string): void {
    this.#exchange.client.count(`${this.#processing.prefix}${name}`);
  }

  #closeStream(): void {
    clearTimeout(this.#linger);
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    stream.close();
    this.#count("streams_closed");
  }
}
