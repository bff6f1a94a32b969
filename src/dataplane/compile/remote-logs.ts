// Access logs that go to a server: Envoy's access log service, and OpenTelemetry.

import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { GrpcService } from "../../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import {
  type CommonGrpcAccessLogConfig as Common,
  CommonGrpcAccessLogConfigSchema,
  HttpGrpcAccessLogConfigSchema,
  TcpGrpcAccessLogConfigSchema,
} from "../../gen/envoy/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import {
  type OpenTelemetryAccessLogConfig,
  OpenTelemetryAccessLogConfigSchema,
} from "../../gen/envoy/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import { type AnyValue, AnyValueSchema } from "../../gen/envoy/opentelemetry/proto/common/v1/common_pb.js";
import { unhandledFields } from "../fields.ts";
import { compileFormat, type FormatContext } from "../formatter.ts";
import { framed } from "../grpc-frame.ts";
import { httpEntry, tcpEntry } from "../logs/entries.ts";
import type { Counters, Sink } from "../telemetry.ts";
import { unicodeText } from "../text.ts";
import type { WholeAnswer } from "../upstream/ask.ts";
import { grpcStatusOf } from "../upstream/ask-grpc.ts";
import { durationMs } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileGrpcService } from "./services.ts";

/** Entries that a server is told; encoded at once, since what they tell of does not last. */
export interface RemoteLog {
  readonly sink: Sink<Uint8Array>;
  readonly entry: (context: FormatContext) => Uint8Array;
}

/** Undefined: it is none of these. `refused`: a finding. */
export function compileRemoteLog(any: Any, findings: Findings): RemoteLog | "refused" | undefined {
  const http = anyUnpack(any, HttpGrpcAccessLogConfigSchema);
  if (http !== undefined) {
    const sink = serviceSink(http.commonConfig, 2, findings.at("common_config"));
    const lower = (names: readonly string[]) => names.map((each) => each.toLowerCase());
    const logged = {
      request: lower(http.additionalRequestHeadersToLog),
      response: lower(http.additionalResponseHeadersToLog),
      trailers: lower(http.additionalResponseTrailersToLog),
    };
    return sink === undefined ? "refused" : { sink, entry: (context) => httpEntry(context, logged) };
  }
  const tcp = anyUnpack(any, TcpGrpcAccessLogConfigSchema);
  if (tcp !== undefined) {
    const sink = serviceSink(tcp.commonConfig, 3, findings.at("common_config"));
    return sink === undefined ? "refused" : { sink, entry: tcpEntry };
  }
  const otel = anyUnpack(any, OpenTelemetryAccessLogConfigSchema);
  return otel && (compileOpenTelemetry(otel, findings) ?? "refused");
}

// — the access log service —

const streamPath = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/** @param logs the field of StreamAccessLogsMessage that has the entries */
function serviceSink(config: Common | undefined, logs: 2 | 3, findings: Findings): Sink<Uint8Array> | undefined {
  if (config !== undefined)
    for (const path of unhandledFields(CommonGrpcAccessLogConfigSchema, config, handledFields)) findings.notExecuted(path);
  const identifier = new BinaryWriter();
  // Who it is, and the name of the log.
  identifier.tag(1, WireType.LengthDelimited).fork().tag(6, WireType.LengthDelimited).string("headworks").join();
  identifier.tag(2, WireType.LengthDelimited).string(config?.logName ?? "");
  const head = identifier.finish();
  const counted = "access_logs.grpc_access_log.";
  const counters = { ...countersOf(counted), itemsSent: `${counted}grpc_entries_flushed` };
  const how = { kind: `als ${logs}`, path: streamPath, counters, isTaken: isReceived };
  return grpcSink(how, config, findings, (entries) => {
    const writer = new BinaryWriter();
    writer.tag(1, WireType.LengthDelimited).bytes(head);
    writer.tag(logs, WireType.LengthDelimited).fork();
    for (const entry of entries) writer.tag(1, WireType.LengthDelimited).bytes(entry);
    return writer.join().finish();
  });
}

/** Servers that do not look for the end of a stream fail with UNKNOWN when it comes, and have the entries all the same. */
function isReceived(answer: WholeAnswer): boolean {
  return answer.head.status === 200 && ["0", "2", undefined].includes(grpcStatusOf(answer));
}

interface Call {
  readonly kind: string;
  readonly path: string;
  readonly counters: Counters;
  readonly isTaken: (answer: WholeAnswer) => boolean;
}

function countersOf(prefix: string): Counters {
  return { itemsTaken: `${prefix}logs_written`, itemsLost: `${prefix}logs_dropped` };
}

type Buffered = Pick<Common, "logName" | "grpcService" | "bufferFlushInterval">;

