// The contract of an Upstream type. One exported value that reads like a table of contents: only the hooks a type has.
//
//   export const pipe = defineUpstreamType({
//     kind: "pipe",
//     cluster: ({ spec, name }, { report }) => { … return { name, … } },
//   });
//
// A type decides what is particular to it. What all types share (TLS, health checks, load balancing, …) is added by
// features after `cluster` has returned; the order of things, statuses and last good versions are the flow's.
//
// Types of users have the very same hooks. Theirs is not in the oneof of the API, so they name their kind freely and say how
// their part of the YAML is read: `parse`. See examples/custom-type and docs/decisions/0002-upstream-type-contract.md.
import type { JsonObject, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { RouteSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { DestinationSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { Report } from "../model/problem.ts";
import type { Ref, ResourceKey } from "../model/ref.ts";
import type { Spec } from "../model/resource.ts";
import type { World } from "./world.ts";

/** The cases of the oneof `upstream_type`: `static`, `kube`, `awsEc2` … */
export type UpstreamKind = NonNullable<Upstream["upstreamType"]["case"]>;

/** The message of one type: `SpecOf<"static">` is `static.options.gloo.solo.io.UpstreamSpec`. */
export type SpecOf<K extends UpstreamKind> = Extract<Upstream["upstreamType"], { case: K }>["value"];

/** One Upstream as its type sees it; `S` is what the type reads from the YAML. */
export interface UpstreamOf<S> {
  readonly key: ResourceKey;
  readonly ref: Ref;
  /** Name of its cluster: `name_namespace`. */
  readonly name: string;
  /** The type's own message, or what the `parse` of a user's type returned. */
  readonly spec: S;
  /** The whole Upstream, for options common to all types. */
  readonly upstream: Upstream;
}

/** One Upstream of a built-in type. */
export type TypedUpstream<K extends UpstreamKind = UpstreamKind> = UpstreamOf<SpecOf<K>>;

/** What pure hooks are given: read access to the rest, and where to put findings. */
export interface TypeContext {
  readonly world: World;
  readonly report: Report;
}

/** An Envoy Cluster under construction: a plain init object, so that features can refine it by spreading. */
export type ClusterDraft = Exclude<MessageInitShape<typeof ClusterSchema>, Message> & { readonly name: string };

/** An Envoy route under construction. */
export type RouteDraft = Exclude<MessageInitShape<typeof RouteSchema>, Message>;

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
  /** What a transport socket match of the cluster asks for: metadata `envoy.transport_socket_match`. */
  readonly socketMatch?: Readonly<Record<string, string>>;
  /** What else is known of it, for logs and the like: metadata `io.solo.annotations`, as Gloo has it. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly health?: "healthy" | "draining" | "unhealthy" | "degraded";
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string };
}

/** What a type says about TLS towards its endpoints. The feature `sslConfig` makes transport sockets of it. */
export interface TlsDefaults {
  /** TLS even where the Upstream has no `sslConfig`. */
  readonly isOn: boolean;
  /** The SNI of TLS that no `sslConfig` describes. */
  readonly sni?: string;
  /**
   * Where each address wants its own SNI: `name` is the key which the address carries in its metadata
   * `envoy.transport_socket_match`. These win over the SNI of the cluster.
   */
  readonly byEndpoint?: readonly { readonly name: string; readonly sni: string }[];
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
  /**
   * An Upstream that a destination of a route means without naming it (`consul: {serviceName}`). It is there also where discovery of
   * Upstreams is off, lives in memory only and is nobody's to edit.
   */
  readonly isImplied?: boolean;
}

/** What a hook that talks to the world is given. */
export interface EdgeContext {
  readonly signal: AbortSignal;
  /** `Settings` as they are in service now. When they change, hooks are ended by their signal and called anew; what they yielded stays. */
  readonly settings: () => Spec<"Settings">;
  /** A Secret as it is in service now. */
  readonly secret: (ref: Ref) => Spec<"Secret"> | undefined;
  /**
   * The endpoints of an Upstream that are in service now, also from before a restart; for judging a first answer from the outside that
   * says there are none.
   */
  readonly endpointsInService?: (upstream: ResourceKey) => readonly Endpoint[] | undefined;
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
export type UpstreamWatch<U> = AsyncIterable<readonly U[]>;

/** The hooks of a type; all but `cluster` are absent where a type has no use for them. */
export interface UpstreamHooks<U> {
  /** Pure. Judges the spec beyond what `cluster` finds anyway. */
  readonly validate?: (upstream: U, context: TypeContext) => void;
  /** Pure. The cluster, or undefined after at least one `report.error`. `connectTimeout` has its default already. */
  readonly cluster: (upstream: U, context: TypeContext) => ClusterDraft | undefined;
  /** Pure. Whether and how TLS is spoken where the user says nothing; absent: only with an `sslConfig`. */
  readonly tls?: (upstream: U) => TlsDefaults;
  /**
   * Pure, for types whose addresses are known from other resources (kube: Endpoints): the cluster's endpoints.
   * Runs apart from `cluster`, so that an address change touches nothing but EDS.
   */
  readonly assignment?: (upstream: U, context: TypeContext) => readonly Endpoint[];
  /**
   * Edge, for types whose addresses live elsewhere (consul, awsEc2). Follows all Upstreams of the type and yields whole sets.
   * An outage yields nothing: the last set stays in service.
   */
  readonly endpoints?: (upstreams: UpstreamWatch<U>, context: EdgeContext) => AsyncIterable<EndpointUpdate>;
  /** Edge. Looks outward and yields, each time, the whole list of Upstreams that should exist. */
  readonly discover?: (context: EdgeContext) => AsyncIterable<readonly DiscoveredUpstream[]>;
  /**
   * Edge. Functions behind Upstreams of this type (Lambda); other kinds of functions are in functions/. Follows those Upstreams that are
   * to be asked, without functions found before, and yields an Upstream with its functions when they change. An outage yields nothing:
   * what was found stays.
   */
  readonly functions?: (
    upstreams: UpstreamWatch<U>,
    context: EdgeContext,
  ) => AsyncIterable<{ readonly key: ResourceKey; readonly spec: Upstream }>;
  /** Pure. What a route to this Upstream needs (function invocation): returns the refined route. */
  readonly route?: (route: RouteDraft, upstream: U, destination: DestinationSpec | undefined, context: TypeContext) => RouteDraft;
  /** Pure. Envoy resources besides the cluster: a generated listener, a further cluster. */
  readonly extras?: (upstream: U, context: TypeContext) => readonly EnvoyResource[];
}

/** A built-in type: a case of the oneof. */
export interface UpstreamType<K extends UpstreamKind = UpstreamKind> extends UpstreamHooks<TypedUpstream<K>> {
  readonly kind: K;
}

/**
 * A type of the user's own, named in `headworks.config.ts`. In YAML it is the field of `spec` with the name of its kind, as the
 * built-in ones are.
 */
export interface CustomUpstreamType<S> extends UpstreamHooks<UpstreamOf<S>> {
  /** A lower camel case word that no field of an Upstream has. */
  readonly kind: string;
  /**
   * Pure. Reads the object under `spec.<kind>`; says what is wrong with it through `report.error("PluginProblem", …)`
   * and then returns undefined. The only place where the object is untyped.
   */
  readonly parse: (json: JsonObject, report: Report) => S | undefined;
}

/** Any type, where what its spec is does not matter: the flow hands each type the Upstreams of its kind and no others. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where the types' own specs are forgotten, so that lists can hold them all
export type AnyUpstreamType = UpstreamHooks<any> & { readonly kind: string; readonly parse?: CustomUpstreamType<unknown>["parse"] };

/** Gives a type its exact TypeScript type; the way to write one. */
export function defineUpstreamType<K extends UpstreamKind>(type: UpstreamType<K>): UpstreamType<K>;
export function defineUpstreamType<S>(type: CustomUpstreamType<S>): CustomUpstreamType<S>;
export function defineUpstreamType(type: AnyUpstreamType): AnyUpstreamType {
  return type;
}
