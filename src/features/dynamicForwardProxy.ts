// `dynamicForwardProxy`: requests go to the host that they name. The listener has the filter and the DNS cache, routes say how the
// host is found.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../envoy/drafts.ts";
import { dynamicForwardProxyCache, dynamicForwardProxyCluster } from "../envoy/dynamic-forward-proxy.ts";
import { envoyResource, packAny } from "../envoy/encode.ts";
import { Cluster_LbPolicy, ClusterSchema, Cluster_DnsLookupFamily as Family } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { SocketAddressSchema } from "../gen/envoy/envoy/config/core/v3/address_pb.js";
import { ClusterConfigSchema } from "../gen/envoy/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import type { DnsCacheConfigSchema } from "../gen/envoy/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js";
import {
  FilterConfigSchema,
  PerRouteConfigSchema,
} from "../gen/envoy/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import { CaresDnsResolverConfigSchema } from "../gen/envoy/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js";
import type { SocketAddress } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/config/core/v3/address_pb.js";
import type { CircuitBreakerConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/circuit_breaker/circuit_breaker_pb.js";
import {
  DnsLookupFamily,
  type FilterConfig,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/dynamic_forward_proxy/dynamic_forward_proxy_pb.js";
import { isIpAddress } from "../lib/ip.ts";
import type { Feature, ListenerContext } from "../plugin/feature.ts";
import { listenerTlsContext } from "../plugin/listenerTls.ts";
import { tlsSocket } from "../plugin/upstreamTls.ts";

const filter = "envoy.filters.http.dynamic_forward_proxy";

/** The same names under other numbers. */
const families: Readonly<Record<DnsLookupFamily, Family>> = {
  [DnsLookupFamily.V4_PREFERRED]: Family.V4_PREFERRED,
  [DnsLookupFamily.V4_ONLY]: Family.V4_ONLY,
  [DnsLookupFamily.V6_ONLY]: Family.V6_ONLY,
  [DnsLookupFamily.AUTO]: Family.AUTO,
  [DnsLookupFamily.ALL]: Family.ALL,
};

export const dynamicForwardProxy: Feature = {
  name: "dynamicForwardProxy",
  glooName: "dynamic_forward_proxy",
  fields: { http: ["dynamicForwardProxy"] },
  always: true,
  httpFilters(options, { refuse, warn }) {
    const config = options?.dynamicForwardProxy;
    if (config === undefined) return [];
    if (config.dnsCacheConfig?.DnsCacheType.case === "appleDns")
      warn("dynamicForwardProxy.dnsCacheConfig.appleDns", "Envoy has that resolver on macOS only: names are looked up as on any machine", {
        reason: "OptionNotSupported",
        hint: "leave it out, or name servers in caresDns.resolvers",
      });
    const { maxHosts = mostHosts, preresolveHostnames = [] } = config.dnsCacheConfig ?? {};
    if (preresolveHostnames.length > maxHosts) {
      const message = `${preresolveHostnames.length} preresolveHostnames are more than the ${maxHosts} hosts that the cache holds`;
      refuse("dynamicForwardProxy.dnsCacheConfig.preresolveHostnames", message, { hint: "raise maxHosts" });
    }
    for (const [i, { portSpecifier }] of preresolveHostnames.entries())
      if (portSpecifier.case === undefined)
        refuse(`dynamicForwardProxy.dnsCacheConfig.preresolveHostnames[${i}]`, "unsupported type for socket address port specifier <nil>", {
          hint: "add portValue: 443",
        });
    checkResolvers(config, refuse);
    const value = packAny(FilterConfigSchema, {
      implementationSpecifier: { case: "dnsCacheConfig", value: cacheOf(config) },
      saveUpstreamAddress: config.saveUpstreamAddress,
    });
    return [{ place: { stage: "outAuth" }, filter: { name: filter, configType: { case: "typedConfig", value } } }];
  },
  clusters(options, context) {
    const { gateway, world } = context;
    const config = options?.dynamicForwardProxy;
    if (config === undefined) return [];
    const name = dynamicForwardProxyCluster(config);
    const typedConfig = packAny(ClusterConfigSchema, {
      clusterImplementationSpecifier: { case: "dnsCacheConfig", value: cacheOf(config) },
    });
    const tls = config.sslConfig && listenerTlsContext(config.sslConfig, "dynamicForwardProxy.sslConfig", context);
    if (config.sslConfig && tls === undefined) return [];
    const limits = config.circuitBreakers ?? world.settings.gloo?.circuitBreakers;
    const cluster: MessageInitShape<typeof ClusterSchema> = {
      name,
      connectTimeout: { seconds: 5n, nanos: 0 },
      lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
      clusterDiscoveryType: { case: "clusterType", value: { name: "envoy.clusters.dynamic_forward_proxy", typedConfig } },
      ...(limits && { circuitBreakers: circuitBreakersOf(limits) }),
      ...(tls && { transportSocket: tlsSocket(tls) }),
    };
    return [envoyResource(ClusterSchema, name, cluster, [gateway.key])];
  },
  route(route, _options, _inherited, { proxied, refuse }) {
    if (proxied === undefined) return route;
    const { hostRewriteSpecifier: rewrite } = proxied;
    switch (rewrite.case) {
      case "hostRewrite":
        return withFilterConfig(route, filter, PerRouteConfigSchema, {
          hostRewriteSpecifier: { case: "hostRewriteLiteral", value: rewrite.value },
        });
      case "autoHostRewriteHeader":
        return withFilterConfig(route, filter, PerRouteConfigSchema, {
          hostRewriteSpecifier: { case: "hostRewriteHeader", value: rewrite.value },
        });
      default:
        refuse("routeAction.dynamicForwardProxy", "unimplemented dynamic forward proxy route config type <nil>", {
          of: "route",
          hint: "say where the host comes from: hostRewrite or autoHostRewriteHeader",
        });
        return route;
    }
  },
};

function circuitBreakersOf({ maxConnections, maxPendingRequests, maxRequests, maxRetries, trackRemaining }: CircuitBreakerConfig) {
  return { thresholds: [{ maxConnections, maxPendingRequests, maxRequests, maxRetries, trackRemaining }] };
}

/** Envoy's own limit where none is written. */
const mostHosts = 1024;

function checkResolvers({ dnsCacheConfig }: FilterConfig, refuse: ListenerContext["refuse"]): void {
  const type = dnsCacheConfig?.DnsCacheType;
  if (type?.case !== "caresDns") return;
  for (const [i, { address }] of type.value.resolvers.entries()) {
    if (address.case === "socketAddress" && isIpAddress(address.value.address)) continue;
    const field = `dynamicForwardProxy.dnsCacheConfig.caresDns.resolvers[${i}]`;
    refuse(field, "a DNS resolver is an IP address and a port", { hint: "socketAddress: {address: 10.0.0.10, portValue: 53}" });
  }
}

type CacheInit = MessageInitShape<typeof DnsCacheConfigSchema>;

function cacheOf(config: FilterConfig): CacheInit {
  const cache = config.dnsCacheConfig;
  const resolver = cache?.DnsCacheType;
  return {
    name: dynamicForwardProxyCache(config),
    dnsLookupFamily: families[cache?.dnsLookupFamily ?? DnsLookupFamily.V4_PREFERRED],
    ...(cache?.dnsRefreshRate && { dnsRefreshRate: cache.dnsRefreshRate }),
    ...(cache?.hostTtl && { hostTtl: cache.hostTtl }),
    ...(cache?.maxHosts !== undefined && { maxHosts: cache.maxHosts }),
    ...(cache?.dnsQueryTimeout && { dnsQueryTimeout: cache.dnsQueryTimeout }),
    ...(cache?.dnsFailureRefreshRate && {
      dnsFailureRefreshRate: {
        ...(cache.dnsFailureRefreshRate.baseInterval && { baseInterval: cache.dnsFailureRefreshRate.baseInterval }),
        ...(cache.dnsFailureRefreshRate.maxInterval && { maxInterval: cache.dnsFailureRefreshRate.maxInterval }),
      },
    }),
    ...(cache?.dnsCacheCircuitBreaker?.maxPendingRequests !== undefined && {
      dnsCacheCircuitBreaker: { maxPendingRequests: cache.dnsCacheCircuitBreaker.maxPendingRequests },
    }),
    ...((cache?.preresolveHostnames.length ?? 0) > 0 && {
      preresolveHostnames: cache?.preresolveHostnames.map(socketAddressOf),
    }),
    ...(resolver?.case === "caresDns" && {
      typedDnsResolverConfig: {
        name: "envoy.network.dns_resolver.cares",
        typedConfig: packAny(CaresDnsResolverConfigSchema, {
          resolvers: resolver.value.resolvers.flatMap(({ address }) =>
            address.case === "socketAddress"
              ? [{ address: { case: "socketAddress" as const, value: socketAddressOf(address.value) } }]
              : [],
          ),
          ...(resolver.value.dnsResolverOptions && {
            dnsResolverOptions: {
              useTcpForDnsLookups: resolver.value.dnsResolverOptions.useTcpForDnsLookups,
              noDefaultSearchDomain: resolver.value.dnsResolverOptions.noDefaultSearchDomain,
            },
          }),
        }),
      },
    }),
  };
}

function socketAddressOf({
  protocol,
  address,
  portSpecifier,
  resolverName,
  ipv4Compat,
}: SocketAddress): MessageInitShape<typeof SocketAddressSchema> {
  return {
    protocol: protocol as number,
    address,
    portSpecifier: portSpecifier.case === "namedPort" ? portSpecifier : { case: "portValue", value: portSpecifier.value ?? 0 },
    resolverName,
    ipv4Compat,
  };
}
