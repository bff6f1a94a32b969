// `ratelimit.rateLimits` of virtual hosts and routes, and the server that counts: `ratelimitServer` of the Settings or listener.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { onRouteAction } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { clusterName } from "../envoy/names.ts";
import { regexFault, regexMatcher } from "../envoy/regex.ts";
import { ApiVersion } from "../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import type {
  HeaderMatcherSchema,
  RateLimit_ActionSchema,
  RateLimitSchema,
} from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import {
  RateLimitSchema as FilterSchema,
  RateLimit_XRateLimitHeadersRFCVersion as Version,
} from "../gen/envoy/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import {
  type Action,
  LimitType,
  type Action_HeaderValueMatch_HeaderMatcher as Matcher,
  type MetaData_MetadataKey,
  type Override,
  type RateLimitActions,
} from "../gen/gloo/solo-apis/api/rate-limiter/v1alpha1/ratelimit_pb.js";
import { formatRef } from "../model/ref.ts";
import type { Feature, OptionContext } from "../plugin/feature.ts";

type LimitInit = MessageInitShape<typeof RateLimitSchema>;
type ActionInit = MessageInitShape<typeof RateLimit_ActionSchema>;

/** The stage of limits that users write for a server of their own: the filter asks only for those of its own stage. */
function stageOf({ http, world }: OptionContext): number {
  return (http?.ratelimitServer ?? world.settings.ratelimitServer)?.rateLimitBeforeAuth ? 3 : 1;
}

export const rateLimit: Feature = {
  name: "rateLimit",
  glooName: "rate_limit",
  fields: { http: ["ratelimitServer"], virtualHost: ["ratelimit"], route: ["ratelimit"] },
  httpFilters(options, context) {
    const { world, refuse, warn } = context;
    const settings = options?.ratelimitServer ?? world.settings.ratelimitServer;
    if (settings === undefined) return [];
    const ref = settings.ratelimitServerRef;
    if (ref === undefined) {
      refuse("ratelimitServer.ratelimitServerRef", "no ratelimit server reference configured");
      return [];
    }
    if (world.get("Upstream", ref) === undefined) {
      warn("ratelimitServer.ratelimitServerRef", `*v1.Upstream { ${formatRef(ref)} } not found`, { reason: "UpstreamNotFound" });
      return [];
    }
    const authority = settings.serviceType.case === "grpcService" ? settings.serviceType.value.authority : "";
    const value = packAny(FilterSchema, {
      domain: "custom",
      stage: stageOf(context),
      requestType: "both",
      timeout: settings.requestTimeout ?? { seconds: 0n, nanos: 100_000_000 },
      failureModeDeny: settings.denyOnFail,
      ...(settings.enableXRatelimitHeaders && { enableXRatelimitHeaders: Version.DRAFT_VERSION_03 }),
      rateLimitService: {
        transportApiVersion: ApiVersion.V3,
        grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: clusterName(ref), authority } } },
      },
    });
    const filter = { name: "envoy.filters.http.ratelimit", configType: { case: "typedConfig" as const, value } };
    return [{ place: settings.rateLimitBeforeAuth ? { stage: "authn", position: "before" } : { stage: "rateLimit" }, filter }];
  },
  virtualHost(host, { rateLimitConfigType: options }, context) {
    if (options.case !== "ratelimit") return host;
    const rateLimits = limits(options.value.rateLimits, context);
    return rateLimits.length > 0 ? { ...host, rateLimits } : host;
  },
  route(route, { rateLimitConfigType: options }, _inherited, context) {
    if (options.case !== "ratelimit") return route;
    const rateLimits = limits(options.value.rateLimits, context);
    return onRouteAction(route, (action) => ({
      ...action,
      ...(rateLimits.length > 0 && { rateLimits }),
      // Gloo writes this for every route with a `ratelimit` block: it stops inheriting the limits of its virtual host.
      includeVhRateLimits: options.value.includeVhRateLimits,
    }));
  },
};

