// The trace of an exchange: whether it has one, its span, the spans of its tries, and what their names and tags say.

import type { CompiledTracing, Share } from "../compile/tracing.ts";
import { type Headers, headerValue, removeHeader, setHeader } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { tagRequest, tagTry } from "../tracing/http-tags.ts";
import { luckOf, type TraceReason, traceReasonOf, withTraceReason } from "../tracing/request-id.ts";
import type { Span } from "../tracing/span.ts";
import type { UpstreamFailure } from "../upstream/stream.ts";
import type { Exchange } from "./exchange.ts";

export interface Trace {
  readonly tracing: CompiledTracing;
  readonly isChosen: boolean;
  /** Undefined: nobody is told of it. */
  readonly span: Span | undefined;
  /** The name that a route gives it, which its client is told. */
  operation: string | undefined;
  /** The try under way. */
  tried: Try | undefined;
}

export interface Try {
  readonly span: Span;
  head: ResponseHead | undefined;
  failure: UpstreamFailure | undefined;
  isWhole: boolean;
  /** It was not answered in time. */
  isLate: boolean;
}

/** When its route is known, and before filters. */
export function beginTrace(exchange: Exchange, tracing: CompiledTracing): void {
  const { headers, authority, startedAt, route } = exchange;
  const reason = chooseRequest(exchange, tracing);
  exchange.client.count(`tracing.${counters[reason ?? "none"]}`);
  const span = tracing.tracer?.start({ headers, authority, startedAt, isWanted: reason !== undefined });
  const decorator = route?.tracing?.decorator;
  let operation = decorator?.operation || undefined;
  if (span !== undefined && operation !== undefined) span.name = operation;
  const format = route?.tracing?.names?.operation ?? tracing.operation;
  if (span !== undefined && format !== undefined) span.name = format(exchange);
  const theirs = headerValue(headers, "x-envoy-decorator-operation");
  if (theirs !== undefined) {
    if (theirs !== "") {
      if (span !== undefined) span.name = theirs;
      operation = undefined;
    }
    removeHeader(headers, "x-envoy-decorator-operation");
  }
  exchange.trace = {
    tracing,
    isChosen: reason !== undefined,
    span,
    operation: decorator?.propagates ? operation : undefined,
    tried: undefined,
  };
}

const counters = { sampled: "random_sampling", forced: "service_forced", client: "client_enabled", none: "not_traceable" } as const;

/** As Envoy: what its identifier says already stands, but for the last word of this gateway. */
function chooseRequest({ headers, route }: Exchange, tracing: CompiledTracing): TraceReason {
  const id = headerValue(headers, "x-request-id") ?? "";
  const luck = luckOf(id);
  if (luck === undefined) return undefined;
  const { client, random, overall } = route?.tracing?.sampling ?? tracing;
  let reason = traceReasonOf(id);
  if (reason === undefined) {
    if (headerValue(headers, "x-client-trace-id") !== undefined && isIn(client, Math.random() * client.whole)) reason = "client";
    else if (isIn(random, luck)) reason = "sampled";
  }
  if (reason !== undefined && !isIn(overall, luck)) {
    reason = undefined;
    setHeader(headers, "x-request-id", withTraceReason(id, undefined));
  } else if (reason !== undefined) setHeader(headers, "x-request-id", withTraceReason(id, reason));
  return reason;
}

function isIn({ part, whole }: Share, luck: number): boolean {
  return luck % whole < part;
}

/** Tells the client what the request is called here. */
export function tellOperation({ trace }: Exchange, headers: Headers): void {
  if (trace?.operation !== undefined) setHeader(headers, "x-envoy-decorator-operation", trace.operation);
}

// — tries —

