// Which connections a filter chain takes, and the listener's chains by what is asked first: where a connection goes to, and the name of the server.

import type { CidrRange } from "../../gen/envoy/envoy/config/core/v3/address_pb.js";
import type { FilterChain } from "../../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import { compileAddressRange } from "./address-range.ts";

export interface ChainMatch {
  /** 0: all. */
  readonly destinationPort: number;
  /** Networks of the address that is connected to; empty: all. */
  readonly destinations: readonly AddressRange[];
  /** In lower case; empty: every name, and none. */
  readonly serverNames: ReadonlySet<string>;
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  /** Networks of whoever opened the connection, which may be a proxy before us; empty: all. */
  readonly directSources: readonly AddressRange[];
  /** `local`: from this machine. */
  readonly sourceType: "any" | "local" | "external";
  /** Networks of clients; empty: all. */
  readonly sources: readonly AddressRange[];
  /** Empty: all. */
  readonly sourcePorts: readonly number[];
}

export interface AddressRange {
  /** `10.0.0.0/8` */
  readonly text: string;
  readonly bits: number;
  readonly has: (address: string) => boolean;
}

/** Throws for ranges that are none. */
export function compileChainMatch({ filterChainMatch: match }: FilterChain): ChainMatch {
  if (match === undefined) return everything;
  return {
    destinationPort: match.destinationPort ?? 0,
    destinations: match.prefixRanges.map(compileRange),
    serverNames: new Set(match.serverNames.map((name) => name.toLowerCase())),
    transportProtocol: match.transportProtocol,
    applicationProtocols: match.applicationProtocols,
    directSources: match.directSourcePrefixRanges.map(compileRange),
    sourceType: sourceTypes[match.sourceType] ?? "any",
    sources: match.sourcePrefixRanges.map(compileRange),
    sourcePorts: match.sourcePorts,
  };
}

const sourceTypes = ["any", "local", "external"] as const;

export const everything: ChainMatch = {
  destinationPort: 0,
  destinations: [],
  serverNames: new Set(),
  transportProtocol: "",
  applicationProtocols: [],
  directSources: [],
  sourceType: "any",
  sources: [],
  sourcePorts: [],
};

/** What two chains that take the same connections have in common. */
export function matchKey(match: ChainMatch): string {
  const texts = (ranges: readonly AddressRange[]) => ranges.map(({ text }) => text);
  return JSON.stringify({
    ...match,
    destinations: texts(match.destinations),
    serverNames: [...match.serverNames],
    directSources: texts(match.directSources),
    sources: texts(match.sources),
  });
}

function compileRange(range: CidrRange): AddressRange {
  const bits = range.prefixLen ?? 0;
  return { text: `${range.addressPrefix}/${bits}`, bits, has: compileAddressRange(range) };
}

/** Chains for the same port and network of destination. */
export interface Destination<Chain> {
  /** 0: all that no other destination names. */
  readonly port: number;
  readonly range: AddressRange;
  /** Chains that ask for a server name, by each; a wildcard as it is written. */
  readonly byServerName: ReadonlyMap<string, readonly Chain[]>;
  readonly withoutServerName: readonly Chain[];
}

export const anywhere: AddressRange = { text: "", bits: -1, has: () => true };

export function byDestination<Chain extends { readonly match: ChainMatch }>(chains: readonly Chain[]): Destination<Chain>[] {
  const found = new Map<string, { port: number; range: AddressRange; chains: Chain[] }>();
  for (const chain of chains) {
    const { destinationPort: port, destinations } = chain.match;
    for (const range of destinations.length > 0 ? destinations : [anywhere]) {
      const key = `${port} ${range.text}`;
      const known = found.get(key);
      if (known === undefined) found.set(key, { port, range, chains: [chain] });
      else known.chains.push(chain);
    }
  }
  return [...found.values()].map((each) => ({
    port: each.port,
    range: each.range,
    byServerName: byServerName(each.chains),
    withoutServerName: each.chains.filter(({ match }) => match.serverNames.size === 0),
  }));
}

function byServerName<Chain extends { readonly match: ChainMatch }>(chains: readonly Chain[]): Map<string, Chain[]> {
  const byName = new Map<string, Chain[]>();
  for (const chain of chains) {
    for (const name of chain.match.serverNames) {
      const known = byName.get(name);
      if (known === undefined) byName.set(name, [chain]);
      else known.push(chain);
    }
  }
  return byName;
}
