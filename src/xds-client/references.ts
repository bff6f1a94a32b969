// What listeners and clusters refer to, and what is therefore asked for by name: routes, endpoints, secrets.
import { fromBinary } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Cluster_DiscoveryType, ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { ConfigSource } from "../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import type { FilterChain } from "../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import type { SdsSecretConfig } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { type EnvoyResource, type TypeUrl, typeUrls } from "../model/envoy-resource.ts";

export interface References {
  /** In the order in which they are named. */
  readonly wanted: readonly Reference[];
  /** What is to come from other places than this stream, and therefore never comes. */
  readonly elsewhere: readonly Reference[];
}

export interface Reference {
  readonly typeUrl: TypeUrl;
  readonly name: string;
}

const none: References = { wanted: [], elsewhere: [] };

/** Throws for bytes that are not what the type says. */
export function referencesOf({ typeUrl, bytes }: EnvoyResource): References {
  if (typeUrl === typeUrls.cluster) return ofCluster(bytes);
  if (typeUrl === typeUrls.listener) return ofListener(bytes);
  return none;
}

function ofCluster(bytes: Uint8Array): References {
  const cluster = fromBinary(ClusterSchema, bytes);
  const found = new Found();
  const isEds = cluster.clusterDiscoveryType.case === "type" && cluster.clusterDiscoveryType.value === Cluster_DiscoveryType.EDS;
  if (isEds) found.add(typeUrls.endpoint, cluster.edsClusterConfig?.serviceName || cluster.name, cluster.edsClusterConfig?.edsConfig);
  found.addUpstreamTls(cluster.transportSocket);
  for (const { transportSocket } of cluster.transportSocketMatches) found.addUpstreamTls(transportSocket);
  return found;
}

function ofListener(bytes: Uint8Array): References {
  const listener = fromBinary(ListenerSchema, bytes);
  const found = new Found();
  for (const chain of listener.filterChains) found.addChain(chain);
  if (listener.defaultFilterChain) found.addChain(listener.defaultFilterChain);
  return found;
}

class Found implements References {
  readonly wanted: Reference[] = [];
  readonly elsewhere: Reference[] = [];
  readonly #seen = new Set<string>();

  add(typeUrl: TypeUrl, name: string, source: ConfigSource | undefined): void {
    const key = `${typeUrl} ${name}`;
    if (name === "" || this.#seen.has(key)) return;
    this.#seen.add(key);
    const from = source?.configSourceSpecifier.case;
    (from === "ads" || from === "self" ? this.wanted : this.elsewhere).push({ typeUrl, name });
  }

  addChain(chain: FilterChain): void {
    const context = unpacked(chain.transportSocket);
    if (context) this.#addTls(anyUnpack(context, DownstreamTlsContextSchema)?.commonTlsContext);
    for (const { configType } of chain.filters) {
      const manager = configType.case === "typedConfig" ? anyUnpack(configType.value, HttpConnectionManagerSchema) : undefined;
      if (manager?.routeSpecifier.case !== "rds") continue;
      this.add(typeUrls.route, manager.routeSpecifier.value.routeConfigName, manager.routeSpecifier.value.configSource);
    }
  }

  addUpstreamTls(socket: TransportSocket | undefined): void {
    const context = unpacked(socket);
    const proxied = context && anyUnpack(context, ProxyProtocolUpstreamTransportSchema);
    if (proxied) this.addUpstreamTls(proxied.transportSocket);
    if (context) this.#addTls(anyUnpack(context, UpstreamTlsContextSchema)?.commonTlsContext);
  }

  #addTls(context: CommonTlsContext | undefined): void {
    for (const certificate of context?.tlsCertificateSdsSecretConfigs ?? []) this.#addSecret(certificate);
    const type = context?.validationContextType;
    if (type?.case === "validationContextSdsSecretConfig") this.#addSecret(type.value);
    if (type?.case === "combinedValidationContext") this.#addSecret(type.value.validationContextSdsSecretConfig);
  }

  #addSecret(secret: SdsSecretConfig | undefined): void {
    // An SDS server of the user's own is asked by the data plane itself.
    if (secret && secret.sdsConfig?.configSourceSpecifier.case !== "apiConfigSource")
      this.add(typeUrls.secret, secret.name, secret.sdsConfig);
  }
}

function unpacked(socket: TransportSocket | undefined): Any | undefined {
  return socket?.configType.case === "typedConfig" ? socket.configType.value : undefined;
}