/** A host was picked. */
export function beginTry(exchange: Exchange): void {
  const { trace, route } = exchange;
  if (!trace?.tracing.spansTries || trace.span === undefined) return;
  const format = route?.tracing?.names?.upstreamOperation ?? trace.tracing.upstreamOperation;
  const name = format === undefined ? `router ${exchange.clusterName} egress` : format(exchange);
  const span = trace.span.child(name, now(exchange));
  if (exchange.attempts > 1) span.setTag("retry.count", String(exchange.attempts - 1));
  trace.tried = { span, head: undefined, failure: undefined, isWhole: false, isLate: false };
}

/** Tells the upstream, in the headers that it is about to get. */
export function injectTrace({ trace, headers }: Exchange): void {
  if (trace === undefined || !trace.tracing.propagates) return;
  const span = trace.tried?.span ?? trace.span;
  span?.tracer.inject(span, headers);
}

export function onTryHead({ trace }: Exchange, head: ResponseHead): void {
  if (trace?.tried === undefined) return;
  trace.tried.head = head;
  trace.tried.isWhole = head.isWhole || head.contentLength === 0;
}

/** The response is whole. */
export function onTryEnd(exchange: Exchange): void {
  const tried = exchange.trace?.tried;
  if (tried !== undefined) tried.isWhole = true;
  endTry(exchange);
}

export function onTryLate({ trace }: Exchange): void {
  if (trace?.tried !== undefined) trace.tried.isLate = true;
}

export function endTry(exchange: Exchange, failure?: UpstreamFailure): void {
  const { trace } = exchange;
  const tried = trace?.tried;
  if (trace === undefined || tried === undefined) return;
  trace.tried = undefined;
  tried.failure = failure;
  if (tried.span.isSampled) {
    tagTry(exchange, tried);
    finish(exchange, tried.span);
  }
}

/** It was as if it had not been. */
export function forgetTry({ trace }: Exchange): void {
  if (trace !== undefined) trace.tried = undefined;
}

// — the end —

export function endTrace(exchange: Exchange): void {
  const span = exchange.trace?.span;
  if (span === undefined || !span.isSampled) return;
  tagRequest(exchange, span);
  finish(exchange, span);
}

function finish(exchange: Exchange, span: Span): void {
  for (const [name, value] of customTags(exchange)) span.setTag(name, value);
  span.endedAt = now(exchange);
  if (exchange.trace?.tracing.isVerbose) addEvents(exchange, span);
  if (exchange.tables.telemetry !== undefined) span.tracer.report(span, exchange.tables.telemetry);
}

/** Those of the route take the place of those of the connection manager. */
function* customTags(exchange: Exchange): Generator<readonly [string, string]> {
  const ofRoute = exchange.route?.tracing?.names?.tags ?? [];
  const ofManager = (exchange.trace?.tracing.tags ?? []).filter(({ name }) => !ofRoute.some((each) => each.name === name));
  for (const { name, value } of [...ofManager, ...ofRoute]) {
    const text = value(exchange);
    if (text !== undefined) yield [name, text];
  }
}

/** When things happened, as far as is known here. */
function addEvents(exchange: Exchange, span: Span): void {
  const { requestEnd, upstreamRequestEnd, responseBegin } = exchange.times;
  const sentAt = upstreamRequestEnd === undefined ? undefined : exchange.sentSince;
  const add = (name: string, at: number | undefined) => at !== undefined && span.events.push({ at: exchange.startedAt + at, name });
  add("last_downstream_rx_byte_received", requestEnd);
  add("first_upstream_tx_byte_sent", sentAt);
  add("last_upstream_tx_byte_sent", upstreamRequestEnd);
  add("first_upstream_rx_byte_received", responseBegin);
  if (responseBegin !== undefined) add("last_upstream_rx_byte_received", exchange.durationMs);
  if (exchange.responseStatus !== 0) {
    add("first_downstream_tx_byte_sent", responseBegin ?? exchange.durationMs);
    add("last_downstream_tx_byte_sent", exchange.durationMs);
  }
}

function now({ startedAt, durationMs }: Exchange): number {
  return startedAt + durationMs;
}
