// OTLP: messages of OpenTelemetry, written field by field. Envoy's schema has only what they share, so their numbers stand here
// (opentelemetry/proto/trace/v1/trace.proto and collector/trace/v1/trace_service.proto, version 1).

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { unicodeText } from "../text.ts";
import type { Span } from "./span.ts";

/** What is said of who reports. */
export type Attributes = readonly (readonly [string, string])[];

/** The library that the spans are of. */
const scope = "headworks";

/** An ExportTraceServiceRequest. */
export function otlpSpans(spans: readonly Span[], resource: Attributes): Uint8Array {
  const writer = new BinaryWriter();
  message(writer, 1, () => {
    writeResource(writer, resource);
    message(writer, 2, () => {
      message(writer, 1, () => void text(writer, 1, scope));
      for (const span of spans) message(writer, 2, () => writeSpan(writer, span));
    });
  });
  return writer.finish();
}

function writeResource(writer: BinaryWriter, resource: Attributes): void {
  message(writer, 1, () => {
    for (const [name, value] of resource) attribute(writer, 1, name, value);
  });
}

const kinds = { server: 2, client: 3 } as const;
/** SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE and SPAN_FLAGS_CONTEXT_IS_REMOTE. */
const [knowsParent, isRemote] = [0x100, 0x200];

function writeSpan(writer: BinaryWriter, span: Span): void {
  bytes(writer, 1, span.traceId.padStart(32, "0"));
  bytes(writer, 2, span.id);
  if (span.state !== "") text(writer, 3, span.state);
  if (span.parentId !== "") bytes(writer, 4, span.parentId);
  text(writer, 5, span.name);
  writer.tag(6, WireType.Varint).int32(kinds[span.kind]);
  time(writer, 7, span.startedAt);
  time(writer, 8, Math.max(span.startedAt, span.endedAt));
  for (const [name, value] of span.tags) attribute(writer, 9, name, name === "http.method" ? methodOf(value) : value);
  for (const { at, name } of span.events)
    message(writer, 11, () => {
      time(writer, 1, at);
      text(writer, 2, name);
    });
  if (isFailed(span)) message(writer, 15, () => void writer.tag(3, WireType.Varint).int32(2));
  writer.tag(16, WireType.Bit32).fixed32(1 | knowsParent | (span.isContinued ? isRemote : 0));
}

const methods = new Set(["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]);

/** Anything else would be as many values as clients think of. */
function methodOf(method: string): string {
  return methods.has(method) ? method : "_OTHER";
}

/** Statuses of gRPC that are faults of a server: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const serverFaults = new Set(["2", "4", "12", "13", "14", "15"]);

/** As the semantic conventions of OpenTelemetry have it: what a client did wrong is no fault of the server. */
function isFailed({ kind, tags }: Span): boolean {
  const status = Number(tags.get("http.status_code") ?? 0);
  const grpc = tags.get("grpc.status_code") ?? "0";
  return kind === "client" ? status >= 400 || grpc !== "0" : status >= 500 || serverFaults.has(grpc);
}

// — the wire —

function message(writer: BinaryWriter, no: number, write: () => void): void {
  writer.tag(no, WireType.LengthDelimited).fork();
  write();
  writer.join();
}

function text(writer: BinaryWriter, no: number, value: string): void {
  writer.tag(no, WireType.LengthDelimited).string(unicodeText(value));
}

function bytes(writer: BinaryWriter, no: number, hex: string): void {
  writer.tag(no, WireType.LengthDelimited).bytes(Buffer.from(hex, "hex"));
}

/** Nanoseconds since 1970. */
function time(writer: BinaryWriter, no: number, ms: number): void {
  writer.tag(no, WireType.Bit64).fixed64(BigInt(Math.round(ms * 1_000)) * 1_000n);
}

function attribute(writer: BinaryWriter, no: number, name: string, value: string): void {
  message(writer, no, () => {
    text(writer, 1, name);
    message(writer, 2, () => text(writer, 1, value));
  });
}
