// What each command operator says. https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage is the list.

import { hostname } from "node:os";
import type { JsonValue } from "@bufbuild/protobuf";
import { dateFormat } from "./format-dates.ts";
import { type FormatContext, firstValue, type MetadataView, type Operator, queryParameter, type TimesView } from "./formatter.ts";
import { headerValue } from "./http1/headers.ts";
import { pathOnly } from "./match.ts";
import { longFlags } from "./response-flags.ts";
import { wireText } from "./text.ts";

type Says = (context: FormatContext) => string | undefined;
type Counts = (context: FormatContext) => number | undefined;

/** Undefined for one that is not known. */
export function operatorOf(name: string, argument: string | undefined): Operator | undefined {
  if (argument !== undefined) return Object.hasOwn(withArgument, name) ? withArgument[name]?.(argument) : undefined;
  // It has a value in `local_reply_config` only.
  if (name === "LOCAL_REPLY_BODY") return { text: () => "" };
  if (Object.hasOwn(plain, name)) {
    const says = plain[name] as Says;
    return { text: (context) => says(context) || undefined };
  }
  if (Object.hasOwn(numbers, name)) return numeric(numbers[name] as Counts);
  return Object.hasOwn(withArgument, name) && isOptional.has(name) ? withArgument[name]?.("") : undefined;
}

/** Those that may be written with parentheses or without. */
const isOptional = new Set(["START_TIME", "EMIT_TIME", "GRPC_STATUS"]);

function numeric(count: Counts): Operator {
  return {
    text: (context) => {
      const value = count(context);
      return value === undefined ? undefined : String(value);
    },
    json: count,
  };
}

const plain: Readonly<Record<string, Says>> = {
  PROTOCOL: (c) => c.protocol,
  DOWNSTREAM_REMOTE_ADDRESS: (c) => join(c.remoteAddress, c.remotePort),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (c) => c.remoteAddress,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: (c) => join(c.directRemoteAddress, c.directRemotePort),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: (c) => c.directRemoteAddress,
  DOWNSTREAM_LOCAL_ADDRESS: (c) => join(c.localAddress, c.localPort),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (c) => c.localAddress,
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: (c) => join(c.localAddress, c.localPort),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: (c) => c.localAddress,
  DOWNSTREAM_TLS_VERSION: (c) => c.tls?.version,
  DOWNSTREAM_TLS_CIPHER: (c) => c.tls?.cipher,
  DOWNSTREAM_PEER_SUBJECT: (c) => c.tls?.peerSubject,
  DOWNSTREAM_PEER_ISSUER: (c) => c.tls?.peerIssuer,
  DOWNSTREAM_PEER_SERIAL: (c) => c.tls?.peerSerial,
  DOWNSTREAM_PEER_FINGERPRINT_256: (c) => c.tls?.peerFingerprint256,
  DOWNSTREAM_PEER_URI_SAN: (c) => c.tls?.peerUriSans,
  DOWNSTREAM_PEER_DNS_SAN: (c) => c.tls?.peerDnsSans,
  REQUESTED_SERVER_NAME: (c) => c.serverName,
  ROUTE_NAME: (c) => c.routeName,
  UPSTREAM_CLUSTER: (c) => c.upstreamCluster,
  UPSTREAM_CLUSTER_RAW: (c) => c.upstreamCluster,
  UPSTREAM_HOST: (c) => c.upstreamHost,
  UPSTREAM_HOST_NAME: (c) => c.upstreamHostName || c.upstreamHost,
  UPSTREAM_HOST_NAME_WITHOUT_PORT: (c) => c.upstreamHostName || withoutPort(c.upstreamHost),
  UPSTREAM_REMOTE_ADDRESS: connectedHost,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (c) => withoutPort(connectedHost(c)),
  UPSTREAM_LOCAL_ADDRESS: (c) => c.upstreamLocal && join(c.upstreamLocal.address, c.upstreamLocal.port),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (c) => c.upstreamLocal?.address,
  UPSTREAM_PROTOCOL: (c) => c.upstreamProtocol,
  UPSTREAM_TRANSPORT_FAILURE_REASON: (c) => underscored(c.upstreamFailure),
  RESPONSE_FLAGS: (c) => c.responseFlags || "-",
  RESPONSE_FLAGS_LONG: (c) => longFlags(c.responseFlags) || "-",
  RESPONSE_CODE_DETAILS: (c) => underscored(c.responseDetails),
  CONNECTION_TERMINATION_DETAILS: () => undefined,
  ACCESS_LOG_TYPE: (c) => c.accessLogType ?? "DownstreamEnd",
  HOSTNAME: () => hostname(),
};

