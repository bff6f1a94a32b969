// The filter chains of a listener: which connections each takes, with which TLS, and what serves them: an HTTP connection manager or a TCP proxy.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { FilterChain, ListenerFilter } from "../../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { ConfigSchema as TcpStatsSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tcp_stats/v3/tcp_stats_pb.js";
import { type AccessLogger, compileAccessLogs } from "./access-log.ts";
import { byDestination, type ChainMatch, compileChainMatch, type Destination, everything, matchKey } from "./chain-match.ts";
import { type ConnectionGate, closedGate, compileGate, inSeries } from "./connection-gate.ts";
import { compileDownstreamTls, type DownstreamTls } from "./downstream-tls.ts";
import type { Findings } from "./findings.ts";
import { type CompiledHcm, compileHcm } from "./hcm.ts";
import { compileProxyProtocol, type ProxyProtocol } from "./proxy-protocol.ts";
import { type CompiledTcpProxy, compileTcpProxy, isSniCluster, unpackTcpProxy } from "./tcp-proxy.ts";

export interface FilterChains {
  readonly matched: readonly CompiledChain[];
  readonly byDestination: readonly Destination<CompiledChain>[];
  /** Takes what no other takes. */
  readonly fallback: CompiledChain | undefined;
  /** Without a TLS inspector Envoy sees neither SNI nor ALPN when it chooses, and nor do we. */
  readonly areInspected: boolean;
  /** Connections begin with the address of the client. */
  readonly proxyProtocol: ProxyProtocol | undefined;
  /** Of connections, when they are closed. */
  readonly accessLogs: readonly AccessLogger[];
  /** The plain chain that takes every connection; undefined when the first bytes of a connection decide. */
  readonly only: CompiledChain | undefined;
}

export interface CompiledChain {
  readonly match: ChainMatch;
  /** Undefined: it serves in plain text. `unusable`: its connections are closed, rather than given to a chain that they are not meant for. */
  readonly tls: DownstreamTls | "unusable" | undefined;
  readonly serves: ServedBy;
  /** Undefined: everybody is let in. */
  readonly gate: ConnectionGate | undefined;
}

/** `closed`: what would serve them is not executed, and nobody else gets the connections. */
export type ServedBy =
  | { readonly kind: "http"; readonly hcm: CompiledHcm }
  | { readonly kind: "tcp"; readonly proxy: CompiledTcpProxy }
  | { readonly kind: "closed" };

/** What a connection holds where the listener does not say. */
const defaultBufferLimit = 1_048_576;

/** Undefined when there is no chain that is served. */
export function compileFilterChains(listener: Listener, findings: Findings, previous: FilterChains | undefined): FilterChains | undefined {
  const matched: CompiledChain[] = [];
  const taken = new Set<string>();
  const limit = bufferLimitOf(listener);
  const before = new Map(previous?.matched.map((chain) => [matchKey(chain.match), chain]));
  listener.filterChains.forEach((chain, index) => {
    const place = findings.at(`filter_chains[${index}]`);
    const compiled = compileChain(chain, place, before, limit);
    const key = matchKey(compiled.match);
    if (taken.has(key)) place.notExecuted("filter_chain_match", "; an earlier filter chain takes the connections");
    else matched.push(compiled);
    taken.add(key);
  });
  const fallback = listener.defaultFilterChain && compileFallback(listener.defaultFilterChain, findings, previous, limit);
  if (![...matched, fallback].some((chain) => chain !== undefined && isServed(chain))) return undefined;
  const proxyProtocol = compileListenerProxyProtocol(listener, findings);
  return {
    matched,
    byDestination: byDestination(matched),
    fallback,
    areInspected: listener.listenerFilters.some(isTlsInspector),
    proxyProtocol,
    accessLogs: compileAccessLogs(listener.accessLog, findings),
    only: proxyProtocol === undefined ? onlyChain(matched, fallback) : undefined,
  };
}

/** 0: no limit. */
function bufferLimitOf({ perConnectionBufferLimitBytes: said = defaultBufferLimit }: Listener): number {
  return said === 0 ? Number.POSITIVE_INFINITY : said;
}

function compileFallback(chain: FilterChain, findings: Findings, previous: FilterChains | undefined, bufferLimit: number): CompiledChain {
  const before = new Map(previous?.fallback && [[matchKey(previous.fallback.match), previous.fallback]]);
  return compileChain(chain, findings.at("default_filter_chain"), before, bufferLimit);
}

function isServed({ tls, serves }: CompiledChain): boolean {
  return tls !== "unusable" && serves.kind !== "closed";
}

