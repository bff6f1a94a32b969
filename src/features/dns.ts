// `dnsRefreshRate` and `respectDnsTtl`: how often Envoy asks DNS for hosts that are names.
import type { Duration } from "@bufbuild/protobuf/wkt";
import { Cluster_DiscoveryType } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { Feature } from "../plugin/feature.ts";
import type { ClusterDraft } from "../plugin/upstream-type.ts";

export const dns: Feature = {
  name: "dns",
  upstream(cluster, { upstream }, { report }) {
    const refreshed = upstream.respectDnsTtl ? { ...cluster, respectDnsTtl: true } : cluster;
    const rate = upstream.dnsRefreshRate;
    if (!rate) return refreshed;
    const path = "dnsRefreshRate";
    if (isBelowMillisecond(rate)) {
      report.warn("DnsRefreshRateTooSmall", "dnsRefreshRate was set below minimum requirement (nanos:1000000), ignoring configuration", {
        path,
      });
      return refreshed;
    }
    if (!asksDns(cluster)) {
      report.error(
        "DnsRefreshRateWithoutDns",
        `cluster was configured improperly by one or more plugins: DnsRefreshRate is only valid with STRICT_DNS or LOGICAL_DNS cluster type, found ${typeName(cluster)}`,
        { path, hint: "this Upstream has no host name to look up; remove dnsRefreshRate" },
      );
      return refreshed;
    }
    return { ...refreshed, dnsRefreshRate: rate };
  },
};

function isBelowMillisecond({ seconds, nanos }: Duration): boolean {
  return seconds < 0n || (seconds === 0n && nanos < 1_000_000);
}

function asksDns(cluster: ClusterDraft): boolean {
  const type = discoveryType(cluster);
  return type === Cluster_DiscoveryType.STRICT_DNS || type === Cluster_DiscoveryType.LOGICAL_DNS;
}

function typeName(cluster: ClusterDraft): string {
  const type = discoveryType(cluster);
  return type === undefined ? "a custom cluster" : (Cluster_DiscoveryType[type] ?? String(type));
}

function discoveryType({ clusterDiscoveryType }: ClusterDraft): Cluster_DiscoveryType | undefined {
  return clusterDiscoveryType?.case === "type" ? clusterDiscoveryType.value : undefined;
}
