// `accessLoggingService` of a listener: what is written about each request, and where.
import { fromJson, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import {
  type AccessLogFilterSchema,
  type AccessLogSchema,
  AccessLogFilterSchema as EnvoyFilterSchema,
} from "../gen/envoy/envoy/config/accesslog/v3/accesslog_pb.js";
import { ApiVersion } from "../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import { FileAccessLogSchema } from "../gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { HttpGrpcAccessLogConfigSchema } from "../gen/envoy/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { MetadataSchema } from "../gen/envoy/envoy/extensions/formatter/metadata/v3/metadata_pb.js";
import { ReqWithoutQuerySchema } from "../gen/envoy/envoy/extensions/formatter/req_without_query/v3/req_without_query_pb.js";
import {
  type AccessLog,
  type AccessLogFilter,
  type FileSink,
  AccessLogFilterSchema as GlooFilterSchema,
  type GrpcService,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/als/als_pb.js";
import type { Feature, ListenerContext } from "../plugin/feature.ts";

type LogInit = MessageInitShape<typeof AccessLogSchema>;

export const accessLogs: Feature = {
  name: "accessLogs",
  glooName: "als",
  fields: { listener: ["accessLoggingService", "listenerAccessLoggingService"] },
  connectionManager(manager, _options, context) {
    const logs = context.listener?.accessLoggingService?.accessLog;
    return logs
      ? { ...manager, accessLog: logs.flatMap((log, i) => logOf(log, `accessLoggingService.accessLog[${i}]`, context)) }
      : manager;
  },
  listener(listener, options, context) {
    const logs = options?.listenerAccessLoggingService?.accessLog;
    if (logs === undefined) return listener;
    return { ...listener, accessLog: logs.flatMap((log, i) => logOf(log, `listenerAccessLoggingService.accessLog[${i}]`, context)) };
  },
};

function logOf(log: AccessLog, field: string, context: ListenerContext): LogInit[] {
  const filter = log.filter && filterOf(log.filter, `${field}.filter`, context);
  const { OutputDestination: output } = log;
  const placed = { ...(filter && { filter }) };
  switch (output.case) {
    case "fileSink":
      return [{ ...placed, name: "envoy.access_loggers.file", configType: { case: "typedConfig", value: fileLog(output.value) } }];
    case "grpcService":
      return [{ ...placed, name: "envoy.access_loggers.http_grpc", configType: { case: "typedConfig", value: grpcLog(output.value) } }];
    case "openTelemetryService":
      context.warn(`${field}.openTelemetryService`, "openTelemetryService is not supported by this version and has no effect", {
        reason: "OptionNotSupported",
      });
      return [];
    default:
      context.refuse(field, "an access log needs fileSink, grpcService or openTelemetryService");
      return [];
  }
}

/** The messages have the same fields under the same names. */
function filterOf(
  filter: AccessLogFilter,
  field: string,
  { refuse }: ListenerContext,
): MessageInitShape<typeof AccessLogFilterSchema> | undefined {
  try {
    return fromJson(EnvoyFilterSchema, toJson(GlooFilterSchema, filter));
  } catch (error) {
    refuse(field, `Invalid value of the access log filter: ${(error as Error).message}`);
    return undefined;
  }
}

/** Commands that formats may use besides the built-in ones. */
const formatters = () => [
  { name: "envoy.formatter.req_without_query", typedConfig: packAny(ReqWithoutQuerySchema, {}) },
  { name: "envoy.formatter.metadata", typedConfig: packAny(MetadataSchema, {}) },
];

function fileLog({ path, outputFormat }: FileSink) {
  if (outputFormat.case === "jsonFormat") {
    const logFormat = { format: { case: "jsonFormat" as const, value: outputFormat.value }, formatters: formatters() };
    return packAny(FileAccessLogSchema, { path, accessLogFormat: { case: "logFormat", value: logFormat } });
  }
  // An empty format is Envoy's own.
  if (outputFormat.case !== "stringFormat" || outputFormat.value === "") return packAny(FileAccessLogSchema, { path });
  const logFormat = { format: { case: "textFormat" as const, value: outputFormat.value }, formatters: formatters() };
  return packAny(FileAccessLogSchema, { path, accessLogFormat: { case: "logFormat", value: logFormat } });
}

function grpcLog(service: GrpcService) {
  const { logName, serviceRef, filterStateObjectsToLog } = service;
  return packAny(HttpGrpcAccessLogConfigSchema, {
    commonConfig: {
      logName,
      transportApiVersion: ApiVersion.V3,
      grpcService: {
        targetSpecifier: { case: "envoyGrpc", value: { clusterName: serviceRef.case === "staticClusterName" ? serviceRef.value : "" } },
      },
      filterStateObjectsToLog: [...filterStateObjectsToLog],
    },
    additionalRequestHeadersToLog: [...service.additionalRequestHeadersToLog],
    additionalResponseHeadersToLog: [...service.additionalResponseHeadersToLog],
    additionalResponseTrailersToLog: [...service.additionalResponseTrailersToLog],
  });
}
