// What leaves translation: an Envoy resource, encoded once. The same bytes go to every client and to the embedded data plane.
import type { ResourceKey } from "./ref.ts";

export type TypeUrl = `type.googleapis.com/${string}`;

export const typeUrls = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
  runtime: "type.googleapis.com/envoy.service.runtime.v3.Runtime",
} as const satisfies Record<string, TypeUrl>;

export interface EnvoyResource {
  readonly typeUrl: TypeUrl;
  /** Unique among resources of this type for one proxy. */
  readonly name: string;
  /** Hash of the content: equal bytes have equal versions, on any machine and after any restart. */
  readonly version: string;
  /** The message itself (not wrapped in Any). Never written to after creation. */
  readonly bytes: Uint8Array;
  /** Our resources this was made from, for blame: a NACK becomes a Problem on these. */
  readonly owners: readonly ResourceKey[];
}

/** Of any type, a key that no other resource of the proxy has. */
export function resourceKeyOf({ typeUrl, name }: { readonly typeUrl: string; readonly name: string }): string {
  return `${typeUrl} ${name}`;
}

/** `Cluster` of `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function kindOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
}

/** What a batch changed in one proxy's resources. */
export interface ResourceChanges {
  readonly upserts: readonly EnvoyResource[];
  readonly removals: readonly { readonly typeUrl: TypeUrl; readonly name: string }[];
}

/** Picks the Proxy that a node gets: `namespace~name`, as in Envoy's `node.metadata.role`. */
export type ProxyKey = `${string}~${string}`;

/**
 * Takes what translation made, a consistent batch at a time: the xDS server and the embedded data plane.
 * `publish` never waits and never throws for what is in the resources.
 */
export interface ResourceConsumer {
  publish(proxy: ProxyKey, changes: ResourceChanges): void;
  /** The proxy no longer exists: its clients get an empty set of listeners and routes last. */
  retire(proxy: ProxyKey): void;
  /**
   * Some of what there was before we started cannot be read, and nobody knows what was made of it: what clients have from then and we do
   * not know is not taken from them as long as that is so. Absent where nothing outlives us.
   */
  keepUnknown?(isSo: boolean): void;
}

/** Takes resources that come from elsewhere, over xDS, and says of each batch what could not be taken. What is refused stays as it was before. */
export interface ResourceTaker {
  /** Resolves when the batch is in force. */
  apply(changes: ResourceChanges): Promise<readonly RefusedResource[]>;
  /** Why the resource could not be taken; nothing is changed. */
  check(resource: EnvoyResource): Promise<string | undefined>;
}

export interface RefusedResource {
  readonly typeUrl: TypeUrl;
  readonly name: string;
  readonly reason: string;
}

/** A client refused a resource. `resource` is the exact version refused. */
export interface Refusal {
  readonly proxy: ProxyKey;
  readonly node: string;
  readonly resource: EnvoyResource;
  /** Scrubbed of key material. */
  readonly message: string;
  /** The version that clients took before this one, where it is known. */
  readonly acceptedBefore?: string;
  /** The client goes on with an earlier version. */
  readonly keepsEarlier?: boolean;
  /** Another client runs the refused version: it is the client that is odd. */
  readonly isTaken?: boolean;
  /** There is a newer version by now, which may be the correction. */
  readonly isSuperseded?: boolean;
}
