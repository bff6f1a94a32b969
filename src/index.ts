// The library: what a headworks.config.ts imports.

export { edsCluster } from "./envoy/edsCluster.ts";
export { packAny } from "./envoy/encode.ts";
export { pipeAddress, socketAddress } from "./envoy/endpoint.ts";
export { Cluster_DiscoveryType } from "./gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
export { Report } from "./model/problem.ts";
export { type Config, defineConfig } from "./plugin/config.ts";
export type { Feature } from "./plugin/feature.ts";
export type { CustomUpstreamType, TlsDefaults, UpstreamHooks, UpstreamOf, UpstreamWatch } from "./plugin/upstream-type.ts";
export {
  type ClusterDraft,
  type DiscoveredUpstream,
  defineUpstreamType,
  type EdgeContext,
  type Endpoint,
  type EndpointUpdate,
  type Logger,
  type RouteDraft,
  type SpecOf,
  type TypeContext,
  type TypedUpstream,
  type UpstreamKind,
  type UpstreamType,
} from "./plugin/upstream-type.ts";
export type { World } from "./plugin/world.ts";
