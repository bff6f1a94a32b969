// How the requests of a cluster are spread: the policy with its options, localities, subsets.

import type { JsonObject } from "@bufbuild/protobuf";
import {
  type Cluster,
  type Cluster_LbSubsetConfig,
  Cluster_LbSubsetConfig_LbSubsetFallbackPolicy as Fallback,
  Cluster_RingHashLbConfig_HashFunction as HashFunction,
  Cluster_LbSubsetConfig_LbSubsetSelector_LbSubsetSelectorFallbackPolicy as SelectorFallback,
} from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { PolicyConfig } from "../balancing/policies.ts";
import type { SubsetConfig } from "../balancing/subsets.ts";
import { Cluster_LbPolicy as LbPolicy } from "./enums.ts";
import type { Findings } from "./findings.ts";

export interface CompiledBalancing {
  readonly policy: PolicyConfig;
  /** In percent. */
  readonly panicThreshold: number;
  readonly byLocality: boolean;
  readonly subsets: SubsetConfig | undefined;
}

/** The size that Maglev's table has unless told otherwise; a prime, as each must be. */
const maglevSize = 65_537;

export function compileBalancing(cluster: Cluster, findings: Findings): CompiledBalancing {
  const common = cluster.commonLbConfig;
  return {
    policy: compilePolicy(cluster, findings),
    panicThreshold: common?.healthyPanicThreshold?.value ?? 50,
    byLocality: common?.localityConfigSpecifier.case === "localityWeightedLbConfig",
    subsets: cluster.lbSubsetConfig && compileSubsets(cluster.lbSubsetConfig),
  };
}

function compilePolicy(cluster: Cluster, findings: Findings): PolicyConfig {
  const byHostname = cluster.commonLbConfig?.consistentHashingLbConfig?.useHostnameForHashing ?? false;
  const { lbConfig } = cluster;
  switch (cluster.lbPolicy) {
    case LbPolicy.ROUND_ROBIN:
      return { kind: "roundRobin" };
    case LbPolicy.RANDOM:
      return { kind: "random" };
    case LbPolicy.LEAST_REQUEST:
      return { kind: "leastRequest", choices: lbConfig.case === "leastRequestLbConfig" ? (lbConfig.value.choiceCount ?? 2) : 2 };
    case LbPolicy.RING_HASH: {
      const ring = lbConfig.case === "ringHashLbConfig" ? lbConfig.value : undefined;
      if (ring?.hashFunction === HashFunction.MURMUR_HASH_2)
        findings.notExecuted("ring_hash_lb_config.hash_function: MURMUR_HASH_2", "; keys are hashed with XXH64");
      return {
        kind: "ringHash",
        minSize: Number(ring?.minimumRingSize ?? 1_024n),
        maxSize: Number(ring?.maximumRingSize ?? 8_388_608n),
        byHostname,
      };
    }
    case LbPolicy.MAGLEV:
      return {
        kind: "maglev",
        size: lbConfig.case === "maglevLbConfig" ? Number(lbConfig.value.tableSize ?? maglevSize) : maglevSize,
        byHostname,
      };
    default:
      findings.notExecuted(`lb_policy: ${LbPolicy[cluster.lbPolicy]}`, "; requests go round robin");
      return { kind: "roundRobin" };
  }
}

function compileSubsets(config: Cluster_LbSubsetConfig): SubsetConfig {
  return {
    fallback:
      config.fallbackPolicy === Fallback.ANY_ENDPOINT ? "any" : config.fallbackPolicy === Fallback.DEFAULT_SUBSET ? "default" : "none",
    defaultSubset: config.defaultSubset ?? {},
    selectors: config.subsetSelectors.map((selector) => ({
      keys: [...selector.keys].sort(),
      fallback: selectorFallback(selector.fallbackPolicy),
      fallbackKeys: [...selector.fallbackKeysSubset].sort(),
    })),
    listAsAny: config.listAsAny,
    panicModeAny: config.panicModeAny,
  };
}

function selectorFallback(policy: SelectorFallback): SubsetConfig["selectors"][number]["fallback"] {
  switch (policy) {
    case SelectorFallback.NO_FALLBACK:
      return "none";
    case SelectorFallback.ANY_ENDPOINT:
      return "any";
    case SelectorFallback.DEFAULT_SUBSET:
      return "default";
    case SelectorFallback.KEYS_SUBSET:
      return "keys";
    default:
      return undefined;
  }
}

/** The `envoy.lb` part of `metadata_match`, over that of the route around it. */
export function subsetCriteria(...metadata: readonly (JsonObject | undefined)[]) {
  const values = Object.assign({}, ...metadata) as Record<string, unknown>;
  const keys = Object.keys(values).sort();
  return keys.length === 0 ? undefined : { keys, values };
}
