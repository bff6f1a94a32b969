// The subsets of an Upstream: sets of label keys by which Envoy parts its endpoints. Kubernetes Upstreams write theirs; those of Consul
// are by data centre, by tag and by both. What makes the cluster and what judges a route that names a subset read the same here.
import type { UpstreamSpec as ConsulSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/options/consul/consul_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";

/** Undefined for an Upstream that has no subsets. */
export function subsetSelectors({ upstreamType }: Upstream): readonly (readonly string[])[] | undefined {
  switch (upstreamType.case) {
    case "kube":
      return upstreamType.value.subsetSpec?.selectors.map(({ keys }) => keys);
    case "consul":
      return consulSelectors(upstreamType.value);
    default:
      return undefined;
  }
}

/**
 * By data centre, by tag, by both. Without data centres or tags some of these are empty or equal; they are sent all the same, because
 * Gloo sends them and to Envoy they are harmless.
 */
export function consulSelectors({ subsetTags, serviceTags, dataCenters }: ConsulSpec): string[][] {
  const byDataCentre = sortedUnique(dataCenters.map(dataCentreKey));
  const byTag = sortedUnique((subsetTags.length > 0 ? subsetTags : serviceTags).map(tagKey));
  return byTag.length === 0 ? [byDataCentre] : [byDataCentre, byTag, [...byDataCentre, ...byTag]];
}

/** Keys of a Consul endpoint in Envoy's metadata, as Gloo names them. */
export function tagKey(tag: string): string {
  return `tag_${tag}`;
}

export function dataCentreKey(name: string): string {
  return `dc_${name}`;
}

function sortedUnique(keys: readonly string[]): string[] {
  return [...new Set(keys)].sort();
}
