// The bootstrap of an Envoy that gets everything else from us: who it is, where we are, and what Envoy's edge guide asks for.
import type { ProxyKey } from "../model/envoy-resource.ts";

export interface BootstrapOptions {
  readonly proxy: ProxyKey;
  /** Where Headworks serves xDS. */
  readonly xds: { readonly host: string; readonly port: number } | { readonly path: string };
  /** Files on Envoy's machine, for a server that asks for client certificates. `serverName` is what the server's certificate must say. */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string; readonly serverName: string };
  /** Envoy's admin interface; on loopback, since whoever reaches it can stop Envoy and read its configuration. */
  readonly admin: { readonly port: number; readonly host?: string } | { readonly path: string };
  /** Default: `name.namespace`, as Gloo's Envoys have it. */
  readonly nodeId?: string;
  readonly nodeCluster?: string;
  /** Default delta; `sotw` for comparison and for old habits. */
  readonly variant?: "delta" | "sotw";
  /** One aggregated stream, or one for each service. Only the first can keep all changes in order. */
  readonly service?: "ads" | "separate";
  /** Above which Envoy sheds load, in bytes; without it, memory is not looked at. */
  readonly maxHeapBytes?: number;
  /** Downstream connections in all. Envoy warns when there is no limit. */
  readonly maxConnections?: number;
}

const xdsCluster = "headworks_xds";

/** As an object in Envoy's JSON; write it to a file and start `envoy -c FILE`. */
export function envoyBootstrap(options: BootstrapOptions): object {
  const [namespace, name] = options.proxy.split("~") as [string, string];
  return {
    node: {
      id: options.nodeId ?? `${name}.${namespace}`,
      cluster: options.nodeCluster ?? name,
      metadata: { role: options.proxy },
    },
    admin: { address: adminAddress(options.admin) },
    dynamic_resources: dynamicResources(options),
    static_resources: { clusters: [clusterOfHeadworks(options)] },
    // A cluster's counters are made when it is first used: 40 % less time and 28 % less memory at 10,000 clusters.
    deferred_stat_options: { enable_deferred_creation_stats: true },
    overload_manager: overloadManager(options),
  };
}

function adminAddress(admin: BootstrapOptions["admin"]): object {
  if ("path" in admin) return { pipe: { path: admin.path } };
  return { socket_address: { address: admin.host ?? "127.0.0.1", port_value: admin.port } };
}

function dynamicResources(options: BootstrapOptions): object {
  const grpc = {
    api_type: options.variant === "sotw" ? "GRPC" : "DELTA_GRPC",
    transport_api_version: "V3",
    set_node_on_first_message_only: true,
    grpc_services: [
      {
        envoy_grpc: {
          cluster_name: xdsCluster,
          // Back within seconds of a restart of ours; Envoy's own default goes up to 30 s.
          retry_policy: { retry_back_off: { base_interval: "0.2s", max_interval: "2s" } },
        },
      },
    ],
  };
  if (options.service === "separate") {
    const source = { resource_api_version: "V3", api_config_source: grpc };
    return { cds_config: source, lds_config: source };
  }
  const source = { resource_api_version: "V3", ads: {} };
  return { ads_config: grpc, cds_config: source, lds_config: source };
}

function clusterOfHeadworks({ xds, tls }: BootstrapOptions): object {
  const address = "path" in xds ? { pipe: { path: xds.path } } : { socket_address: { address: xds.host, port_value: xds.port } };
  const isName = "host" in xds && !/^[\d.]+$|:/.test(xds.host);
  return {
    name: xdsCluster,
    type: isName ? "STRICT_DNS" : "STATIC",
    connect_timeout: "1s",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: {
          // Pings find a server that is gone without a word; they may wait while Envoy takes in a large set of clusters.
          http2_protocol_options: { connection_keepalive: { interval: "30s", timeout: "60s" } },
        },
      },
    },
    ...(tls !== undefined && { transport_socket: mutualTls(tls) }),
    load_assignment: {
      cluster_name: xdsCluster,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  };
}

function mutualTls({ caFile, certFile, keyFile, serverName }: NonNullable<BootstrapOptions["tls"]>): object {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
      sni: serverName,
      common_tls_context: {
        alpn_protocols: ["h2"],
        tls_certificates: [{ certificate_chain: { filename: certFile }, private_key: { filename: keyFile } }],
        validation_context: {
          trusted_ca: { filename: caFile },
          match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: serverName } }],
        },
      },
    },
  };
}

const manyConnections = 50_000;

/** Envoy's edge guide: a limit of connections; give memory back at 92 %, take no more requests at 95 %. */
function overloadManager({ maxConnections, maxHeapBytes }: BootstrapOptions): object {
  const connections = monitor("global_downstream_max_connections", "downstream_connections.v3.DownstreamConnectionsConfig", {
    max_active_downstream_connections: `${maxConnections ?? manyConnections}`,
  });
  if (maxHeapBytes === undefined) return { resource_monitors: [connections] };
  return {
    refresh_interval: "0.25s",
    resource_monitors: [connections, monitor("fixed_heap", "fixed_heap.v3.FixedHeapConfig", { max_heap_size_bytes: `${maxHeapBytes}` })],
    actions: [
      { name: "envoy.overload_actions.shrink_heap", triggers: [heapAbove(0.92)] },
      { name: "envoy.overload_actions.stop_accepting_requests", triggers: [heapAbove(0.95)] },
    ],
  };
}

function monitor(name: string, type: string, config: object): object {
  return {
    name: `envoy.resource_monitors.${name}`,
    typed_config: { "@type": `type.googleapis.com/envoy.extensions.resource_monitors.${type}`, ...config },
  };
}

function heapAbove(value: number): object {
  return { name: "envoy.resource_monitors.fixed_heap", threshold: { value } };
}
