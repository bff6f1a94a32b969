// `cors` of a virtual host or route, and how the two combine.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { hasRouteAction, withFilterConfig } from "../envoy/drafts.ts";
import { regexFault, regexMatcher } from "../envoy/regex.ts";
import { CorsPolicySchema } from "../gen/envoy/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import type { CorsPolicy } from "../gen/gloo/gloo/projects/gloo/api/v1/options/cors/cors_pb.js";
import { CorsPolicyMergeSettings_MergeStrategy as Merge } from "../gen/gloo/gloo/projects/gloo/api/v1/options/cors/cors_pb.js";
import type { Feature, OptionContext } from "../plugin/feature.ts";

type PolicyInit = MessageInitShape<typeof CorsPolicySchema>;

const filter = "envoy.filters.http.cors";

export const cors: Feature = {
  name: "cors",
  fields: { route: ["cors"], virtualHost: ["cors", "corsPolicyMergeSettings"] },
  virtualHost(host, options, context) {
    const policy = options.cors && policyOf(options.cors, context);
    return policy ? withFilterConfig(host, filter, CorsPolicySchema, policy) : host;
  },
  route(route, options, inherited, context) {
    // Only forwarded requests have a policy, as in Gloo.
    if (options.cors === undefined || !hasRouteAction(route)) return route;
    const own = policyOf(options.cors, context);
    if (own === undefined) return route;
    const joins = inherited?.corsPolicyMergeSettings?.exposeHeaders === Merge.UNION && inherited.cors;
    const exposed = joins ? [...new Set([...joins.exposeHeaders, ...options.cors.exposeHeaders])] : options.cors.exposeHeaders;
    return withFilterConfig(route, filter, CorsPolicySchema, { ...own, exposeHeaders: exposed.join(",") });
  },
};

function policyOf(options: CorsPolicy, context: OptionContext): PolicyInit | undefined {
  const { allowOrigin, allowOriginRegex, allowMethods, allowHeaders, exposeHeaders, maxAge, allowCredentials, disableForRoute } = options;
  // Gloo asks for origins also where the policy is switched off and needs none.
  if (allowOrigin.length === 0 && allowOriginRegex.length === 0 && !disableForRoute) {
    context.refuse("cors", "must provide at least one of AllowOrigin or AllowOriginRegex", {
      hint: 'allowOrigin: ["https://example.com"]',
    });
    return undefined;
  }
  for (const [i, regex] of allowOriginRegex.entries()) {
    const fault = regexFault(regex, context.world.settings.gloo?.regexMaxProgramSize);
    if (fault === undefined) continue;
    context.refuse(`cors.allowOriginRegex[${i}]`, fault, { reason: "RegexInvalid" });
    return undefined;
  }
  const programSize = context.world.settings.gloo?.regexMaxProgramSize;
  return {
    allowOriginStringMatch: [
      ...allowOrigin.map((value) => ({ matchPattern: { case: "exact" as const, value } })),
      ...allowOriginRegex.map((regex) => ({ matchPattern: { case: "safeRegex" as const, value: regexMatcher(regex, programSize) } })),
    ],
    allowMethods: allowMethods.join(","),
    allowHeaders: allowHeaders.join(","),
    exposeHeaders: exposeHeaders.join(","),
    maxAge,
    ...(allowCredentials && { allowCredentials: true }),
    ...(disableForRoute && { filterEnabled: { defaultValue: { numerator: 0 } } }),
  };
}
