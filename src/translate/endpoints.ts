// The addresses behind an Upstream → Envoy's ClusterLoadAssignment. Apart from clusters.ts, so that an address that comes or goes
// costs one small message and touches no cluster. Named as the cluster is: Gloo's names carry a hash of the Upstream, which makes
// Envoy drop all addresses at each edit; ours stay.
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { envoyResource, sortedMap } from "../envoy/encode.ts";
import { pipeAddress, socketAddress } from "../envoy/endpoint.ts";
import { clusterName } from "../envoy/names.ts";
import { HealthStatus } from "../gen/envoy/envoy/config/core/v3/health_check_pb.js";
import type { LbEndpointSchema, LocalityLbEndpointsSchema } from "../gen/envoy/envoy/config/endpoint/v3/endpoint_components_pb.js";
import { ClusterLoadAssignmentSchema } from "../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import type { SubsetSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/options/subset_spec_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Problem, Report } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import type { EndpointsContext, Feature, LoadAssignmentDraft } from "../plugin/feature.ts";
import { healthCheckHost } from "../plugin/health-check-host.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Endpoint } from "../plugin/upstream-type.ts";
import type { World } from "../plugin/world.ts";
import { typedUpstream } from "./clusters.ts";

export interface EndpointsTranslation {
  readonly endpoints?: EnvoyResource;
  readonly problems: readonly Problem[];
  readonly fault?: unknown;
}

type AddressesOf = EndpointsContext["addressesOf"];

/** The endpoints of an Upstream whose type knows them from other resources; nothing for other types. */
export function endpointsOf(
  resource: Resource<"Upstream">,
  world: World,
  plugins: Plugins,
  addressesOf: AddressesOf = () => undefined,
): EndpointsTranslation {
  const report = new Report(resource.key);
  try {
    // What is wrong with the Upstream itself is clusterOf's to say.
    const typed = typedUpstream(resource, plugins, new Report(resource.key));
    if (!typed?.type.assignment) return { problems: [] };
    const endpoints = typed.type.assignment(typed.upstream, { world, report });
    return { endpoints: loadAssignmentOf(resource, endpoints, plugins.features, addressesOf), problems: report.problems };
  } catch (fault) {
    report.error("PluginFailed", "a plug-in failed while it looked for the endpoints of this Upstream");
    return { problems: report.problems, fault };
  }
}

/** A whole set of addresses, in any order: equal sets give equal bytes. Features may have more to send with them. */
export function loadAssignmentOf(
  upstream: Resource<"Upstream">,
  endpoints: readonly Endpoint[],
  features: readonly Feature[] = [],
  addressesOf: AddressesOf = () => undefined,
): EnvoyResource {
  const name = clusterName(upstream.ref);
  const shared: Shared = { keys: upstream.spec ? subsetKeys(upstream.spec) : [], host: upstream.spec && healthCheckHost(upstream.spec) };
  let message: LoadAssignmentDraft = {
    clusterName: name,
    endpoints: byLocality(endpoints).map(([locality, members]) => localityEndpoints(locality, members, shared)),
  };
  for (const feature of features) {
    if (feature.endpoints && upstream.spec) message = feature.endpoints(message, upstream.spec, { addressesOf });
  }
  return envoyResource(ClusterLoadAssignmentSchema, name, message, [upstream.key]);
}

/** The keys that subsets of an Upstream are chosen by. */
export function subsetKeys(upstream: Upstream): readonly string[] {
  const spec = subsetSpecOf(upstream);
  return spec ? [...new Set(spec.selectors.flatMap((selector) => selector.keys))].sort() : [];
}

function subsetSpecOf({ upstreamType }: Upstream): SubsetSpec | undefined {
  return upstreamType.case === "kube" ? upstreamType.value.subsetSpec : undefined;
}

/** What holds for all endpoints of an Upstream. */
interface Shared {
  readonly keys: readonly string[];
  /** `Host` of health checks. */
  readonly host: string | undefined;
}

type Locality = Endpoint["locality"];

function byLocality(endpoints: readonly Endpoint[]): [Locality, Endpoint[]][] {
  const groups = new Map<string, [Locality, Endpoint[]]>();
  for (const endpoint of [...endpoints].sort(byAddress)) {
    const key = JSON.stringify([endpoint.locality?.region, endpoint.locality?.zone, endpoint.locality?.subZone]);
    const group = groups.get(key);
    if (group) group[1].push(endpoint);
    else groups.set(key, [endpoint.locality, [endpoint]]);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

function byAddress(a: Endpoint, b: Endpoint): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return (a.port ?? 0) - (b.port ?? 0);
}

function localityEndpoints(
  locality: Locality,
  members: readonly Endpoint[],
  shared: Shared,
): MessageInitShape<typeof LocalityLbEndpointsSchema> {
  return { ...(locality && { locality }), lbEndpoints: members.map((endpoint) => lbEndpoint(endpoint, shared)) };
}

function lbEndpoint(endpoint: Endpoint, { keys, host }: Shared): MessageInitShape<typeof LbEndpointSchema> {
  const labels: JsonObject = { ...endpoint.labels };
  // A key that an address lacks must be there, empty, or the address would be in no subset at all, not even in "without".
  for (const key of keys) labels[key] ??= "";
  const filterMetadata = {
    ...(Object.keys(labels).length > 0 && { "envoy.lb": sortedMap(labels) }),
    ...(endpoint.socketMatch && { "envoy.transport_socket_match": sortedMap(endpoint.socketMatch) }),
    ...(endpoint.annotations && { "io.solo.annotations": sortedMap(endpoint.annotations) }),
  };
  return {
    hostIdentifier: {
      case: "endpoint",
      value: {
        address: endpoint.port === undefined ? pipeAddress(endpoint.address) : socketAddress(endpoint.address, endpoint.port),
        // Health checks ask for the name, too: Envoy would send them the name of the cluster.
        ...(endpoint.hostname !== undefined && {
          hostname: endpoint.hostname,
          healthCheckConfig: { hostname: host ?? endpoint.hostname },
        }),
      },
    },
    ...(endpoint.weight !== undefined && { loadBalancingWeight: endpoint.weight }),
    ...(endpoint.health && { healthStatus: healthStatus[endpoint.health] }),
    ...(Object.keys(filterMetadata).length > 0 && { metadata: { filterMetadata } }),
  };
}

const healthStatus = {
  healthy: HealthStatus.HEALTHY,
  draining: HealthStatus.DRAINING,
  unhealthy: HealthStatus.UNHEALTHY,
  degraded: HealthStatus.DEGRADED,
} as const satisfies Record<NonNullable<Endpoint["health"]>, HealthStatus>;