function limits(written: readonly RateLimitActions[], context: OptionContext): LimitInit[] {
  return written.flatMap(({ actions, setActions, limit, type }, i) => {
    if (setActions.length > 0) {
      const message =
        "The Gloo Advanced Rate limit API feature 'setActions' is enterprise-only, please upgrade or use the Envoy rate-limit API instead";
      context.refuse(`ratelimit.rateLimits[${i}].setActions`, message, {
        reason: "EnterpriseOnly",
        hint: "write actions, one list for each descriptor of your service",
      });
    }
    if (type !== LimitType.REQUEST)
      context.warn(`ratelimit.rateLimits[${i}].type`, "only requests are counted here, whatever the type", {
        reason: "OptionNotSupported",
      });
    const override = limit && overrideOf(limit);
    const made = actions.map((action, j) => actionOf(action, `ratelimit.rateLimits[${i}].actions[${j}]`, context));
    return made.length > 0 && made.every((each) => each !== undefined)
      ? [{ stage: stageOf(context), actions: made, ...(override && { limit: override }) }]
      : [];
  });
}

function actionOf({ actionSpecifier: action }: Action, field: string, { refuse }: OptionContext): ActionInit | undefined {
  const missing = (name: string) => {
    refuse(field, `Missing required field in ratelimit action ${name}`);
    return undefined;
  };
  switch (action.case) {
    case "sourceCluster":
    case "destinationCluster":
    case "remoteAddress":
      return { actionSpecifier: { case: action.case, value: {} } };
    case "requestHeaders": {
      const { headerName, descriptorKey } = action.value;
      if (headerName === "") return missing("HeaderName");
      if (descriptorKey === "") return missing("DescriptorKey");
      return { actionSpecifier: { case: "requestHeaders", value: { headerName, descriptorKey } } };
    }
    case "genericKey":
      if (action.value.descriptorValue === "") return missing("DescriptorValue");
      return { actionSpecifier: { case: "genericKey", value: { descriptorValue: action.value.descriptorValue } } };
    case "headerValueMatch": {
      const { descriptorValue, expectMatch, headers } = action.value;
      if (descriptorValue === "") return missing("DescriptorValue");
      for (const [i, { headerMatchSpecifier: match }] of headers.entries()) {
        const fault = match.case === "regexMatch" ? regexFault(match.value) : undefined;
        if (fault === undefined) continue;
        refuse(`${field}.headerValueMatch.headers[${i}].regexMatch`, fault, { reason: "RegexInvalid" });
        return undefined;
      }
      const value = { descriptorValue, headers: headers.map(headerMatcher), ...(expectMatch !== undefined && { expectMatch }) };
      return { actionSpecifier: { case: "headerValueMatch", value } };
    }
    case "metadata": {
      const { descriptorKey, metadataKey, defaultValue, source } = action.value;
      if (descriptorKey === "") return missing("DescriptorKey");
      if (metadataKey === undefined) return missing("MetadataKey");
      const value = { descriptorKey, metadataKey: metadataKeyOf(metadataKey), defaultValue, source: source as number };
      return { actionSpecifier: { case: "metadata", value } };
    }
    default:
      refuse(field, "Unknown action type");
      return undefined;
  }
}

/** The limit itself comes from metadata that a filter before has written. */
function overrideOf({ overrideSpecifier: from }: Override): LimitInit["limit"] {
  const key = from.case === "dynamicMetadata" ? from.value.metadataKey : undefined;
  return key && { overrideSpecifier: { case: "dynamicMetadata", value: { metadataKey: metadataKeyOf(key) } } };
}

function metadataKeyOf({ key, path }: MetaData_MetadataKey) {
  return { key, path: path.map(({ segment }) => ({ segment: { case: "key" as const, value: segment.value ?? "" } })) };
}

function headerMatcher({ name, headerMatchSpecifier: match, invertMatch }: Matcher): MessageInitShape<typeof HeaderMatcherSchema> {
  const base = { name, ...(invertMatch && { invertMatch }) };
  switch (match.case) {
    case "regexMatch":
      return { ...base, headerMatchSpecifier: { case: "safeRegexMatch", value: regexMatcher(match.value) } };
    case "rangeMatch":
      return { ...base, headerMatchSpecifier: { case: "rangeMatch", value: { start: match.value.start, end: match.value.end } } };
    case undefined:
      return { ...base, headerMatchSpecifier: { case: "presentMatch", value: true } };
    default:
      return { ...base, headerMatchSpecifier: match };
  }
}
