// What a route answers that cannot do what it says: Gloo's `invalidConfigPolicy`.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { onRouteAction } from "../envoy/drafts.ts";
import type { RouteSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { Spec } from "../model/resource.ts";
import type { RouteDraft } from "../plugin/upstream-type.ts";

export const fallbackCluster = "fallback_cluster_for_invalid_routes";

export interface InvalidRoutePolicy {
  /** Routes to clusters that do not exist, and routes with errors, lead to the fallback cluster. */
  readonly replaces: boolean;
  readonly status: number;
  readonly body: string;
}

/** Envoy's limit for the body of a direct response, where a Gateway sets no other. */
export const defaultBodyLimit = 4096;

/** A body beyond the limit would cost the whole route configuration: the answer goes without one. */
export function invalidRoutePolicy(settings: Spec<"Settings">, bodyLimit: number = defaultBodyLimit): InvalidRoutePolicy {
  const policy = settings.gloo?.invalidConfigPolicy;
  const status = policy?.invalidRouteResponseCode ?? 0;
  const body = policy?.invalidRouteResponseBody || "this route has an invalid configuration";
  return {
    replaces: policy?.replaceInvalidRoutes ?? false,
    // Gloo's own default is 0, with which Envoy refuses everything.
    status: status >= 200 && status < 600 ? status : 404,
    body: Buffer.byteLength(body) > bodyLimit ? "" : body,
  };
}

type ActionInit = NonNullable<MessageInitShape<typeof RouteSchema>["action"]>;

/**
 * The action of a route that Envoy would refuse: an answer, so that its requests do not fall through to the next route, which
 * may be meant for others.
 */
export function invalidAction({ status, body }: InvalidRoutePolicy): ActionInit {
  return { case: "directResponse", value: { status, ...(body !== "" && { body: { specifier: { case: "inlineString", value: body } } }) } };
}

/**
 * A route that Gloo replaces leads to a cluster whose listener gives that answer, each of several destinations too. All else of it stays;
 * so does a route that forwards nothing, or to a cluster that the request names.
 */
export function replaced(draft: RouteDraft): RouteDraft {
  return onRouteAction(draft, (action) => {
    const to = action.clusterSpecifier;
    switch (to?.case) {
      case "cluster":
        return { ...action, clusterSpecifier: { case: "cluster", value: fallbackCluster } };
      case "weightedClusters": {
        const clusters = (to.value.clusters ?? []).map((each) => ({ ...(each as object), name: fallbackCluster }));
        return { ...action, clusterSpecifier: { case: "weightedClusters", value: { ...(to.value as object), clusters } } };
      }
      default:
        return action;
    }
  });
}
