// The body of a request: sent on as it comes, held back until there is a connection, kept while it may have to be sent again.

import type { BodySink } from "../filters/http-filter.ts";
import type { Headers } from "../http1/headers.ts";
import { fail, reply } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { startRouteTimer, streamIdleMs } from "./timers.ts";

/** While there is no connection, how much is read before the client has to wait. */
const heldLimit = 65_536;

/**
 * Keeps the whole body before the request goes on. True when it is here; otherwise `again` is called when it is, or the client gets 413 because it is
 * larger than `limit` (see `mostHeld` where there is none).
 */
export function holdBody(exchange: Exchange, again: () => void, limit?: number): boolean {
  exchange.keepsBody = true;
  // Of the whole stream from here on, as in Envoy.
  if (limit !== undefined) exchange.holdLimit = limit;
  if (exchange.bodySize > mostHeld(exchange)) {
    refuseLarge(exchange);
    return false;
  }
  if (exchange.requestEnded) return true;
  exchange.whenWhole = again;
  // A filter before may have kept it waiting.
  exchange.client.resumeBody();
  return false;
}

/** Keeps the request until so much of its body is here, or all of it. True when it is; otherwise `again` is called when it is. */
export function holdPart(exchange: Exchange, bytes: number, again: () => void): boolean {
  if (exchange.requestEnded || exchange.bodySize >= bytes) return true;
  exchange.whenEnough = { bytes, again };
  exchange.client.resumeBody();
  return false;
}

/** How much of a request may be held: as in Envoy, a route may say more than the listener, but not less. */
export function mostHeld(exchange: Exchange): number {
  return exchange.holdLimit ?? Math.max(connectionLimit(exchange), routeLimit(exchange) ?? 0);
}

/** And of its response: by now the route may say more than the filter, too. */
export function mostHeldBack(exchange: Exchange): number {
  return Math.max(exchange.holdLimit ?? connectionLimit(exchange), routeLimit(exchange) ?? 0);
}

/** A body that is to be sent again must be kept; beyond this it is sent once. */
export function mostKept(exchange: Exchange): number {
  return routeLimit(exchange) ?? exchange.holdLimit ?? connectionLimit(exchange);
}

/** With HTTP/2, a stream holds what its client may send ahead. */
function connectionLimit({ protocol, hcm }: Exchange): number {
  return protocol === "HTTP/2" ? hcm.http2.streamWindow : hcm.bufferLimit;
}

function routeLimit({ route, virtualHost }: Exchange): number | undefined {
  return route?.bufferLimit ?? virtualHost?.bufferLimit;
}

function refuseLarge(exchange: Exchange): void {
  reply(exchange, 413, "Payload Too Large", "", "request_payload_too_large");
}

/** Puts another body in the place of the one that is held. */
export function replaceBody(exchange: Exchange, body: Buffer): void {
  exchange.bodyParts = body.length === 0 ? [] : [body];
  exchange.bodySize = body.length;
  exchange.contentLength = body.length;
  exchange.isChunked = false;
}

/** A body that is read as it comes. */
export interface BodyDecoder {
  /** Undefined: it is not what it should be. */
  push(data: Buffer): Buffer | undefined;
  readonly isWhole: boolean;
  /** What the client is told. */
  readonly fault: string;
  /** What the access log is told. */
  readonly details: string;
}

/** From here on, and what is here already. */
export function decodeBody(exchange: Exchange, decoder: BodyDecoder): void {
  if (exchange.bodySteps !== undefined) {
    passBody(exchange, (next) => new DecodingStep(exchange, decoder, next));
    return;
  }
  exchange.bodyDecoder = decoder;
  const parts = exchange.bodyParts;
  exchange.bodyParts = [];
  exchange.bodySize = 0;
  for (const part of parts) {
    const data = decoded(exchange, decoder, part);
    if (data === undefined) return;
    exchange.bodyParts.push(data);
    exchange.bodySize += data.length;
  }
  if (exchange.requestEnded) checkWhole(exchange, decoder);
}

function decoded(exchange: Exchange, decoder: BodyDecoder, data: Buffer): Buffer | undefined {
  const made = decoder.push(data);
  if (made === undefined) refuseCode(exchange, decoder);
  return made;
}

function checkWhole(exchange: Exchange, decoder: BodyDecoder): boolean {
  if (!decoder.isWhole) refuseCode(exchange, decoder);
  return decoder.isWhole;
}

function refuseCode(exchange: Exchange, { fault, details }: BodyDecoder): void {
  fail(exchange, 400, fault, "", details);
}

/** Behind whoever else reads the body. */
class DecodingStep implements BodySink {
  readonly #exchange: Exchange;
  readonly #decoder: BodyDecoder;
  readonly #next: BodySink;

  constructor(exchange: Exchange, decoder: BodyDecoder, next: BodySink) {
    this.#exchange = exchange;
    this.#decoder = decoder;
    this.#next = next;
  }

