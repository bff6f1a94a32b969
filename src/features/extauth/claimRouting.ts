// Claims of a good token may become headers, and then a request is led to the route that they match. The checks of an AuthConfig stay those of
// the route that it had first, by the headers that the client sent: Envoy chooses the filters of a request once. So whoever sends such a header
// without a claim would be let past the API keys of the route it is led to.
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Route } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { FilterChainConfigPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { JwtAuthenticationSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { VirtualHostOptions } from "../../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import { checksOfHost, tokenFilters, tokenStages } from "../../plugin/tokenChecks.ts";

/**
 * A header that holds a claim and that a route matches, where not all routes have the same checks of `filter`; undefined where all is well.
 * @param told headers that the checks of the virtual host set
 */
export function leadsPast(
  filter: string,
  routes: readonly Route[],
  options: VirtualHostOptions,
  told: readonly string[],
): string | undefined {
  if (!routes.some((route) => configsOf(route).some(([name]) => name === filter))) return undefined;
  // Without these the route stays as it was chosen first.
  const leading = [...claimHeadersOfHost(options), ...routes.flatMap((route) => claimHeadersOfRoute(route, isOfTokens))];
  if (leading.length === 0) return undefined;
  const all = [...leading, ...told, ...routes.flatMap((route) => claimHeadersOfRoute(route, (name) => name === filter))];
  const claims = new Set(all.map((each) => each.toLowerCase()));
  const matched = routes.flatMap(({ match }) => match?.headers.map(({ name }) => name.toLowerCase()) ?? []);
  return matched.find((each) => claims.has(each));
}

const namesOfTokens = new Set(Object.values(tokenFilters));

function isOfTokens(filter: string): boolean {
  return namesOfTokens.has(filter);
}

function claimHeadersOfHost(options: VirtualHostOptions): string[] {
  const checks = checksOfHost(options);
  return tokenStages
    .flatMap((stage) => Object.values(checks[stage]?.spec.providers ?? {}))
    .flatMap(({ claimsToHeaders }) => claimsToHeaders.map(({ header }) => header));
}

function claimHeadersOfRoute(route: Route, isWanted: (filter: string) => boolean): string[] {
  const wanted = configsOf(route).filter(([name]) => isWanted(name));
  const chains = wanted.flatMap(([, config]) => contentOf(FilterChainConfigPerRouteSchema, config) ?? []);
  const tokens = chains
    .flatMap(({ filterChain }) => filterChain?.filters ?? [])
    .flatMap(({ typedConfig }) => (typedConfig && contentOf(JwtAuthenticationSchema, typedConfig)) ?? []);
  return tokens
    .flatMap(({ providers }) => Object.values(providers))
    .flatMap(({ claimToHeaders }) => claimToHeaders.map(({ headerName }) => headerName));
}

/** Of a route, and of its destinations. */
function configsOf({ typedPerFilterConfig, action }: Route): (readonly [string, Any])[] {
  const to = action.case === "route" ? action.value.clusterSpecifier : undefined;
  const destinations = to?.case === "weightedClusters" ? to.value.clusters : [];
  return [typedPerFilterConfig, ...destinations.map((each) => each.typedPerFilterConfig)].flatMap((each) => Object.entries(each));
}

function contentOf<S extends typeof FilterChainConfigPerRouteSchema | typeof JwtAuthenticationSchema>(schema: S, { typeUrl, value }: Any) {
  return typeUrl.endsWith(`/${schema.typeName}`) ? fromBinary<S>(schema, value) : undefined;
}