/** Each batch is a call: what a stream says first, it says at once. */
function grpcSink(
  { kind, path, counters, isTaken }: Call,
  config: Buffered | undefined,
  findings: Findings,
  write: (entries: readonly Uint8Array[]) => Uint8Array,
  key = "",
): Sink<Uint8Array> | undefined {
  const service: GrpcService | undefined = config?.grpcService;
  const target = compileGrpcService(service, findings.at("grpc_service"));
  if (target === undefined) return undefined;
  const waitMs = durationMs(config?.bufferFlushInterval);
  return {
    key: JSON.stringify([kind, config?.logName, target, waitMs, key]),
    what: "access log entries",
    counters,
    cluster: target.cluster,
    mostItems: 100,
    sizeOf: (entry) => entry.length,
    mostWaitMs: waitMs || 1_000,
    question: (entries) => ({
      method: "POST",
      path,
      authority: target.authority || target.cluster,
      headers: ["te", "trailers", "content-type", "application/grpc", ...target.metadata, "x-envoy-internal", "true"],
      body: framed(write(entries)),
      timeoutMs: Math.min(target.timeoutMs, 30_000),
      tellsLength: "never",
    }),
    isTaken,
  };
}

// — OpenTelemetry: opentelemetry/proto/logs/v1/logs.proto, by field numbers —

const exportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

function compileOpenTelemetry(config: OpenTelemetryAccessLogConfig, findings: Findings): RemoteLog | undefined {
  for (const path of unhandledFields(OpenTelemetryAccessLogConfigSchema, config, handledFields)) findings.notExecuted(path);
  const common = config.commonConfig;
  const logName = config.logName || common?.logName || "";
  const resource = new BinaryWriter();
  const labels = config.disableBuiltinLabels
    ? []
    : [
        ["log_name", logName],
        ["zone_name", ""],
        ["cluster_name", ""],
        ["node_name", ""],
      ];
  for (const [name = "", value = ""] of labels) attribute(resource, 1, name, text(value));
  for (const { key, value } of config.resourceAttributes?.values ?? []) attribute(resource, 1, key, value ?? text(""));
  const resourceBytes = resource.finish();
  const buffered = {
    logName,
    grpcService: config.grpcService ?? common?.grpcService,
    bufferFlushInterval: config.bufferFlushInterval ?? common?.bufferFlushInterval,
  };
  const write = (entries: readonly Uint8Array[]) => {
    const writer = new BinaryWriter();
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).bytes(resourceBytes);
    writer.tag(2, WireType.LengthDelimited).fork();
    for (const entry of entries) writer.tag(2, WireType.LengthDelimited).bytes(entry);
    return writer.join().join().finish();
  };
  const counted = `access_logs.open_telemetry_access_log.${config.statPrefix}`;
  const how = { kind: `otlp logs ${counted}`, path: exportPath, counters: countersOf(counted), isTaken: isExported };
  const sink = grpcSink(how, buffered, findings, write, Buffer.from(resourceBytes).toString("base64"));
  if (sink === undefined) return undefined;
  const body = config.body && compileValue(config.body, findings.at("body"));
  const attributes = (config.attributes?.values ?? []).map(
    ({ key, value }, index) => [key, compileValue(value ?? text(""), findings.at(`attributes[${index}]`))] as const,
  );
  return {
    sink,
    entry: (context) =>
      record(
        context,
        body?.(context),
        attributes.map(([key, value]) => [key, value(context)]),
      ),
  };
}

function isExported(answer: WholeAnswer): boolean {
  return answer.head.status === 200 && grpcStatusOf(answer) === "0";
}

type ValueWriter = (context: FormatContext) => AnyValue;

/** Texts are formats, wherever they stand. */
function compileValue(any: AnyValue, findings: Findings): ValueWriter {
  const { value } = any;
  switch (value.case) {
    case "stringValue": {
      const format = compileFormat(value.value, "-", (operator) => findings.operator("", operator));
      return (context) => text(unicodeText(format(context)));
    }
    case "kvlistValue": {
      const values = value.value.values.map(({ key, value: each }) => [key, compileValue(each ?? text(""), findings)] as const);
      return (context) =>
        create(AnyValueSchema, {
          value: { case: "kvlistValue", value: { values: values.map(([key, write]) => ({ key, value: write(context) })) } },
        });
    }
    case "arrayValue": {
      const values = value.value.values.map((each) => compileValue(each, findings));
      return (context) =>
        create(AnyValueSchema, { value: { case: "arrayValue", value: { values: values.map((write) => write(context)) } } });
    }
    default:
      return () => any;
  }
}

function text(value: string): AnyValue {
  return create(AnyValueSchema, { value: { case: "stringValue", value } });
}

function record(context: FormatContext, body: AnyValue | undefined, attributes: readonly (readonly [string, AnyValue])[]): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Bit64).fixed64(BigInt(Math.round(context.startedAt * 1_000)) * 1_000n);
  if (body !== undefined) writer.tag(5, WireType.LengthDelimited).bytes(toBinary(AnyValueSchema, body));
  for (const [key, value] of attributes) attribute(writer, 6, key, value);
  const { traceIds } = context;
  if (traceIds !== undefined) {
    writer.tag(9, WireType.LengthDelimited).bytes(Buffer.from(traceIds.traceId.padStart(32, "0"), "hex"));
    writer.tag(10, WireType.LengthDelimited).bytes(Buffer.from(traceIds.id, "hex"));
  }
  return writer.finish();
}

function attribute(writer: BinaryWriter, no: number, key: string, value: AnyValue): void {
  writer.tag(no, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(key);
  writer.tag(2, WireType.LengthDelimited).bytes(toBinary(AnyValueSchema, value));
  writer.join();
}
