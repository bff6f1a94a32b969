// Entries of Envoy's access log service: what is known of a request, or of a connection, as its messages have it. Counts of bytes on the wire are not:
// they are nowhere counted here.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { AddressSchema } from "../../gen/envoy/envoy/config/core/v3/address_pb.js";
import { RequestMethod } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import {
  type AccessLogCommonSchema,
  AccessLogType,
  HTTPAccessLogEntrySchema,
  HTTPAccessLogEntry_HTTPVersion as HttpVersion,
  TCPAccessLogEntrySchema,
  TLSProperties_TLSVersion as TlsVersion,
} from "../../gen/envoy/envoy/data/accesslog/v3/accesslog_pb.js";
import { type FormatContext, firstValue, type TlsView } from "../formatter.ts";
import { type Headers, headerValue } from "../http1/headers.ts";
import { unicodeText } from "../text.ts";
import { flagFields } from "./flag-fields.ts";

export interface LoggedHeaders {
  readonly request: readonly string[];
  readonly response: readonly string[];
  readonly trailers: readonly string[];
}

export function httpEntry(context: FormatContext, logged: LoggedHeaders): Uint8Array {
  const of = (name: string) => unicodeText(firstValue(context.request, name) ?? "");
  const { request, responseStatus, responseHeaders, responseTrailers } = context;
  const originalPath = of("x-envoy-original-path");
  return toBinary(
    HTTPAccessLogEntrySchema,
    create(HTTPAccessLogEntrySchema, {
      commonProperties: commonOf(context),
      protocolVersion: versions[context.protocol] ?? HttpVersion.PROTOCOL_UNSPECIFIED,
      request: {
        requestMethod: methods.get(request.method) ?? RequestMethod.METHOD_UNSPECIFIED,
        scheme: unicodeText(request.scheme),
        authority: unicodeText(request.authority),
        path: unicodeText(request.path),
        userAgent: of("user-agent"),
        referer: of("referer"),
        forwardedFor: of("x-forwarded-for"),
        requestId: of("x-request-id"),
        originalPath,
        requestBodyBytes: BigInt(context.bytesReceived),
        requestHeaders: valuesOf(request.headers, logged.request),
      },
      response: {
        ...(responseStatus !== 0 && { responseCode: responseStatus }),
        responseBodyBytes: BigInt(context.bytesSent),
        responseHeaders: valuesOf(responseHeaders, logged.response),
        responseTrailers: valuesOf(responseTrailers, logged.trailers),
        responseCodeDetails: unicodeText(context.responseDetails).replaceAll(/\s/g, "_"),
      },
    }),
  );
}

export function tcpEntry(context: FormatContext): Uint8Array {
  return toBinary(
    TCPAccessLogEntrySchema,
    create(TCPAccessLogEntrySchema, {
      commonProperties: commonOf(context),
      connectionProperties: { receivedBytes: BigInt(context.bytesReceived), sentBytes: BigInt(context.bytesSent) },
    }),
  );
}

/** By name. Clients choose it: not every name that an object has is one of these. */
const methods = new Map(
  Object.entries(RequestMethod).flatMap(([name, value]) => (typeof value === "number" ? [[name, value] as const] : [])),
);

const versions: Readonly<Record<string, HttpVersion>> = {
  "HTTP/1.0": HttpVersion.HTTP10,
  "HTTP/1.1": HttpVersion.HTTP11,
  "HTTP/2": HttpVersion.HTTP2,
};

function valuesOf(headers: readonly string[] | undefined, names: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = headers && headerValue(headers as Headers, name);
    if (value !== undefined) found[name] = unicodeText(value);
  }
  return found;
}

function commonOf(context: FormatContext): MessageInitShape<typeof AccessLogCommonSchema> {
  const { times, durationMs, upstreamLocal, tls } = context;
  const isOver = context.responseStatus !== 0;
  const flags = flagFields(context.responseFlags);
  const [upstreamAddress = "", upstreamPort = "0"] = /^(.*):(\d{1,5})$/.exec(context.upstreamHost)?.slice(1) ?? [context.upstreamHost];
  return {
    downstreamRemoteAddress: addressOf(context.remoteAddress, context.remotePort),
    downstreamLocalAddress: addressOf(context.localAddress, context.localPort),
    downstreamDirectRemoteAddress: addressOf(context.directRemoteAddress, context.directRemotePort),
    ...(tls && { tlsProperties: tlsOf(tls, context.serverName) }),
    startTime: create(TimestampSchema, {
      seconds: BigInt(Math.floor(context.startedAt / 1_000)),
      nanos: Math.round((context.startedAt % 1_000) * 1e6),
    }),
    duration: durationOf(durationMs),
    timeToLastRxByte: durationOf(times.requestEnd),
    timeToFirstUpstreamTxByte: durationOf(times.upstreamRequestEnd),
    timeToLastUpstreamTxByte: durationOf(times.upstreamRequestEnd),
    timeToFirstUpstreamRxByte: durationOf(times.responseBegin),
    timeToLastUpstreamRxByte: times.responseBegin === undefined ? undefined : durationOf(durationMs),
    timeToFirstDownstreamTxByte: isOver ? durationOf(times.responseBegin ?? durationMs) : undefined,
    timeToLastDownstreamTxByte: isOver ? durationOf(durationMs) : undefined,
    ...(context.upstreamHost !== "" && {
      upstreamRemoteAddress: addressOf(upstreamAddress.replace(/^\[(.*)\]$/, "$1"), Number(upstreamPort)),
    }),
    ...(upstreamLocal && { upstreamLocalAddress: addressOf(upstreamLocal.address, upstreamLocal.port) }),
    upstreamCluster: context.upstreamCluster,
    ...(flags && { responseFlags: flags }),
    ...(context.dynamicMetadata && { metadata: { filterMetadata: context.dynamicMetadata as never } }),
    upstreamTransportFailureReason: unicodeText(context.upstreamFailure),
    routeName: context.routeName,
    upstreamRequestAttemptCount: context.attempts,
    accessLogType: AccessLogType[(context.accessLogType ?? "DownstreamEnd") as keyof typeof AccessLogType] ?? AccessLogType.NotSet,
    ...(context.streamId && { streamId: context.streamId }),
  };
}

function addressOf(address: string, portValue: number): MessageInitShape<typeof AddressSchema> {
  return { address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: portValue } } } };
}

function durationOf(ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  const whole = Math.max(0, ms);
  return create(DurationSchema, { seconds: BigInt(Math.floor(whole / 1_000)), nanos: Math.round((whole % 1_000) * 1e6) });
}

const tlsVersions: Readonly<Record<string, TlsVersion>> = {
  TLSv1: TlsVersion.TLSv1,
  "TLSv1.1": TlsVersion.TLSv1_1,
  "TLSv1.2": TlsVersion.TLSv1_2,
  "TLSv1.3": TlsVersion.TLSv1_3,
};

function tlsOf({ version, peerNames, peerSubject, peerIssuer }: TlsView, tlsSniHostname: string) {
  const names = [
    ...peerNames.uris.map((value) => ({ san: { case: "uri" as const, value } })),
    ...peerNames.dnsNames.map((value) => ({ san: { case: "dns" as const, value } })),
  ];
  return {
    tlsVersion: tlsVersions[version] ?? TlsVersion.VERSION_UNSPECIFIED,
    tlsSniHostname,
    ...(peerSubject !== "" && { peerCertificateProperties: { subjectAltName: names, subject: peerSubject, issuer: peerIssuer } }),
  };
}
