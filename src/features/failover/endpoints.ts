// The endpoints of `failover` as priorities of a ClusterLoadAssignment. What could make Envoy refuse the whole message is left out
// here, whoever asks: endpoints are made of the newest version of an Upstream, also while its cluster is still that of the last good one.
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { sortedMap } from "../../envoy/encode.ts";
import { socketAddress } from "../../envoy/endpoint.ts";
import type { LbEndpointSchema, LocalityLbEndpointsSchema } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_components_pb.js";
import type { Failover, LbEndpoint, Locality } from "../../gen/gloo/gloo/projects/gloo/api/v1/failover_pb.js";
import type { Upstream } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { isIpAddress } from "../../lib/ip.ts";
import type { EndpointsContext, LoadAssignmentDraft } from "../../plugin/feature.ts";
import type { ClusterDraft } from "../../plugin/upstream-type.ts";
import { subsetKeys } from "../../translate/endpoints.ts";

/** What the gateway itself says in the metadata of an endpoint. */
export const socketMatchKey = "envoy.transport_socket_match";
const subsetKey = "envoy.lb";

export interface FailoverEndpoint {
  readonly endpoint: LbEndpoint;
  /** Where it is written: `failover.prioritizedLocalities[0].localityEndpoints[0].lbEndpoints[0]`. */
  readonly path: string;
}

/** A group of endpoints in one locality. */
export interface Place {
  /** 1 is the first after the Upstream's own endpoints. */
  readonly priority: number;
  readonly locality: Locality | undefined;
  readonly weight: number | undefined;
  readonly members: readonly FailoverEndpoint[];
}

/** All that can be dialled, in the order of use. Envoy wants priorities without gaps, and each address once. */
export function placesOf({ prioritizedLocalities }: Failover): Place[] {
  const seen = new Set<string>();
  const isNew = (name: string) => !seen.has(name) && seen.add(name) !== undefined;
  let priority = 0;
  return prioritizedLocalities.flatMap(({ localityEndpoints }, i) => {
    const groups = localityEndpoints.map(({ lbEndpoints, locality, loadBalancingWeight }, j) => ({
      locality,
      weight: loadBalancingWeight === 0 ? undefined : loadBalancingWeight,
      members: lbEndpoints
        .map((endpoint, k) => ({ endpoint, path: endpointPath(i, j, k) }))
        .filter(({ endpoint }) => canBeDialled(endpoint) && isNew(socketName(endpoint))),
    }));
    const used = groups.filter(({ members }) => members.length > 0);
    if (used.length > 0) priority++;
    return used.map((group) => ({ ...group, priority }));
  });
}

export function endpointPath(i: number, j: number, k: number): string {
  return `failover.prioritizedLocalities[${i}].localityEndpoints[${j}].lbEndpoints[${k}]`;
}

export function canBeDialled({ address, port, loadBalancingWeight }: LbEndpoint): boolean {
  return (isIpAddress(address) || isHostName.test(address)) && port > 0 && port <= 65_535 && loadBalancingWeight !== 0;
}

const isHostName = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?$/;

/** The transport socket match of an endpoint that has one: the key in the metadata and the name in the cluster. */
export function socketName({ address, port }: LbEndpoint): string {
  return `failover;${address}:${port}`;
}

/** Whether the cluster may speak to it in a way of its own: with its own TLS settings, or those of all under its own name. */
function mayHaveSocket({ address, upstreamSslConfig }: LbEndpoint): boolean {
  return upstreamSslConfig !== undefined || !isIpAddress(address);
}

/** Envoy asks DNS for every host of a STRICT_DNS cluster, and a Unix socket is nothing to ask for. */
export function canResolve({ loadAssignment }: ClusterDraft): boolean {
  return (loadAssignment?.endpoints ?? []).every(({ lbEndpoints = [] }) =>
    lbEndpoints.every(
      ({ hostIdentifier }) => hostIdentifier?.case === "endpoint" && hostIdentifier.value.address?.address?.case === "socketAddress",
    ),
  );
}

/** `addressesOf`: what is dialled in the place of a host name. */
export function withFailover(
  assignment: LoadAssignmentDraft,
  upstream: Upstream,
  addressesOf: EndpointsContext["addressesOf"],
): LoadAssignmentDraft {
  if (!upstream.failover) return assignment;
  const isWeighted = upstream.loadBalancerConfig?.localityConfig.case === "localityWeightedLbConfig";
  const factor = upstream.failover.policy?.overprovisioningFactor;
  return {
    ...assignment,
    endpoints: [
      ...(assignment.endpoints ?? []),
      ...placesOf(upstream.failover).map((place) => localityEndpoints(place, upstream, isWeighted, addressesOf)),
    ],
    ...(factor && { policy: { overprovisioningFactor: factor } }),
  };
}

/** Where localities are weighed, Envoy sends nothing to one without a weight. */
function localityEndpoints(
  { priority, locality, weight, members }: Place,
  upstream: Upstream,
  isWeighted: boolean,
  addressesOf: EndpointsContext["addressesOf"],
): MessageInitShape<typeof LocalityLbEndpointsSchema> {
  const sent = weight ?? (isWeighted ? 1 : undefined);
  return {
    priority,
    ...(locality && { locality: { region: locality.region, zone: locality.zone, subZone: locality.subZone } }),
    ...(sent !== undefined && { loadBalancingWeight: sent }),
    lbEndpoints: members.flatMap(({ endpoint }) => {
      const { address } = endpoint;
      const dialled = isIpAddress(address) ? [address] : (addressesOf(address) ?? []);
      return dialled.map((each) => lbEndpoint(endpoint, each, upstream));
    }),
  };
}

function lbEndpoint(endpoint: LbEndpoint, dialled: string, upstream: Upstream): MessageInitShape<typeof LbEndpointSchema> {
  const { address, port, healthCheckConfig, loadBalancingWeight } = endpoint;
  const checkPort = healthCheckConfig?.portValue ?? 0;
  const filterMetadata = metadataOf(endpoint, upstream);
  return {
    hostIdentifier: {
      case: "endpoint",
      value: {
        hostname: address,
        address: socketAddress(dialled, port),
        healthCheckConfig: {
          hostname: healthCheckConfig?.hostname || healthCheckHost(upstream) || address,
          ...(checkPort > 0 && checkPort <= 65_535 && { portValue: checkPort }),
        },
      },
    },
    ...(loadBalancingWeight !== undefined && { loadBalancingWeight }),
    ...(Object.keys(filterMetadata).length > 0 && { metadata: { filterMetadata } }),
  };
}

/** The Host header of health checks: the endpoint's own would win over the one in the health check, so it must be repeated here. */
function healthCheckHost(upstream: Upstream): string | undefined {
  for (const { healthChecker } of upstream.healthChecks) {
    if (healthChecker.case === "httpHealthCheck" && healthChecker.value.host !== "") return healthChecker.value.host;
  }
  return undefined;
}

function metadataOf(endpoint: LbEndpoint, upstream: Upstream): Record<string, JsonObject> {
  const all: Record<string, JsonObject> = { ...endpoint.metadata };
  delete all[socketMatchKey];
  if (mayHaveSocket(endpoint)) all[socketMatchKey] = { [socketName(endpoint)]: true };
  const keys = subsetKeys(upstream);
  // A key that an endpoint lacks must be there, empty, or it would be in no subset at all, not even in "without".
  if (keys.length > 0) all[subsetKey] = sortedMap({ ...Object.fromEntries(keys.map((key) => [key, ""])), ...all[subsetKey] });
  return sortedMap(all);
}
