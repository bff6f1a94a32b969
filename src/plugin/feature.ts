// The contract of a feature: one option across the levels where users may write it. Stateless; each hook is pure, is given what
// has been built so far and returns it refined. One file a feature under src/features, listed in src/builtins.ts.
import type { DescMessage, JsonObject, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { ClusterLoadAssignmentSchema } from "../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import type { FilterSchema } from "../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import type { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import type { VirtualHostSchema, WeightedCluster_ClusterWeightSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type {
  HttpConnectionManagerSchema,
  HttpFilterSchema,
} from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { TcpProxySchema } from "../gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { DestinationSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import type { AuthConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import type { ListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/listener_options_pb.js";
import type { PerRouteConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/options/dynamic_forward_proxy/dynamic_forward_proxy_pb.js";
import type { RouteOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import type { TcpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/tcp_listener_options_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { VirtualHostOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import type { WeightedDestinationOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/weighted_destination_options_pb.js";
import type { Reason } from "../model/catalog.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { FilterPlace } from "../model/filter-stages.ts";
import type { Cost, Report } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import type { SendSecret } from "./tlsContext.ts";
import type { ClusterDraft, RouteDraft, TlsDefaults, UpstreamOf } from "./upstream-type.ts";
import type { World } from "./world.ts";

/** Messages under construction are plain init objects, refined by spreading. */
type Draft<S extends DescMessage> = Exclude<MessageInitShape<S>, Message>;

export type LoadAssignmentDraft = Draft<typeof ClusterLoadAssignmentSchema>;
export type VirtualHostDraft = Draft<typeof VirtualHostSchema>;
export type WeightedClusterDraft = Draft<typeof WeightedCluster_ClusterWeightSchema>;
export type ListenerDraft = Draft<typeof ListenerSchema>;
export type ConnectionManagerDraft = Draft<typeof HttpConnectionManagerSchema>;
export type TcpProxyDraft = Draft<typeof TcpProxySchema>;
export type NetworkFilterDraft = Draft<typeof FilterSchema>;
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
  /** Sends key material apart from the cluster; undefined where it is to stand inside. */
  readonly sendSecret?: SendSecret | undefined;
  /** Sends a further Envoy resource with the cluster, if that is sent: a generated listener, a further cluster. */
  readonly send: <S extends DescMessage>(schema: S, name: string, message: MessageInitShape<S>) => void;
}

/** What the hook of endpoints is given. */
export interface EndpointsContext {
  /**
   * The addresses of a host name. Who asks for them makes the control plane look the name up, again and again; undefined until the
   * first answer.
   */
  readonly addressesOf: (name: string) => readonly string[] | undefined;
}

/** What the hooks of listeners, virtual hosts and routes are given. */
export interface OptionContext extends FeatureContext {
  /**
   * A value that cannot be used: the hook returns what it was given, and the option, or what it protects, is left out.
   * `field` is its place below the options: `cors.allowOriginRegex[0]`. The message is in Gloo's words.
   */
  readonly refuse: (field: string, message: string, details?: OptionFinding) => void;
  readonly warn: (field: string, message: string, details?: OptionFinding) => void;
  /** The options of the HTTP listener that all this is for. */
  readonly http: HttpListenerOptions | undefined;
}

export interface OptionFinding {
  /** `OptionInvalid` when absent. */
  readonly reason?: Reason;
  readonly hint?: string;
  readonly elsewhere?: boolean;
  /** The field is below the route itself, or below the options of the listener that an HTTP or TCP part is of. */
  readonly of?: "route" | "listener";
  /** `option` on a route, everything that holds the option elsewhere. */
  readonly costs?: Cost;
}

export interface RouteContext extends OptionContext {
  /** Where the route leads, when it leads to one Upstream that exists. */
  readonly upstream: Resource<"Upstream"> | undefined;
  /** Of a route that forwards to the host that the request names. */
  readonly proxied: PerRouteConfig | undefined;
}

/** One destination of a route: of the route itself, or of one of its weighted clusters. */
export interface DestinationContext extends OptionContext {
  readonly upstream: Resource<"Upstream">;
  /** The function that the destination calls. */
  readonly call: DestinationSpec["destinationType"];
  /** The path that the first matcher of the route asks for, as it is written; undefined when there is none. */
  readonly matchedPath: string | undefined;
}

/** What can be refined for a destination. Configurations of filters are by name of the filter. */
export interface DestinationDraft {
  readonly typedPerFilterConfig?: unknown;
}

export interface ListenerContext extends OptionContext {
  readonly gateway: Resource<"Gateway">;
  readonly listener: ListenerOptions | undefined;
}

/** The fields that a feature acts on, by the message that holds them. A field that no feature names is reported to its user. */
export interface OptionFields {
  readonly route?: readonly string[];
  readonly virtualHost?: readonly string[];
  readonly weightedDestination?: readonly string[];
  readonly http?: readonly string[];
  readonly listener?: readonly string[];
  readonly tcp?: readonly string[];
}

/** A filter and where it belongs. */
export interface PlacedFilter {
  readonly place: FilterPlace;
  readonly filter: HttpFilterDraft;
  /** Does nothing unless a virtual host or route configures it: left out with `gloo.removeUnusedFilters` where none does. */
  readonly idle?: boolean;
}

export interface AuthConfigFault {
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

/** What the hook of AuthConfigs is given. */
export interface AuthConfigContext {
  readonly world: World;
  /** Key material travels as Secrets, and clusters refer to it. */
  readonly secretsApart: boolean;
}

export interface Feature {
  /** The field of the options it acts on, or a word for it: `cors`, `retries`. */
  readonly name: string;
  /** What Gloo calls it in its texts, where that is another word. */
  readonly glooName?: string;
  readonly fields?: OptionFields;
  /** HTTP filters a listener needs for this feature, given its options. Gloo sends some even when unused; so do we. */
  readonly httpFilters?: (options: HttpListenerOptions | undefined, context: ListenerContext) => readonly PlacedFilter[];
  readonly connectionManager?: (
    manager: ConnectionManagerDraft,
    options: HttpListenerOptions | undefined,
    context: ListenerContext,
  ) => ConnectionManagerDraft;
  /** Clusters that the listener needs for this feature: a collector of logs, dynamic forwarding. Equal ones of several listeners are one. */
  readonly clusters?: (options: HttpListenerOptions | undefined, context: ListenerContext) => readonly EnvoyResource[];
  /** Network filters in front of the HTTP connection manager or TCP proxy. */
  readonly networkFilters?: (
    options: { readonly http?: HttpListenerOptions; readonly tcp?: TcpListenerOptions },
    context: ListenerContext,
  ) => readonly NetworkFilterDraft[];
  /** The TCP proxy of a TCP host. */
  readonly tcpProxy?: (proxy: TcpProxyDraft, options: TcpListenerOptions | undefined, context: ListenerContext) => TcpProxyDraft;
  readonly listener?: (listener: ListenerDraft, options: ListenerOptions | undefined, context: ListenerContext) => ListenerDraft;
  readonly virtualHost?: (host: VirtualHostDraft, options: VirtualHostOptions, context: OptionContext) => VirtualHostDraft;
  /** Runs on virtual hosts and routes also where none of its fields is written. */
  readonly always?: boolean;
  /** `inherited` are the options of the route's virtual host. Runs where one of its fields is written. */
  readonly route?: (
    route: RouteDraft,
    options: RouteOptions,
    inherited: VirtualHostOptions | undefined,
    context: RouteContext,
  ) => RouteDraft;
  readonly weightedDestination?: (
    cluster: WeightedClusterDraft,
    options: WeightedDestinationOptions,
    context: OptionContext,
  ) => WeightedClusterDraft;
  /** What is to be said of an AuthConfig by itself, and made of it, besides what virtual hosts and routes make of it that name it. */
  readonly authConfig?: {
    /** What cannot be done. Then the last good version stays in service, if there is one. */
    readonly fault: (config: AuthConfig) => AuthConfigFault | undefined;
    /** Clusters of the servers whose addresses it has. */
    readonly resources: (config: Resource<"AuthConfig">, context: AuthConfigContext) => readonly EnvoyResource[];
  };
  /** Kinds of functions that `destination` can call: cases of a `destinationSpec`. */
  readonly calls?: readonly NonNullable<DestinationSpec["destinationType"]["case"]>[];
  /** What an Upstream wants of the routes and weighted clusters that lead to it. Runs on each that does. `field` is below the destination. */
  readonly destination?: <D extends DestinationDraft>(draft: D, context: DestinationContext) => D;
  readonly upstream?: (cluster: ClusterDraft, upstream: UpstreamOf<unknown>, context: UpstreamFeatureContext) => ClusterDraft;
  /** Endpoints that travel by EDS, when the type has said which they are. What is wrong with an option, `upstream` says. */
  readonly endpoints?: (assignment: LoadAssignmentDraft, upstream: Upstream, context: EndpointsContext) => LoadAssignmentDraft;
}

/** Returns a route's or virtual host's per-filter configuration with one more filter's. */
export type PerFilterConfig = Record<string, { readonly typeUrl: string; readonly value: Uint8Array }>;

/** Gloo's opaque `extensions`. */
export type Extensions = JsonObject;
