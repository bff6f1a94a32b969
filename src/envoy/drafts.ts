// Refining Envoy messages under construction.

import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { RouteActionSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { packAny } from "./encode.ts";

export type RouteActionDraft = Exclude<MessageInitShape<typeof RouteActionSchema>, Message>;

/** The route with its action refined; redirects and direct responses have none and stay as they are. */
export function onRouteAction<R extends { readonly action?: unknown }>(
  route: R,
  refine: (action: RouteActionDraft) => RouteActionDraft,
): R {
  const action = route.action as { case?: string; value?: RouteActionDraft } | undefined;
  if (action?.case !== "route") return route;
  return { ...route, action: { case: "route", value: refine(action.value ?? {}) } };
}

export function hasRouteAction(route: { readonly action?: unknown }): boolean {
  return (route.action as { case?: string } | undefined)?.case === "route";
}

/** With one more filter's configuration for this virtual host, route or weighted cluster. */
export function withFilterConfig<D extends { readonly typedPerFilterConfig?: unknown }, S extends DescMessage>(
  draft: D,
  filter: string,
  schema: S,
  config: MessageInitShape<S>,
): D {
  const others = draft.typedPerFilterConfig as Record<string, Any> | undefined;
  return { ...draft, typedPerFilterConfig: { ...others, [filter]: packAny(schema, config) } };
}

/** The same where Gloo writes it with the destinations: of several, each has it. */
export function withDestinationConfig<
  R extends { readonly action?: unknown; readonly typedPerFilterConfig?: unknown },
  S extends DescMessage,
>(route: R, filter: string, schema: S, config: MessageInitShape<S>): R {
  const action = route.action as { case?: string; value?: RouteActionDraft } | undefined;
  const to = action?.value?.clusterSpecifier;
  if (to?.case !== "weightedClusters") return withFilterConfig(route, filter, schema, config);
  const clusters = (to.value.clusters ?? []).map((cluster) => withFilterConfig({ ...cluster }, filter, schema, config));
  return onRouteAction(route, (draft) => ({
    ...draft,
    clusterSpecifier: { case: "weightedClusters", value: { ...(to.value as object), clusters } },
  }));
}
