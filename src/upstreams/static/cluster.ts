// Hosts of a static Upstream → Envoy's cluster. Pure.
//
// Two habits of Gloo's that users rely on: a host on port 443 means TLS even if nobody said so (unless `useTls: false` is
// written out), and a host's own name is sent as SNI, host by host, through transport socket matches. The key of a match,
// `<sni>;<addr>:<port>`, is visible in config dumps; it stays as Gloo has it.
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { sortedMap } from "../../envoy/encode.ts";
import { socketAddress } from "../../envoy/endpoint.ts";
import { Cluster_DiscoveryType, Cluster_DnsLookupFamily } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { LbEndpointSchema } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_components_pb.js";
import type { Host } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/static/static_pb.js";
import type { Upstream } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { isIpAddress } from "../../lib/ip.ts";
import { healthCheckHost } from "../../plugin/health-check-host.ts";
import type { ClusterDraft, SpecOf, TlsDefaults, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";

const socketMatchKey = "envoy.transport_socket_match";
const advancedHttpKey = "io.solo.health_checkers.advanced_http";

export function staticCluster({ name, spec, upstream }: TypedUpstream<"static">, { report }: TypeContext): ClusterDraft | undefined {
  if (spec.hosts.length === 0) {
    report.error(
      "StaticHostsMissing",
      "cluster was configured improperly by one or more plugins: cluster type STATIC specified but LoadAssignment was empty",
      { path: "static.hosts", hint: "name at least one host: hosts: [{addr: 10.0.0.5, port: 8080}]" },
    );
  }
  spec.hosts.forEach((host, i) => {
    const path = `static.hosts[${i}]`;
    if (host.addr === "") report.error("StaticHostIncomplete", "addr cannot be empty for host", { path: `${path}.addr` });
    if (host.port === 0) report.error("StaticHostIncomplete", "port cannot be empty for host", { path: `${path}.port` });
    if (host.port > 65_535) {
      report.error("PortOutOfRange", `port ${host.port} of host ${host.addr} is not a port; ports end at 65535`, { path: `${path}.port` });
    }
    if (/[\s/]|:\/\/|:\d+$/.test(host.addr) && !isIpAddress(host.addr)) {
      report.warn("StaticHostNotAName", `"${host.addr}" is not an address that DNS could know`, {
        path: `${path}.addr`,
        hint: "addr is a host name or an IP address alone: no scheme, no path; the port has a field of its own",
      });
    }
    for (const key of [socketMatchKey, advancedHttpKey]) {
      if (key in host.metadata) {
        report.warn(
          "ReservedMetadata",
          `metadata "${key}" of host ${host.addr} is set by the gateway itself; what is written here is left out`,
          {
            path: `${path}.metadata`,
          },
        );
      }
    }
    if (host.healthCheckConfig && (host.healthCheckConfig.path !== "" || host.healthCheckConfig.method !== "")) {
      report.error("HostHealthCheckUnsupported", "Could not load configuration for the following Enterprise features: [advanced_http]", {
        path: `${path}.healthCheckConfig`,
        hint: "Envoy asks every host of a cluster for the same path: write path and method in healthChecks, or split the hosts into several Upstreams",
      });
    }
  });
  const weights = spec.hosts.reduce((sum, host) => sum + (host.loadBalancingWeight ?? 1), 0);
  if (weights > 4_294_967_295) {
    report.error("WeightsTooLarge", `the weights of all hosts together are ${weights}; Envoy takes at most 4294967295`, {
      path: "static.hosts",
    });
  }
  if (report.hasErrors) return undefined;

  const hasNames = spec.hosts.some((host) => !isIpAddress(host.addr));
  return {
    name,
    clusterDiscoveryType: { case: "type", value: hasNames ? Cluster_DiscoveryType.STRICT_DNS : Cluster_DiscoveryType.STATIC },
    // Gloo asks for IPv4 only; hosts with AAAA records that do not answer would come into rotation otherwise.
    ...(hasNames && { dnsLookupFamily: Cluster_DnsLookupFamily.V4_ONLY }),
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: spec.hosts.map((host) => lbEndpoint(host, spec, upstream)) }],
    },
  };
}

export function staticTls({ spec }: TypedUpstream<"static">): TlsDefaults {
  const sni = spec.hosts.find((host) => !isIpAddress(host.addr))?.addr;
  return {
    isOn: spec.useTls ?? spec.hosts.some((host) => host.port === 443),
    ...(sni !== undefined && { sni }),
    byEndpoint: spec.hosts.flatMap((host) => {
      const sni = sniOf(host, spec);
      return sni === "" ? [] : [{ name: matchName(host, sni), sni }];
    }),
  };
}

function lbEndpoint(host: Host, spec: SpecOf<"static">, upstream: Upstream): MessageInitShape<typeof LbEndpointSchema> {
  return {
    hostIdentifier: {
      case: "endpoint",
      value: {
        hostname: host.addr,
        address: socketAddress(host.addr, host.port),
        healthCheckConfig: { hostname: healthCheckHost(upstream) ?? host.addr },
      },
    },
    ...(host.loadBalancingWeight !== undefined && { loadBalancingWeight: host.loadBalancingWeight }),
    metadata: { filterMetadata: metadataOf(host, spec) },
  };
}

function metadataOf(host: Host, spec: SpecOf<"static">): Record<string, JsonObject> {
  const sni = sniOf(host, spec);
  const all: Record<string, JsonObject> = { ...host.metadata };
  delete all[advancedHttpKey];
  delete all[socketMatchKey];
  if (sni !== "") all[socketMatchKey] = { [matchName(host, sni)]: true };
  return sortedMap(all);
}

function sniOf(host: Host, spec: SpecOf<"static">): string {
  if (host.sniAddr !== "") return host.sniAddr;
  return (spec.autoSniRewrite ?? true) ? host.addr : "";
}

function matchName(host: Host, sni: string): string {
  return `${sni};${host.addr}:${host.port}`;
}