const numbers: Readonly<Record<string, Counts>> = {
  DOWNSTREAM_REMOTE_PORT: (c) => c.remotePort,
  DOWNSTREAM_DIRECT_REMOTE_PORT: (c) => c.directRemotePort,
  DOWNSTREAM_LOCAL_PORT: (c) => c.localPort,
  DOWNSTREAM_DIRECT_LOCAL_PORT: (c) => c.localPort,
  UPSTREAM_REMOTE_PORT: (c) => portOf(connectedHost(c)),
  UPSTREAM_LOCAL_PORT: (c) => c.upstreamLocal?.port,
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (c) => c.attempts,
  RESPONSE_CODE: (c) => c.responseStatus,
  BYTES_RECEIVED: (c) => c.bytesReceived,
  BYTES_SENT: (c) => c.bytesSent,
  DURATION: (c) => Math.floor(c.durationMs),
  REQUEST_DURATION: (c) => rounded(c.times.requestEnd),
  REQUEST_TX_DURATION: (c) => rounded(c.times.upstreamRequestEnd),
  RESPONSE_DURATION: (c) => rounded(c.times.responseBegin),
  RESPONSE_TX_DURATION: (c) => (c.times.responseBegin === undefined ? undefined : Math.floor(c.durationMs - c.times.responseBegin)),
  GRPC_STATUS_NUMBER: responseGrpcStatus,
};

/** The host is known when it is chosen, its address as ours is: with the connection. */
function connectedHost({ upstreamLocal, upstreamHost }: FormatContext): string {
  return upstreamLocal === undefined ? "" : upstreamHost;
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.floor(ms);
}

const withArgument: Readonly<Record<string, (argument: string) => Operator | undefined>> = {
  REQ: (names) => ofNames(names, (c, name) => firstValue(c.request, name)),
  RESP: (names) => ofNames(names, (c, name) => (c.responseHeaders ? firstOf(c.responseHeaders, name) : undefined)),
  TRAILER: (names) => ofNames(names, (c, name) => (c.responseTrailers ? firstOf(c.responseTrailers, name) : undefined)),
  REQ_WITHOUT_QUERY: (names) =>
    ofNames(names, (c, name) => {
      const value = firstValue(c.request, name);
      return value === undefined ? undefined : pathOnly(value);
    }),
  PATH: pathOperator,
  QUERY_PARAM: (name) => ({ text: (c) => queryParameter(c.request.path, name) }),
  QUERY_PARAMS: () => undefined,
  ENVIRONMENT: () => undefined,
  START_TIME: (format) => timeOperator(format, (c) => c.startedAt),
  EMIT_TIME: (format) => timeOperator(format, () => Date.now()),
  COMMON_DURATION: durationOperator,
  GRPC_STATUS: grpcOperator,
  DYNAMIC_METADATA: (path) => metadataOperator(path, (c) => c.dynamicMetadata),
  METADATA: (argument) => {
    const [, kind, path] = /^(\w+):(.*)$/.exec(argument) ?? [];
    if (kind === "DYNAMIC") return metadataOperator(path as string, (c) => c.dynamicMetadata);
    return kind === "ROUTE" ? metadataOperator(path as string, (c) => c.routeMetadata) : undefined;
  },
};

type Finds = (context: FormatContext, name: string) => string | undefined;

/** `a?b`: the first of them that is there. */
function ofNames(names: string, find: Finds): Operator {
  const [first = "", second] = names.toLowerCase().split("?");
  if (second === undefined) return { text: (c) => find(c, first) };
  return { text: (c) => find(c, first) ?? find(c, second) };
}

function firstOf(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}

