// `loadBalancerConfig`: which host gets the next request.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster_CommonLbConfigSchema, Cluster_SlowStartConfigSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { Cluster_DiscoveryType, Cluster_LbPolicy } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { LoadBalancerConfig, LoadBalancerConfig_SlowStartConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/load_balancer_pb.js";
import type { Report } from "../model/problem.ts";
import type { Feature } from "../plugin/feature.ts";
import type { ClusterDraft } from "../plugin/upstream-type.ts";

export const loadBalancer: Feature = {
  name: "loadBalancerConfig",
  upstream(cluster, { upstream, name }, { report }) {
    const config = upstream.loadBalancerConfig;
    if (!config) return cluster;
    const common = commonConfig(config, hashesNames(config, cluster, report));
    if (config.type.case === "ringHash" && config.type.value.ringHashConfig) {
      const { minimumRingSize: min, maximumRingSize: max } = config.type.value.ringHashConfig;
      const path = "loadBalancerConfig.ringHash.ringHashConfig";
      // 1024 is what Envoy takes for a minimum that is not given.
      const leastSize = min === 0n ? 1024n : min;
      if (max !== 0n && leastSize > max) {
        report.error(
          "RingSizes",
          `the ring may not be smaller (maximumRingSize ${max}) than it must be large (minimumRingSize ${leastSize})`,
          { path },
        );
      }
    }
    return { ...cluster, ...policy(config, name), ...(common && { commonLbConfig: common }) };
  },
};

function policy({ type }: LoadBalancerConfig, name: string): Partial<ClusterDraft> {
  switch (type.case) {
    case undefined:
      return {};
    case "roundRobin": {
      const slowStartConfig = slowStart(type.value.slowStartConfig, name);
      return {
        lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
        ...(slowStartConfig && { lbConfig: { case: "roundRobinLbConfig", value: { slowStartConfig } } }),
      };
    }
    case "leastRequest": {
      const slowStartConfig = slowStart(type.value.slowStartConfig, name);
      const { choiceCount } = type.value;
      return {
        lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
        ...((choiceCount !== 0 || slowStartConfig) && {
          lbConfig: {
            case: "leastRequestLbConfig",
            value: { ...(choiceCount !== 0 && { choiceCount }), ...(slowStartConfig && { slowStartConfig }) },
          },
        }),
      };
    }
    case "random":
      return { lbPolicy: Cluster_LbPolicy.RANDOM };
    case "ringHash": {
      const { minimumRingSize = 0n, maximumRingSize = 0n } = type.value.ringHashConfig ?? {};
      return {
        lbPolicy: Cluster_LbPolicy.RING_HASH,
        lbConfig: {
          case: "ringHashLbConfig",
          value: { ...(minimumRingSize !== 0n && { minimumRingSize }), ...(maximumRingSize !== 0n && { maximumRingSize }) },
        },
      };
    }
    case "maglev":
      return { lbPolicy: Cluster_LbPolicy.MAGLEV };
  }
}

type CommonLbConfig = MessageInitShape<typeof Cluster_CommonLbConfigSchema>;

/** Envoy refuses hashing by name where it knows no names; by address is the same there, and what is left. */
function hashesNames({ useHostnameForHashing }: LoadBalancerConfig, { clusterDiscoveryType }: ClusterDraft, report: Report): boolean {
  if (!useHostnameForHashing) return false;
  if (clusterDiscoveryType?.case === "type" && clusterDiscoveryType.value === Cluster_DiscoveryType.STRICT_DNS) return true;
  report.warn("HashByHostname", "useHostnameForHashing has no effect: no host of this Upstream has a name; addresses are hashed", {
    path: "loadBalancerConfig.useHostnameForHashing",
  });
  return false;
}

function commonConfig(config: LoadBalancerConfig, useHostnameForHashing: boolean): CommonLbConfig | undefined {
  const { healthyPanicThreshold, updateMergeWindow, closeConnectionsOnHostSetChange, localityConfig } = config;
  const common: CommonLbConfig = {
    ...(healthyPanicThreshold !== undefined && { healthyPanicThreshold: { value: healthyPanicThreshold } }),
    ...(updateMergeWindow && { updateMergeWindow }),
    ...(useHostnameForHashing && { consistentHashingLbConfig: { useHostnameForHashing } }),
    ...(closeConnectionsOnHostSetChange && { closeConnectionsOnHostSetChange }),
    ...(localityConfig.case === "localityWeightedLbConfig" && {
      localityConfigSpecifier: { case: "localityWeightedLbConfig" as const, value: {} },
    }),
  };
  return Object.keys(common).length > 0 ? common : undefined;
}

function slowStart(
  config: LoadBalancerConfig_SlowStartConfig | undefined,
  name: string,
): MessageInitShape<typeof Cluster_SlowStartConfigSchema> | undefined {
  if (!config) return undefined;
  const { slowStartWindow, aggression, minWeightPercent } = config;
  return {
    ...(slowStartWindow && { slowStartWindow }),
    // Gloo's key: an operator can change the curve at run time without a new configuration.
    ...(aggression !== undefined && { aggression: { defaultValue: aggression, runtimeKey: `upstream.${name}.slowStart.aggression` } }),
    ...(minWeightPercent !== undefined && { minWeightPercent: { value: minWeightPercent } }),
  };
}
