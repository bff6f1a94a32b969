// Weighted destinations that have checks of their own, or none: headers by which those above tell who it is are not for clients to send.
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { onRouteAction } from "../../envoy/drafts.ts";
import { FilterConfigSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { ApiKeyAuthSchema } from "../../gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import { FilterChainConfigPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { JwtAuthenticationSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { WeightedClusterDraft } from "../../plugin/feature.ts";
import type { RouteDraft } from "../../plugin/upstream-type.ts";

/** @param told in small letters, by what applies to the route: asked only where a destination has something to say */
export function withGuardedDestinations(route: RouteDraft, filter: string, told: () => readonly string[]): RouteDraft {
  return onRouteAction(route, (action) => {
    const to = action.clusterSpecifier;
    if (to?.case !== "weightedClusters") return action;
    const written = (to.value.clusters ?? []) as readonly WeightedClusterDraft[];
    if (!written.some((each) => configOf(each, filter))) return action;
    const headers = told();
    const clusters = written.map((each) => guarded(each, filter, headers));
    return { ...action, clusterSpecifier: { case: "weightedClusters", value: { ...(to.value as object), clusters } } };
  });
}

function configOf({ typedPerFilterConfig }: WeightedClusterDraft, filter: string): Any | undefined {
  return (typedPerFilterConfig as Readonly<Record<string, Any>> | undefined)?.[filter];
}

function guarded(cluster: WeightedClusterDraft, filter: string, told: readonly string[]): WeightedClusterDraft {
  const own = configOf(cluster, filter);
  if (own === undefined || told.length === 0) return cluster;
  const known = toldBy(own);
  const unguarded = told.filter((header) => !known.has(header));
  return { ...cluster, requestHeadersToRemove: [...new Set([...(cluster.requestHeadersToRemove ?? []), ...unguarded])] };
}

/** By what the destination brings: nothing where it is turned off. */
function toldBy(config: Any): ReadonlySet<string> {
  if (isOf(FilterConfigSchema, config)) return new Set();
  const filters = fromBinary(FilterChainConfigPerRouteSchema, config.value).filterChain?.filters ?? [];
  const headers = filters.flatMap(({ typedConfig }) => {
    if (typedConfig && isOf(ApiKeyAuthSchema, typedConfig)) return fromBinary(ApiKeyAuthSchema, typedConfig.value).forwarding?.header ?? [];
    if (!typedConfig || !isOf(JwtAuthenticationSchema, typedConfig)) return [];
    const { providers } = fromBinary(JwtAuthenticationSchema, typedConfig.value);
    return Object.values(providers).flatMap(({ claimToHeaders }) => claimToHeaders.map(({ headerName }) => headerName));
  });
  return new Set(headers.map((header) => header.toLowerCase()));
}

function isOf({ typeName }: { readonly typeName: string }, { typeUrl }: Any): boolean {
  return typeUrl.endsWith(`/${typeName}`);
}
