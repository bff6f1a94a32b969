// Filter chains that Envoy would refuse beside one another, or for what they match.
import { ipVersion } from "../lib/ip.ts";
import { type Problem, problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { ChainDraft } from "./filter-chains.ts";

export interface PlacedChain {
  /** The path of the part of the Gateway that made it. */
  readonly part: string;
  readonly chain: ChainDraft;
  /** Whose settings it follows. */
  readonly by: readonly { readonly resource: ResourceKey; readonly path: string }[];
  /** Its place among the chains of its part, where that is not the order they are made in. */
  readonly rank?: string;
}

export interface UsableChains {
  readonly chains: readonly PlacedChain[];
  readonly problems: readonly Problem[];
}

/** Envoy refuses ranges that are none. */
export function withUsableRanges(all: readonly PlacedChain[], gateway: ResourceKey): UsableChains {
  const problems: Problem[] = [];
  const chains = all.filter(({ chain }) => {
    const wrong = chain.filterChainMatch?.sourcePrefixRanges?.find(({ addressPrefix = "", prefixLen }) => {
      const version = ipVersion(addressPrefix);
      return version === 0 || Number(prefixLen ?? 0) > (version === 4 ? 32 : 128);
    });
    if (wrong === undefined) return true;
    const message = `malformed IP address range: ${wrong.addressPrefix}/${wrong.prefixLen ?? 0}`;
    const details = { path: "hybridGateway.matchedGateways", costs: "filterChain" } as const;
    problems.push(problem("error", gateway, "ListenerRefusedByEnvoy", message, details));
    return false;
  });
  return { chains, problems };
}

/** Envoy refuses chains that match the same connections: the first keeps them. */
export function withoutConflicts(all: readonly PlacedChain[], gateway: ResourceKey): UsableChains {
  const taken = new Set<string>();
  const problems: Problem[] = [];
  const chains = all.flatMap((placed) => {
    const match = placed.chain.filterChainMatch;
    const ranges = (match?.sourcePrefixRanges ?? []).map((range) => `${range.addressPrefix}/${range.prefixLen}`).sort();
    const names = match?.serverNames?.length ? match.serverNames : [""];
    const clashing = names.filter((name) => taken.has(`${name.toLowerCase()} ${ranges}`));
    for (const name of names) taken.add(`${name.toLowerCase()} ${ranges}`);
    if (clashing.length === 0) return [placed];
    problems.push(...conflict(placed, clashing, names.length, gateway));
    const kept = names.filter((name) => !clashing.includes(name));
    if (kept.length === 0) return [];
    return [{ ...placed, chain: { ...placed.chain, filterChainMatch: { ...match, serverNames: kept } } }];
  });
  return { chains, problems };
}

/** For whoever the chain is of, and for the Gateway. */
function conflict(placed: PlacedChain, names: readonly string[], of: number, gateway: ResourceKey): Problem[] {
  const shown =
    names[0] === "" ? (placed.chain.filterChainMatch ? "{}" : "{<nil>}") : `{server_names:[${names.map((name) => `"${name}"`).join(" ")}]}`;
  const message = `Tried to apply multiple filter chains with the same FilterChainMatch ${shown}. This is usually caused by overlapping sniDomains or multiple empty sniDomains in virtual services`;
  const statusText = `Listener Error: SSLConfigError. Reason: ${message}`;
  const culprits = placed.by.length > 0 ? placed.by : [{ resource: gateway, path: "" }];
  const problems = culprits.map(({ resource, path }) =>
    problem("error", resource, "FilterChainConflict", message, {
      path: resource === gateway ? path : `${path}.sniDomains`,
      costs: names.length === of ? "filterChain" : "nothing",
      elsewhere: resource !== gateway,
      statusText,
    }),
  );
  if (culprits.some(({ resource }) => resource === gateway)) return problems;
  return [...problems, problem("error", gateway, "FilterChainConflict", message, { costs: "nothing", elsewhere: true, statusText })];
}