/** `WQ:ORIG`: with query, the path as the client sent it. */
function pathOperator(argument: string): Operator | undefined {
  const [query = "", which = "ORIG_OR_PATH"] = argument.split(":");
  const find: Says | undefined = {
    ORIG: (c: FormatContext) => firstValue(c.request, "x-envoy-original-path"),
    PATH: (c: FormatContext) => c.request.path,
    ORIG_OR_PATH: (c: FormatContext) => firstValue(c.request, "x-envoy-original-path") ?? c.request.path,
  }[which];
  if (find === undefined) return undefined;
  if (query === "NQ")
    return {
      text: (c) => {
        const path = find(c);
        return path === undefined ? undefined : pathOnly(path);
      },
    };
  return query === "WQ" || query === "" ? { text: find } : undefined;
}

function timeOperator(format: string, time: (context: FormatContext) => number): Operator | undefined {
  if (format === "") return { text: (c) => new Date(time(c)).toISOString() };
  const write = dateFormat(format);
  return write && { text: (c) => wireText(write(new Date(time(c)))) };
}

/** The points in time that are known here. */
const points: Readonly<Record<string, (times: TimesView, durationMs: number) => number | undefined>> = {
  DS_RX_BEG: () => 0,
  DS_RX_END: (times) => times.requestEnd,
  US_TX_END: (times) => times.upstreamRequestEnd,
  US_RX_BEG: (times) => times.responseBegin,
  DS_TX_END: (_, durationMs) => durationMs,
};
const precisions: Readonly<Record<string, number>> = { ms: 1, us: 1e3, ns: 1e6 };

function durationOperator(argument: string): Operator | undefined {
  const [from = "", to = "", precision = "ms"] = argument.split(":");
  const [begin, end, factor] = [points[from], points[to], precisions[precision]];
  if (begin === undefined || end === undefined || factor === undefined) return undefined;
  return numeric((c) => {
    const [a, b] = [begin(c.times, c.durationMs), end(c.times, c.durationMs)];
    return a === undefined || b === undefined ? undefined : Math.max(0, Math.floor((b - a) * factor));
  });
}

/** Undefined where gRPC is not spoken, or says nothing. */
export function responseGrpcStatus({ responseTrailers, responseHeaders, request }: FormatContext): number | undefined {
  if (headerValue(request.headers, "content-type")?.startsWith("application/grpc") !== true) return undefined;
  const text = firstOf(responseTrailers ?? [], "grpc-status") ?? firstOf(responseHeaders ?? [], "grpc-status");
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function grpcOperator(form: string): Operator | undefined {
  const names = form === "SNAKE_STRING" ? grpcNames : grpcNames.map(camel);
  if (form === "NUMBER") return numeric(responseGrpcStatus);
  if (form !== "" && form !== "CAMEL_STRING" && form !== "SNAKE_STRING") return undefined;
  return {
    text: (c) => {
      const status = responseGrpcStatus(c);
      return status === undefined ? undefined : (names[status] ?? String(status));
    },
  };
}

const grpcNames =
  "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED".split(
    " ",
  );

/** Envoy writes the two that begin with "cancel" and "ok" in its own way. */
function camel(name: string): string {
  if (name === "OK") return name;
  if (name === "CANCELLED") return "Canceled";
  return name.toLowerCase().replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** `namespace:key:key`. */
function metadataOperator(path: string, find: (context: FormatContext) => MetadataView | undefined): Operator {
  const [namespace = "", ...keys] = path.split(":");
  const read = (context: FormatContext) => {
    let value: JsonValue | undefined = find(context)?.[namespace] as JsonValue | undefined;
    for (const key of keys) value = isObject(value) ? value[key] : undefined;
    return value ?? undefined;
  };
  return {
    text: (context) => {
      const value = read(context);
      return value === undefined || typeof value === "string" ? value && wireText(value) : wireText(JSON.stringify(sorted(value)));
    },
    json: (context) => {
      const value = read(context);
      return value && onWire(sorted(value));
    },
  };
}

/** A Struct has no order; Envoy writes its keys sorted. */
function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}

function onWire(value: JsonValue): JsonValue {
  if (typeof value === "string") return wireText(value);
  if (Array.isArray(value)) return value.map(onWire);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [wireText(key), onWire(each)]));
}

function isObject(value: JsonValue | undefined): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function underscored(text: string): string {
  return text.replace(/\s/g, "_");
}

function withoutPort(host: string): string {
  return host.replace(/^\[?(.*?)\]?:\d+$/, "$1");
}

function portOf(host: string): number | undefined {
  const port = /:(\d+)$/.exec(host)?.[1];
  return port === undefined ? undefined : Number(port);
}

function join(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
