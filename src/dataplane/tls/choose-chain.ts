// Which filter chain takes a connection: Envoy's steps, each of which keeps only the most specific chains and never goes back.

import type { CompiledChain, FilterChains } from "../compile/filter-chains.ts";
import { type Hello, plainHello } from "./client-hello.ts";

/** Undefined: nobody takes it, and it is closed. */
export function chooseChain(chains: FilterChains, said: Hello): CompiledChain | undefined {
  const hello = chains.areInspected ? said : plainHello;
  const { remoteAddress = "" } = said;
  const named = byServerName(chains, hello.serverName);
  const carried = byTransport(named, hello.isTls ? "tls" : "raw_buffer");
  const [found] = bySource(byProtocol(carried, hello.protocols), remoteAddress);
  return found ?? chains.fallback;
}

/** `a.b.test` by its name, then as `*.b.test`, `*.test`; then those who take every name. */
function byServerName({ byServerName: index, withoutServerName }: FilterChains, serverName: string): readonly CompiledChain[] {
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

/** The smallest network that the client is in; then those who take clients from everywhere. */
function bySource(chains: readonly CompiledChain[], remoteAddress: string): readonly CompiledChain[] {
  let best = -1;
  let found: readonly CompiledChain[] | undefined;
  for (const chain of chains) {
    for (const { bits, has } of chain.match.sources) {
      if (bits <= best || !has(remoteAddress)) continue;
      best = bits;
      found = [chain];
    }
  }
  return found ?? chains.filter(({ match }) => match.sources.length === 0);
}
