// Access logs: files and the standard streams, with text or JSON formats.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type AccessLog, AccessLogSchema } from "../../gen/envoy/envoy/config/accesslog/v3/accesslog_pb.js";
import type { SubstitutionFormatString } from "../../gen/envoy/envoy/config/core/v3/substitution_format_string_pb.js";
import { FileAccessLogSchema } from "../../gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { StderrAccessLogSchema, StdoutAccessLogSchema } from "../../gen/envoy/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { unhandledFields } from "../fields.ts";
import { compileFormat, type FormatContext, type Formatter } from "../formatter.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";

export interface AccessLogger {
  /** `/dev/stdout`, `/dev/stderr` or a file. */
  readonly path: string;
  readonly line: (context: FormatContext) => string;
}

const defaultFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% ' +
  '%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" ' +
  '"%UPSTREAM_HOST%"\n';

export function compileAccessLogs(logs: readonly AccessLog[], findings: Findings): AccessLogger[] {
  const compiled: AccessLogger[] = [];
  logs.forEach((log, index) => {
    const place = findings.at(`access_log[${index}]`);
    for (const path of unhandledFields(AccessLogSchema, log, handledFields))
      place.notExecuted(path, path === "filter" ? "; everything is logged" : "");
    const logger = compileAccessLog(log, place);
    if (logger === undefined) place.notExecuted(`typed_config (${log.name})`);
    else compiled.push(logger);
  });
  return compiled;
}

function compileAccessLog(log: AccessLog, findings: Findings): AccessLogger | undefined {
  if (log.configType.case !== "typedConfig") return undefined;
  const any = log.configType.value;
  const file = anyUnpack(any, FileAccessLogSchema);
  if (file !== undefined) {
    for (const path of unhandledFields(FileAccessLogSchema, file, handledFields)) findings.notExecuted(`typed_config.${path}`);
    const format = file.accessLogFormat;
    switch (format.case) {
      case "format":
        return { path: file.path, line: compileText(format.value, findings) };
      case "jsonFormat":
        return { path: file.path, line: compileJson(format.value, findings) };
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

function compileSubstitution({ format }: SubstitutionFormatString, findings: Findings): Formatter {
  if (format.case === "jsonFormat") return compileJson(format.value, findings);
  if (format.case === "textFormat") return compileText(format.value, findings);
  const source = format.value?.specifier;
  return compileText(source?.case === "inlineString" ? source.value : defaultFormat, findings);
}

function compileText(format: string, findings: Findings): Formatter {
  return compileFormat(format, "-", (operator) => findings.operator("typed_config", operator));
}

function compileJson(format: JsonObject, findings: Findings): Formatter {
  const compiled = compileJsonValue(format, findings);
  return (context) => `${JSON.stringify(compiled(context))}\n`;
}

function compileJsonValue(value: JsonValue, findings: Findings): (context: FormatContext) => JsonValue {
  if (typeof value === "string") {
    const format = compileFormat(value, "", (operator) => findings.operator("typed_config", operator));
    // A value that is one operator alone keeps its type: a number, or null when absent.
    const isAlone = /^%[^%]+%$/.test(value);
    return (context) => {
      const text = format(context);
      if (!isAlone) return text;
      return text === ""
        ? null
        : /^(?:0|[1-9]\d{0,14})$/.test(text) && !value.startsWith("%REQ") && !value.startsWith("%RESP(")
          ? Number(text)
          : text;
    };
  }
  if (Array.isArray(value)) {
    const items = value.map((each) => compileJsonValue(each, findings));
    return (context) => items.map((each) => each(context));
  }
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).map(([key, each]) => [key, compileJsonValue(each, findings)] as const);
    return (context) => Object.fromEntries(entries.map(([key, each]) => [key, each(context)]));
  }
  return () => value;
}
