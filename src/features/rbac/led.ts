// Claims of a good token may become headers, and then a request is led to the route that they match; so is one whose headers were taken away.
// Early transformations, processors and authorization servers may have the route chosen anew, too. Its checks were those of the route that it had first, by
// what the client sent: Envoy chooses the filters of a request once. Access rules are asked afterwards, and of the route that it has then. So
// where one of these chooses among routes that ask for tokens of several kinds, access rules ask for a good token of the route's own.
import { create, fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { packAny, sortedMap } from "../../envoy/encode.ts";
import { type Policy, PrincipalSchema } from "../../gen/envoy/envoy/config/rbac/v3/rbac_pb.js";
import type { Route } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { FilterChainConfigPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
  type JwtRequirement,
} from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { OptionContext, VirtualHostDraft } from "../../plugin/feature.ts";
import { asksServer, earlyProcessors, isProcessedBy } from "../../plugin/leading.ts";
import { earlyStage } from "../../plugin/scriptFilter.ts";
import { type TokenStage, tokenFilters, tokenStages } from "../../plugin/tokenChecks.ts";
import { allOf, anyOf, marked, type PrincipalInit } from "./policies.ts";

/** What a route asks for, or lets pass, in a stage. */
interface Check {
  /** One of these a request has that has passed it; none: it passes without a token, too. */
  readonly marks: readonly string[];
  /** In small letters: these it sets and takes away, and then the route is chosen anew. */
  readonly headers: readonly string[];
}

type Checks = Readonly<Partial<Record<TokenStage, Check>>>;
type Configs = Readonly<Record<string, Any>>;

/** @param filter the name of that which access rules are for */
export function guarded(host: VirtualHostDraft, filter: string, context: Pick<OptionContext, "world" | "http">): VirtualHostDraft {
  const routes = (host.routes ?? []) as readonly Route[];
  const ofHost = (host.typedPerFilterConfig ?? {}) as Configs;
  const ofRoutes = routes.map((route) => route.typedPerFilterConfig);
  if (![ofHost, ...ofRoutes].some(hasTokens)) return host;
  const read = reader();
  const checks = ofRoutes.map((each) => checksOf(each, ofHost, read));
  const early = [ofHost, ...ofRoutes].map(earlyStage);
  const all = earlyProcessors(context);
  const processors = all.filter((each) => ofRoutes.some((own) => isProcessedBy(each, ofHost, own)));
  const server = context.http?.extauth ?? context.world.settings.extauth;
  const isFromElsewhere = all.some((each) => each.choosesAnew && each.changesHost);
  const isAny =
    isFromElsewhere ||
    processors.some(({ choosesAnew }) => choosesAnew) ||
    (server?.clearRouteCache ?? false) ||
    early.includes("chooses anew");
  const leading = isAny ? checks : checks.filter((each) => headersOf(each).length > 0);
  const headers = new Set(leading.flatMap(headersOf));
  const isMatched = routes.some(({ match }) => match?.headers.some(({ name }) => headers.has(name.toLowerCase())));
  const isChanged = () => processors.length > 0 || early.includes("changes") || [ofHost, ...ofRoutes].some(asksServer);
  if (!isAny && !isMatched && !(leading.length > 0 && isChanged())) return host;
  const kinds = [...distinct(leading), ...(isFromElsewhere ? [unchecked] : [])];
  return {
    ...host,
    routes: routes.map((route, i) => {
      const own = checks[i] as Checks;
      const asked = tokenStages.flatMap((stage) => own[stage] ?? []).filter(({ marks }) => marks.length > 0);
      const isLedTo = kinds.some((first) => tokenStages.some((stage) => differs(first[stage], own[stage])));
      return asked.length > 0 && isLedTo ? withGuard(route, asked, ofHost, filter) : route;
    }),
  };
}

/** As a route of another virtual host may be. */
const unchecked: Checks = {};

function hasTokens(configs: Configs): boolean {
  return tokenStages.some((stage) => configs[tokenFilters[stage]] !== undefined);
}

function headersOf(checks: Checks): string[] {
  return tokenStages.flatMap((stage) => checks[stage]?.headers ?? []);
}

function differs(first: Check | undefined, own: Check | undefined): boolean {
  return own !== undefined && own.marks.length > 0 && first !== own;
}

/** Of thousands of routes most have the same. */
function distinct(all: readonly Checks[]): readonly Checks[] {
  const known = new Map<Check | undefined, Map<Check | undefined, Checks>>();
  for (const each of all) {
    const { beforeExtAuth, afterExtAuth } = each;
    const after = known.get(beforeExtAuth) ?? new Map<Check | undefined, Checks>();
    known.set(beforeExtAuth, after.set(afterExtAuth, each));
  }
  return [...known.values()].flatMap((after) => [...after.values()]);
}

function checksOf(own: Configs, ofHost: Configs, read: (config: Any) => Check | undefined): Checks {
  const found = tokenStages.flatMap((stage) => {
    const config = own[tokenFilters[stage]] ?? ofHost[tokenFilters[stage]];
    const check = config && read(config);
    return check ? [[stage, check] as const] : [];
  });
  return Object.fromEntries(found);
}

/** Most routes have the check of their virtual host, or one like it: it is read once, and the same is one object. */
function reader(): (config: Any) => Check | undefined {
  const known = new Map<Any | string, Check | undefined>();
  return (config) => {
    if (known.has(config)) return known.get(config);
    const key = `${config.typeUrl} ${Buffer.from(config.value).toString("latin1")}`;
    if (!known.has(key)) known.set(key, checkIn(config));
    const check = known.get(key);
    known.set(config, check);
    return check;
  };
}

/** Undefined where the stage is turned off. */
function checkIn({ typeUrl, value }: Any): Check | undefined {
  if (!typeUrl.endsWith(`/${FilterChainConfigPerRouteSchema.typeName}`)) return undefined;
  const filters = fromBinary(FilterChainConfigPerRouteSchema, value).filterChain?.filters ?? [];
  const token = filters.find(({ typedConfig }) => typedConfig?.typeUrl.endsWith(`/${JwtAuthenticationSchema.typeName}`))?.typedConfig;
  if (token === undefined) return undefined;
  const authentication = fromBinary(JwtAuthenticationSchema, token.value);
  const providers = Object.values(authentication.providers);
  return {
    marks: passesWithout(authentication) ? [] : providers.map(({ headerInMetadata }) => headerInMetadata),
    headers: providers.flatMap(({ claimToHeaders }) => claimToHeaders.map(({ headerName }) => headerName.toLowerCase())),
  };
}

function passesWithout({ rules }: JwtAuthentication): boolean {
  const isAllowed = ({ requiresType }: JwtRequirement): boolean =>
    requiresType.case === "requiresAny"
      ? requiresType.value.requirements.some(isAllowed)
      : requiresType.case === "allowMissing" || requiresType.case === "allowMissingOrFailed";
  return rules.some(({ requirementType }) => requirementType.case === "requires" && isAllowed(requirementType.value));
}

function withGuard(route: Route, checks: readonly Check[], ofHost: Configs, filter: string): Route {
  const guard = allOf(checks.map(({ marks }) => anyOf(marks.map(marked))));
  const rules = route.typedPerFilterConfig[filter] ?? ofHost[filter];
  const known = rules && fromBinary(RBACPerRouteSchema, rules.value).rbac?.rules?.policies;
  const policies = known
    ? narrowed(known, guard)
    : { token: { permissions: [{ rule: { case: "any" as const, value: true } }], principals: [guard] } };
  const config = packAny(RBACPerRouteSchema, { rbac: { rules: { policies } } });
  return { ...route, typedPerFilterConfig: sortedMap({ ...route.typedPerFilterConfig, [filter]: config }) };
}

/** The same policies, for those who have a token of the route. */
function narrowed(policies: Readonly<Record<string, Policy>>, guard: PrincipalInit): Record<string, Policy> {
  return Object.fromEntries(
    Object.entries(policies).map(([name, policy]) => [
      name,
      { ...policy, principals: [create(PrincipalSchema, allOf([guard, anyOf(policy.principals)]))] },
    ]),
  );
}
