// Access logs: files and the standard streams, with text or JSON formats; servers are in remote-logs.ts.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type AccessLog, AccessLogSchema } from "../../gen/envoy/envoy/config/accesslog/v3/accesslog_pb.js";
import type { SubstitutionFormatString } from "../../gen/envoy/envoy/config/core/v3/substitution_format_string_pb.js";
import { FileAccessLogSchema } from "../../gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { StderrAccessLogSchema, StdoutAccessLogSchema } from "../../gen/envoy/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { unhandledFields } from "../fields.ts";
import { compileFormat, compileJsonFormat, type FormatContext, type Formatter, jsonText } from "../formatter.ts";
import { wireText } from "../text.ts";
import { compileLogFilter, type LogFilter } from "./access-log-filter.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileRemoteLog, type RemoteLog } from "./remote-logs.ts";

export interface TextLog {
  readonly kind: "text";
  /** `/dev/stdout`, `/dev/stderr` or a file. */
  readonly path: string;
  readonly line: (context: FormatContext) => string;
}

type Destination = TextLog | ({ readonly kind: "remote" } & RemoteLog);

export type AccessLogger = Destination & {
  /** Undefined: every request is logged. */
  readonly accepts: LogFilter | undefined;
};

const defaultFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% ' +
  '%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" ' +
  '"%UPSTREAM_HOST%"\n';

export function compileAccessLogs(logs: readonly AccessLog[], findings: Findings): AccessLogger[] {
  const compiled: AccessLogger[] = [];
  logs.forEach((log, index) => {
    const place = findings.at(`access_log[${index}]`);
    for (const path of unhandledFields(AccessLogSchema, log, handledFields)) place.notExecuted(path);
    const destination = compileDestination(log, place);
    if (destination === "refused") return;
    if (destination === undefined) place.notExecuted(`typed_config (${log.name})`);
    else compiled.push({ ...destination, accepts: log.filter && compileLogFilter(log.filter, place.at("filter")) });
  });
  return compiled;
}

/** Undefined: of a kind that is not executed. */
function compileDestination(log: AccessLog, findings: Findings): Destination | "refused" | undefined {
  if (log.configType.case !== "typedConfig") return undefined;
  const any = log.configType.value;
  const remote = compileRemoteLog(any, findings.at("typed_config"));
  if (remote !== undefined) return remote === "refused" ? remote : { kind: "remote", ...remote };
  const written = compileWritten(any, findings);
  return written && { kind: "text", ...written };
}

function compileWritten(any: Any, findings: Findings): Omit<TextLog, "kind"> | undefined {
  const file = anyUnpack(any, FileAccessLogSchema);
  if (file !== undefined) {
    for (const path of unhandledFields(FileAccessLogSchema, file, handledFields)) findings.notExecuted(`typed_config.${path}`);
    const format = file.accessLogFormat;
    switch (format.case) {
      case "format":
        return { path: file.path, line: compileText(format.value, findings) };
      case "jsonFormat":
        return { path: file.path, line: compileJson(format.value, false, findings) };
      case "logFormat":
        return { path: file.path, line: compileSubstitution(format.value, findings) };
      default:
        return { path: file.path, line: compileText(defaultFormat, findings) };
    }
  }
  const out = anyUnpack(any, StdoutAccessLogSchema);
  const stream = out ?? anyUnpack(any, StderrAccessLogSchema);
  if (stream === undefined) return undefined;
  const format = stream.accessLogFormat.value;
  const path = out === undefined ? "/dev/stderr" : "/dev/stdout";
  return { path, line: format === undefined ? compileText(defaultFormat, findings) : compileSubstitution(format, findings) };
}

/** Commands that are built in here. */
const knownFormatters = [".ReqWithoutQuery", ".Metadata"];

function compileSubstitution({ format, omitEmptyValues, formatters }: SubstitutionFormatString, findings: Findings): Formatter {
  for (const { name, typedConfig } of formatters)
    if (!knownFormatters.some((suffix) => typedConfig?.typeUrl.endsWith(suffix)))
      findings.notExecuted(`typed_config.log_format.formatters (${name})`);
  if (format.case === "jsonFormat") return compileJson(format.value, omitEmptyValues, findings);
  if (format.case === "textFormat") return compileText(format.value, findings, omitEmptyValues);
  const source = format.value?.specifier;
  return compileText(source?.case === "inlineString" ? source.value : defaultFormat, findings, omitEmptyValues);
}

function compileText(format: string, findings: Findings, omitsEmpty = false): Formatter {
  return compileFormat(format, omitsEmpty ? "" : "-", (operator) => findings.operator("typed_config", operator));
}

function compileJson(format: JsonObject, omitsEmpty: boolean, findings: Findings): Formatter {
  const compiled = compileJsonValue(format, omitsEmpty, findings);
  return (context) => `${jsonText(compiled(context))}\n`;
}

type JsonWriter = (context: FormatContext) => JsonValue;

function compileJsonValue(value: JsonValue, omitsEmpty: boolean, findings: Findings): JsonWriter {
  if (typeof value === "string")
    return compileJsonFormat(value, omitsEmpty ? "" : "-", (operator) => findings.operator("typed_config", operator));
  if (Array.isArray(value)) {
    const items = value.map((each) => compileJsonValue(each, omitsEmpty, findings));
    return (context) => items.map((each) => each(context));
  }
  if (value === null || typeof value !== "object") return () => value;
  const entries = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => [wireText(key), compileJsonValue(each, omitsEmpty, findings)] as const);
  return (context) => {
    const written = entries.map(([key, write]) => [key, write(context)] as const);
    return Object.fromEntries(omitsEmpty ? written.filter(([, each]) => each !== null) : written);
  };
}
