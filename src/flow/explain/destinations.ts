// Where requests of a route go: clusters with their shares, the Upstreams behind them, and endpoints.
import { fromBinary } from "@bufbuild/protobuf";
import type { EndpointSpec } from "../../dataplane/compile/endpoints.ts";
import type { DryRun } from "../../dataplane/dry-run/dry-run.ts";
import type { DryCluster, DryResources } from "../../dataplane/dry-run/resources.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { EnvoyResource } from "../../model/envoy-resource.ts";
import { parseResourceKey } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { ExplainOptions, Translated, Where } from "./explain.ts";
import type { ExplainedDestination, ExplainedEndpoint } from "./explanation.ts";

export function destinationsOf(
  resources: DryResources,
  { route, outcome }: DryRun,
  translated: Translated,
  where: Where,
  options: ExplainOptions,
): readonly ExplainedDestination[] {
  if (route?.action.kind !== "forward") return [];
  const followed = outcome.kind === "closed" ? undefined : outcome.cluster;
  const { target } = route.action;
  const of = (cluster: string, share: number) => ({
    cluster,
    share,
    isFollowed: cluster === followed,
    ...clusterOf(resources.cluster(cluster), translated, where, options),
  });
  switch (target.kind) {
    case "cluster":
      return [of(target.name, 100)];
    case "header":
      return [of(followed ?? "", 100)];
    case "weighted":
      return target.choices.map(({ name, weight }) => of(name, target.total === 0 ? 0 : (weight / target.total) * 100));
  }
}

function clusterOf(
  cluster: DryCluster | undefined,
  { resources }: Translated,
  where: Where,
  { knowsEndpoints }: ExplainOptions,
): Pick<ExplainedDestination, "upstream" | "balancing" | "endpoints" | "areEndpointsKnown"> {
  if (cluster === undefined) return { endpoints: [], areEndpointsKnown: true };
  const { compiled, endpoints, resource } = cluster;
  const key = resource.owners.find((owner) => parseResourceKey(owner).kind === "Upstream");
  const upstream = key && (resources.get(key) as Resource<"Upstream"> | undefined);
  const type = upstreamType(upstream);
  const isAsked = compiled.discovery === "eds" && knowsEndpoints !== "all" && !(knowsEndpoints && type === "kube");
  const isElsewhere = endpoints.endpoints.length === 0 && (isAsked || findsItsOwn(resource));
  return {
    ...(key && { upstream: { ...where(key), type } }),
    balancing: compiled.balancing.policy.kind,
    endpoints: endpoints.endpoints.map(endpointOf),
    areEndpointsKnown: !isElsewhere,
  };
}

/** Where the request says where to: the hosts of a dynamic forward proxy. */
function findsItsOwn({ bytes }: EnvoyResource): boolean {
  const { clusterDiscoveryType: type } = fromBinary(ClusterSchema, bytes);
  return type.case === "clusterType" || type.value === Cluster_DiscoveryType.ORIGINAL_DST;
}

/** Services that are destinations without an Upstream come as `kube`. */
function upstreamType(upstream: Resource<"Upstream"> | undefined): string {
  return upstream?.custom?.kind ?? upstream?.spec?.upstreamType.case ?? "kube";
}

function endpointOf(endpoint: EndpointSpec): ExplainedEndpoint {
  const { health, priority, weight } = endpoint;
  return { address: addressOf(endpoint), health, priority, weight };
}

export function addressOf({ address, port, isPipe }: EndpointSpec): string {
  if (isPipe) return `unix:${address}`;
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}
