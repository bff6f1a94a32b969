// `cors` of a virtual host or route, and how the two combine.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { hasRouteAction, withFilterConfig } from "../envoy/drafts.ts";
import { addedHeaderFault } from "../envoy/header-format.ts";
import { regexFault, regexMatcher } from "../envoy/regex.ts";
import { CorsPolicySchema } from "../gen/envoy/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import type { CorsPolicy } from "../gen/gloo/gloo/projects/gloo/api/v1/options/cors/cors_pb.js";
import { CorsPolicyMergeSettings_MergeStrategy as Merge } from "../gen/gloo/gloo/projects/gloo/api/v1/options/cors/cors_pb.js";
import type { Feature, OptionContext } from "../plugin/feature.ts";
import type { RouteDraft } from "../plugin/upstream-type.ts";

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
    if (options.cors === undefined) return route;
    // As Gloo has it, where either list is empty there is nothing to join.
    const both = [inherited?.cors?.exposeHeaders ?? [], options.cors.exposeHeaders];
    const joins = inherited?.corsPolicyMergeSettings?.exposeHeaders === Merge.UNION && both.every(({ length }) => length > 0);
    const exposed = joins ? [...new Set(both.flat())] : options.cors.exposeHeaders;
    if (!hasRouteAction(route)) return notForwarded(route, { ...options.cors, exposeHeaders: exposed }, context);
    const own = policyOf(options.cors, context);
    if (own === undefined) return route;
    return withFilterConfig(route, filter, CorsPolicySchema, { ...own, exposeHeaders: exposed.join(",") });
  },
};

/** Envoy's filter acts on what is forwarded only. An answer of the gateway's own has the headers written out, whoever asks; as in Gloo. */
function notForwarded(route: RouteDraft, options: CorsPolicy, { refuse }: OptionContext): RouteDraft {
  if (route.action?.case !== "directResponse" || options.disableForRoute) {
    refuse("cors", "cannot use cors plugin on non-Route_Route route actions", { hint: "only what is forwarded has a policy" });
    return route;
  }
  const origins = [...new Set([...options.allowOrigin, ...options.allowOriginRegex])];
  const headers = [
    ["Access-Control-Allow-Origin", "allowOrigin", origins.join(",")],
    ["Access-Control-Allow-Methods", "allowMethods", options.allowMethods.join(",")],
    ["Access-Control-Allow-Headers", "allowHeaders", options.allowHeaders.join(",")],
    ["Access-Control-Expose-Headers", "exposeHeaders", options.exposeHeaders.join(",")],
    ["Access-Control-Max-Age", "maxAge", options.maxAge],
    ["Access-Control-Allow-Credentials", "allowCredentials", String(options.allowCredentials)],
  ] as const;
  const added: { readonly header: { readonly key: string; readonly value: string } }[] = [];
  for (const [key, field, text] of headers) {
    // Here a percent sign would begin a command of Envoy.
    const value = text.replaceAll("%", "%%");
    const fault = addedHeaderFault(key, value);
    if (fault) refuse(`cors.${field}`, fault.message, { hint: fault.hint });
    else added.push({ header: { key, value } });
  }
  if (added.length < headers.length) return route;
  return { ...route, responseHeadersToAdd: [...(route.responseHeadersToAdd ?? []), ...added] };
}

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
    ...(disableForRoute && { filterEnabled: { defaultValue: { numerator: 0 }, runtimeKey: "gloo.routeplugin.cors" } }),
  };
}
