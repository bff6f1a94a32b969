// `httpProxyHostname`: the hosts are HTTP proxies, and connections to the named destination go through them by CONNECT.
//
// Envoy can only open such a tunnel from a TCP listener. So the cluster under the Upstream's name leads to a listener inside the same
// Envoy, on a socket in the abstract namespace, and that listener tunnels to the hosts, which are now behind a second cluster:
//
//   route → cluster `x` (TLS to the destination) → listener on `@/x` → CONNECT → cluster `x_original` (TLS to the proxy) → hosts
//
// Names as Gloo has them. Comes last: it takes the cluster as all other features have made it.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny, versionOf } from "../envoy/encode.ts";
import { pipeAddress } from "../envoy/endpoint.ts";
import { addedHeaderFault, headerValueFault } from "../envoy/header-format.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "../gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { Report } from "../model/problem.ts";
import type { Feature } from "../plugin/feature.ts";
import type { ClusterDraft } from "../plugin/upstream-type.ts";
import { tlsSocket, upstreamTlsContext } from "../plugin/upstreamTls.ts";

export const httpConnect: Feature = {
  name: "httpProxyHostname",
  upstream(cluster, { upstream }, { world, report, send, sendSecret }) {
    const hostname = upstream.httpProxyHostname;
    if (hostname === undefined || hostname === "") {
      const orphan = upstream.httpConnectSslConfig
        ? "httpConnectSslConfig"
        : upstream.httpConnectHeaders.length > 0
          ? "httpConnectHeaders"
          : undefined;
      if (orphan) report.warn("HttpConnectWithoutHostname", `${orphan} has no effect without httpProxyHostname`, { path: orphan });
      return cluster;
    }
    judgeTunnel(hostname, upstream, report);
    const { transportSocket, transportSocketMatches: _, ...plain } = cluster;
    const toProxy =
      upstream.httpConnectSslConfig &&
      upstreamTlsContext(upstream.httpConnectSslConfig, "httpConnectSslConfig", { world, report, sendSecret });
    const original = `${cluster.name}_original`;
    send(ClusterSchema, original, { ...plain, name: original, ...(toProxy && { transportSocket: tlsSocket(toProxy) }) });
    send(ListenerSchema, `solo_io_generated_self_listener_${cluster.name}`, tunnel(cluster.name, original, hostname, upstream));
    return entrance(cluster, transportSocket);
  },
};

/** Both are formats to Envoy, and a bad one makes it refuse the listener. */
function judgeTunnel(hostname: string, { httpConnectHeaders }: Upstream, report: Report): void {
  const fault = headerValueFault(hostname);
  if (fault) report.error("HttpConnectHostname", `httpProxyHostname: ${fault.message}`, { path: "httpProxyHostname", hint: fault.hint });
  httpConnectHeaders.forEach(({ key, value }, i) => {
    const fault = addedHeaderFault(key, value);
    if (fault) report.error("HeaderRefused", `the header ${key}: ${fault.message}`, { path: `httpConnectHeaders[${i}]`, hint: fault.hint });
  });
}

/** Linux takes 107 bytes; the name of a cluster can be longer. */
function selfAddress(name: string) {
  const path = `@/${name}`;
  return pipeAddress(Buffer.byteLength(path) <= 107 ? path : `@/${versionOf(Buffer.from(name))}`);
}

/** Options like `useHttp2` stay with the cluster of the proxies, as with Gloo; the way to the listener is plain. */
function entrance({ name }: ClusterDraft, transportSocket: ClusterDraft["transportSocket"]): ClusterDraft {
  return {
    name,
    connectTimeout: { seconds: 5n },
    ...(transportSocket && { transportSocket }),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: selfAddress(name) } } }] }],
    },
  };
}

function tunnel(
  name: string,
  original: string,
  hostname: string,
  { httpConnectHeaders }: Upstream,
): MessageInitShape<typeof ListenerSchema> {
  const proxy = packAny(TcpProxySchema, {
    statPrefix: `soloioTcpStats${name}`,
    clusterSpecifier: { case: "cluster", value: original },
    tunnelingConfig: { hostname, headersToAdd: httpConnectHeaders.map(({ key, value }) => ({ header: { key, value }, append: false })) },
  });
  return {
    name: `solo_io_generated_self_listener_${name}`,
    address: selfAddress(name),
    filterChains: [{ filters: [{ name: "tcp", configType: { case: "typedConfig", value: proxy } }] }],
  };
}