function compileListenerProxyProtocol({ listenerFilters }: Listener, findings: Findings): ProxyProtocol | undefined {
  for (const [index, filter] of listenerFilters.entries()) {
    const found = compileProxyProtocol(filter, findings.at(`listener_filters[${index}]`));
    if (found !== undefined) return found;
  }
  return undefined;
}

export function isProxyProtocol({ configType }: ListenerFilter): boolean {
  return configType.case === "typedConfig" && configType.value.typeUrl.endsWith(".ProxyProtocol");
}

/** The filter that looks at the first bytes of a connection. */
export function isTlsInspector({ configType }: ListenerFilter): boolean {
  return configType.case === "typedConfig" && configType.value.typeUrl.endsWith(".TlsInspector");
}

function onlyChain([first, ...others]: readonly CompiledChain[], fallback: CompiledChain | undefined): CompiledChain | undefined {
  const chain = first ?? fallback;
  const takesAll = first === undefined || matchKey(first.match) === matchKey(everything);
  return chain?.tls === undefined && others.length === 0 && takesAll ? chain : undefined;
}

function compileChain(
  written: FilterChain,
  findings: Findings,
  before: ReadonlyMap<string, CompiledChain>,
  bufferLimit: number,
): CompiledChain {
  const chain = withoutTcpStats(written, findings);
  const match = compileChainMatch(chain);
  const { serves, gate } = compileNetworkFilters(chain, findings, bufferLimit);
  if (serves === undefined) return { match, tls: undefined, serves: { kind: "closed" }, gate: undefined };
  const previous = before.get(matchKey(match));
  const earlier = previous?.tls;
  const isPlain = chain.transportSocket === undefined || isRaw(chain);
  const kept = earlier === "unusable" || previous?.serves.kind !== serves.kind ? undefined : earlier;
  const tls = isPlain ? undefined : compileDownstreamTls(chain, findings, kept, serves.kind === "http");
  return { match, tls, serves, gate: gate?.key === previous?.gate?.key ? previous?.gate : gate };
}

/** What the kernel knows of a connection is not counted; what is around the connection stays. */
function withoutTcpStats(chain: FilterChain, findings: Findings): FilterChain {
  const config = chain.transportSocket?.configType;
  const stats = config?.case === "typedConfig" ? anyUnpack(config.value, TcpStatsSchema) : undefined;
  if (stats === undefined) return chain;
  findings.notExecuted("transport_socket (tcp_stats)", "; connections are served without it");
  const { transportSocket: _, ...rest } = chain;
  return stats.transportSocket === undefined ? rest : { ...rest, transportSocket: stats.transportSocket };
}

function isRaw(chain: FilterChain): boolean {
  const config = chain.transportSocket?.configType;
  return config?.case === "typedConfig" && config.value.typeUrl.endsWith(".RawBuffer");
}

function compileNetworkFilters(chain: FilterChain, findings: Findings, bufferLimit: number) {
  let serves: ServedBy | undefined;
  let takesServerName = false;
  const gates: ConnectionGate[] = [];
  chain.filters.forEach((filter, index) => {
    const place = findings.at(`filters[${index}]`);
    const any = filter.configType.case === "typedConfig" ? filter.configType.value : undefined;
    const gate = any && compileGate(any, place.at("typed_config"));
    if (gate !== undefined) gates.push(gate);
    else if (any !== undefined && isSniCluster(any)) takesServerName = true;
    else {
      const terminal = any && compileTerminal(any, place.at("typed_config"), takesServerName, bufferLimit);
      if (terminal === "not known" || terminal === undefined) {
        // It may be there to keep connections out, whatever comes after it.
        gates.push(closedGate);
        place.notExecuted(`typed_config (${filter.name})`, "; connections of the filter chain are closed");
      } else if (terminal !== "refused") serves = terminal;
    }
  });
  return { serves, gate: inSeries(gates) };
}

/** The last filter of a chain. */
function compileTerminal(any: Any, findings: Findings, takesServerName: boolean, bufferLimit: number): ServedBy | "not known" | "refused" {
  const manager = anyUnpack(any, HttpConnectionManagerSchema);
  if (manager !== undefined) return { kind: "http", hcm: compileHcm(manager, findings, bufferLimit) };
  const message = unpackTcpProxy(any);
  if (message === undefined) return "not known";
  const proxy = compileTcpProxy(message, findings, takesServerName);
  return proxy === undefined ? "refused" : { kind: "tcp", proxy };
}
