// `extauth`: requests are put to an authorization server. The server is named in the Settings or on the listener; virtual hosts
// opt in with `customAuth`, routes and weighted destinations opt out or say more. With `configRef` Envoy checks itself (authConfig.ts).
import type { MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../../envoy/drafts.ts";
import { packAny, sortedMap } from "../../envoy/encode.ts";
import { addedHeaderFault } from "../../envoy/header-format.ts";
import { clusterName } from "../../envoy/names.ts";
import { regexFault, regexMatcher } from "../../envoy/regex.ts";
import { ApiVersion } from "../../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import { FilterConfigSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from "../../gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { ListStringMatcherSchema } from "../../gen/envoy/envoy/type/matcher/v3/string_pb.js";
import { StatusCode } from "../../gen/envoy/envoy/type/v3/http_status_pb.js";
import type {
  ExtAuthExtension,
  HttpService,
  Settings,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import type { VirtualHostOptions } from "../../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import { formatRef, type Ref } from "../../model/ref.ts";
import type { Feature, FeatureContext, ListenerContext, OptionContext } from "../../plugin/feature.ts";
import { authzFilter as filter } from "../../plugin/leading.ts";
import type { RouteDraft } from "../../plugin/upstream-type.ts";
import { chainFilter, chainOf, countOf, dormantChain, faultOf, headersToldBy, mostFilters, resourcesOf } from "./authConfig.ts";
import type { Filter } from "./check-kind.ts";
import { leadsPast } from "./claimRouting.ts";
import { withGuardedDestinations } from "./guardedDestinations.ts";

type AuthzInit = MessageInitShape<typeof ExtAuthzSchema>;
type PerRouteInit = MessageInitShape<typeof ExtAuthzPerRouteSchema>;

export const extauth: Feature = {
  name: "extauth",
  glooName: "ext_authz",
  fields: { http: ["extauth"], virtualHost: ["extauth"], route: ["extauth"], weightedDestination: ["extauth"] },
  always: true,
  httpFilters(options, context) {
    const settings = settingsOf(options?.extauth, context);
    const config = settings && authz(settings, context);
    if (!config) return [dormantChain];
    const typed = { case: "typedConfig" as const, value: packAny(ExtAuthzSchema, config) };
    return [dormantChain, { place: { stage: "authn" }, filter: { name: filter, configType: typed } }];
  },
  virtualHost(host, options, context) {
    const leads = leadsPast(chainFilter, host, options, toldBy(options.extauth, context), context);
    if (leads !== undefined) context.refuse(leadingField(options), leads.message, { hint: leads.hint });
    const own = said(options.extauth, 0, context);
    // A virtual host that does not ask for it is open: the filter is there for others.
    return withSaid(host, own ?? off, false, context);
  },
  route(route, options, inherited, context) {
    const applies = options.extauth ?? inherited?.extauth;
    if (applies === undefined) return route;
    const guarded = withGuardedDestinations(route, chainFilter, () => toldBy(applies, context));
    if (options.extauth === undefined) return guarded;
    const ofHost = inherited?.extauth?.spec;
    const above = ofHost?.case === "configRef" ? countOf(ofHost.value, context) : 0;
    const own = said(options.extauth, above, closing(context));
    return own ? withoutHeaders(withSaid(guarded, own, above > 0, context), options.extauth, inherited?.extauth, context) : guarded;
  },
  weightedDestination(cluster, options, context) {
    // What its route and virtual host say is not known here.
    const own = options.extauth && said(options.extauth, mostFilters, closing(context));
    return own ? withSaid(cluster, own, true, context) : cluster;
  },
  authConfig: { fault: faultOf, resources: resourcesOf },
};

/** Where it is best mended of what is written on the virtual host; the whole of it where the routes alone do it. */
function leadingField({ extauth, jwtConfig, stagedTransformations }: VirtualHostOptions): string {
  if (extauth) return "extauth";
  return jwtConfig.case ?? (stagedTransformations ? "stagedTransformations" : "");
}

/** Headers by which Upstreams are told who it is: where another check is made, or none, clients must not be able to send them. */
function withoutHeaders(
  route: RouteDraft,
  own: ExtAuthExtension | undefined,
  above: ExtAuthExtension | undefined,
  context: OptionContext,
): RouteDraft {
  const told = new Set(toldBy(own, context));
  const unguarded = [...new Set(toldBy(above, context))].filter((header) => !told.has(header));
  if (unguarded.length === 0) return route;
  return { ...route, requestHeadersToRemove: [...(route.requestHeadersToRemove ?? []), ...unguarded] };
}

function toldBy(options: ExtAuthExtension | undefined, context: OptionContext): readonly string[] {
  return options?.spec.case === "configRef" ? headersToldBy(options.spec.value, context) : [];
}

/** An unprotected route is worse than none. */
function closing(context: OptionContext): OptionContext {
  return { ...context, refuse: (field, message, details) => context.refuse(field, message, { ...details, costs: "route" }) };
}

/** What a level says: of the server, and of checks that Envoy makes itself. */
interface Said {
  readonly server: PerRouteInit;
  readonly checks?: Filter;
}

const disabled: PerRouteInit = { override: { case: "disabled", value: true } };
const off: Said = { server: disabled };

/** `hasAbove`: a less specific level may have checks, which this one takes the place of. */
function withSaid<D extends { readonly typedPerFilterConfig?: unknown }>(
  draft: D,
  { server, checks }: Said,
  hasAbove: boolean,
  context: OptionContext,
): D {
  const asked = hasServer(context) ? withFilterConfig(draft, filter, ExtAuthzPerRouteSchema, server) : draft;
  if (checks) return { ...asked, typedPerFilterConfig: { ...(asked.typedPerFilterConfig as object | undefined), [chainFilter]: checks } };
  return hasAbove ? withFilterConfig(asked, chainFilter, FilterConfigSchema, { disabled: true }) : asked;
}

/** Those of the listener replace those of the Settings, all of them. */
function settingsOf(own: Settings | undefined, { world }: FeatureContext): Settings | undefined {
  return own ?? world.settings.extauth;
}

function serverRef(context: OptionContext): Ref | undefined {
  return settingsOf(context.http?.extauth, context)?.extauthzServerRef;
}

function hasServer(context: OptionContext): boolean {
  const ref = serverRef(context);
  return ref !== undefined && context.world.get("Upstream", ref) !== undefined;
}

/** Undefined where nothing is said, and where what is said cannot be done, which is refused: what is above it stays in force. */
function said(options: ExtAuthExtension | undefined, above: number, context: OptionContext): Said | undefined {
  const spec = options?.spec;
  switch (spec?.case) {
    case "disable":
      return spec.value ? off : undefined;
    case "customAuth": {
      const { name } = spec.value;
      if (name !== "" && Object.hasOwn(context.world.settings.namedExtauth, name)) {
        context.refuse(
          "extauth.customAuth.name",
          `the server ${JSON.stringify(name)} of namedExtauth is not asked here, so nobody can be let in`,
          {
            reason: "EnterpriseOnly",
            hint: "there is one server, that of extauth in the Settings or the Gateway: leave the name out, or name yours in passThroughAuth of an AuthConfig",
          },
        );
        return undefined;
      }
      const ref = serverRef(context);
      if (ref === undefined) {
        // As with Gloo: where there never was a server, nobody has ever been kept out.
        context.warn("extauth.customAuth", "no authorization server is named, so nobody is asked", {
          hint: "name one in extauth.extauthzServerRef of the Settings or of the Gateway",
        });
        return undefined;
      }
      if (!hasServer(context)) {
        context.refuse("extauth.customAuth", "the authorization server is not there to be asked, so nobody can be let in", {
          hint: `create the Upstream ${formatRef(ref)}, or correct extauth.extauthzServerRef of the Settings or of the Gateway`,
        });
        return undefined;
      }
      if (name !== "")
        context.warn("extauth.customAuth.name", `servers have no names here: that of extauth is asked, not "${name}"`, {
          reason: "OptionNotSupported",
          hint: "tell the server by contextExtensions who is to decide",
        });
      return { server: { override: { case: "checkSettings", value: { contextExtensions: sortedMap(spec.value.contextExtensions) } } } };
    }
    case "configRef": {
      const checks = chainOf(spec.value, above, context);
      return checks && { ...off, checks };
    }
    default:
      return undefined;
  }
}

function authz(settings: Settings, context: ListenerContext): AuthzInit | undefined {
  const { extauthzServerRef: ref, serviceType, requestTimeout, failureModeAllow, requestBody, statusOnError } = settings;
  const { refuse, warn, world } = context;
  if (ref === undefined) {
    refuse("extauth.extauthzServerRef", "no extauth server reference configured");
    return undefined;
  }
  if (world.get("Upstream", ref) === undefined) {
    warn("extauth.extauthzServerRef", `*v1.Upstream { ${formatRef(ref)} } not found`, {
      reason: "UpstreamNotFound",
      hint: "without it, what asks for customAuth is not served",
    });
    return undefined;
  }
  if (statusOnError !== 0 && StatusCode[statusOnError] === undefined) {
    refuse("extauth.statusOnError", `invalid statusOnError code: ${statusOnError}`);
    return undefined;
  }
  // Of the Settings, no Gateway is blamed.
  if (settings.userIdHeader !== "" && context.http?.extauth)
    warn("extauth.userIdHeader", "userIdHeader has no effect: clients can send that header themselves", {
      reason: "OptionNotSupported",
      hint: "remove it with httpConnectionManagerSettings.earlyHeaderManipulation, and let the server set it",
    });
  const timeout = requestTimeout ?? { seconds: 0n, nanos: 200_000_000 };
  const cluster = clusterName(ref);
  const services: AuthzInit["services"] =
    serviceType.case === "httpService"
      ? { case: "httpService", value: httpService(serviceType.value, cluster, timeout, context) }
      : {
          case: "grpcService",
          value: {
            timeout,
            targetSpecifier: {
              case: "envoyGrpc",
              value: { clusterName: cluster, authority: serviceType.case === "grpcService" ? serviceType.value.authority : "" },
            },
          },
        };
  return {
    services,
    failureModeAllow,
    ...(requestBody && {
      withRequestBody: {
        maxRequestBytes: requestBody.maxRequestBytes || 4096,
        allowPartialMessage: requestBody.allowPartialMessage,
        packAsBytes: requestBody.packAsBytes,
      },
    }),
    clearRouteCache: settings.clearRouteCache,
    ...(statusOnError !== 0 && { statusOnError: { code: statusOnError as StatusCode } }),
    metadataContextNamespaces: ["envoy.filters.http.jwt_authn"],
    transportApiVersion: ApiVersion.V3,
    statPrefix: settings.statPrefix,
  };
}

type HttpServiceInit = Extract<AuthzInit["services"], { case: "httpService" }>["value"];

function httpService(
  { pathPrefix, request, response }: HttpService,
  cluster: string,
  timeout: { readonly seconds: bigint; readonly nanos: number },
  { refuse }: ListenerContext,
): HttpServiceInit {
  for (const [i, regex] of (request?.allowedHeadersRegex ?? []).entries()) {
    const fault = regexFault(regex);
    if (fault) refuse(`extauth.httpService.request.allowedHeadersRegex[${i}]`, fault, { reason: "RegexInvalid" });
  }
  for (const [name, value] of Object.entries(request?.headersToAdd ?? {})) {
    const fault = addedHeaderFault(name, value);
    if (fault) refuse(`extauth.httpService.request.headersToAdd.${name}`, fault.message, { hint: fault.hint });
  }
  return {
    // The address counts only for the Host header, which the server does not look at.
    serverUri: { uri: "http://not-used.example.com/", httpUpstreamType: { case: "cluster", value: cluster }, timeout: { ...timeout } },
    pathPrefix: pathPrefix.replace(/\/$/, ""),
    ...(request && {
      authorizationRequest: {
        ...((request.allowedHeaders.length > 0 || request.allowedHeadersRegex.length > 0) && {
          allowedHeaders: {
            patterns: [
              ...(patterns(request.allowedHeaders).patterns ?? []),
              ...request.allowedHeadersRegex.map((regex) => ({ matchPattern: { case: "safeRegex" as const, value: regexMatcher(regex) } })),
            ],
          },
        }),
        headersToAdd: Object.entries(sortedMap(request.headersToAdd)).map(([key, value]) => ({ key, value })),
      },
    }),
    ...(response && {
      authorizationResponse: {
        ...(response.allowedUpstreamHeaders.length > 0 && { allowedUpstreamHeaders: patterns(response.allowedUpstreamHeaders) }),
        ...(response.allowedClientHeaders.length > 0 && { allowedClientHeaders: patterns(response.allowedClientHeaders) }),
        ...(response.allowedUpstreamHeadersToAppend.length > 0 && {
          allowedUpstreamHeadersToAppend: patterns(response.allowedUpstreamHeadersToAppend),
        }),
      },
    }),
  };
}

function patterns(names: readonly string[]): {
  patterns?: Exclude<MessageInitShape<typeof ListStringMatcherSchema>["patterns"], undefined>;
} {
  return { patterns: names.map((value) => ({ matchPattern: { case: "exact" as const, value } })) };
}
