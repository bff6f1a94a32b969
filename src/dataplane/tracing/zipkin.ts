// Zipkin: contexts as B3 writes them, spans as its JSON of version 2.

import { ownAddress } from "../edge.ts";
import { headerValues, setHeader } from "../http1/headers.ts";
import type { Sink } from "../telemetry.ts";
import { unicodeText } from "../text.ts";
import { type B3Context, readB3, wantedByB3, writeB3 } from "./b3.ts";
import { readTraceparent, writeTraceparent } from "./opentelemetry.ts";
import { newId, Span, type SpanContext } from "./span.ts";
import { type Beginning, reportTo, type Tracer } from "./tracer.ts";

export interface ZipkinOptions {
  readonly longTraceIds: boolean;
  /** What is done here has the identifier that the client gave to its question. */
  readonly sharesSpans: boolean;
  /** Where there is no B3, `traceparent` counts; upstreams get both. */
  readonly knowsTraceparent: boolean;
}

export function zipkinTracer(sink: Sink<Span>, { longTraceIds, sharesSpans, knowsTraceparent }: ZipkinOptions): Tracer {
  const root = (isSampled: boolean): SpanContext => {
    const id = newId();
    return { traceId: longTraceIds ? newId() + id : id, id, parentId: "", isSampled };
  };
  const continued = ({ traceId, id, parentId }: B3Context, isSampled: boolean): SpanContext =>
    sharesSpans ? { traceId, id, parentId, isSampled } : { traceId, id: newId(), parentId: id, isSampled };

  const contextOf = ({ headers, isWanted }: Beginning): SpanContext | undefined => {
    const given = readB3(headers);
    if (given === "unreadable") return undefined;
    const w3c = given === undefined && knowsTraceparent ? readTraceparent(headerValues(headers, "traceparent")[0] ?? "") : undefined;
    const isSampled = wantedByB3(headers) ?? w3c?.isSampled ?? isWanted;
    if (given !== undefined) return continued(given, isSampled);
    return w3c === undefined ? root(isSampled) : continued({ traceId: w3c.traceId, id: w3c.parentId, parentId: "" }, isSampled);
  };

  const tracer: Tracer = {
    start(beginning) {
      const context = contextOf(beginning);
      return context && new Span(tracer, "server", beginning.authority, beginning.startedAt, context);
    },
    inject(span, headers) {
      writeB3(span, headers);
      if (knowsTraceparent) setHeader(headers, "traceparent", writeTraceparent(span));
    },
    report: reportTo(sink),
  };
  return tracer;
}

/** @param spans of one report */
export function zipkinJson(spans: readonly Span[], sharesSpans: boolean): Buffer {
  return Buffer.from(JSON.stringify(spans.map((span) => spanJson(span, sharesSpans))), "utf8");
}

function spanJson(span: Span, sharesSpans: boolean): object {
  const tags = [...span.tags].filter(([, value]) => value !== "").map(([name, value]) => [unicodeText(name), unicodeText(value)]);
  const events = [...span.events, { at: span.endedAt, name: span.kind === "server" ? "ss" : "cr" }];
  return {
    traceId: span.traceId,
    ...(span.parentId !== "" && { parentId: span.parentId }),
    id: span.id,
    kind: span.kind.toUpperCase(),
    name: unicodeText(span.name),
    timestamp: Math.round(span.startedAt * 1_000),
    duration: Math.max(0, Math.round((span.endedAt - span.startedAt) * 1_000)),
    localEndpoint: { ipv4: ownAddress(), port: 0 },
    ...(span.kind === "server" && sharesSpans && { shared: true }),
    tags: Object.fromEntries(tags),
    annotations: events.map(({ at, name }) => ({ timestamp: Math.round(at * 1_000), value: name })),
  };
}
