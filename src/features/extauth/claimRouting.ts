// Claims of a good token may become headers, and then a request is led to the route that they match; an early transformation may have the
// route chosen anew, too. The checks of an AuthConfig stay those of the route that it had first: Envoy chooses the filters of a request once.
// So whoever is led would be let past the API keys of the route it is led to.
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Route } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { FilterChainConfigPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { JwtAuthenticationSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { VirtualHostOptions } from "../../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import type { VirtualHostDraft } from "../../plugin/feature.ts";
import { earlyStage } from "../../plugin/scriptFilter.ts";
import { checksOfHost, tokenFilters, tokenStages } from "../../plugin/tokenChecks.ts";

/**
 * What chooses among routes that do not all have the same checks of `filter`; undefined where all is well.
 * @param told headers that the checks of the virtual host set
 */
export function leadsPast(
  filter: string,
  { routes, typedPerFilterConfig }: VirtualHostDraft,
  options: VirtualHostOptions,
  told: readonly string[],
): string | undefined {
  const all = (routes ?? []) as readonly Route[];
  if (!all.some((route) => configsOf(route).some(([name]) => name === filter))) return undefined;
  const early = [(typedPerFilterConfig ?? {}) as Configs, ...all.flatMap(levelsOf)].map(earlyStage);
  if (early.includes("chooses anew")) return "an early transformation has the route chosen anew here (clearRouteCache)";
  // Without these the route stays as it was chosen first.
  const leading = [...claimHeadersOfHost(options), ...all.flatMap((route) => claimHeadersOfRoute(route, isOfTokens))];
  if (leading.length === 0) return undefined;
  const claims = new Set(
    [...leading, ...told, ...all.flatMap((route) => claimHeadersOfRoute(route, (name) => name === filter))].map((each) =>
      each.toLowerCase(),
    ),
  );
  const matched = all.flatMap(({ match }) => match?.headers.map(({ name }) => name.toLowerCase()) ?? []);
  const header = matched.find((each) => claims.has(each));
  if (header !== undefined) return `claims choose the route here, by the header ${header}`;
  return early.includes("changes") ? "claims have the route chosen anew here, by what an early transformation has changed" : undefined;
}

type Configs = Readonly<Record<string, Any>>;

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

function configsOf(route: Route): (readonly [string, Any])[] {
  return levelsOf(route).flatMap((each) => Object.entries(each));
}

/** Of a route, and of its destinations. */
function levelsOf({ typedPerFilterConfig, action }: Route): Configs[] {
  const to = action.case === "route" ? action.value.clusterSpecifier : undefined;
  const destinations = to?.case === "weightedClusters" ? to.value.clusters : [];
  return [typedPerFilterConfig, ...destinations.map((each) => each.typedPerFilterConfig)];
}

function contentOf<S extends typeof FilterChainConfigPerRouteSchema | typeof JwtAuthenticationSchema>(schema: S, { typeUrl, value }: Any) {
  return typeUrl.endsWith(`/${schema.typeName}`) ? fromBinary<S>(schema, value) : undefined;
}
