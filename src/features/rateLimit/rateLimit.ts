// `ratelimit` and `rateLimitConfigs` of virtual hosts and routes, the same for before and after authorization (`ratelimitEarly`,
// `ratelimitRegular` and their configs), and the server that counts: `ratelimitServer` of the Settings or listener.
import { hasRouteAction, onRouteAction } from "../../envoy/drafts.ts";
import { packAny } from "../../envoy/encode.ts";
import { clusterName } from "../../envoy/names.ts";
import { ApiVersion } from "../../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import {
  RateLimitSchema as FilterSchema,
  RateLimit_XRateLimitHeadersRFCVersion as Version,
} from "../../gen/envoy/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import type { Settings } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/ratelimit/ratelimit_pb.js";
import type { RouteOptions } from "../../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import type { VirtualHostOptions } from "../../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import type { FilterPlace } from "../../model/filter-stages.ts";
import { formatRef } from "../../model/ref.ts";
import type { Feature, OptionContext, PlacedFilter } from "../../plugin/feature.ts";
import { type LimitInit, limits, referredLimits } from "./descriptors.ts";

type When = "early" | "regular";

/** Gloo's numbers of the stages: a filter asks only for the limits of its own. */
const stages: Readonly<Record<When, number>> = { early: 3, regular: 1 };
const places: Readonly<Record<When, FilterPlace>> = { early: { stage: "authn", position: "before" }, regular: { stage: "rateLimit" } };

const fields = ["ratelimit", "rateLimitConfigs", "ratelimitEarly", "rateLimitEarlyConfigs", "ratelimitRegular", "rateLimitRegularConfigs"];

export const rateLimit: Feature = {
  name: "rateLimit",
  glooName: "rate_limit",
  fields: { http: ["ratelimitServer"], virtualHost: fields, route: fields },
  httpFilters(_options, context) {
    const { world, warn } = context;
    const settings = settingsOf(context);
    if (settings === undefined) return [];
    const ref = settings.ratelimitServerRef;
    // Without a server nothing is counted, as where there are no settings at all.
    if (ref === undefined) return [];
    if (world.get("Upstream", ref) === undefined) {
      warn("ratelimitServer.ratelimitServerRef", `*v1.Upstream { ${formatRef(ref)} } not found`, { reason: "UpstreamNotFound" });
      return [];
    }
    const usual = usualOf(context);
    const other = usual === "early" ? "regular" : "early";
    return [
      filterOf("envoy.filters.http.ratelimit", usual, settings, clusterName(ref)),
      // It asks only where something is written for it.
      filterOf(`io.solo.filters.http.ratelimit.${other}`, other, settings, clusterName(ref)),
    ];
  },
  virtualHost(host, options, context) {
    const rateLimits = writtenIn(options, context).flatMap((each) => countedOf(each, context));
    return rateLimits.length > 0 ? { ...host, rateLimits } : host;
  },
  route(route, options, _inherited, context) {
    if (!hasRouteAction(route)) {
      if (options.rateLimitConfigType.case === "ratelimit") context.refuse("ratelimit", "cannot apply rate limits without a route action");
      return route;
    }
    const written = writtenIn(options, context);
    const judged = judging(context);
    const rateLimits = written.flatMap((each) => countedOf(each, judged));
    // Gloo writes this for every route with a `ratelimit` block: it stops inheriting the limits of its virtual host.
    const blocks = written.flatMap(({ said: { value } }) => (value && "includeVhRateLimits" in value ? [value.includeVhRateLimits] : []));
    return onRouteAction(route, (action) => ({
      ...action,
      ...(rateLimits.length > 0 && { rateLimits }),
      ...(blocks.length > 0 && { includeVhRateLimits: blocks.some(Boolean) }),
    }));
  },
};

function settingsOf({ http, world }: Pick<OptionContext, "http" | "world">): Settings | undefined {
  return http?.ratelimitServer ?? world.settings.ratelimitServer;
}

