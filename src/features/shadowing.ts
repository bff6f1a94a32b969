// `shadowing` of a route: requests are also sent to another Upstream, whose answers are thrown away.
import { hasRouteAction, onRouteAction } from "../envoy/drafts.ts";
import { clusterName } from "../envoy/names.ts";
import { perMillion } from "../envoy/percent.ts";
import type { Feature } from "../plugin/feature.ts";

export const shadowing: Feature = {
  name: "shadowing",
  fields: { route: ["shadowing"] },
  route(route, { shadowing: options }, _inherited, { refuse }) {
    if (options === undefined) return route;
    if (!hasRouteAction(route)) {
      refuse("shadowing", "cannot use shadowing plugin on non-Route_Route route actions", {
        hint: "only what is forwarded can be mirrored",
      });
      return route;
    }
    const { upstream, percentage, disableShadowHostSuffixAppend, hostRewriteLiteral } = options;
    if (upstream === undefined) {
      refuse("shadowing.upstream", "invalid plugin spec: must specify an upstream ref");
      return route;
    }
    if (!(percentage >= 0 && percentage <= 100)) {
      refuse("shadowing.percentage", `shadow percentage must be between 0 and 100, received ${percentage}`);
      return route;
    }
    const policy = {
      cluster: clusterName(upstream),
      runtimeFraction: { defaultValue: perMillion(percentage) },
      ...(disableShadowHostSuffixAppend && { disableShadowHostSuffixAppend }),
      ...(hostRewriteLiteral !== "" && { hostRewriteLiteral }),
    };
    return onRouteAction(route, (action) => ({ ...action, requestMirrorPolicies: [policy] }));
  },
};
