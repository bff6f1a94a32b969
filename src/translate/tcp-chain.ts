// TCP hosts of a Gateway: connections passed on as they are, perhaps after TLS.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import { SniClusterSchema } from "../gen/envoy/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster_pb.js";
import {
  type TcpProxy_WeightedCluster_ClusterWeightSchema,
  TcpProxySchema,
} from "../gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { TcpHost, WeightedDestination } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import type { TcpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/tcp_listener_options_pb.js";
import { destinationsOf } from "../model/destination.ts";
import { formatRef } from "../model/ref.ts";
import type { Feature, ListenerContext, NetworkFilterDraft, TcpProxyDraft } from "../plugin/feature.ts";
import type { World } from "../plugin/world.ts";
import { type HasCluster, type ResolvedDestination, resolveDestination } from "./destinations.ts";

/** The filters of one host, or why it has none. */
export function tcpHostFilters(
  host: TcpHost,
  options: TcpListenerOptions | undefined,
  context: ListenerContext,
  features: readonly Feature[],
  hasCluster: HasCluster,
): { readonly filters: NetworkFilterDraft[] } | { readonly fault: string } {
  const { world } = context;
  const destination = host.destination?.destination;
  let settings: TcpProxyDraft = { statPrefix: "tcp" };
  for (const feature of features) if (feature.tcpProxy) settings = feature.tcpProxy(settings, options, context);
  switch (destination?.case) {
    case "single": {
      const resolved = resolveDestination(destination.value, world, hasCluster);
      const fault = faultOf(resolved);
      if (fault) return { fault };
      return { filters: [proxy({ ...settings, clusterSpecifier: { case: "cluster", value: resolved.cluster } })] };
    }
    case "multi":
      return weighted(destination.value.destinations, settings, world, hasCluster);
    case "upstreamGroup": {
      const group = world.get("UpstreamGroup", destination.value);
      if (!group?.spec) return { fault: `*v1.UpstreamGroup { ${formatRef(destination.value)} } not found` };
      return weighted(destinationsOf(group), settings, world, hasCluster);
    }
    case "forwardSniClusterName": {
      const value = packAny(SniClusterSchema, {});
      return {
        filters: [
          { name: "envoy.filters.network.sni_cluster", configType: { case: "typedConfig", value } },
          proxy({ ...settings, clusterSpecifier: { case: "cluster", value: "" } }),
        ],
      };
    }
    default:
      return { fault: "no destination type specified" };
  }
}

function weighted(
  destinations: readonly WeightedDestination[],
  settings: TcpProxyDraft,
  world: World,
  hasCluster: HasCluster,
): { readonly filters: NetworkFilterDraft[] } | { readonly fault: string } {
  const clusters: MessageInitShape<typeof TcpProxy_WeightedCluster_ClusterWeightSchema>[] = [];
  for (const { destination, weight } of destinations) {
    const resolved = resolveDestination(destination, world, hasCluster);
    const fault = faultOf(resolved);
    if (fault) return { fault: `invalid destination in weighted destination list: ${fault}` };
    // Envoy takes no weight of 0 here; such a destination gets nothing, so it is left out.
    if (weight) clusters.push({ name: resolved.cluster, weight });
  }
  if (clusters.length === 0) return { fault: "must specify at least one weighted destination for multi destination routes" };
  return { filters: [proxy({ ...settings, clusterSpecifier: { case: "weightedClusters", value: { clusters } } })] };
}

/** Subsets are of routes: connections go to all of an Upstream. */
function faultOf({ findings }: ResolvedDestination): string | undefined {
  return findings.find(({ reason }) => reason !== "SubsetUnknown")?.message;
}

function proxy(init: TcpProxyDraft): NetworkFilterDraft {
  return { name: "envoy.filters.network.tcp_proxy", configType: { case: "typedConfig", value: packAny(TcpProxySchema, init) } };
}