/** When limits are asked for of which that is not said. */
function usualOf(context: OptionContext): When {
  return settingsOf(context)?.rateLimitBeforeAuth ? "early" : "regular";
}

/** A route whose limit cannot be asked for is served, or not, as where the service does not answer. */
function judging(context: OptionContext): OptionContext {
  const denies = settingsOf(context)?.denyOnFail ?? false;
  const outcome = denies
    ? "until then the route is not served, since ratelimitServer has denyOnFail"
    : "until then the route is served without this limit, since ratelimitServer has no denyOnFail";
  const refuse: OptionContext["refuse"] = (field, message, details) =>
    context.refuse(field, message, {
      ...details,
      hint: details?.hint ? `${details.hint}; ${outcome}` : outcome,
      ...(denies && { costs: "route" as const }),
    });
  return { ...context, refuse };
}

/** Where no service is there that could count, and requests are to be denied then, what has limits is refused. */
function countedOf(written: Written, context: OptionContext): LimitInit[] {
  const made = limitsOf(written, context);
  const { ratelimitServerRef: ref, denyOnFail } = settingsOf(context) ?? {};
  if (made.length === 0 || !denyOnFail || ref === undefined || context.world.get("Upstream", ref) !== undefined) return made;
  context.refuse(written.said.case ?? "", "no rate limit service is there to ask, and without its answer no request may pass", {
    reason: "UpstreamNotFound",
    hint: `create the Upstream ${formatRef(ref)}, or correct ratelimitServer.ratelimitServerRef of the Settings or of the Gateway`,
  });
  return [];
}

function filterOf(
  name: string,
  when: When,
  { serviceType, requestTimeout, denyOnFail, enableXRatelimitHeaders }: Settings,
  cluster: string,
): PlacedFilter {
  const authority = serviceType.case === "grpcService" ? serviceType.value.authority : "";
  const value = packAny(FilterSchema, {
    domain: "custom",
    stage: stages[when],
    requestType: "both",
    timeout: requestTimeout ?? { seconds: 0n, nanos: 100_000_000 },
    failureModeDeny: denyOnFail,
    ...(enableXRatelimitHeaders && { enableXRatelimitHeaders: Version.DRAFT_VERSION_03 }),
    rateLimitService: {
      transportApiVersion: ApiVersion.V3,
      grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: cluster, authority } } },
    },
  });
  return { place: places[when], filter: { name, configType: { case: "typedConfig", value } } };
}

type Options = VirtualHostOptions | RouteOptions;
type Said = Options["rateLimitConfigType"] | Options["rateLimitEarlyConfigType"] | Options["rateLimitRegularConfigType"];

interface Written {
  readonly said: Said;
  readonly when: When;
}

function writtenIn(options: Options, context: OptionContext): readonly Written[] {
  const all: readonly Written[] = [
    { said: options.rateLimitConfigType, when: usualOf(context) },
    { said: options.rateLimitEarlyConfigType, when: "early" },
    { said: options.rateLimitRegularConfigType, when: "regular" },
  ];
  return all.filter(({ said }) => said.case !== undefined);
}

function limitsOf({ said, when }: Written, context: OptionContext): LimitInit[] {
  const stage = stages[when];
  switch (said.case) {
    case undefined:
      return [];
    case "rateLimitConfigs":
    case "rateLimitEarlyConfigs":
    case "rateLimitRegularConfigs":
      return said.value.refs.flatMap((ref, i) => referredLimits(ref, `${said.case}.refs[${i}]`, stage, context));
    default:
      if (said.case !== "ratelimit" && said.value.localRatelimit)
        context.warn(`${said.case}.localRatelimit`, "a local limit is applied before authorization, and only once", {
          reason: "OptionNotSupported",
          hint: "write it in ratelimit.localRatelimit",
        });
      return limits(said.value.rateLimits, `${said.case}.rateLimits`, stage, context);
  }
}
