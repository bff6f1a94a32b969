// Datadog: contexts as its tracers write them and as the W3C does, and spans that go to an agent. All that was done here for a request is one part of the
// trace, and it is reported whole; also where the trace is not kept, since the agent counts requests by it. Names and rules are those of dd-trace-cpp, which
// Envoy has. Left to Envoy: sampling rules of its environment, remote configuration and the telemetry of the library itself.

import { randomUUID } from "node:crypto";
import { setHeader } from "../http1/headers.ts";
import type { Sink } from "../telemetry.ts";
import { decisionTag, type ExtractedContext, extractContext, highTag } from "./datadog-context.ts";
import { type Decision, type Rates, rateDecision, rejected } from "./datadog-rates.ts";
import { datadogTracestate, encodedTags, errorTag, mostTagBytes, sourceTag, tagPrefix } from "./datadog-tags.ts";
import { writeTraceparent } from "./opentelemetry.ts";
import { newId, Span, type SpanContext } from "./span.ts";
import type { Beginning, Tracer } from "./tracer.ts";

/** A root and what was done below it, in the order in which it ended. */
export type Part = readonly [root: DatadogSpan, ...children: DatadogSpan[]];

export interface DatadogOptions {
  readonly service: string;
  /** Empty: nothing is said of it. */
  readonly environment: string;
  readonly version: string;
  readonly rates: Rates;
}

/** Of this process, among those of the same service. */
export const runtimeId: string = randomUUID();

export function datadogTracer(sink: Sink<Part>, { service, environment, rates }: DatadogOptions): Tracer<DatadogSpan> {
  const tracer: Tracer<DatadogSpan> = {
    start(beginning) {
      const { context, tags } = extractContext(beginning.headers);
      const ids = context === undefined ? firstIds(beginning) : { traceId: context.traceId, id: childId(), parentId: context.parentId };
      const decision = decisionOf(context, ids.traceId, beginning);
      const segment: Segment = {
        decision,
        origin: context?.origin,
        traceTags: traceTagsOf(context, ids.traceId, decision),
        rootTags: context === undefined ? {} : tags,
        moreOfDatadog: context?.moreOfDatadog,
        moreOfOthers: context?.moreOfOthers,
        finished: [],
      };
      const span = new DatadogSpan(tracer, "server", "ingress", beginning.startedAt, { ...ids, isSampled: true }, segment);
      span.setTag("node_id", "");
      span.setTag("zone", "");
      return span;
    },
    inject,
    report(span, telemetry) {
      const { finished } = span.segment;
      if (span.kind === "client") finished.push(span);
      else telemetry.add(sink, [span, ...finished]);
    },
  };

  /** Who asks has decided; otherwise what is wanted here is a matter of rates. */
  const decisionOf = (context: ExtractedContext | undefined, traceId: string, { isWanted }: Beginning): Decision => {
    if (context?.priority !== undefined) return { priority: context.priority, mechanism: undefined, rate: undefined };
    return isWanted ? rateDecision(rates, traceId, service, environment) : rejected;
  };
  return tracer;
}

/** What all spans of a request have in common. */
interface Segment {
  readonly decision: Decision;
  readonly origin: string | undefined;
  /** Those that go on with the trace. */
  readonly traceTags: readonly (readonly [string, string])[];
  /** What is said of the first span alone. */
  readonly rootTags: Record<string, string>;
  /** Of `tracestate`: what is not understood goes on. */
  readonly moreOfDatadog: string | undefined;
  readonly moreOfOthers: string | undefined;
  readonly finished: DatadogSpan[];
}

export class DatadogSpan extends Span {
  readonly segment: Segment;

  constructor(tracer: Tracer<DatadogSpan>, kind: Span["kind"], name: string, startedAt: number, context: SpanContext, segment: Segment) {
    super(tracer, kind, name, startedAt, context);
    this.segment = segment;
  }

  override child(name: string, startedAt: number): DatadogSpan {
    const { traceId, id: parentId, segment } = this;
    const context = { traceId, id: childId(), parentId, isSampled: true };
    return new DatadogSpan(this.tracer as Tracer<DatadogSpan>, "client", name, startedAt, context, segment);
  }
}

/** The first 32 bits of a trace are its second; the first span is the trace. */
function firstIds({ startedAt }: Beginning): Pick<SpanContext, "traceId" | "id" | "parentId"> {
  const id = newId();
  const second = Math.floor(startedAt / 1_000);
  return { traceId: `${second.toString(16).padStart(8, "0")}00000000${id}`, id, parentId: "" };
}

/** Older tracers know numbers of 63 bits. */
function childId(): string {
  const id = newId();
  return (Number.parseInt(id[0] as string, 16) & 7).toString(16) + id.slice(1);
}

function traceTagsOf(context: ExtractedContext | undefined, traceId: string, decision: Decision): readonly (readonly [string, string])[] {
  const high = traceId.slice(0, 16);
  if (context === undefined) return decided(/^0+$/.test(high) ? [] : [[highTag, high]], decision);
  return decided(context.traceTags, decision);
}

/** Who decides here says how, in the place of whoever did before. */
function decided(tags: Segment["traceTags"], { priority, mechanism, rate }: Decision): Segment["traceTags"] {
  if (mechanism === undefined) return tags;
  const at = tags.findIndex(([name]) => name === decisionTag);
  const own = [decisionTag, `-${mechanism}`] as const;
  const isKept = priority > 0;
  const said = at === -1 ? (isKept ? [...tags, own] : tags) : isKept ? tags.with(at, own) : tags.toSpliced(at, 1);
  // A rate that nobody has said is none.
  return mechanism === 1 && rate !== undefined ? [...said, [rateTag, String(Number(rate.toFixed(6)))]] : said;
}

const rateTag = `${tagPrefix}ksr`;

function inject({ traceId, id, segment }: DatadogSpan, headers: string[]): void {
  const { decision, origin, rootTags, moreOfDatadog, moreOfOthers } = segment;
  const source = rootTags[sourceTag];
  const traceTags = source === undefined ? segment.traceTags : [...segment.traceTags, [sourceTag, source] as const];
  setHeader(headers, "x-datadog-trace-id", decimal(traceId.slice(16)));
  setHeader(headers, "x-datadog-parent-id", decimal(id));
  setHeader(headers, "x-datadog-sampling-priority", String(decision.priority));
  if (origin !== undefined) setHeader(headers, "x-datadog-origin", origin);
  const tags = encodedTags(traceTags);
  if (tags.length > mostTagBytes) rootTags[errorTag] = "inject_max_size";
  else if (tags !== "") setHeader(headers, "x-datadog-tags", tags);
  setHeader(headers, "traceparent", writeTraceparent({ traceId, id, isSampled: decision.priority > 0 }));
  const state = datadogTracestate({ id, priority: decision.priority, origin, traceTags, more: moreOfDatadog });
  setHeader(headers, "tracestate", moreOfOthers === undefined ? state : `${state},${moreOfOthers}`);
}

function decimal(hex: string): string {
  return BigInt(`0x${hex}`).toString();
}
