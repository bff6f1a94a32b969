// `proxyProtocolVersion`: the address of the client is written ahead of each connection. Wraps the transport sockets that are
// there, also those of single hosts, so it comes after sslConfig in the list.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import type { TransportSocketSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import { ProxyProtocolConfig_Version } from "../gen/envoy/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../gen/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import type { Feature } from "../plugin/feature.ts";

type Socket = MessageInitShape<typeof TransportSocketSchema>;

export const proxyProtocol: Feature = {
  name: "proxyProtocolVersion",
  upstream(cluster, { upstream }, { report }) {
    // As Gloo reads it: quotes inside of the text do no harm, and an empty text is no wish.
    const wanted = upstream.proxyProtocolVersion?.replace(/^"(.*)"$/, "$1") ?? "";
    if (wanted === "") return cluster;
    if (!Object.hasOwn(versions, wanted)) {
      report.error("ProxyProtocolVersion", `proxy protocol version ${wanted} is not supported`, {
        path: "proxyProtocolVersion",
        hint: "V1 or V2",
      });
      return cluster;
    }
    const version = versions[wanted as keyof typeof versions];
    return {
      ...cluster,
      transportSocket: wrapped(cluster.transportSocket ?? rawBuffer(), version),
      ...(cluster.transportSocketMatches && {
        transportSocketMatches: cluster.transportSocketMatches.map((each) => ({
          name: each.name ?? "",
          ...(each.match && { match: each.match }),
          transportSocket: wrapped(each.transportSocket ?? rawBuffer(), version),
        })),
      }),
    };
  },
};

const versions = { V1: ProxyProtocolConfig_Version.V1, V2: ProxyProtocolConfig_Version.V2 } as const;

function wrapped(transportSocket: Socket, version: ProxyProtocolConfig_Version): Socket {
  return {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    configType: {
      case: "typedConfig",
      value: packAny(ProxyProtocolUpstreamTransportSchema, { config: { version }, transportSocket }),
    },
  };
}

function rawBuffer(): Socket {
  return { name: "envoy.transport_sockets.raw_buffer", configType: { case: "typedConfig", value: packAny(RawBufferSchema, {}) } };
}
