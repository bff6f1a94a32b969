// Collectors of traces for tests: they keep the spans that they get, of Zipkin (JSON) and of OpenTelemetry (HTTP and gRPC), in one shape.

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

export interface CollectedSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string;
  readonly name: string;
  readonly kind: string;
  readonly tags: Readonly<Record<string, string>>;
  /** What else it says, but for times. */
  readonly more: Readonly<Record<string, unknown>>;
  readonly startUs: number;
  readonly durationUs: number | undefined;
}

export interface Report {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** What it says of who sends it. */
  readonly resource: object;
}

export interface Collector extends AsyncDisposable {
  readonly port: number;
  readonly reports: Report[];
  readonly spans: CollectedSpan[];
}

export interface Parsed {
  readonly resource: object;
  readonly spans: readonly CollectedSpan[];
}

/** Zipkin's v2 JSON. */
export function zipkinCollector(): Promise<Collector> {
  return overHttp((body) => ({ resource: [], spans: (JSON.parse(body.toString()) as ZipkinSpan[]).map(ofZipkin) }), 202);
}

/** OTLP over HTTP. */
export function otlpHttpCollector(): Promise<Collector> {
  return overHttp(ofOtlp, 200);
}

/** @param parse undefined: it is no report */
export async function overHttp(
  parse: (body: Buffer, path: string) => Parsed | undefined,
  status: number,
  answer?: string,
): Promise<Collector> {
  const reports: Report[] = [];
  const spans: CollectedSpan[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const path = request.url ?? "";
      const parsed = parse(Buffer.concat(parts), path);
      if (parsed !== undefined) {
        reports.push({ path, headers: request.headers, resource: parsed.resource });
        spans.push(...parsed.spans);
      }
      response.writeHead(status).end(answer);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    reports,
    spans,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** OTLP over gRPC. */
export async function otlpGrpcCollector(): Promise<Collector> {
  const reports: Report[] = [];
  const spans: CollectedSpan[] = [];
  const server = await grpcServer((headers, message) => {
    const parsed = ofOtlp(message);
    reports.push({ path: String(headers[":path"]), headers, resource: parsed.resource });
    spans.push(...parsed.spans);
  });
  return { ...server, reports, spans };
}

export interface LogCollector extends AsyncDisposable {
  readonly port: number;
  /** What it was sent since the last time somebody looked, by the path of the method. */
  take(): (readonly [path: string, message: Buffer])[];
}

/** Any method of gRPC, also of streams that stay open. */
export async function logCollector(): Promise<LogCollector> {
  const taken: (readonly [string, Buffer])[] = [];
  const server = await grpcServer((headers, message) => void taken.push([String(headers[":path"]), message]));
  return { ...server, take: () => taken.splice(0) };
}

/** It tells of each message as it comes, and answers with an empty one when the client ends. */
async function grpcServer(
  onMessage: (headers: IncomingHttpHeaders, message: Buffer) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createHttp2Server();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    let rest = Buffer.alloc(0);
    stream.on("error", () => undefined);
    stream.on("data", (part: Buffer) => {
      rest = Buffer.concat([rest, part]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        onMessage(headers, rest.subarray(5, end));
        rest = rest.subarray(end);
      }
    });
    stream.on("end", () => {
      if (stream.destroyed) return;
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.alloc(5));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly name?: string;
  readonly kind?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly timestamp: number;
  readonly duration?: number;
  readonly annotations?: readonly { readonly value: string }[];
}

function ofZipkin({
  traceId,
  id,
  parentId = "",
  name = "",
  kind = "",
  tags = {},
  timestamp,
  duration,
  ...more
}: ZipkinSpan): CollectedSpan {
  const annotations = more.annotations?.map(({ value }) => value);
  return { traceId, id, parentId, name, kind, tags, more: { ...more, annotations }, startUs: timestamp, durationUs: duration };
}

// — OTLP: opentelemetry/proto/collector/trace/v1/trace_service.proto, by field numbers —

export type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint | number)[]>;

export function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint | number)[]>();
  while (reader.pos < reader.len) {
    const [no, type] = reader.tag();
    const value =
      type === WireType.LengthDelimited
        ? reader.bytes()
        : type === WireType.Bit64
          ? BigInt(reader.fixed64())
          : type === WireType.Bit32
            ? reader.fixed32()
            : Number(reader.int64());
    fields.set(no, [...(fields.get(no) ?? []), value]);
  }
  return fields;
}

export const messages = (fields: Fields, no: number): Fields[] => (fields.get(no) ?? []).map((each) => fieldsOf(each as Uint8Array));
export const text = (fields: Fields, no: number): string => Buffer.from((fields.get(no)?.[0] as Uint8Array) ?? []).toString();
export const hex = (fields: Fields, no: number): string => Buffer.from((fields.get(no)?.[0] as Uint8Array) ?? []).toString("hex");
const kinds = ["", "internal", "server", "client"];

function attributes(fields: Fields, no: number): Record<string, string> {
  return Object.fromEntries(messages(fields, no).map((each) => [text(each, 1), text(messages(each, 2)[0] as Fields, 1)]));
}

function ofOtlp(body: Uint8Array): Parsed {
  const groups = messages(fieldsOf(body), 1);
  const resource = groups.map((group) => ({
    attributes: messages(group, 1).map((each) => attributes(each, 1)),
    scopes: messages(group, 2).map((each) => messages(each, 1).map((scope) => [text(scope, 1), text(scope, 2)])),
  }));
  const spans = groups.flatMap((group) => messages(group, 2).flatMap((scope) => messages(scope, 2).map(ofOtlpSpan)));
  return { resource, spans };
}

function ofOtlpSpan(span: Fields): CollectedSpan {
  const [start = 0n, end = 0n] = [span.get(7)?.[0], span.get(8)?.[0]] as (bigint | undefined)[];
  return {
    traceId: hex(span, 1),
    id: hex(span, 2),
    parentId: hex(span, 4),
    name: text(span, 5),
    kind: kinds[Number(span.get(6)?.[0] ?? 0)] ?? "",
    tags: attributes(span, 9),
    more: {
      state: text(span, 3),
      events: messages(span, 11).map((each) => text(each, 2)),
      // One without anything in it is none.
      status: messages(span, 15)
        .filter((each) => each.size > 0)
        .map((each) => [text(each, 2), each.get(3)?.[0] ?? 0]),
      flags: span.get(16)?.[0] ?? 0,
      others: [...span.keys()].filter((no) => no > 9 && ![11, 15, 16].includes(no)),
    },
    startUs: Number(start / 1_000n),
    durationUs: Number((end - start) / 1_000n),
  };
}
