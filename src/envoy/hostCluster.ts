// A cluster of one host name, with HTTP filters of its own where what is sent there is to be changed.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Cluster_DiscoveryType, Cluster_DnsLookupFamily } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { UpstreamCodecSchema } from "../gen/envoy/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.js";
import type { HttpFilterSchema } from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { HttpProtocolOptionsSchema } from "../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { packAny } from "./encode.ts";
import { socketAddress } from "./endpoint.ts";
import { httpProtocolOptionsName } from "./http-protocol-options.ts";

export type HttpFilter = MessageInitShape<typeof HttpFilterSchema>;

export interface HostClusterOptions {
  readonly name: string;
  readonly hostname: string;
  readonly port: number;
  /** In the order in which a request passes them; without that which writes it, which Envoy wants last. */
  readonly httpFilters?: readonly HttpFilter[];
}

/** IPv4 only, as Gloo has it. */
export function hostCluster({ name, hostname, port, httpFilters = [] }: HostClusterOptions) {
  const address = socketAddress(hostname, port);
  return {
    name,
    clusterDiscoveryType: { case: "type" as const, value: Cluster_DiscoveryType.LOGICAL_DNS },
    dnsLookupFamily: Cluster_DnsLookupFamily.V4_ONLY,
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint" as const, value: { address } } }] }],
    },
    ...(httpFilters.length > 0 && { typedExtensionProtocolOptions: withFilters(httpFilters) }),
  };
}

export function httpFilter(name: string, value: ReturnType<typeof packAny>): HttpFilter {
  return { name, configType: { case: "typedConfig", value } };
}

function withFilters(httpFilters: readonly HttpFilter[]) {
  return {
    [httpProtocolOptionsName]: packAny(HttpProtocolOptionsSchema, {
      upstreamProtocolOptions: { case: "explicitHttpConfig", value: { protocolConfig: { case: "httpProtocolOptions", value: {} } } },
      httpFilters: [...httpFilters, httpFilter("envoy.filters.http.upstream_codec", packAny(UpstreamCodecSchema, {}))],
    }),
  };
}
