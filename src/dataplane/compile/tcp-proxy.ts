// A TCP proxy: which cluster gets a connection, how long it may last, and what is written of it.

import type { Any } from "@bufbuild/protobuf/wkt";
import { anyIs, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import { SniClusterSchema } from "../../gen/envoy/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster_pb.js";
import { type TcpProxy, TcpProxySchema } from "../../gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { PickContext } from "../balancing/candidate.ts";
import { xxHash64 } from "../balancing/xxhash64.ts";
import { unhandledFields } from "../fields.ts";
import { type AccessLogger, compileAccessLogs } from "./access-log.ts";
import { subsetCriteria } from "./balancing.ts";
import { durationMs, timeoutMs } from "./durations.ts";
import type { Findings } from "./findings.ts";

export interface CompiledTcpProxy {
  readonly statPrefix: string;
  /** Where the next connection goes; the server name counts where the SNI of a client names its cluster. */
  destination(serverName: string): TcpDestination;
  /** Hosts are chosen by the address of the client, where the cluster hashes. */
  readonly hashesSource: boolean;
  readonly idleTimeoutMs: number;
  /** From the beginning, however busy it is; with its share of chance. */
  maxDurationMs(): number;
  readonly connectAttempts: number;
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  readonly accessLogs: readonly AccessLogger[];
  /** Infinite: a line is written when the connection is over, and not before. */
  readonly logIntervalMs: number;
  readonly logsConnected: boolean;
}

export interface TcpDestination {
  readonly cluster: string;
  readonly subset: PickContext["subset"];
}

const defaultIdleMs = 3_600_000;

/** The filter that makes a server name the name of a cluster. */
export function isSniCluster(any: Any): boolean {
  return anyIs(any, SniClusterSchema);
}

export function unpackTcpProxy(any: Any): TcpProxy | undefined {
  return anyUnpack(any, TcpProxySchema);
}

/** Undefined: what is not executed would have changed what the upstream gets. */
export function compileTcpProxy(proxy: TcpProxy, findings: Findings, takesServerName: boolean): CompiledTcpProxy | undefined {
  const shallow: TcpProxy = { ...proxy, accessLog: [] };
  for (const path of unhandledFields(TcpProxySchema, shallow, handled)) findings.notExecuted(path, consequenceOf(path));
  if (proxy.tunnelingConfig !== undefined) return undefined;
  const jitter = proxy.maxDownstreamConnectionDurationJitterPercentage?.value ?? 0;
  const longest = timeoutMs(proxy.maxDownstreamConnectionDuration, Number.POSITIVE_INFINITY);
  const baseMs = durationMs(proxy.backoffOptions?.baseInterval) ?? 0;
  const interval = proxy.accessLogOptions?.accessLogFlushInterval ?? proxy.accessLogFlushInterval;
  const choose = compileDestination(proxy);
  return {
    statPrefix: proxy.statPrefix,
    destination: takesServerName ? (name) => (name === "" ? choose() : { cluster: name, subset: undefined }) : choose,
    hashesSource: compilesSourceHash(proxy, findings),
    idleTimeoutMs: timeoutMs(proxy.idleTimeout, defaultIdleMs),
    maxDurationMs: () => longest * (1 + (Math.random() * jitter) / 100),
    connectAttempts: proxy.maxConnectAttempts ?? 1,
    backoff: { baseMs, maxMs: durationMs(proxy.backoffOptions?.maxInterval) ?? baseMs * 10 },
    accessLogs: compileAccessLogs(proxy.accessLog, findings),
    logIntervalMs: timeoutMs(interval, Number.POSITIVE_INFINITY),
    logsConnected: proxy.accessLogOptions?.flushAccessLogOnConnected ?? proxy.flushAccessLogOnConnected,
  };
}

const handled = {
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy": [
    "stat_prefix",
    "cluster",
    "weighted_clusters",
    "metadata_match",
    "idle_timeout",
    "access_log",
    "max_connect_attempts",
    "backoff_options",
    "hash_policy",
    "max_downstream_connection_duration",
    "max_downstream_connection_duration_jitter_percentage",
    "access_log_flush_interval",
    "flush_access_log_on_connected",
    "access_log_options",
    // no effect here: the upstream is connected at once
    "max_early_data_bytes",
  ],
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions": [
    "access_log_flush_interval",
    "flush_access_log_on_connected",
  ],
};

function consequenceOf(path: string): string {
  return path === "tunneling_config" ? "; the filter chain is not served" : "";
}

function compileDestination({ clusterSpecifier: specifier, metadataMatch }: TcpProxy): () => TcpDestination {
  if (specifier.case !== "weightedClusters") {
    const only: TcpDestination = { cluster: specifier.value ?? "", subset: subsetCriteria(lbMetadata(metadataMatch)) };
    return () => only;
  }
  const { clusters } = specifier.value;
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  const destinations = clusters.map((each) => ({
    weight: each.weight,
    cluster: each.name,
    subset: subsetCriteria(lbMetadata(metadataMatch), lbMetadata(each.metadataMatch)),
  }));
  return () => {
    let point = Math.random() * total;
    for (const destination of destinations) {
      point -= destination.weight;
      if (point < 0) return destination;
    }
    return destinations.at(-1) ?? { cluster: "", subset: undefined };
  };
}

function lbMetadata(metadata: Metadata | undefined) {
  return metadata?.filterMetadata["envoy.lb"];
}

function compilesSourceHash({ hashPolicy }: TcpProxy, findings: Findings): boolean {
  hashPolicy.forEach(({ policySpecifier: { case: kind } }, index) => {
    if (kind !== "sourceIp") findings.notExecuted(`hash_policy[${index}]`);
  });
  return hashPolicy.some(({ policySpecifier: { case: kind } }) => kind === "sourceIp");
}

/** What a host is picked by. */
export function tcpPickContext(proxy: CompiledTcpProxy, { subset }: TcpDestination, remoteAddress: string): PickContext {
  return { hash: proxy.hashesSource && remoteAddress !== "" ? xxHash64(remoteAddress) : undefined, subset };
}
