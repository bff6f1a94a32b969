// Which filter chain takes a connection: Envoy's steps, each of which keeps only the most specific chains and never goes back.

import { type AddressRange, anywhere, type ChainMatch, type Destination } from "../compile/chain-match.ts";
import type { CompiledChain, FilterChains } from "../compile/filter-chains.ts";
import { type Hello, plainHello } from "./client-hello.ts";

/** Undefined: nobody takes it, and it is closed. */
export function chooseChain(chains: FilterChains, said: Hello): CompiledChain | undefined {
  const hello = chains.areInspected ? said : plainHello;
  const destination = byDestination(chains.byDestination, said);
  if (destination === undefined) return chains.fallback;
  const named = byServerName(destination, hello.serverName);
  const carried = byTransport(named, hello.isTls ? "tls" : "raw_buffer");
  const [found] = bySource(byProtocol(carried, hello.protocols), said);
  return found ?? chains.fallback;
}

/** Those for the port, and of these those for the smallest network that has the address. */
function byDestination(
  destinations: readonly Destination<CompiledChain>[],
  { localAddress = "", localPort = 0 }: Hello,
): Destination<CompiledChain> | undefined {
  const [first] = destinations;
  if (destinations.length === 1 && first?.port === 0 && first.range === anywhere) return first;
  const ofPort = destinations.filter(({ port }) => port !== 0 && port === localPort);
  const all = ofPort.length > 0 ? ofPort : destinations.filter(({ port }) => port === 0);
  const [found] = smallest(all, ({ range }) => [range], localAddress);
  return found;
}

/** `a.b.test` by its name, then as `*.b.test`, `*.test`; then those who take every name. */
function byServerName(
  { byServerName: index, withoutServerName }: Destination<CompiledChain>,
  serverName: string,
): readonly CompiledChain[] {
  if (serverName !== "" && index.size > 0) {
    const exact = index.get(serverName);
    if (exact !== undefined) return exact;
    for (let dot = serverName.indexOf(".", 1); dot >= 0; dot = serverName.indexOf(".", dot + 1)) {
      const found = index.get(`*${serverName.slice(dot)}`);
      if (found !== undefined) return found;
    }
  }
  return withoutServerName;
}

function byTransport(chains: readonly CompiledChain[], transport: string): readonly CompiledChain[] {
  const meant = chains.filter(({ match }) => match.transportProtocol === transport);
  return meant.length > 0 ? meant : chains.filter(({ match }) => match.transportProtocol === "");
}

function byProtocol(chains: readonly CompiledChain[], protocols: readonly string[]): readonly CompiledChain[] {
  for (const protocol of protocols) {
    const found = chains.filter(({ match }) => match.applicationProtocols.includes(protocol));
    if (found.length > 0) return found;
  }
  return chains.filter(({ match }) => match.applicationProtocols.length === 0);
}

/** Whoever connected, whether from this machine, and the client: its network, and then its port. */
function bySource(chains: readonly CompiledChain[], hello: Hello): readonly CompiledChain[] {
  // As is mostly so: nothing to look at.
  if (chains.length === 0 || (chains.length === 1 && isForAllSources((chains[0] as CompiledChain).match))) return chains;
  const { remoteAddress = "", remotePort = 0, directAddress = remoteAddress } = hello;
  const direct = smallest(chains, ({ match }) => rangesOr(match.directSources), directAddress);
  const meant = direct.filter(({ match }) => match.sourceType === (isLocal(hello) ? "local" : "external"));
  const near = meant.length > 0 ? meant : direct.filter(({ match }) => match.sourceType === "any");
  const found = smallest(near, ({ match }) => rangesOr(match.sources), remoteAddress);
  const ofPort = found.filter(({ match }) => match.sourcePorts.includes(remotePort));
  return ofPort.length > 0 ? ofPort : found.filter(({ match }) => match.sourcePorts.length === 0);
}

function isForAllSources({ directSources, sourceType, sources, sourcePorts }: ChainMatch): boolean {
  return directSources.length + sources.length + sourcePorts.length === 0 && sourceType === "any";
}

function rangesOr(ranges: readonly AddressRange[]): readonly AddressRange[] {
  return ranges.length > 0 ? ranges : everywhere;
}

const everywhere = [anywhere];

/** As Envoy: a Unix socket, the loopback address itself, or the address that is connected to. */
function isLocal({ remoteAddress = "", localAddress }: Hello): boolean {
  return remoteAddress === "" || remoteAddress === "127.0.0.1" || remoteAddress === "::1" || remoteAddress === localAddress;
}

/** Those with the smallest network that has the address. */
function smallest<T>(all: readonly T[], rangesOf: (one: T) => readonly AddressRange[], address: string): readonly T[] {
  let best = Number.NEGATIVE_INFINITY;
  let found: T[] = [];
  for (const one of all) {
    for (const { bits, has } of rangesOf(one)) {
      if (bits < best || !has(address)) continue;
      if (bits > best) found = [];
      best = bits;
      found.push(one);
    }
  }
  return found;
}
