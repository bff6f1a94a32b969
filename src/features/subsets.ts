// `subsetSpec` of a type: hosts of one cluster in groups by label, for routes that name a subset.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { sortedMap } from "../envoy/encode.ts";
import type { Cluster_LbSubsetConfigSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { Cluster_LbSubsetConfig_LbSubsetFallbackPolicy as EnvoyFallback } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { FallbackPolicy, type SubsetSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/options/subset_spec_pb.js";
import type { Feature } from "../plugin/feature.ts";

export const subsets: Feature = {
  name: "subsetSpec",
  upstream(cluster, { upstream: { upstreamType } }) {
    const spec = upstreamType.case === "kube" ? upstreamType.value.subsetSpec : undefined;
    return spec ? { ...cluster, lbSubsetConfig: lbSubsetConfig(spec) } : cluster;
  },
};

function lbSubsetConfig(spec: SubsetSpec): MessageInitShape<typeof Cluster_LbSubsetConfigSchema> {
  return {
    fallbackPolicy: fallback[spec.fallbackPolicy],
    ...(spec.defaultSubset && { defaultSubset: sortedMap(spec.defaultSubset.values) }),
    subsetSelectors: spec.selectors.map(({ keys, singleHostPerSubset }) => ({ keys, singleHostPerSubset })),
  };
}

/** Gloo's default (0) is ANY_ENDPOINT, Envoy's is NO_FALLBACK. */
const fallback = {
  [FallbackPolicy.ANY_ENDPOINT]: EnvoyFallback.ANY_ENDPOINT,
  [FallbackPolicy.DEFAULT_SUBSET]: EnvoyFallback.DEFAULT_SUBSET,
  [FallbackPolicy.NO_FALLBACK]: EnvoyFallback.NO_FALLBACK,
} as const;
