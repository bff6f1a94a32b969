// The contract of a feature: one option across the levels where users may write it. Stateless; each hook is pure, is given what
// has been built so far and returns it refined. One file a feature under src/features, listed in src/builtins.ts.
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import type { VirtualHostSchema, WeightedCluster_ClusterWeightSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type {
  HttpConnectionManagerSchema,
  HttpFilterSchema,
} from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import type { ListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/listener_options_pb.js";
import type { RouteOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import type { VirtualHostOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import type { WeightedDestinationOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/weighted_destination_options_pb.js";
import type { FilterPlace } from "../model/filter-stages.ts";
import type { Report } from "../model/problem.ts";
import type { ClusterDraft, RouteDraft, TlsDefaults, UpstreamOf } from "./upstream-type.ts";
import type { World } from "./world.ts";

export type VirtualHostDraft = MessageInitShape<typeof VirtualHostSchema>;
export type WeightedClusterDraft = MessageInitShape<typeof WeightedCluster_ClusterWeightSchema>;
export type ListenerDraft = MessageInitShape<typeof ListenerSchema>;
export type ConnectionManagerDraft = MessageInitShape<typeof HttpConnectionManagerSchema>;
export type HttpFilterDraft = MessageInitShape<typeof HttpFilterSchema>;

export interface FeatureContext {
  readonly world: World;
  readonly report: Report;
  /** Path of the options in the resource, for findings: `virtualHost.routes[2].options`. */
  readonly path: string;
}

export interface UpstreamFeatureContext extends FeatureContext {
  /** What the type of the Upstream says about TLS. */
  readonly tls: TlsDefaults | undefined;
}

/** A filter and where it belongs. */
export interface PlacedFilter {
  readonly place: FilterPlace;
  readonly filter: HttpFilterDraft;
}

export interface Feature {
  /** The field of the options it acts on, or a word for it: `cors`, `retries`. */
  readonly name: string;
  /** HTTP filters a listener needs for this feature, given its options. Gloo sends some even when unused; so do we. */
  readonly httpFilters?: (options: HttpListenerOptions | undefined, context: FeatureContext) => readonly PlacedFilter[];
  readonly connectionManager?: (
    manager: ConnectionManagerDraft,
    options: HttpListenerOptions | undefined,
    context: FeatureContext,
  ) => ConnectionManagerDraft;
  readonly listener?: (listener: ListenerDraft, options: ListenerOptions | undefined, context: FeatureContext) => ListenerDraft;
  readonly virtualHost?: (host: VirtualHostDraft, options: VirtualHostOptions, context: FeatureContext) => VirtualHostDraft;
  /** `inherited` are the options of the route's virtual host. */
  readonly route?: (
    route: RouteDraft,
    options: RouteOptions,
    inherited: VirtualHostOptions | undefined,
    context: FeatureContext,
  ) => RouteDraft;
  readonly weightedDestination?: (
    cluster: WeightedClusterDraft,
    options: WeightedDestinationOptions,
    context: FeatureContext,
  ) => WeightedClusterDraft;
  readonly upstream?: (cluster: ClusterDraft, upstream: UpstreamOf<unknown>, context: UpstreamFeatureContext) => ClusterDraft;
}

/** Returns a route's or virtual host's per-filter configuration with one more filter's. */
export type PerFilterConfig = Record<string, { readonly typeUrl: string; readonly value: Uint8Array }>;

/** Gloo's opaque `extensions`. */
export type Extensions = JsonObject;
