// `jwt`, `jwtStaged`, `jwtProvidersStaged`: requests must bring JSON Web Tokens of known providers. Virtual hosts say of whom, and routes say
// otherwise or turn it off, for each of two checks: before and after external authorization.
//
// Envoy's filter wants its providers in the listener, which would depend on all virtual hosts that it serves, and lose its connections when
// one changes. So a dormant `filter_chain` stands in every listener for each check, and the filter itself comes with virtual hosts and routes,
// inside a chain of their own (decision 31). Where a route cannot be served as protected as it is written, it is not served.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../../envoy/drafts.ts";
import { packAny, sortedMap } from "../../envoy/encode.ts";
import { FilterConfigSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import {
  FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import {
  JwtAuthenticationSchema,
  type JwtRequirementSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../../gen/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import {
  VhostExtension_ValidationPolicy as Policy,
  type VhostExtension,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/jwt/jwt_pb.js";
import type { FilterPlace } from "../../model/filter-stages.ts";
import type { Feature, OptionContext, PlacedFilter } from "../../plugin/feature.ts";
import {
  checksOfHost,
  checksOfRoute,
  claimsOf,
  type TokenCheck,
  type TokenChecks,
  type TokenStage,
  tokenFilters,
  tokenStages,
} from "../../plugin/tokenChecks.ts";
import { providerInit } from "./provider.ts";

type ChainInit = MessageInitShape<typeof FilterChainConfigPerRouteSchema>;
type ProviderInit = NonNullable<ReturnType<typeof providerInit>>;
type RequirementInit = MessageInitShape<typeof JwtRequirementSchema>;

const filters: Readonly<Record<TokenStage, { readonly name: string; readonly place: FilterPlace }>> = {
  beforeExtAuth: { name: tokenFilters.beforeExtAuth, place: { stage: "authn", position: "before" } },
  afterExtAuth: { name: tokenFilters.afterExtAuth, place: { stage: "authn", position: "after" } },
};

/** The same in every listener, whatever its routes say: the first that wants tokens does not replace it. */
const dormant: readonly PlacedFilter[] = tokenStages.map((stage) => {
  const { name, place } = filters[stage];
  return { place, filter: { name, disabled: true, configType: { case: "typedConfig", value: packAny(FilterChainConfigSchema, {}) } } };
});

export const jwt: Feature = {
  name: "jwt",
  fields: { virtualHost: ["jwt", "jwtStaged"], route: ["jwt", "jwtStaged", "jwtProvidersStaged"] },
  httpFilters: () => dormant,
  virtualHost: (host, options, context) => withChecks(host, checksOfHost(options), {}, context),
  route(route, options, inherited, context) {
    const ofHost = inherited ? checksOfHost(inherited) : {};
    const checks = checksOfRoute(options, inherited);
    // An unprotected route is worse than none.
    const refuse: OptionContext["refuse"] = (field, message, details) => context.refuse(field, message, { ...details, costs: "route" });
    const checked = withChecks(route, checks, ofHost, { ...context, refuse });
    const guarded = new Set(claimHeadersOf(checks));
    const unguarded = claimHeadersOf(ofHost).filter((header) => !guarded.has(header));
    if (unguarded.length === 0) return checked;
    return { ...checked, requestHeadersToRemove: [...(checked.requestHeadersToRemove ?? []), ...unguarded] };
  },
};

/** Headers that Upstreams take for claims. Where no check sets them, clients must not be able to send them. */
function claimHeadersOf(checks: TokenChecks): string[] {
  const providers = tokenStages.flatMap((stage) => Object.values(checks[stage]?.spec.providers ?? {}));
  return [...new Set(providers.flatMap(({ claimsToHeaders }) => claimsToHeaders.map(({ header }) => header.toLowerCase())))];
}

/** `above`: what applies where this level says nothing. */
function withChecks<D extends { readonly typedPerFilterConfig?: unknown }>(
  draft: D,
  checks: TokenChecks,
  above: TokenChecks,
  context: OptionContext,
): D {
  let result = draft;
  for (const stage of tokenStages) {
    const { name } = filters[stage];
    const [check, known] = [checks[stage], above[stage]];
    if (check === undefined) {
      if (known) result = withFilterConfig(result, name, FilterConfigSchema, { disabled: true });
      continue;
    }
    const isInherited = check.spec === known?.spec;
    if (isInherited && check.claimsKey === known.claimsKey) continue;
    const chain = chainOf(check, isInherited ? { ...context, refuse: () => {}, warn: () => {} } : context);
    if (chain) result = withFilterConfig(result, name, FilterChainConfigPerRouteSchema, chain);
  }
  return result;
}

function chainOf(check: TokenCheck, context: OptionContext): ChainInit | undefined {
  const { spec, field } = check;
  const names = Object.keys(spec.providers).sort();
  if (names.length === 0) {
    context.refuse(`${field}.providers`, "no provider is named, so no token could be verified", {
      hint: "providers: {any-name: {issuer: …, jwks: …}}",
    });
    return undefined;
  }
  const headers = claimHeadersOf({ afterExtAuth: check });
  const providers = Object.entries(spec.providers).map(([name, provider]) => {
    const init = providerInit(provider, `${field}.providers.${name}`, context);
    const { claims, mark } = claimsOf(check, name);
    return [name, init && { ...withoutOthers(init, headers), payloadInMetadata: claims, headerInMetadata: mark }] as const;
  });
  if (providers.some(([, init]) => init === undefined)) return undefined;
  const authentication: MessageInitShape<typeof JwtAuthenticationSchema> = {
    providers: sortedMap(Object.fromEntries(providers) as Record<string, NonNullable<(typeof providers)[number][1]>>),
    // Any path, also that of `OPTIONS *`.
    rules: [
      {
        match: { pathSpecifier: { case: "prefix", value: "" } },
        requirementType: { case: "requires", value: requirement(names, spec) },
      },
    ],
  };
  return {
    filterChain: {
      filters: [
        { name: "jwt", typedConfig: packAny(JwtAuthenticationSchema, authentication) },
        // Routes may match the headers that hold claims. The filter's own `clear_route_cache` acts only where a claim was set: whoever sends
        // such a header without a claim would have chosen the route.
        ...(headers.length > 0 ? [{ name: "reroute", typedConfig: packAny(SetFilterStateSchema, { clearRouteCache: true }) }] : []),
      ],
    },
  };
}

/**
 * Envoy takes from requests the headers of the providers that it has come to, and stops at the first whose token is good. So that no client sends
 * those of the others, each has them all: below an issuer, which is a text, no claim can be.
 */
function withoutOthers(provider: ProviderInit, headers: readonly string[]): ProviderInit {
  const { claimToHeaders = [] } = provider;
  const own = new Set(claimToHeaders.map(({ headerName = "" }) => headerName.toLowerCase()));
  const others = headers.filter((header) => !own.has(header));
  const none = others.map((headerName) => ({ headerName, claimPath: [{ key: "iss" }, { key: "none" }] }));
  return { ...provider, claimToHeaders: [...claimToHeaders, ...none] };
}

function requirement(names: readonly string[], { validationPolicy, allowMissingOrFailedJwt }: VhostExtension): RequirementInit {
  const wanted = names.map((value): RequirementInit => ({ requiresType: { case: "providerName", value } }));
  const allowed: RequirementInit[] =
    allowMissingOrFailedJwt || validationPolicy === Policy.ALLOW_MISSING_OR_FAILED
      ? [{ requiresType: { case: "allowMissingOrFailed", value: {} } }]
      : validationPolicy === Policy.ALLOW_MISSING
        ? [{ requiresType: { case: "allowMissing", value: {} } }]
        : [];
  const requirements = [...wanted, ...allowed];
  return requirements.length === 1
    ? (requirements[0] as RequirementInit)
    : { requiresType: { case: "requiresAny", value: { requirements } } };
}
