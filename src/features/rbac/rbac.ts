// `rbac` of virtual hosts and routes, and `rbac.requireRbac` of the Settings: who may do what, by the claims of JSON Web Tokens that the feature
// jwt has verified. What no policy allows is refused (403). Policies without a token that they could be about let nobody in.
//
// Envoy's filter stands empty in every listener, and the rules come with virtual hosts and routes. It is not switched off there: it would
// then be chosen by the first route of a request, and a claim may choose another one.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../../envoy/drafts.ts";
import { packAny } from "../../envoy/encode.ts";
import { RBACPerRouteSchema, RBACSchema } from "../../gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { ExtensionSettings } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/rbac/rbac_pb.js";
import type { Feature, OptionContext, PlacedFilter } from "../../plugin/feature.ts";
import { checksOfHost, checksOfRoute, type TokenChecks } from "../../plugin/tokenChecks.ts";
import { guarded } from "./led.ts";
import { policiesInit } from "./policies.ts";

type PerRouteInit = MessageInitShape<typeof RBACPerRouteSchema>;

/** Not Envoy's name: another filter of that type may stand beside it. */
const filter = "io.solo.filters.http.rbac";

const empty: readonly PlacedFilter[] = [
  { place: { stage: "authz" }, filter: { name: filter, configType: { case: "typedConfig", value: packAny(RBACSchema, {}) } } },
];

const off: PerRouteInit = {};
const nobody: PerRouteInit = { rbac: { rules: {} } };

export const rbac: Feature = {
  name: "rbac",
  // Policies mean the tokens of the route, which its own providers change.
  fields: { virtualHost: ["rbac"], route: ["rbac", "jwt", "jwtStaged", "jwtProvidersStaged"] },
  always: true,
  httpFilters: () => empty,
  virtualHost(host, options, context) {
    const config = options.rbac ? perRoute(options.rbac, checksOfHost(options), context) : required(context);
    return guarded(config ? withFilterConfig(host, filter, RBACPerRouteSchema, config) : host, filter, context);
  },
  route(route, options, inherited, context) {
    // Nearly all routes say nothing of it.
    if (!options.rbac && options.jwtConfig.case === undefined) return route;
    const checks = checksOfRoute(options, inherited);
    if (options.rbac) {
      // An unprotected route is worse than none.
      const refuse: OptionContext["refuse"] = (field, message, details) => context.refuse(field, message, { ...details, costs: "route" });
      const config = perRoute(options.rbac, checks, { ...context, refuse });
      return config ? withFilterConfig(route, filter, RBACPerRouteSchema, config) : route;
    }
    if (!inherited?.rbac || inherited.rbac.disable) return route;
    const silent = { ...context, refuse: () => {}, warn: () => {} };
    const config = perRoute(inherited.rbac, checks, silent);
    return config ? withFilterConfig(route, filter, RBACPerRouteSchema, config) : route;
  },
};

function required({ world }: OptionContext): PerRouteInit | undefined {
  return world.settings.rbac?.requireRbac ? nobody : undefined;
}

function perRoute({ disable, policies }: ExtensionSettings, checks: TokenChecks, context: OptionContext): PerRouteInit | undefined {
  if (disable) return off;
  if (Object.keys(policies).length === 0) {
    context.warn("rbac.policies", "there is no policy, so every request is refused", {
      hint: "write a policy that allows something, or disable: true",
    });
    return nobody;
  }
  const made = policiesInit(policies, checks, "rbac.policies", context);
  return made && { rbac: { rules: { policies: made } } };
}
