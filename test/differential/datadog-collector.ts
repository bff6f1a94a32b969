// An agent of Datadog for tests: it keeps the spans that it is told, and says how much of a service is to be kept.

import { decode } from "@msgpack/msgpack";
import { type CollectedSpan, type Collector, overHttp, type Parsed } from "./collectors.ts";

interface DatadogSpan {
  readonly service: string;
  readonly name: string;
  readonly resource: string;
  readonly trace_id: bigint;
  readonly span_id: bigint;
  readonly parent_id: bigint;
  readonly start: bigint;
  readonly duration: bigint;
  readonly error: number | bigint;
  readonly meta: Readonly<Record<string, string>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly type: string;
}

/** @param rates by `service:NAME,env:NAME` */
export function datadogCollector(rates: Readonly<Record<string, number>> = {}): Promise<Collector> {
  return overHttp(ofDatadog, 200, JSON.stringify({ rate_by_service: rates }));
}

/** What is no report of traces (what the library of Envoy tells of itself) is none. */
function ofDatadog(body: Buffer, path: string): Parsed | undefined {
  if (path !== "/v0.4/traces") return undefined;
  const parts = decode(body, { useBigInt64: true }) as DatadogSpan[][];
  return {
    resource: { parts: parts.length, types: typesOf(parts) },
    spans: parts.flatMap((part) => part.map((each) => ofSpan(each, part))),
  };
}

/** What the agent would trip over: kinds of values. */
function typesOf(parts: readonly (readonly DatadogSpan[])[]): string[] {
  const kinds = (values: object) => Object.values(values).map((each) => typeof each);
  const all = parts
    .flat()
    .map(({ meta, metrics, ...span }) => [
      `${Object.keys(span).sort()}`,
      ...kinds({ ...span, error: Number(span.error) }),
      `meta: ${[...new Set(kinds(meta))]}`,
      `metrics: ${[...new Set(kinds(metrics))]}`,
    ]);
  return [...new Set(all.flat())].sort();
}

const hex = (id: bigint) => id.toString(16).padStart(16, "0");

function ofSpan({ meta, metrics, ...span }: DatadogSpan, part: readonly DatadogSpan[]): CollectedSpan {
  const { "runtime-id": runtime, language, version, ...tags } = meta;
  const { process_id, ...numbers } = metrics;
  return {
    traceId: hex(span.trace_id),
    id: hex(span.span_id),
    parentId: span.parent_id === 0n ? "" : hex(span.parent_id),
    name: span.resource,
    kind: span === part[0] || span.span_id === part[0]?.span_id ? "server" : "sent",
    tags,
    more: {
      service: span.service,
      name: span.name,
      type: span.type,
      error: Number(span.error),
      numbers,
      spansOfPart: part.length,
      saysWho: [typeof process_id, runtime?.length, language !== undefined, version !== undefined],
    },
    startUs: Number(span.start / 1_000n),
    durationUs: Number(span.duration / 1_000n),
  };
}
