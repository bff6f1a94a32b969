// The contract of an Upstream type. One exported value that reads like a table of contents: only the hooks a type has.
//
//   export const pipe = defineUpstreamType({
//     kind: "pipe",
//     cluster: ({ spec, name }, { report }) => { … return { name, … } },
//   });
//
// A type decides what is particular to it. What all types share (TLS, health checks, load balancing, …) is added by
// features after `cluster` has returned; the order of things, statuses and last good versions are the flow's.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { RouteSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { DestinationSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { Report } from "../model/problem.ts";
import type { Ref, ResourceKey } from "../model/ref.ts";
import type { World } from "./world.ts";

/** The cases of the oneof `upstream_type`: `static`, `kube`, `awsEc2` … */
export type UpstreamKind = NonNullable<Upstream["upstreamType"]["case"]>;

/** The message of one type: `SpecOf<"static">` is `static.options.gloo.solo.io.UpstreamSpec`. */
export type SpecOf<K extends UpstreamKind> = Extract<Upstream["upstreamType"], { case: K }>["value"];

/** One Upstream as its type sees it. */
export interface TypedUpstream<K extends UpstreamKind = UpstreamKind> {
  readonly key: ResourceKey;
  readonly ref: Ref;
  /** Name of its cluster: `name_namespace`. */
  readonly name: string;
  /** The type's own message. */
  readonly spec: SpecOf<K>;
  /** The whole Upstream, for options common to all types. */
  readonly upstream: Upstream;
}

/** What pure hooks are given: read access to the rest, and where to put findings. */
export interface TypeContext {
  readonly world: World;
  readonly report: Report;
}

/** An Envoy Cluster under construction: a plain init object, so that features can refine it by spreading. */
export type ClusterDraft = MessageInitShape<typeof ClusterSchema> & { readonly name: string };

/** An Envoy route under construction. */
export type RouteDraft = MessageInitShape<typeof RouteSchema>;

/** One address behind an Upstream. */
export interface Endpoint {
  /** What Envoy dials: an IP address, or a Unix socket path (then `port` is undefined). */
  readonly address: string;
  readonly port?: number;
  /** For Host and SNI where a type knows a name. */
  readonly hostname?: string;
  readonly weight?: number;
  /** Subset keys: metadata `envoy.lb`. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly health?: "healthy" | "draining" | "unhealthy" | "degraded";
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string };
}

/** The whole set of addresses of one Upstream, in any order (they are sorted before they are compared and sent). */
export interface EndpointUpdate {
  readonly key: ResourceKey;
  readonly endpoints: readonly Endpoint[];
}

/** An Upstream that discovery proposes: `spec` without metadata. */
export interface DiscoveredUpstream {
  readonly ref: Ref;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec: Upstream;
}

/** What a hook that talks to the world is given. */
export interface EdgeContext {
  readonly signal: AbortSignal;
  /** Findings about the outside (unreachable, denied). Replaces what this hook reported before for the same resource. */
  readonly report: (report: Report) => void;
  readonly log: Logger;
}

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The Upstreams of one type, now and as they change; a new list whenever one does. */
export type UpstreamWatch<K extends UpstreamKind> = AsyncIterable<readonly TypedUpstream<K>[]>;

export interface UpstreamType<K extends UpstreamKind = UpstreamKind> {
  readonly kind: K;
  /** Pure. Judges the spec beyond what `cluster` finds anyway. */
  readonly validate?: (upstream: TypedUpstream<K>, context: TypeContext) => void;
  /** Pure. The cluster, or undefined after at least one `report.error`. */
  readonly cluster: (upstream: TypedUpstream<K>, context: TypeContext) => ClusterDraft | undefined;
  /**
   * Pure, for types whose addresses are known from other resources (kube: EndpointSlices): the cluster's endpoints.
   * Runs apart from `cluster`, so that an address change touches nothing but EDS.
   */
  readonly assignment?: (upstream: TypedUpstream<K>, context: TypeContext) => readonly Endpoint[];
  /**
   * Edge, for types whose addresses live elsewhere (consul, awsEc2). Follows all Upstreams of the type and yields whole sets.
   * An outage yields nothing: the last set stays in service.
   */
  readonly endpoints?: (upstreams: UpstreamWatch<K>, context: EdgeContext) => AsyncIterable<EndpointUpdate>;
  /** Edge. Looks outward and yields, each time, the whole list of Upstreams that should exist. */
  readonly discover?: (context: EdgeContext) => AsyncIterable<readonly DiscoveredUpstream[]>;
  /** Edge. Functions behind an Upstream of this type (Lambda); other kinds of functions are in functions/. */
  readonly functions?: (
    upstreams: UpstreamWatch<K>,
    context: EdgeContext,
  ) => AsyncIterable<{ readonly key: ResourceKey; readonly spec: Upstream }>;
  /** Pure. What a route to this Upstream needs (function invocation): returns the refined route. */
  readonly route?: (
    route: RouteDraft,
    upstream: TypedUpstream<K>,
    destination: DestinationSpec | undefined,
    context: TypeContext,
  ) => RouteDraft;
  /** Pure. Envoy resources besides the cluster: a generated listener, a further cluster. */
  readonly extras?: (upstream: TypedUpstream<K>, context: TypeContext) => readonly EnvoyResource[];
}

/** Gives a type its exact TypeScript type; the way to write one. */
export function defineUpstreamType<K extends UpstreamKind>(type: UpstreamType<K>): UpstreamType<K> {
  return type;
}
