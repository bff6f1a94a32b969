// What both sides want of the conversation with a processor: to tell it something, in its words, and to have done what it answers to heads.

import { ExternalProcessor_RouteCacheAction as RouteAction } from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import type { CommonResponse } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { findRouteAgain } from "../exchange/receive.ts";
import type { Headers } from "../http1/headers.ts";
import type { Processing } from "./extProcConfig.ts";
import type { Desk, Fault, MutationManner } from "./extProcContract.ts";
import { type HeaderView, mutateView, PlainHeaders, toldHeaders } from "./extProcHeaders.ts";
import type { Side } from "./extProcSide.ts";
import type { Part } from "./extProcTold.ts";

/** Whoever has the call. */
export interface Teller {
  /** False: nobody can be told, and what follows from that has happened. */
  tell(side: Side, request: Part): boolean;
  /** The client is answered instead. */
  answer(status: number, body: string, details: string): void;
  count(name: string): void;
}

export class ProcessingDesk implements Desk {
  readonly #processing: Processing;
  readonly #exchange: Exchange;
  readonly #teller: Teller;

  constructor(processing: Processing, exchange: Exchange, teller: Teller) {
    this.#processing = processing;
    this.#exchange = exchange;
    this.#teller = teller;
  }

  get onlyObserves(): boolean {
    return this.#processing.onlyObserves;
  }
  get sendsBodyEarly(): boolean {
    return this.#processing.sendsBodyEarly;
  }

  tellHeaders(side: Side, endOfStream: boolean): boolean {
    const headers = toldHeaders(side.port.view, this.#processing.isForwarded);
    return this.#teller.tell(side, { case: side.port.isRequest ? "requestHeaders" : "responseHeaders", value: { headers, endOfStream } });
  }

  tellBody(side: Side, body: Buffer, endOfStream: boolean): boolean {
    return this.#teller.tell(side, { case: side.port.isRequest ? "requestBody" : "responseBody", value: { body, endOfStream } });
  }

  tellTrailers(side: Side, list: Headers): boolean {
    const trailers = toldHeaders(new PlainHeaders(list), this.#processing.isForwarded);
    return this.#teller.tell(side, { case: side.port.isRequest ? "requestTrailers" : "responseTrailers", value: { trailers } });
  }

  mutate(view: HeaderView, { headerMutation }: Pick<CommonResponse, "headerMutation">, how: MutationManner): Fault {
    if (headerMutation === undefined) return undefined;
    const details = mutateView(view, headerMutation, this.#processing.rules, how, {
      rejected: () => this.#teller.count("rejected_header_mutations"),
    });
    return details === undefined ? undefined : { details, isSpurious: false };
  }

  clearRoute(side: Side, { clearRouteCache, headerMutation }: CommonResponse): void {
    if (!side.port.isRequest) return;
    if (headerMutation === undefined) {
      if (clearRouteCache) this.#teller.count("clear_route_cache_ignored");
      return;
    }
    const action = this.#processing.routeAction;
    if (action === RouteAction.RETAIN) {
      if (clearRouteCache) this.#teller.count("clear_route_cache_disabled");
      return;
    }
    const clears = clearRouteCache || action === RouteAction.CLEAR;
    if (clears && !side.headIsGone) findRouteAgain(this.#exchange);
  }

  tooLarge(side: Side): void {
    if (side.port.isRequest) this.#teller.answer(413, "Payload Too Large", "request_payload_too_large");
    else this.#teller.answer(500, "Internal Server Error", "response_payload_too_large");
  }
}
