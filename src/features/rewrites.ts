// What the Upstream sees as path and host: `prefixRewrite`, `regexRewrite`, `hostRewrite` and its kin, `appendXForwardedHost`.
import { hasRouteAction, onRouteAction, type RouteActionDraft } from "../envoy/drafts.ts";
import { patternFault, regexRewrite } from "../envoy/regex.ts";
import type { RegexMatchAndSubstitute } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/type/matcher/v3/regex_pb.js";
import type { RouteOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import { isHeaderName } from "../plugin/addedHeaders.ts";
import type { Feature, RouteContext } from "../plugin/feature.ts";

export const rewrites: Feature = {
  name: "rewrites",
  glooName: "basicroute",
  // appendXForwardedHost acts only beside a host rewrite.
  fields: {
    route: [
      "prefixRewrite",
      "regexRewrite",
      "hostRewrite",
      "autoHostRewrite",
      "hostRewriteHeader",
      "hostRewritePathRegex",
      "appendXForwardedHost",
    ],
  },
  route(route, options, _inherited, context) {
    if (!hasRouteAction(route)) return route;
    const programSize = context.world.settings.gloo?.regexMaxProgramSize;
    const { prefixRewrite, regexRewrite: byRegex } = options;
    if (prefixRewrite && byRegex)
      context.refuse("regexRewrite", "prefixRewrite and regexRewrite exclude each other: Envoy takes one of them", {
        reason: "RouteRefusedByEnvoy",
        costs: "route",
        hint: "remove one of the two",
      });
    return onRouteAction(route, (action) => ({
      ...action,
      ...(prefixRewrite !== undefined && { prefixRewrite }),
      ...(byRegex && isRegex(byRegex, "regexRewrite", context) && { regexRewrite: regexRewrite(byRegex, programSize) }),
      ...hostRewrite(options, programSize, context),
    }));
  },
};

function hostRewrite({ hostRewriteType, appendXForwardedHost }: RouteOptions, programSize: number | undefined, context: RouteContext) {
  const specifier = hostSpecifier(hostRewriteType, programSize, context);
  if (specifier === undefined) return {};
  // The setting of that name is about rewrites that Gloo makes itself where a sidecar of Istio's stands beside the proxy.
  return { hostRewriteSpecifier: specifier, ...(appendXForwardedHost && { appendXForwardedHost }) };
}

function hostSpecifier(
  type: RouteOptions["hostRewriteType"],
  programSize: number | undefined,
  context: RouteContext,
): RouteActionDraft["hostRewriteSpecifier"] {
  switch (type.case) {
    case "hostRewrite":
      return { case: "hostRewriteLiteral", value: type.value };
    case "autoHostRewrite":
      return { case: "autoHostRewrite", value: { value: type.value.value } };
    case "hostRewriteHeader":
      if (!isHeaderName(type.value.value)) {
        const shown =
          type.value.value === "" ? "empty HTTP header names are not allowed" : `'${type.value.value}' is an invalid HTTP header key`;
        context.refuse("hostRewriteHeader", shown);
        return undefined;
      }
      return { case: "hostRewriteHeader", value: type.value.value };
    case "hostRewritePathRegex":
      if (!isRegex(type.value, "hostRewritePathRegex", context)) return undefined;
      return { case: "hostRewritePathRegex", value: regexRewrite(type.value, programSize) };
    default:
      return undefined;
  }
}

function isRegex(rewrite: RegexMatchAndSubstitute, field: string, context: RouteContext): boolean {
  const fault = patternFault(rewrite, context.world.settings.gloo?.regexMaxProgramSize);
  if (fault) context.refuse(`${field}.pattern.regex`, fault, { reason: "RegexInvalid", costs: "route" });
  return fault === undefined;
}
