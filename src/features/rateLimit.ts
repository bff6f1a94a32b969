// `ratelimit.rateLimits` and `rateLimitConfigs` of virtual hosts and routes, and the server that counts: `ratelimitServer` of the Settings or listener.
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
import type { RouteOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import type { VirtualHostOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import {
  type Action,
  LimitType,
  type Action_HeaderValueMatch_HeaderMatcher as Matcher,
  type MetaData_MetadataKey,
  type Override,
  type RateLimitActions,
} from "../gen/gloo/solo-apis/api/rate-limiter/v1alpha1/ratelimit_pb.js";
import { formatRef, type Ref } from "../model/ref.ts";
import type { Feature, OptionContext } from "../plugin/feature.ts";

type LimitInit = MessageInitShape<typeof RateLimitSchema>;
type ActionInit = MessageInitShape<typeof RateLimit_ActionSchema>;

/** The stage of limits that users write for a server of their own: the filter asks only for those of its own stage. */
function stageOf({ http, world }: OptionContext): number {
  return (http?.ratelimitServer ?? world.settings.ratelimitServer)?.rateLimitBeforeAuth ? 3 : 1;
}

const fields = ["ratelimit", "rateLimitConfigs"];

export const rateLimit: Feature = {
  name: "rateLimit",
  glooName: "rate_limit",
  fields: { http: ["ratelimitServer"], virtualHost: fields, route: fields },
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
    const rateLimits = limitsOf(options, context);
    return rateLimits.length > 0 ? { ...host, rateLimits } : host;
  },
  route(route, { rateLimitConfigType: options }, _inherited, context) {
    const rateLimits = limitsOf(options, context);
    return onRouteAction(route, (action) => ({
      ...action,
      ...(rateLimits.length > 0 && { rateLimits }),
      // Gloo writes this for every route with a `ratelimit` block: it stops inheriting the limits of its virtual host.
      ...(options.case === "ratelimit" && { includeVhRateLimits: options.value.includeVhRateLimits }),
    }));
  },
};

type Written = VirtualHostOptions["rateLimitConfigType"] | RouteOptions["rateLimitConfigType"];

function limitsOf(written: Written, context: OptionContext): LimitInit[] {
  switch (written.case) {
    case "ratelimit":
      return limits(written.value.rateLimits, "ratelimit.rateLimits", context);
    case "rateLimitConfigs":
      return written.value.refs.flatMap((ref, i) => referredLimits(ref, `rateLimitConfigs.refs[${i}]`, context));
    default:
      return [];
  }
}

/** What a RateLimitConfig says of requests. How many may be is the matter of the service. */
function referredLimits(ref: Ref, field: string, context: OptionContext): LimitInit[] {
  const config = context.world.get("RateLimitConfig", ref);
  const raw = config?.spec?.configType.case === "raw" ? config.spec.configType.value : undefined;
  if (raw === undefined) {
    const message = config === undefined ? `RateLimitConfig ${formatRef(ref)} not found` : `RateLimitConfig ${formatRef(ref)} has no raw`;
    context.refuse(field, message, { elsewhere: true, hint: "create it, with spec.raw.rateLimits" });
    return [];
  }
  if (raw.descriptors.length + raw.setDescriptors.length > 0)
    context.warn(field, `the descriptors of RateLimitConfig ${formatRef(ref)} are not sent to the service`, {
      reason: "OptionNotSupported",
      hint: "write them into the configuration of your service, which counts, and leave them out here; rateLimits act",
    });
  // What is wrong in it is said where it is used.
  const at = (finding: OptionContext["refuse"]): OptionContext["refuse"] => {
    return (place, message, details) =>
      finding(field, `${place}: ${message} (in RateLimitConfig ${formatRef(ref)})`, { ...details, elsewhere: true });
  };
  return limits(raw.rateLimits, "rateLimits", { ...context, refuse: at(context.refuse), warn: at(context.warn) });
}

/** Gloo's word for descriptors that are sets, in which what a request does not have is left out. */
const setOf: ActionInit = { actionSpecifier: { case: "genericKey", value: { descriptorValue: "solo.setDescriptor.uniqueValue" } } };

function limits(written: readonly RateLimitActions[], field: string, context: OptionContext): LimitInit[] {
  return written.flatMap(({ actions, setActions, limit, type }, i) => {
    const at = `${field}[${i}]`;
    if (type !== LimitType.REQUEST)
      context.warn(`${at}.type`, "only requests are counted here, whatever the type", { reason: "OptionNotSupported" });
    const override = limit && overrideOf(limit);
    const whole = (made: readonly (ActionInit | undefined)[]): LimitInit[] =>
      made.length > 0 && made.every((each) => each !== undefined)
        ? [{ stage: stageOf(context), actions: [...made], ...(override && { limit: override }) }]
        : [];
    const single = whole(actions.map((action, j) => actionOf(action, `${at}.actions[${j}]`, isSet(actions), context)));
    if (setActions.length === 0) return single;
    context.warn(`${at}.setActions`, "a set is sent as one descriptor, with what the request has, for which your service needs a rule", {
      reason: "OptionNotSupported",
      hint: "let the service look for generic_key solo.setDescriptor.uniqueValue, which comes first; or write actions, a list for each descriptor",
    });
    const set = setActions.map((action, j) => actionOf(action, `${at}.setActions[${j}]`, true, context));
    return [...single, ...whole(isSet(setActions) ? set : [setOf, ...set])];
  });
}

function isSet(actions: readonly Action[]): boolean {
  return actions.some(
    ({ actionSpecifier: action }) => action.case === "genericKey" && action.value.descriptorValue === "solo.setDescriptor.uniqueValue",
  );
}

function actionOf(
  { actionSpecifier: action }: Action,
  field: string,
  skipsAbsent: boolean,
  { refuse }: OptionContext,
): ActionInit | undefined {
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
      return {
        actionSpecifier: { case: "requestHeaders", value: { headerName, descriptorKey, ...(skipsAbsent && { skipIfAbsent: true }) } },
      };
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
