// The gRPC methods of xDS, in one table: everything that is registered, and guarded, comes from here.
import { type TypeUrl, typeUrls } from "../model/envoy-resource.ts";
import type { Variant } from "./wire.ts";

export interface XdsMethod {
  readonly path: string;
  /** Undefined for the unary Fetch methods, which nothing in use calls: they are guarded like all others and say UNIMPLEMENTED. */
  readonly variant: Variant | undefined;
  /** The only type that the method serves; undefined for ADS, where each request says its own. */
  readonly typeUrl: TypeUrl | undefined;
}

const ofOneType: readonly (readonly [service: string, noun: string, typeUrl: TypeUrl])[] = [
  ["envoy.service.cluster.v3.ClusterDiscoveryService", "Clusters", typeUrls.cluster],
  ["envoy.service.endpoint.v3.EndpointDiscoveryService", "Endpoints", typeUrls.endpoint],
  ["envoy.service.listener.v3.ListenerDiscoveryService", "Listeners", typeUrls.listener],
  ["envoy.service.route.v3.RouteDiscoveryService", "Routes", typeUrls.route],
  ["envoy.service.secret.v3.SecretDiscoveryService", "Secrets", typeUrls.secret],
  ["envoy.service.runtime.v3.RuntimeDiscoveryService", "Runtime", typeUrls.runtime],
];

const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

export const xdsMethods: readonly XdsMethod[] = [
  { path: `${ads}/StreamAggregatedResources`, variant: "sotw", typeUrl: undefined },
  { path: `${ads}/DeltaAggregatedResources`, variant: "delta", typeUrl: undefined },
  ...ofOneType.flatMap(([service, noun, typeUrl]): XdsMethod[] => [
    { path: `/${service}/Stream${noun}`, variant: "sotw", typeUrl },
    { path: `/${service}/Delta${noun}`, variant: "delta", typeUrl },
    { path: `/${service}/Fetch${noun}`, variant: undefined, typeUrl },
  ]),
];
