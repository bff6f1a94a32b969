// A bootstrap for random configurations: names are not known, and that quickly (clusters are warm when their names have been looked up);
// the SDS server is there, and nobody listens, so that Envoy need not wait for what it never says.
import type { Bootstrap } from "./in-process.ts";

const nobodysDns = {
  name: "envoy.network.dns_resolver.cares",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    resolvers: [{ socket_address: { address: "127.0.0.1", port_value: 1 } }],
    dns_resolver_options: { no_default_search_domain: true },
    query_timeout_seconds: 1,
    query_tries: 1,
  },
};

/** As the bootstrap of a proxy that has an SDS server beside it. */
export function withSds(made: Bootstrap, name: string): object {
  const [headworks] = made.static_resources.clusters;
  const address = { socket_address: { address: "127.0.0.1", port_value: 1 } };
  const sds = { ...headworks, name, load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] } };
  return { ...made, static_resources: { clusters: [headworks, sds] }, typed_dns_resolver_config: nobodysDns };
}
