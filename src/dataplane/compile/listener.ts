// A Listener: the address, and for each filter chain its HTTP connection manager.

import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { FilterChain } from "../../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { unhandledFields } from "../fields.ts";
import { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { type CompiledHcm, compileHcm } from "./hcm.ts";

export interface CompiledListener {
  readonly name: string;
  readonly address: ListenAddress | undefined;
  readonly backlog: number | undefined;
  /** The connection manager that serves plain connections; undefined when there is none that we execute. */
  readonly hcm: CompiledHcm | undefined;
  readonly findings: Findings["all"];
}

export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly ipv6Only: boolean }
  | { readonly kind: "pipe"; readonly path: string };

/** What two listeners on the same address have in common. */
export function addressKey(address: ListenAddress): string {
  return address.kind === "pipe" ? `unix:${address.path}` : `[${address.host}]:${address.port}${address.ipv6Only ? " v6only" : ""}`;
}

/** Throws when the bytes are not a Listener. */
export function compileListener(bytes: Uint8Array): CompiledListener {
  const listener = fromBinary(ListenerSchema, bytes);
  const findings = new Findings();
  for (const path of unhandledFields(ListenerSchema, listener, handledFields)) findings.notExecuted(path);
  const kind = listener.address?.address;
  let address: ListenAddress | undefined;
  if (kind?.case === "socketAddress") {
    const { address: host, portSpecifier, ipv4Compat, protocol } = kind.value;
    if (protocol !== 0) findings.notExecuted("address.socket_address.protocol: UDP", "; the listener is not bound");
    else
      address = {
        kind: "tcp",
        host,
        port: portSpecifier.case === "portValue" ? portSpecifier.value : 0,
        ipv6Only: host.includes(":") && !ipv4Compat,
      };
  } else if (kind?.case === "pipe") address = { kind: "pipe", path: kind.value.path };
  else findings.refused("address", "there is no address to listen on");
  if (listener.bindToPort === false) address = undefined;
  listener.listenerFilters.forEach((filter, index) => {
    // The TLS inspector only looks for what chains of TLS match on, and those are reported.
    const type = filter.configType.case === "typedConfig" ? filter.configType.value.typeUrl : "";
    if (!type.endsWith(".TlsInspector")) findings.notExecuted(`listener_filters[${index}] (${filter.name})`);
  });
  listener.accessLog.forEach((_, index) => void findings.notExecuted(`access_log[${index}]`));
  return { name: listener.name, address, backlog: listener.tcpBacklogSize, hcm: plainHcm(listener, findings), findings: findings.all };
}

/** The first chain that takes any plain connection; the others are reported. */
function plainHcm(
  listener: { filterChains: readonly FilterChain[]; defaultFilterChain?: FilterChain | undefined },
  findings: Findings,
): CompiledHcm | undefined {
  const chains = [
    ...listener.filterChains.map((chain, index) => ({ chain, place: findings.at(`filter_chains[${index}]`) })),
    ...(listener.defaultFilterChain ? [{ chain: listener.defaultFilterChain, place: findings.at("default_filter_chain") }] : []),
  ];
  let served: CompiledHcm | undefined;
  for (const { chain, place } of chains) {
    if (chain.transportSocket !== undefined && !isRaw(chain)) {
      place.notExecuted("transport_socket", "; the filter chain is not served");
      continue;
    }
    const narrowing = narrowingFields(chain);
    if (narrowing.length > 0) {
      for (const field of narrowing) place.notExecuted(`filter_chain_match.${field}`, "; the filter chain is not served");
      continue;
    }
    if (served !== undefined) {
      place.notExecuted("filter_chain_match", "; an earlier filter chain takes the connections");
      continue;
    }
    served = chainHcm(chain, place);
  }
  return served;
}

function isRaw(chain: FilterChain): boolean {
  const config = chain.transportSocket?.configType;
  return config?.case === "typedConfig" && config.value.typeUrl.endsWith(".RawBuffer");
}

/** Fields by which a chain takes only some plain connections. */
function narrowingFields(chain: FilterChain): string[] {
  const match = chain.filterChainMatch;
  if (match === undefined) return [];
  const found: string[] = [];
  if (match.serverNames.length > 0) found.push("server_names");
  if (match.applicationProtocols.length > 0) found.push("application_protocols");
  if (match.prefixRanges.length > 0) found.push("prefix_ranges");
  if (match.sourcePrefixRanges.length > 0) found.push("source_prefix_ranges");
  if (match.directSourcePrefixRanges.length > 0) found.push("direct_source_prefix_ranges");
  if (match.sourcePorts.length > 0) found.push("source_ports");
  if (match.destinationPort !== undefined) found.push("destination_port");
  if (match.transportProtocol !== "" && match.transportProtocol !== "raw_buffer") found.push("transport_protocol");
  return found;
}

function chainHcm(chain: FilterChain, findings: Findings): CompiledHcm | undefined {
  let hcm: CompiledHcm | undefined;
  chain.filters.forEach((filter, index) => {
    const place = findings.at(`filters[${index}]`);
    const config = filter.configType;
    const message = config.case === "typedConfig" ? anyUnpack(config.value, HttpConnectionManagerSchema) : undefined;
    if (message === undefined) place.notExecuted(`typed_config (${filter.name})`, "; the filter chain is not served");
    else hcm = compileHcm(message, place.at("typed_config"));
  });
  return hcm;
}
