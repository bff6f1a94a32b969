// A cluster whose addresses come over ADS.

import { Cluster_DiscoveryType } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ApiVersion } from "../gen/envoy/envoy/config/core/v3/config_source_pb.js";

/** The name of its endpoints is that of the cluster: addresses survive every edit of the Upstream. */
export function edsCluster(name: string) {
  return {
    name,
    clusterDiscoveryType: { case: "type" as const, value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: {
      serviceName: name,
      edsConfig: { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: "ads" as const, value: {} } },
    },
  };
}
