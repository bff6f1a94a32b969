// `accessLoggingService` of a listener: what is written about each request, and where.
import { fromBinary, fromJson, type MessageInitShape, toBinary, toJson } from "@bufbuild/protobuf";
import { envoyResource, packAny, sortedMap } from "../envoy/encode.ts";
import { socketAddress } from "../envoy/endpoint.ts";
import { logFormatFault } from "../envoy/header-format.ts";
import {
  type AccessLogFilterSchema,
  type AccessLogSchema,
  AccessLogFilterSchema as EnvoyFilterSchema,
} from "../gen/envoy/envoy/config/accesslog/v3/accesslog_pb.js";
import { Cluster_DiscoveryType, ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ApiVersion } from "../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import { FileAccessLogSchema } from "../gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { HttpGrpcAccessLogConfigSchema } from "../gen/envoy/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { OpenTelemetryAccessLogConfigSchema } from "../gen/envoy/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import { MetadataSchema } from "../gen/envoy/envoy/extensions/formatter/metadata/v3/metadata_pb.js";
import { ReqWithoutQuerySchema } from "../gen/envoy/envoy/extensions/formatter/req_without_query/v3/req_without_query_pb.js";
import {
  AnyValueSchema as EnvoyAnyValueSchema,
  KeyValueListSchema as EnvoyKeyValueListSchema,
} from "../gen/envoy/opentelemetry/proto/common/v1/common_pb.js";
import {
  type AnyValue,
  AnyValueSchema as GlooAnyValueSchema,
  KeyValueListSchema as GlooKeyValueListSchema,
  type KeyValueList,
} from "../gen/gloo/gloo/projects/gloo/api/external/opentelemetry/common/v1/common_pb.js";
import {
  type AccessLog,
  type AccessLogFilter,
  type FileSink,
  AccessLogFilterSchema as GlooFilterSchema,
  type GrpcService,
  type OpenTelemetryService,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/als/als_pb.js";
import { isIpAddress } from "../lib/ip.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { Feature, ListenerContext } from "../plugin/feature.ts";
import { listenerTlsContext } from "../plugin/listenerTls.ts";
import { tlsSocket } from "../plugin/upstreamTls.ts";

type LogInit = MessageInitShape<typeof AccessLogSchema>;

export const accessLogs: Feature = {
  name: "accessLogs",
  glooName: "als",
  fields: { listener: ["accessLoggingService", "listenerAccessLoggingService"] },
  connectionManager: (manager, _options, context) => withLogs(manager, context),
  tcpProxy: (proxy, _options, context) => withLogs(proxy, context),
  clusters: (_options, context) =>
    logsOf(context).flatMap(({ log, field }) =>
      log.OutputDestination.case === "openTelemetryService"
        ? collectorCluster(log.OutputDestination.value, field, ofListener(context))
        : [],
    ),
  listener(listener, options, context) {
    const logs = options?.listenerAccessLoggingService?.accessLog;
    if (logs === undefined) return listener;
    return { ...listener, accessLog: logs.flatMap((log, i) => logOf(log, `listenerAccessLoggingService.accessLog[${i}]`, context)) };
  },
};

function withLogs<D extends { readonly accessLog?: unknown }>(draft: D, context: ListenerContext): D {
  const logs = context.listener?.accessLoggingService?.accessLog;
  if (logs === undefined) return draft;
  return { ...draft, accessLog: logs.flatMap((log, i) => logOf(log, `accessLoggingService.accessLog[${i}]`, ofListener(context))) };
}

/** Logs are options of the listener, also where each of its parts writes them. */
function ofListener(context: ListenerContext): ListenerContext {
  return { ...context, refuse: (field, message, details) => context.refuse(field, message, { ...details, of: "listener" }) };
}

function logOf(log: AccessLog, field: string, context: ListenerContext): LogInit[] {
  const filter = log.filter && filterOf(log.filter, `${field}.filter`, context);
  const { OutputDestination: output } = log;
  const placed = { ...(filter && { filter }) };
  switch (output.case) {
    case "fileSink": {
      const { outputFormat } = output.value;
      if (hasFormatFault(outputFormat.value, `${field}.fileSink.${outputFormat.case}`, context)) return [];
      return [{ ...placed, name: "envoy.access_loggers.file", configType: { case: "typedConfig", value: fileLog(output.value) } }];
    }
    case "grpcService":
      return [{ ...placed, name: "envoy.access_loggers.http_grpc", configType: { case: "typedConfig", value: grpcLog(output.value) } }];
    case "openTelemetryService": {
      const { body, attributes, logName, destination } = output.value;
      if (logName === "" || destination.case !== "collector") {
        const missing = logName === "" ? "log name cannot be empty" : "collector must be set";
        context.refuse(`${field}.openTelemetryService`, `OpenTelemetry service ${missing}`, {
          hint: "logName: store, collector: {endpoint: otel.example.com:4317}",
        });
        return [];
      }
      const odd = body && oddValue(body) ? "body" : attributes?.values.some(({ value }) => oddValue(value)) ? "attributes" : undefined;
      if (odd) {
        const message = `${odd} holds a value that is no text, list or map of values, which Envoy refuses`;
        context.refuse(`${field}.openTelemetryService.${odd}`, message, { hint: 'write stringValue: "3" for a number' });
        return [];
      }
      if (textsOf(body, attributes).some((text) => hasFormatFault(text, `${field}.openTelemetryService`, context))) return [];
      return [
        {
          ...placed,
          name: "envoy.access_loggers.open_telemetry",
          configType: { case: "typedConfig", value: openTelemetryLog(output.value) },
        },
      ];
    }
    default:
      context.refuse(field, "an access log needs fileSink, grpcService or openTelemetryService");
      return [];
  }
}

/** Looks at all texts in a format, and says what is wrong with the first bad one. */
function hasFormatFault(format: unknown, field: string, context: ListenerContext): boolean {
  if (typeof format === "string") {
    const fault = logFormatFault(format);
    if (fault) context.refuse(field, fault.message, { hint: fault.hint });
    return fault !== undefined;
  }
  if (typeof format !== "object" || format === null) return false;
  return Object.entries(format).some(([key, value]) =>
    hasFormatFault(value, Array.isArray(format) ? `${field}[${key}]` : `${field}.${key}`, context),
  );
}

/** The texts in the body and the attributes of a log of OpenTelemetry, each of which is a format. */
function textsOf(body: AnyValue | undefined, attributes: KeyValueList | undefined): string[] {
  const inValue = (any: AnyValue | undefined): string[] => {
    switch (any?.value.case) {
      case "stringValue":
        return [any.value.value];
      case "kvlistValue":
        return any.value.value.values.flatMap(({ value }) => inValue(value));
      case "arrayValue":
        return any.value.value.values.flatMap(inValue);
      default:
        return [];
    }
  };
  return [...inValue(body), ...(attributes?.values ?? []).flatMap(({ value }) => inValue(value))];
}

function oddValue(any: AnyValue | undefined): boolean {
  switch (any?.value.case) {
    case "stringValue":
      return false;
    case "kvlistValue":
      return any.value.value.values.some(({ value }) => oddValue(value));
    case "arrayValue":
      return any.value.value.values.some(oddValue);
    default:
      return true;
  }
}

/** The messages have the same fields under the same names. */
function filterOf(
  filter: AccessLogFilter,
  field: string,
  { refuse }: ListenerContext,
): MessageInitShape<typeof AccessLogFilterSchema> | undefined {
  const missing = withoutKey(filter);
  if (missing !== undefined) {
    refuse(field, missing, {
      hint: "runtimeKey: any-name, which Envoy asks its runtime for; the defaultValue counts where that says nothing",
    });
    return undefined;
  }
  try {
    return fromJson(EnvoyFilterSchema, toJson(GlooFilterSchema, filter));
  } catch (error) {
    refuse(field, `Invalid value of the access log filter: ${(error as Error).message}`);
    return undefined;
  }
}

/** A comparison without a name in Envoy's runtime, which Gloo refuses. */
function withoutKey({ filterSpecifier: kind }: AccessLogFilter): string | undefined {
  switch (kind.case) {
    case "statusCodeFilter":
    case "durationFilter": {
      const name = `${kind.case[0]?.toUpperCase()}${kind.case.slice(1)}`;
      const value = kind.value.comparison?.value;
      if (value === undefined) return `No value found for field ComparisonFilter.Value of ${name}`;
      return value.runtimeKey === "" ? `No value found for field ComparisonFilter.Value.RuntimeKey of ${name}` : undefined;
    }
    case "runtimeFilter":
      return kind.value.runtimeKey === "" ? "No value found for field FractionalPercent.RuntimeKey of RuntimeFilter" : undefined;
    case "andFilter":
    case "orFilter": {
      const below = kind.value.filters.map(withoutKey).find((each) => each !== undefined);
      return below && `Invalid subfilter in ${kind.case === "andFilter" ? "AndFilter" : "OrFilter"}: ${below}`;
    }
    default:
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

function logsOf({ listener }: ListenerContext): { readonly log: AccessLog; readonly field: string }[] {
  return (["accessLoggingService", "listenerAccessLoggingService"] as const).flatMap((service) =>
    (listener?.[service]?.accessLog ?? []).map((log, i) => ({ log, field: `${service}.accessLog[${i}]` })),
  );
}

const collectorName = (logName: string): string => `solo_io_generated_otel_logs_${logName}`;

/** The collector is named by its address, so it has a cluster of its own. */
function collectorCluster({ logName, destination }: OpenTelemetryService, field: string, context: ListenerContext): EnvoyResource[] {
  if (destination.case !== "collector") return [];
  const { endpoint, insecure, timeout, sslConfig } = destination.value;
  const [, written = "", port = ""] = /^(.*?):(\d+)$/.exec(endpoint) ?? [];
  const host = written.replace(/^\[(.*)\]$/, "$1");
  if (host === "" || port === "") {
    const missing = host === "" && !endpoint.includes(":") && endpoint !== "" ? "port" : host === "" ? "host" : "port";
    context.refuse(`${field}.openTelemetryService.collector.endpoint`, `invalid OTEL log endpoint (${endpoint}) missing ${missing}`);
    return [];
  }
  const at = `${field}.openTelemetryService.collector.sslConfig`;
  const tls = insecure ? undefined : sslConfig ? listenerTlsContext(sslConfig, at, context) : { sni: host, commonTlsContext: {} };
  if (!insecure && tls === undefined) return [];
  const name = collectorName(logName);
  const address = socketAddress(host, Number(port));
  return [
    envoyResource(
      ClusterSchema,
      name,
      {
        name,
        clusterDiscoveryType: { case: "type", value: isIpAddress(host) ? Cluster_DiscoveryType.STATIC : Cluster_DiscoveryType.STRICT_DNS },
        ...(timeout && { connectTimeout: timeout }),
        ...(tls && { transportSocket: tlsSocket(tls) }),
        http2ProtocolOptions: {},
        loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address } } }] }] },
      },
      [context.gateway.key],
    ),
  ];
}

function openTelemetryLog({ logName, destination, filterStateObjectsToLog, disableBuiltinLabels, body, attributes }: OpenTelemetryService) {
  const collector = destination.case === "collector" ? destination.value : undefined;
  return packAny(OpenTelemetryAccessLogConfigSchema, {
    commonConfig: {
      logName,
      filterStateObjectsToLog: [...filterStateObjectsToLog],
      grpcService: {
        targetSpecifier: { case: "envoyGrpc", value: { clusterName: collectorName(logName), authority: collector?.authority ?? "" } },
        ...(collector?.timeout && { timeout: collector.timeout }),
        initialMetadata: Object.entries(sortedMap(collector?.headers ?? {})).map(([key, value]) => ({ key, value })),
      },
    },
    disableBuiltinLabels,
    // The messages are those of OpenTelemetry itself on both sides.
    ...(body && { body: fromBinary(EnvoyAnyValueSchema, toBinary(GlooAnyValueSchema, body)) }),
    ...(attributes && { attributes: fromBinary(EnvoyKeyValueListSchema, toBinary(GlooKeyValueListSchema, attributes)) }),
  });
}
