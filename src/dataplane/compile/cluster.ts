// A Cluster: how to reach an upstream and how much of it to use.

import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Cluster, ClusterSchema } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { HttpProtocolOptions as CommonOptions } from "../../gen/envoy/envoy/config/core/v3/protocol_pb.js";
import { ProxyProtocolConfig_Version } from "../../gen/envoy/envoy/config/core/v3/proxy_protocol_pb.js";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { UpstreamTlsContextSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from "../../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { unhandledFields } from "../fields.ts";
import type { ProxyVersion } from "../upstream/proxy-header.ts";
import { type CompiledBalancing, compileBalancing } from "./balancing.ts";
import { type ClusterFilters, compileClusterFilters, noFilters } from "./cluster-filters.ts";
import { durationMs, timeoutMs } from "./durations.ts";
import { compileEndpoints, type EndpointSet, noEndpoints } from "./endpoints.ts";
import {
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as Family,
  Cluster_ClusterProtocolSelection as ProtocolSelection,
  RoutingPriority,
} from "./enums.ts";
import { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { type CompiledHealthCheck, compileHealthChecks } from "./health-checks.ts";
import { type CompiledHttp2, compileHttp2Options } from "./http2-options.ts";
import { type CompiledOutliers, compileOutliers } from "./outlier-detection.ts";
import type { SecretSource } from "./secret-source.ts";
import { compileUpstreamTls, type UpstreamTls } from "./upstream-tls.ts";

export interface CompiledCluster {
  readonly name: string;
  readonly discovery: "static" | "strictDns" | "logicalDns" | "eds";
  /** EDS: which ClusterLoadAssignment. */
  readonly serviceName: string;
  /** Otherwise: the endpoints themselves. */
  readonly inline: EndpointSet;
  readonly balancing: CompiledBalancing;
  readonly healthChecks: readonly CompiledHealthCheck[];
  readonly outliers: CompiledOutliers | undefined;
  /** A host that is found unwell loses its connections. */
  readonly closesUnhealthy: boolean;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly requestsPerConnection: number;
  readonly maxResponseHeaders: number;
  readonly maxResponseHeadBytes: number;
  readonly maxStreamMs: number;
  readonly limits: { readonly normal: Limits; readonly high: Limits };
  readonly dns: { readonly refreshMs: number; readonly family: "v4" | "v6" | "auto" | "v4Preferred" | "all" };
  readonly transport: Transport;
  readonly transportMatches: readonly { readonly match: Readonly<Record<string, unknown>>; readonly transport: Transport }[];
  /** The secrets that it needs and that come from servers of the user's own. */
  readonly secretSources: readonly SecretSource[];
  /** `auto`: as the host chooses in the TLS handshake. `downstream`: as the client. */
  readonly protocol: "http1" | "http2" | "auto" | "downstream";
  readonly http2: CompiledHttp2;
  readonly filters: ClusterFilters;
  /** Set when its protocol is one we do not speak: requests get 503. */
  readonly unusable: string | undefined;
  readonly findings: Findings["all"];
}

/** How connections begin. */
export interface Transport {
  readonly tls: UpstreamTls | undefined;
  /** Ahead of everything else, the host is told who the client is. */
  readonly proxyProtocol: ProxyVersion | undefined;
}

export const plainTransport: Transport = { tls: undefined, proxyProtocol: undefined };

/** Circuit breaker thresholds. */
export interface Limits {
  readonly connections: number;
  readonly pending: number;
  readonly requests: number;
  readonly retries: number;
  /** Instead of `retries`, a share of the requests that are under way. */
  readonly retryBudget: { readonly percent: number; readonly least: number } | undefined;
}

/** Notes what is not executed, or why its value cannot be used: the cluster serves nobody. */
type Fail = (path: string, why?: string) => void;

const defaultLimits: Limits = { connections: 1_024, pending: 1_024, requests: 1_024, retries: 3, retryBudget: undefined };

const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** Throws when the bytes are not a Cluster. */
export function compileCluster(bytes: Uint8Array): CompiledCluster {
  const cluster = fromBinary(ClusterSchema, bytes);
  const findings = new Findings();
  const { loadAssignment: _, ...shallow } = cluster;
  for (const path of unhandledFields(ClusterSchema, shallow, handledFields)) findings.notExecuted(path);
  let unusable: string | undefined;
  const fail: Fail = (path, why) => {
    const consequence = "; requests to the cluster are answered with 503";
    if (why === undefined) findings.notExecuted(path, consequence);
    else findings.refused(path, why + consequence);
    unusable = path;
  };
  const options = compileOptions(cluster, findings, fail);
  const transportMatches = cluster.transportSocketMatches.map((each, index) => ({
    match: each.match ?? {},
    transport: compileTransport(each.transportSocket, findings.at(`transport_socket_matches[${index}].transport_socket`), fail),
  }));
  const transport = compileTransport(cluster.transportSocket, findings.at("transport_socket"), fail);
  return {
    name: cluster.name,
    discovery: compileDiscovery(cluster, fail),
    serviceName: cluster.edsClusterConfig?.serviceName || cluster.name,
    inline: cluster.loadAssignment === undefined ? noEndpoints : compileEndpoints(cluster.loadAssignment, findings.at("load_assignment")),
    balancing: compileBalancing(cluster, findings),
    healthChecks: compileHealthChecks(cluster, findings),
    outliers: cluster.outlierDetection && compileOutliers(cluster.outlierDetection),
    closesUnhealthy: cluster.closeConnectionsOnHostHealthFailure,
    connectTimeoutMs: durationMs(cluster.connectTimeout) ?? 5_000,
    ...options,
    limits: compileLimits(cluster),
    dns: { refreshMs: Math.max(1, durationMs(cluster.dnsRefreshRate) ?? 5_000), family: familyOf(cluster.dnsLookupFamily) },
    transport,
    transportMatches,
    secretSources: [transport, ...transportMatches.map((each) => each.transport)].flatMap(({ tls }) => tls?.secretSources ?? []),
    unusable,
    findings: findings.all,
  };
}

function compileDiscovery(cluster: Cluster, fail: Fail): CompiledCluster["discovery"] {
  const type = cluster.clusterDiscoveryType;
  if (type.case === "clusterType") return "static"; // reported as not executed
  switch (type.value ?? Discovery.STATIC) {
    case Discovery.STATIC:
      return "static";
    case Discovery.STRICT_DNS:
      return "strictDns";
    case Discovery.LOGICAL_DNS:
      return "logicalDns";
    case Discovery.EDS:
      return "eds";
    default:
      fail("type: ORIGINAL_DST");
      return "static";
  }
}

function familyOf(family: Family): CompiledCluster["dns"]["family"] {
  switch (family) {
    case Family.V4_ONLY:
      return "v4";
    case Family.V6_ONLY:
      return "v6";
    case Family.V4_PREFERRED:
      return "v4Preferred";
    case Family.ALL:
      return "all";
    default:
      return "auto";
  }
}

function compileLimits(cluster: Cluster): CompiledCluster["limits"] {
  const of = (priority: RoutingPriority): Limits => {
    const found = cluster.circuitBreakers?.thresholds.find((each) => each.priority === priority);
    return {
      connections: found?.maxConnections ?? defaultLimits.connections,
      pending: found?.maxPendingRequests ?? defaultLimits.pending,
      requests: found?.maxRequests ?? defaultLimits.requests,
      retries: found?.maxRetries ?? defaultLimits.retries,
      retryBudget: found?.retryBudget && {
        percent: found.retryBudget.budgetPercent?.value ?? 20,
        least: found.retryBudget.minRetryConcurrency ?? 3,
      },
    };
  };
  return { normal: of(RoutingPriority.DEFAULT), high: of(RoutingPriority.HIGH) };
}

function compileOptions(cluster: Cluster, findings: Findings, fail: Fail) {
  let common: CommonOptions | undefined = cluster.commonHttpProtocolOptions;
  let filters = noFilters;
  let options: ProtocolOptions = { case: undefined };
  for (const [key, any] of Object.entries(cluster.typedExtensionProtocolOptions)) {
    const path = `typed_extension_protocol_options[${JSON.stringify(key)}]`;
    const unpacked = key === httpOptionsKey ? anyUnpack(any, HttpProtocolOptionsSchema) : undefined;
    if (unpacked === undefined) {
      findings.notExecuted(path);
      continue;
    }
    const { httpFilters } = unpacked;
    filters = compileClusterFilters(httpFilters, cluster.metadata?.filterMetadata ?? {}, findings.at(`${path}.http_filters`)) ?? noFilters;
    if (httpFilters.length > 0 && filters === noFilters) findings.notExecuted(`${path}.http_filters`);
    for (const each of unhandledFields(HttpProtocolOptionsSchema, { ...unpacked, httpFilters: [] } as typeof unpacked, handledFields))
      findings.notExecuted(`${path}.${each}`);
    common = unpacked.commonHttpProtocolOptions ?? common;
    options = unpacked.upstreamProtocolOptions;
    if (options.case === "explicitHttpConfig" && options.value.protocolConfig.case === "http3ProtocolOptions")
      fail(`${path}.explicit_http_config.http3_protocol_options`);
  }
  return {
    ...compileProtocol(cluster, options),
    filters,
    idleTimeoutMs: timeoutMs(common?.idleTimeout, 3_600_000),
    requestsPerConnection: common?.maxRequestsPerConnection || cluster.maxRequestsPerConnection || Number.POSITIVE_INFINITY,
    maxResponseHeaders: common?.maxHeadersCount ?? 100,
    maxResponseHeadBytes: (common?.maxResponseHeadersKb ?? 60) * 1_024,
    maxStreamMs: timeoutMs(common?.maxStreamDuration, Number.POSITIVE_INFINITY),
  };
}

type ProtocolOptions = HttpProtocolOptions["upstreamProtocolOptions"];

function compileProtocol(cluster: Cluster, options: ProtocolOptions): Pick<CompiledCluster, "protocol" | "http2"> {
  switch (options.case) {
    case "explicitHttpConfig": {
      const explicit = options.value.protocolConfig;
      if (explicit.case === "http2ProtocolOptions") return { protocol: "http2", http2: compileHttp2Options(explicit.value) };
      return { protocol: "http1", http2: compileHttp2Options(undefined) };
    }
    case "autoConfig":
      return { protocol: "auto", http2: compileHttp2Options(options.value.http2ProtocolOptions) };
    case "useDownstreamProtocolConfig":
      return { protocol: "downstream", http2: compileHttp2Options(options.value.http2ProtocolOptions) };
    default: {
      // The deprecated places of the same options.
      const http2 = compileHttp2Options(cluster.http2ProtocolOptions);
      if (cluster.protocolSelection === ProtocolSelection.USE_DOWNSTREAM_PROTOCOL) return { protocol: "downstream", http2 };
      return { protocol: cluster.http2ProtocolOptions === undefined ? "http1" : "http2", http2 };
    }
  }
}

function compileTransport(socket: TransportSocket | undefined, findings: Findings, fail: Fail): Transport {
  if (socket?.configType.case !== "typedConfig") return plainTransport;
  const any = socket.configType.value;
  if (any.typeUrl.endsWith(".RawBuffer")) return plainTransport;
  const proxied = anyUnpack(any, ProxyProtocolUpstreamTransportSchema);
  if (proxied !== undefined) {
    for (const path of unhandledFields(ProxyProtocolUpstreamTransportSchema, proxied, handledFields)) findings.notExecuted(path);
    const proxyProtocol = proxied.config?.version === ProxyProtocolConfig_Version.V2 ? "v2" : "v1";
    return { ...compileTransport(proxied.transportSocket, findings.at("transport_socket"), fail), proxyProtocol };
  }
  const context = anyUnpack(any, UpstreamTlsContextSchema);
  if (context === undefined) {
    fail(`${findings.base} (${any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1)})`);
    return plainTransport;
  }
  try {
    const tls = compileUpstreamTls(context, findings, (path) => fail(`${findings.base}.${path}`));
    return { tls, proxyProtocol: undefined };
  } catch (error) {
    fail(`${findings.base}.common_tls_context`, (error as Error).message);
    return plainTransport;
  }
}

/** An endpoint set as its own resource; throws when the bytes are not a ClusterLoadAssignment. */
export function compileLoadAssignment(bytes: Uint8Array): {
  readonly name: string;
  readonly set: EndpointSet;
  readonly findings: Findings["all"];
} {
  const assignment = fromBinary(ClusterLoadAssignmentSchema, bytes);
  const findings = new Findings();
  return { name: assignment.clusterName, set: compileEndpoints(assignment, findings), findings: findings.all };
}
