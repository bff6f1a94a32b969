// What an agent of Datadog is told: parts of traces in MessagePack, as `/v0.4/traces` reads them.

import { encode } from "@msgpack/msgpack";
import { unicodeText } from "../text.ts";
import { type DatadogOptions, type DatadogSpan, type Part, runtimeId } from "./datadog.ts";
import { sizeOf } from "./span.ts";

type Names = Pick<DatadogOptions, "service" | "environment" | "version">;

export function datadogPayload(parts: readonly Part[], names: Names): Buffer {
  const traces = parts.map(([root, ...children]) => [
    spanOf(root, names, rootMeta(root), rootMetrics(root)),
    ...children.map((each) => spanOf(each, names, {}, {})),
  ]);
  // Whole numbers are written as bigint: the agent wants metrics to be floating ones.
  const bytes = encode(traces, { useBigInt64: true, forceIntegerToFloat: true });
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** About how many bytes it is when it is written, and what is kept of the request until then. */
export function partSize(part: Part): number {
  const [{ segment }] = part;
  const ofEach = 300 + (segment.origin?.length ?? 0);
  const ofRoot = (segment.moreOfOthers?.length ?? 0) + sizeOfTags([...Object.entries(segment.rootTags), ...segment.traceTags]);
  return part.reduce((sum, each) => sum + sizeOf(each) + ofEach, ofRoot);
}

function sizeOfTags(tags: readonly (readonly [string, string])[]): number {
  return tags.reduce((sum, [name, value]) => sum + name.length + value.length + 10, 0);
}

function spanOf(span: DatadogSpan, names: Names, meta: Record<string, string>, metrics: Record<string, number>): object {
  const { service, environment, version } = names;
  const tags = new Map(span.tags);
  const [error, reason, resource] = [tags.get("error"), tags.get("error.reason"), tags.get("resource.name")];
  tags.delete("error");
  tags.delete("resource.name");
  if (reason !== undefined) tags.set("error.message", reason);
  return {
    service,
    name: "envoy.proxy",
    resource: unicodeText(resource ?? span.name),
    trace_id: BigInt(`0x${span.traceId.slice(16)}`),
    span_id: BigInt(`0x${span.id}`),
    parent_id: BigInt(`0x${span.parentId || "0"}`),
    start: BigInt(Math.round(span.startedAt * 1_000)) * 1_000n,
    duration: BigInt(Math.max(0, Math.round((span.endedAt - span.startedAt) * 1_000))) * 1_000n,
    error: error === "true" || reason !== undefined ? 1n : 0n,
    meta: {
      ...Object.fromEntries([...tags].map(([name, value]) => [unicodeText(name), unicodeText(value)])),
      ...meta,
      ...(span.segment.origin !== undefined && { "_dd.origin": unicodeText(span.segment.origin) }),
      ...(environment !== "" && { env: environment }),
      version,
      language: "javascript",
      "runtime-id": runtimeId,
    },
    metrics: { ...metrics, process_id: process.pid },
    type: "web",
  };
}

/** What is said of all of it is said once. */
function rootMeta({ segment }: DatadogSpan): Record<string, string> {
  const said = [...Object.entries(segment.rootTags), ...segment.traceTags];
  return Object.fromEntries(said.map(([name, value]) => [unicodeText(name), unicodeText(value)]));
}

function rootMetrics({ segment }: DatadogSpan): Record<string, number> {
  const { priority, rate } = segment.decision;
  return { _sampling_priority_v1: priority, ...(rate !== undefined && { "_dd.agent_psr": rate }) };
}
