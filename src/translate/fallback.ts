// Where replaced routes lead: a cluster to a listener on an abstract socket that answers as `invalidConfigPolicy` says. Sent
// only to proxies with such a route.
import { envoyResource, packAny } from "../envoy/encode.ts";
import { pipeAddress } from "../envoy/endpoint.ts";
import { ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { RouterSchema } from "../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { Spec } from "../model/resource.ts";
import { fallbackCluster, invalidAction, invalidRoutePolicy } from "./invalid-routes.ts";

const fallbackListener = "fallback_listener_for_invalid_routes";

export function fallbackResources(settings: Spec<"Settings">): readonly EnvoyResource[] {
  const policy = invalidRoutePolicy(settings);
  const address = pipeAddress(`@${fallbackListener}`);
  const manager = packAny(HttpConnectionManagerSchema, {
    statPrefix: fallbackListener,
    routeSpecifier: {
      case: "routeConfig",
      value: {
        name: "fallback_routes",
        virtualHosts: [
          {
            name: "fallback_virtualhost",
            domains: ["*"],
            routes: [
              {
                match: { pathSpecifier: { case: "prefix", value: "/" } },
                action: invalidAction(policy),
              },
            ],
          },
        ],
      },
    },
    httpFilters: [{ name: "envoy.filters.http.router", configType: { case: "typedConfig", value: packAny(RouterSchema, {}) } }],
  });
  const filters = [{ name: "envoy.filters.network.http_connection_manager", configType: { case: "typedConfig" as const, value: manager } }];
  return [
    envoyResource(
      ClusterSchema,
      fallbackCluster,
      {
        name: fallbackCluster,
        connectTimeout: { seconds: 5n, nanos: 0 },
        loadAssignment: {
          clusterName: fallbackCluster,
          endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address } } }] }],
        },
      },
      [],
    ),
    envoyResource(ListenerSchema, fallbackListener, { name: fallbackListener, address, filterChains: [{ filters }] }, []),
  ];
}
