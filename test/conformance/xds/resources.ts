// Small Envoy resources for tests of the xDS server: an HTTP backend behind a cluster, a route to it, a listener.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { envoyResource, packAny } from "../../../src/envoy/encode.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../../../src/gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { ConfigSourceSchema } from "../../../src/gen/envoy/envoy/config/core/v3/config_source_pb.js";
import { ApiConfigSource_ApiType, ApiVersion } from "../../../src/gen/envoy/envoy/config/core/v3/config_source_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../src/gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../../src/gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../../src/gen/envoy/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../../src/gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../../src/gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { EnvoyResource } from "../../../src/model/envoy-resource.ts";

type ConfigSource = MessageInitShape<typeof ConfigSourceSchema>;

export const overAds: ConfigSource = { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: "ads", value: {} } };

/** From the services of their own, on the bootstrap's cluster of Headworks. */
export function separately(variant: "delta" | "sotw"): ConfigSource {
  return {
    resourceApiVersion: ApiVersion.V3,
    configSourceSpecifier: {
      case: "apiConfigSource",
      value: {
        apiType: variant === "delta" ? ApiConfigSource_ApiType.DELTA_GRPC : ApiConfigSource_ApiType.GRPC,
        transportApiVersion: ApiVersion.V3,
        grpcServices: [{ targetSpecifier: { case: "envoyGrpc", value: { clusterName: "headworks_xds" } } }],
        setNodeOnFirstMessageOnly: true,
      },
    },
  };
}

const ms = (value: number) => ({ seconds: BigInt(Math.floor(value / 1000)), nanos: (value % 1000) * 1e6 });

/** `timeoutMs` is there to be changed; a negative one is refused by Envoy. */
export function edsCluster(name: string, timeoutMs = 1000, source = overAds): EnvoyResource {
  return envoyResource(
    ClusterSchema,
    name,
    {
      name,
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      connectTimeout: ms(timeoutMs),
      edsClusterConfig: { edsConfig: source },
    },
    [],
  );
}

export function staticCluster(name: string, port: number, address = "127.0.0.1"): EnvoyResource {
  return envoyResource(
    ClusterSchema,
    name,
    {
      name,
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
      connectTimeout: ms(1000),
      loadAssignment: assignment(name, [port], address),
    },
    [],
  );
}

/** Warm when the host has answered a health check, or has not for so long. */
export function healthCheckedCluster(name: string, port: number, timeoutMs: number): EnvoyResource {
  return envoyResource(
    ClusterSchema,
    name,
    {
      name,
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
      connectTimeout: ms(1000),
      loadAssignment: assignment(name, [port], "127.0.0.1"),
      healthChecks: [
        {
          timeout: ms(timeoutMs),
          interval: ms(1000),
          unhealthyThreshold: 1,
          healthyThreshold: 1,
          healthChecker: { case: "httpHealthCheck", value: { path: "/" } },
        },
      ],
    },
    [],
  );
}

export function endpoints(name: string, ports: readonly number[], address = "127.0.0.1"): EnvoyResource {
  return envoyResource(ClusterLoadAssignmentSchema, name, assignment(name, ports, address), []);
}

function assignment(clusterName: string, ports: readonly number[], address: string): MessageInitShape<typeof ClusterLoadAssignmentSchema> {
  return {
    clusterName,
    endpoints: [
      {
        lbEndpoints: ports.map((port) => ({
          hostIdentifier: {
            case: "endpoint" as const,
            value: {
              address: {
                address: { case: "socketAddress" as const, value: { address, portSpecifier: { case: "portValue" as const, value: port } } },
              },
            },
          },
        })),
      },
    ],
  };
}

/** Prefix to cluster. */
export function routes(name: string, table: Readonly<Record<string, string>>): EnvoyResource {
  return envoyResource(
    RouteConfigurationSchema,
    name,
    {
      name,
      virtualHosts: [
        {
          name: "all",
          domains: ["*"],
          routes: Object.entries(table).map(([prefix, cluster]) => ({
            match: { pathSpecifier: { case: "prefix" as const, value: prefix } },
            action: { case: "route" as const, value: { clusterSpecifier: { case: "cluster" as const, value: cluster } } },
          })),
        },
      ],
    },
    [],
  );
}

export function listener(name: string, port: number, routeConfigName: string, source = overAds, statPrefix = name): EnvoyResource {
  const manager = packAny(HttpConnectionManagerSchema, {
    statPrefix,
    routeSpecifier: { case: "rds", value: { routeConfigName, configSource: source } },
    httpFilters: [{ name: "envoy.filters.http.router", configType: { case: "typedConfig", value: packAny(RouterSchema, {}) } }],
  });
  return envoyResource(
    ListenerSchema,
    name,
    {
      name,
      address: {
        address: { case: "socketAddress", value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } } },
      },
      filterChains: [{ filters: [{ name: "http", configType: { case: "typedConfig", value: manager } }] }],
    },
    [],
  );
}
