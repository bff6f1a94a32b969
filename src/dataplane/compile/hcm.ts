// An HTTP connection manager: limits, what is done to every request and response, and where its routes are.

import { toBinary } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "../../gen/envoy/envoy/config/route/v3/route_pb.js";
import type { HttpConnectionManager } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { HttpConnectionManagerSchema } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { unhandledFields } from "../fields.ts";
import type { RequestHeadLimits } from "../http1/request-head.ts";
import { wireText } from "../text.ts";
import { type AccessLogger, compileAccessLogs } from "./access-log.ts";
import { timeoutMs } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { type CompiledFilters, compileHttpFilters } from "./http-filters.ts";
import { type CompiledHttp2, compileHttp2Options } from "./http2-options.ts";
import { type CompiledRouteConfig, compileRouteConfig } from "./route-config.ts";
import { type CompiledTracing, compileTracing } from "./tracing.ts";

export interface CompiledHcm extends CompiledFilters {
  readonly statPrefix: string;
  readonly routes: { readonly kind: "rds"; readonly name: string } | { readonly kind: "inline"; readonly config: CompiledRouteConfig };
  /** `auto`: as ALPN says, or the first bytes. */
  readonly codec: "auto" | "http1" | "http2";
  readonly http2: CompiledHttp2;
  readonly limits: RequestHeadLimits;
  readonly maxHeadBytes: number;
  /** How much of a body is held on a connection of HTTP/1.1. */
  readonly bufferLimit: number;
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly streamIdleMs: number;
  /** Undefined: the slow-body rule of this data plane (30 s, 240 B/s) holds. */
  readonly explicitStreamIdle: boolean;
  readonly maxStreamMs: number;
  readonly requestsPerConnection: number;
  readonly defaultHost: string;
  readonly serverName: string;
  readonly serverHeader: "overwrite" | "appendIfAbsent" | "passThrough";
  readonly useRemoteAddress: boolean;
  readonly trustedHops: number;
  readonly skipXffAppend: boolean;
  readonly appendXForwardedPort: boolean;
  readonly keepsClientCertHeader: boolean;
  readonly via: string;
  readonly generateRequestId: boolean;
  readonly preserveRequestId: boolean;
  readonly requestIdInResponse: boolean;
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: "keep" | "reject" | "redirect" | "forward";
  readonly stripPort: "none" | "matching" | "any";
  readonly stripTrailingDot: boolean;
  readonly userAgent: boolean;
  readonly upgrades: ReadonlyMap<string, boolean>;
  readonly accessLogs: readonly AccessLogger[];
  /** Undefined: requests are not traced. */
  readonly tracing: CompiledTracing | undefined;
}

/** @param bufferLimit of the listener's connections, in bytes */
export function compileHcm(hcm: HttpConnectionManager, findings: Findings, bufferLimit: number): CompiledHcm {
  const { routeSpecifier, ...rest } = hcm;
  const shallow = routeSpecifier.case === "routeConfig" ? { ...rest, routeSpecifier: { case: undefined } } : hcm;
  for (const path of unhandledFields(HttpConnectionManagerSchema, shallow as HttpConnectionManager, handledFields))
    findings.notExecuted(path);
  if (hcm.codecType === 3) findings.notExecuted("codec_type: HTTP3", "; HTTP/1.1 and HTTP/2 are served");
  if (hcm.forwardClientCertDetails !== 0 && hcm.forwardClientCertDetails !== 4) findings.notExecuted("forward_client_cert_details");
  const common = hcm.commonHttpProtocolOptions;
  const http1 = hcm.httpProtocolOptions;
  const upgrades = new Map(hcm.upgradeConfigs.map((each) => [each.upgradeType.toLowerCase(), each.enabled ?? true]));
  const filters = compileHttpFilters(hcm.httpFilters, findings);
  return {
    statPrefix: hcm.statPrefix,
    routes: compileRoutes(hcm, findings),
    codec: (["auto", "http1", "http2", "auto"] as const)[hcm.codecType] ?? "auto",
    http2: compileHttp2Options(hcm.http2ProtocolOptions),
    limits: {
      maxHeaders: common?.maxHeadersCount ?? 100,
      acceptHttp10: http1?.acceptHttp10 ?? false,
      underscores: (["allow", "reject", "drop"] as const)[common?.headersWithUnderscoresAction ?? 0] ?? "allow",
    },
    maxHeadBytes: (hcm.maxRequestHeadersKb ?? 60) * 1_024,
    bufferLimit,
    headTimeoutMs: timeoutMs(hcm.requestHeadersTimeout, 10_000),
    idleTimeoutMs: timeoutMs(common?.idleTimeout, 3_600_000),
    requestTimeoutMs: timeoutMs(hcm.requestTimeout, Number.POSITIVE_INFINITY),
    streamIdleMs: timeoutMs(hcm.streamIdleTimeout, 300_000),
    explicitStreamIdle: hcm.streamIdleTimeout !== undefined,
    maxStreamMs: timeoutMs(common?.maxStreamDuration, Number.POSITIVE_INFINITY),
    requestsPerConnection: common?.maxRequestsPerConnection || Number.POSITIVE_INFINITY,
    defaultHost: http1?.defaultHostForHttp10 ?? "",
    serverName: wireText(hcm.serverName || "envoy"),
    serverHeader: (["overwrite", "appendIfAbsent", "passThrough"] as const)[hcm.serverHeaderTransformation] ?? "overwrite",
    useRemoteAddress: hcm.useRemoteAddress ?? false,
    trustedHops: hcm.xffNumTrustedHops,
    skipXffAppend: hcm.skipXffAppend,
    appendXForwardedPort: hcm.appendXForwardedPort,
    keepsClientCertHeader: hcm.forwardClientCertDetails === 4,
    via: wireText(hcm.via),
    generateRequestId: hcm.generateRequestId ?? true,
    preserveRequestId: hcm.preserveExternalRequestId,
    requestIdInResponse: hcm.alwaysSetRequestIdInResponse,
    normalizePath: hcm.normalizePath ?? false,
    mergeSlashes: hcm.mergeSlashes,
    escapedSlashes: (["keep", "keep", "reject", "redirect", "forward"] as const)[hcm.pathWithEscapedSlashesAction] ?? "keep",
    stripPort:
      hcm.stripPortMode.case === "stripAnyHostPort" && hcm.stripPortMode.value ? "any" : hcm.stripMatchingHostPort ? "matching" : "none",
    stripTrailingDot: hcm.stripTrailingHostDot,
    userAgent: hcm.addUserAgent ?? false,
    ...filters,
    upgrades,
    accessLogs: compileAccessLogs(hcm.accessLog, findings),
    tracing: compileTracing(hcm.tracing, findings.at("tracing"), filters.startsChildren),
  };
}

function compileRoutes(hcm: HttpConnectionManager, findings: Findings): CompiledHcm["routes"] {
  const specifier = hcm.routeSpecifier;
  if (specifier.case === "rds") return { kind: "rds", name: specifier.value.routeConfigName };
  if (specifier.case !== "routeConfig") return { kind: "rds", name: "" }; // scoped routes, reported: every request gets 404
  const config = compileRouteConfig(toBinary(RouteConfigurationSchema, specifier.value), undefined);
  for (const each of config.findings) findings.all.push({ ...each, path: `${findings.base}.route_config.${each.path}` });
  return { kind: "inline", config };
}
