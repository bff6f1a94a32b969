// `sanitizeClusterHeader` of a listener: the header that names the cluster of a `clusterHeader` route chooses it, and goes no further.
import { hasRouteAction } from "../envoy/drafts.ts";
import type { Feature } from "../plugin/feature.ts";

export const sanitizeClusterHeader: Feature = {
  name: "sanitizeClusterHeader",
  glooName: "sanitize_cluster_header",
  fields: { http: ["sanitizeClusterHeader"] },
  always: true,
  route(route, _options, _inherited, { http }) {
    if (http?.sanitizeClusterHeader !== true || !hasRouteAction(route)) return route;
    const specifier = (route.action?.value as { clusterSpecifier?: { case?: string; value?: unknown } } | undefined)?.clusterSpecifier;
    if (specifier?.case !== "clusterHeader") return route;
    return { ...route, requestHeadersToRemove: [...(route.requestHeadersToRemove ?? []), specifier.value as string] };
  },
};
