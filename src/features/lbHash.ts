// `lbHash` of a route: what consistent hashing (ring hash, Maglev) is done over.
import { hasRouteAction, onRouteAction, type RouteActionDraft } from "../envoy/drafts.ts";
import type { HashPolicy } from "../gen/gloo/gloo/projects/gloo/api/v1/options/lbhash/lbhash_pb.js";
import type { Feature } from "../plugin/feature.ts";

export const lbHash: Feature = {
  name: "lbHash",
  glooName: "loadbalancer",
  fields: { route: ["lbHash"] },
  route(route, { lbHash: options }, _inherited, { refuse }) {
    if (options === undefined) return route;
    if (!hasRouteAction(route)) {
      const message = "cannot use lbhash plugin on non-Route_Route route actions: cannot use this plugin on non-Route_Route route actions";
      refuse("lbHash", message, { hint: "there are no hosts to choose from" });
      return route;
    }
    return onRouteAction(route, (action) => ({ ...action, hashPolicy: options.hashPolicies.map(policyOf) }));
  },
};

function policyOf({ KeyType: key, terminal }: HashPolicy): NonNullable<RouteActionDraft["hashPolicy"]>[number] {
  switch (key.case) {
    case "header":
      return { terminal, policySpecifier: { case: "header", value: { headerName: key.value } } };
    case "cookie": {
      const { name, ttl, path } = key.value;
      return { terminal, policySpecifier: { case: "cookie", value: { name, path, ...(ttl && { ttl }) } } };
    }
    case "sourceIp":
      return { terminal, policySpecifier: { case: "connectionProperties", value: { sourceIp: key.value } } };
    default:
      // Envoy refuses it, and that is found and said where the route is checked.
      return { terminal };
  }
}