  data(data: Buffer): void {
    const made = decoded(this.#exchange, this.#decoder, data);
    if (made !== undefined && made.length > 0) this.#next.data(made);
  }

  flush(): boolean {
    return this.#next.flush();
  }

  end(trailers: Headers | undefined): void {
    if (checkWhole(this.#exchange, this.#decoder)) this.#next.end(trailers);
  }
}

/**
 * From here on the body passes a step on its way, which may change it and may keep it for a while; so does what is here already. Until the step hands
 * the end on, the request is not whole for whoever comes after it.
 */
export function passBody(exchange: Exchange, into: (next: BodySink) => BodySink): void {
  exchange.bodySteps ??= [];
  const steps = exchange.bodySteps;
  const behind = steps.length + 1;
  const next = (): BodySink => steps[behind] ?? exchange.arrival;
  const step = into({
    data: (data) => next().data(data),
    flush: () => next().flush(),
    end: (trailers) => next().end(trailers),
  });
  steps.push(step);
  const { bodyParts: parts, requestEnded, requestTrailers } = exchange;
  exchange.bodyParts = [];
  exchange.bodySize = 0;
  exchange.requestEnded = false;
  exchange.requestTrailers = undefined;
  for (const part of parts) step.data(part);
  if (requestEnded) step.end(requestTrailers);
}

/** Where the body of a request is when nothing changes it any more. */
export class Arrival implements BodySink {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  data(data: Buffer): void {
    if (!this.#exchange.isDone && data.length > 0) onArrivedData(this.#exchange, data);
  }

  flush(): boolean {
    return this.#exchange.upstream?.flush() ?? this.#exchange.bodySize <= heldLimit;
  }

  end(trailers: Headers | undefined): void {
    if (!this.#exchange.isDone) onArrivedEnd(this.#exchange, trailers);
  }
}

/** Request body from the client. */
export function onBodyData(exchange: Exchange, received: Buffer): void {
  if (exchange.isDone) return;
  exchange.bytesReceived += received.length;
  exchange.client.idle.set(streamIdleMs(exchange));
  const data = exchange.bodyDecoder === undefined ? received : decoded(exchange, exchange.bodyDecoder, received);
  if (data === undefined || data.length === 0) return;
  if (exchange.isTunnel) {
    exchange.upstream?.sendData(data);
    return;
  }
  const [first] = exchange.bodySteps ?? [];
  if (first === undefined) onArrivedData(exchange, data);
  else first.data(data);
}

function onArrivedData(exchange: Exchange, data: Buffer): void {
  if (exchange.upstream === undefined || exchange.keepsBody) {
    exchange.bodyParts.push(data);
    exchange.bodySize += data.length;
    const most = exchange.whenWhole === undefined ? mostKept : mostHeld;
    if (exchange.keepsBody && exchange.bodySize > most(exchange)) exchange.keepsBody = false;
  }
  if (exchange.upstream === undefined) {
    if (exchange.whenWhole !== undefined) {
      if (!exchange.keepsBody) refuseLarge(exchange);
    } else if (exchange.whenEnough !== undefined) {
      const { bytes, again } = exchange.whenEnough;
      if (exchange.bodySize < bytes) return;
      exchange.whenEnough = undefined;
      again();
    } else if (exchange.bodySize > heldLimit) exchange.client.pauseBody();
    return;
  }
  exchange.upstream.sendData(data);
  if (!exchange.keepsBody && exchange.bodyParts.length > 0) exchange.bodyParts = [];
}

export function onBodyEnd(exchange: Exchange, trailers: Headers | undefined): void {
  if (exchange.isDone) return;
  if (exchange.bodyDecoder !== undefined && !checkWhole(exchange, exchange.bodyDecoder)) return;
  exchange.clientEnded = true;
  exchange.requestEndedAt = performance.now();
  const [first] = exchange.bodySteps ?? [];
  if (first === undefined) onArrivedEnd(exchange, trailers);
  else first.end(trailers);
}

function onArrivedEnd(exchange: Exchange, trailers: Headers | undefined): void {
  exchange.requestEnded = true;
  exchange.requestTrailers = trailers;
  startRouteTimer(exchange);
  const again = exchange.whenWhole ?? exchange.whenEnough?.again;
  exchange.whenWhole = undefined;
  exchange.whenEnough = undefined;
  again?.();
  if (again !== undefined) return;
  if (exchange.upstream === undefined) return;
  exchange.upstream.endRequest(trailers);
  exchange.sentWholeAt = exchange.bodySteps === undefined ? exchange.requestEndedAt : performance.now();
}

export function flushRequest(exchange: Exchange): void {
  const { upstream, bodySteps } = exchange;
  if (bodySteps !== undefined && !exchange.isTunnel && !exchange.clientEnded && bodySteps[0]?.flush() === false) {
    exchange.client.pauseBody();
    return;
  }
  if (upstream === undefined) return;
  if (!upstream.flush() && !(exchange.requestEnded && !exchange.isTunnel)) exchange.client.pauseBody();
}
