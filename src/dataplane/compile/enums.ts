// The enums of Envoy that we switch on, under names of our own module.
export {
  Cluster_ClusterProtocolSelection,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
} from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
export { RoutingPriority } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
export { HealthStatus } from "../../gen/envoy/envoy/config/core/v3/health_check_pb.js";
export {
  RedirectAction_RedirectResponseCode,
  VirtualHost_TlsRequirementType,
} from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
