// OpenTelemetry: contexts as the W3C writes them (`traceparent`, `tracestate`), spans as OTLP.

import { headerValues, setHeader } from "../http1/headers.ts";
import type { Sink } from "../telemetry.ts";
import { newId, Span } from "./span.ts";
import { reportTo, type Tracer } from "./tracer.ts";

export function openTelemetryTracer(sink: Sink<Span>, nodeId: string): Tracer {
  const tracer: Tracer = {
    start({ headers, startedAt, isWanted }) {
      const [given] = headerValues(headers, "traceparent");
      const context = given === undefined ? undefined : readTraceparent(given);
      if (given !== undefined && context === undefined) return undefined;
      const span =
        context === undefined
          ? new Span(tracer, "server", "ingress", startedAt, {
              traceId: newId() + newId(),
              id: newId(),
              parentId: "",
              isSampled: isWanted,
            })
          : new Span(tracer, "server", "ingress", startedAt, {
              ...context,
              // As Envoy: both ends must want it.
              isSampled: context.isSampled && isWanted,
              id: newId(),
              isContinued: true,
              state: headerValues(headers, "tracestate")[0] ?? "",
            });
      span.setTag("node_id", nodeId);
      span.setTag("zone", "");
      return span;
    },
    inject(span, headers) {
      setHeader(headers, "traceparent", writeTraceparent(span));
      setHeader(headers, "tracestate", span.state);
    },
    report: reportTo(sink),
  };
  return tracer;
}

interface Traceparent {
  readonly traceId: string;
  readonly parentId: string;
  readonly isSampled: boolean;
}

/** Of any version, as long as it looks like the first (W3C Trace Context §3.2). */
export function readTraceparent(text: string): Traceparent | undefined {
  const found = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/i.exec(text);
  if (found === null) return undefined;
  const [, traceId = "", parentId = "", flags = ""] = found;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId: traceId.toLowerCase(), parentId: parentId.toLowerCase(), isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function writeTraceparent({ traceId, id, isSampled }: Pick<Span, "traceId" | "id" | "isSampled">): string {
  return `00-${traceId.padStart(32, "0")}-${id}-${isSampled ? "01" : "00"}`;
}
