// `csrf` of a listener, virtual host, route or weighted destination: requests from other origins are refused.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { regexMatcher } from "../envoy/regex.ts";
import { CsrfPolicySchema } from "../gen/envoy/envoy/extensions/filters/http/csrf/v3/csrf_pb.js";
import type { RuntimeFractionalPercent } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/config/core/v3/base_pb.js";
import type { CsrfPolicy } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/filters/http/csrf/v3/csrf_pb.js";
import type { StringMatcher } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/type/matcher/v3/string_pb.js";
import type { Feature } from "../plugin/feature.ts";

type PolicyInit = MessageInitShape<typeof CsrfPolicySchema>;

const filter = "envoy.filters.http.csrf";

export const csrf: Feature = {
  name: "csrf",
  fields: { http: ["csrf"], virtualHost: ["csrf"], route: ["csrf"], weightedDestination: ["csrf"] },
  httpFilters(options, { world }) {
    if (!options?.csrf && world.settings.gloo?.removeUnusedFilters) return [];
    const value = packAny(CsrfPolicySchema, options?.csrf ? policy(options.csrf) : { filterEnabled: { defaultValue: {} } });
    return [{ place: { stage: "route" }, filter: { name: filter, configType: { case: "typedConfig", value } } }];
  },
  virtualHost: (host, { csrf: options }) => (options ? withFilterConfig(host, filter, CsrfPolicySchema, policy(options)) : host),
  route: (route, { csrf: options }) => (options ? withFilterConfig(route, filter, CsrfPolicySchema, policy(options)) : route),
  weightedDestination: (cluster, { csrf: options }) =>
    options ? withFilterConfig(cluster, filter, CsrfPolicySchema, policy(options)) : cluster,
};

function policy({ filterEnabled, shadowEnabled, additionalOrigins }: CsrfPolicy): PolicyInit {
  return {
    // Envoy requires the first; a policy that only shadows enforces nothing.
    filterEnabled: filterEnabled ? fraction(filterEnabled) : { defaultValue: {} },
    ...(!filterEnabled && shadowEnabled && { shadowEnabled: fraction(shadowEnabled) }),
    ...(additionalOrigins.length > 0 && { additionalOrigins: additionalOrigins.map(stringMatcher) }),
  };
}

function fraction({ defaultValue, runtimeKey }: RuntimeFractionalPercent): NonNullable<PolicyInit["filterEnabled"]> {
  return {
    defaultValue: { numerator: defaultValue?.numerator ?? 0, denominator: (defaultValue?.denominator ?? 0) as number },
    runtimeKey,
  };
}

function stringMatcher({ matchPattern, ignoreCase }: StringMatcher): NonNullable<PolicyInit["additionalOrigins"]>[number] {
  const pattern =
    matchPattern.case === "safeRegex"
      ? ({ case: "safeRegex", value: regexMatcher(matchPattern.value.regex) } as const)
      : (matchPattern as { case: "exact"; value: string });
  return { matchPattern: pattern, ignoreCase };
}
