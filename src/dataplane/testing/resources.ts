// Envoy resources for tests, made by hand from the schemas; and a data plane that serves them on a free port.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { envoyResource, packAny } from "../../envoy/encode.ts";
import { ClusterSchema } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import type { RouteSchema, VirtualHostSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../gen/envoy/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { EnvoyResource, ProxyKey } from "../../model/envoy-resource.ts";
import { resourceKey } from "../../model/ref.ts";
import { createDataPlane, type DataPlane, type DataPlaneOptions } from "../dataplane.ts";

export type ClusterInit = MessageInitShape<typeof ClusterSchema>;
export type HcmInit = MessageInitShape<typeof HttpConnectionManagerSchema>;
export type RouteInit = MessageInitShape<typeof RouteSchema>;
export type VirtualHostInit = MessageInitShape<typeof VirtualHostSchema>;
export type RouteConfigInit = MessageInitShape<typeof RouteConfigurationSchema>;

export const testProxy: ProxyKey = "gloo-system~gateway-proxy";
const owner = [resourceKey("VirtualService", { namespace: "gloo-system", name: "test" })];

/** `127.0.0.1:80` as endpoints. */
export function loadAssignment(clusterName: string, ports: readonly number[]): MessageInitShape<typeof ClusterLoadAssignmentSchema> {
  return {
    clusterName,
    endpoints: [
      {
        lbEndpoints: ports.map((port) => ({
          hostIdentifier: {
            case: "endpoint" as const,
            value: {
              address: {
                address: {
                  case: "socketAddress" as const,
                  value: { address: "127.0.0.1", portSpecifier: { case: "portValue" as const, value: port } },
                },
              },
            },
          },
        })),
      },
    ],
  };
}

export function staticCluster(name: string, ports: readonly number[], more: ClusterInit = {}): EnvoyResource {
  return envoyResource(
    ClusterSchema,
    name,
    {
      name,
      clusterDiscoveryType: { case: "type", value: 0 },
      connectTimeout: { seconds: 1n },
      loadAssignment: loadAssignment(name, ports),
      ...more,
    } as ClusterInit,
    owner,
  );
}

export function edsCluster(name: string): EnvoyResource {
  return envoyResource(
    ClusterSchema,
    name,
    {
      name,
      clusterDiscoveryType: { case: "type", value: 3 },
      connectTimeout: { seconds: 1n },
      edsClusterConfig: { serviceName: name, edsConfig: { configSourceSpecifier: { case: "ads", value: {} } } },
    },
    owner,
  );
}

export function endpoints(name: string, ports: readonly number[]): EnvoyResource {
  return envoyResource(ClusterLoadAssignmentSchema, name, loadAssignment(name, ports), owner);
}

export function routeConfig(virtualHosts: readonly VirtualHostInit[], more: RouteConfigInit = {}): EnvoyResource {
  return envoyResource(
    RouteConfigurationSchema,
    "routes",
    { name: "routes", virtualHosts: [...virtualHosts], ...more } as RouteConfigInit,
    owner,
  );
}

export function listener(port: number, hcm: HcmInit = {}, host = "127.0.0.1", name = "listener"): EnvoyResource {
  return envoyResource(ListenerSchema, name, listenerMessage(port, hcm, host, name), owner);
}

export function listenerMessage(
  port: number,
  hcm: HcmInit = {},
  host = "127.0.0.1",
  name = "listener",
): MessageInitShape<typeof ListenerSchema> {
  const manager = {
    statPrefix: "http",
    routeSpecifier: {
      case: "rds" as const,
      value: { routeConfigName: "routes", configSource: { configSourceSpecifier: { case: "ads" as const, value: {} } } },
    },
    httpFilters: [{ name: "envoy.filters.http.router", configType: { case: "typedConfig" as const, value: packAny(RouterSchema, {}) } }],
    ...hcm,
  } as HcmInit;
  return {
    name,
    address: { address: { case: "socketAddress", value: { address: host, portSpecifier: { case: "portValue", value: port } } } },
    filterChains: [
      {
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            configType: { case: "typedConfig", value: packAny(HttpConnectionManagerSchema, manager) },
          },
        ],
      },
    ],
  };
}

/** Everything to one cluster. */
export function allTo(cluster: string, more: RouteInit = {}): VirtualHostInit {
  return { name: "all", domains: ["*"], routes: [toCluster(cluster, more)] };
}

export function toCluster(cluster: string, more: RouteInit = {}, prefix = "/"): RouteInit {
  return {
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
    ...more,
  } as RouteInit;
}

export interface ServedDataPlane extends AsyncDisposable {
  readonly plane: DataPlane;
  readonly port: number;
  publish(...resources: EnvoyResource[]): void;
  remove(...resources: EnvoyResource[]): void;
  /** Both in one step. */
  change(upserts: readonly EnvoyResource[], removals: readonly EnvoyResource[]): void;
}

/** A data plane that serves these resources; its listener must ask for port 0 or a free one. */
export async function serve(resources: readonly EnvoyResource[], options: Partial<DataPlaneOptions> = {}): Promise<ServedDataPlane> {
  const plane = createDataPlane({ proxy: testProxy, ...options });
  plane.publish(testProxy, { upserts: resources, removals: [] });
  await plane.settled();
  const [first] = plane.listeners();
  return {
    plane,
    port: first?.port ?? 0,
    publish: (...upserts) => plane.publish(testProxy, { upserts, removals: [] }),
    remove: (...removed) => plane.publish(testProxy, { upserts: [], removals: removed }),
    change: (upserts, removals) => plane.publish(testProxy, { upserts, removals }),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}
