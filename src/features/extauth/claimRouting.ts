// Claims of a good token may become headers, and then a request is led to the route that they match; an early transformation, a processor and
// the server of `customAuth` may have the route chosen anew, too. The checks of an AuthConfig stay those of the route that it had first: Envoy
// chooses the filters of a request once. So whoever is led would be let past the API keys of the route it is led to.
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Route } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { FilterChainConfigPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { JwtAuthenticationSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { VirtualHostOptions } from "../../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import type { OptionContext, VirtualHostDraft } from "../../plugin/feature.ts";
import { asksOwnServer, asksServer, earlyProcessors, isProcessedBy } from "../../plugin/leading.ts";
import { changesHostEarly, earlyStage } from "../../plugin/scriptFilter.ts";
import { checksOfHost, tokenFilters, tokenStages } from "../../plugin/tokenChecks.ts";

export interface Leading {
  readonly message: string;
  readonly hint: string;
}

/**
 * What leads to another virtual host, or chooses among routes that do not all have the same checks of `filter`; undefined where all is well.
 * @param told headers that the checks of the virtual host set
 */
export function leadsPast(
  filter: string,
  host: VirtualHostDraft,
  options: VirtualHostOptions,
  told: readonly string[],
  context: Pick<OptionContext, "world" | "http">,
): Leading | undefined {
  const all = (host.routes ?? []) as readonly Route[];
  const isMixed = all.some((route) => configsOf(route).some(([name]) => name === filter));
  const elsewhere = earlyProcessors(context).find((each) => each.choosesAnew && each.changesHost);
  if (elsewhere && (isMixed || options.extauth?.spec.case === "configRef"))
    return {
      message: `${elsewhere.field} may lead requests here that came for another virtual host, whose checks they have (mutationRules.allowAllRouting or allowExpression)`,
      hint: `write disableClearRouteCache: true in ${elsewhere.field} of the Settings or of the Gateway, or let it change no hosts`,
    };
  const away = leadsAway(all, (host.typedPerFilterConfig ?? {}) as Configs, options, context);
  if (away !== undefined) return away;
  if (!isMixed) return undefined;
  const led = leader(filter, all, (host.typedPerFilterConfig ?? {}) as Configs, options, told, context);
  return (
    led && { message: `${led.what}, and not all routes have the same AuthConfig`, hint: led.cure ? `${led.cure}; or ${always}` : always }
  );
}

/** To another virtual host, whose checks are not made any more: one gives the request another host, and the other has the route chosen anew. */
function leadsAway(
  all: readonly Route[],
  ofHost: Configs,
  options: VirtualHostOptions,
  context: Pick<OptionContext, "world" | "http">,
): Leading | undefined {
  const processors = earlyProcessors(context).filter((each) =>
    all.some((route) => isProcessedBy(each, ofHost, route.typedPerFilterConfig)),
  );
  const isTransformed = [ofHost, ...all.flatMap(levelsOf)].some(changesHostEarly);
  const changer = isTransformed ? "an early transformation" : processors.find(({ changesHost }) => changesHost)?.field;
  if (changer === undefined) return undefined;
  const server = context.http?.extauth ?? context.world.settings.extauth;
  const isAsked = options.extauth?.spec.case === "customAuth" || all.flatMap(levelsOf).some(asksOwnServer);
  const chooser =
    leadingClaims(all, options).length > 0
      ? "claimsToHeaders"
      : (processors.find(({ choosesAnew }) => choosesAnew)?.field ??
        (isAsked && server?.clearRouteCache ? "the server of extauth (clearRouteCache)" : undefined));
  if (chooser === undefined) return undefined;
  return {
    message: `${changer} changes the host here and ${chooser} then has the route chosen anew, which would lead past the checks of other virtual hosts`,
    hint: isTransformed
      ? "change the host in the regular stage of stagedTransformations, or with hostRewrite"
      : `let ${changer} change no hosts (mutationRules), or write ${changer}: {disabled: true} on this virtual host`,
  };
}

/** Where any are written the route is chosen anew. */
function leadingClaims(all: readonly Route[], options: VirtualHostOptions): readonly string[] {
  return [...claimHeadersOfHost(options), ...all.flatMap((route) => claimHeadersOfRoute(route, isOfTokens))];
}

const always = "name the AuthConfig on the virtual host, and on no route; say with rbac who may go where";

function leader(
  filter: string,
  all: readonly Route[],
  ofHost: Configs,
  options: VirtualHostOptions,
  told: readonly string[],
  context: Pick<OptionContext, "world" | "http">,
): { readonly what: string; readonly cure?: string } | undefined {
  const early = [ofHost, ...all.flatMap(levelsOf)].map(earlyStage);
  if (early.includes("chooses anew")) return { what: "an early transformation has the route chosen anew here (clearRouteCache)" };
  const processors = earlyProcessors(context).filter((each) =>
    all.some((route) => isProcessedBy(each, ofHost, route.typedPerFilterConfig)),
  );
  const anew = processors.find(({ choosesAnew }) => choosesAnew)?.field;
  if (anew !== undefined)
    return {
      what: `${anew} may have the route chosen anew here`,
      cure: `write disableClearRouteCache: true in ${anew} of the Settings or of the Gateway, or ${anew}: {disabled: true} on the virtual host`,
    };
  const server = context.http?.extauth ?? context.world.settings.extauth;
  const isAsked = options.extauth?.spec.case === "customAuth" || all.flatMap(levelsOf).some(asksOwnServer);
  if (isAsked && server?.clearRouteCache)
    return {
      what: "the server of extauth may have the route chosen anew here (clearRouteCache)",
      cure: "leave clearRouteCache out of extauth of the Settings or of the Gateway",
    };
  // Without these the route stays as it was chosen first.
  const leading = leadingClaims(all, options);
  if (leading.length === 0) return undefined;
  const claims = new Set(
    [...leading, ...told, ...all.flatMap((route) => claimHeadersOfRoute(route, (name) => name === filter))].map((each) =>
      each.toLowerCase(),
    ),
  );
  const matched = all.flatMap(({ match }) => match?.headers.map(({ name }) => name.toLowerCase()) ?? []);
  const header = matched.find((each) => claims.has(each));
  if (header !== undefined) return { what: `claims choose the route here, by the header ${header}` };
  const changer = early.includes("changes")
    ? "an early transformation has changed"
    : processors[0]
      ? `${processors[0].field} may have changed`
      : isAsked || asksServerOfHost(options, context) || all.flatMap(levelsOf).some(asksServer)
        ? "an authorization server may have changed"
        : undefined;
  return changer === undefined ? undefined : { what: `claims have the route chosen anew here, by what ${changer}` };
}

/** Its own chain is not made yet. */
function asksServerOfHost({ extauth }: VirtualHostOptions, { world }: Pick<OptionContext, "world">): boolean {
  const spec = extauth?.spec.case === "configRef" ? world.get("AuthConfig", extauth.spec.value)?.spec : undefined;
  return spec?.configs.some(({ authConfig }) => authConfig.case === "passThroughAuth") ?? false;
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
