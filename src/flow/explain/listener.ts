// Which listener and which filter chain a request comes to.
import type { CompiledChain } from "../../dataplane/compile/filter-chains.ts";
import type { DryListener } from "../../dataplane/dry-run/resources.ts";
import { parseResourceKey, type ResourceKey } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { AskedRequest, Where } from "./explain.ts";
import type { ExplainedChain, ExplainedListener } from "./explanation.ts";

interface Choice {
  readonly listener?: DryListener;
  readonly notes: readonly string[];
}

/** By port. In front of a gateway the usual ports often lead to others, so a URL that names none is taken for whoever speaks its scheme. */
export function chooseListener(all: readonly DryListener[], { scheme, port }: AskedRequest): Choice {
  const listeners = all.filter(({ compiled }) => compiled.address?.kind === "tcp").sort((a, b) => portOf(a) - portOf(b));
  const wanted = port ?? (scheme === "https" ? 443 : 80);
  const exact = listeners.find((each) => portOf(each) === wanted);
  if (exact !== undefined) return { listener: exact, notes: [] };
  const ports = listeners.map((each) => String(portOf(each))).join(", ");
  if (listeners.length === 0) return { notes: ["this proxy has no listeners"] };
  if (port !== undefined) return { notes: [`nobody listens on port ${port}; this proxy listens on ${ports}`] };
  const listener = listeners.find((each) => speaks(each, scheme));
  if (listener === undefined) return { notes: [`nobody here speaks ${scheme}; this proxy listens on ${ports}`] };
  return { listener, notes: [`the URL names no port; it is taken for what listens on ${portOf(listener)}`] };
}

function portOf({ compiled }: DryListener): number {
  return compiled.address?.kind === "tcp" ? compiled.address.port : 0;
}

function speaks(listener: DryListener, scheme: AskedRequest["scheme"]): boolean {
  return chainsIn(listener).some(({ tls }) => (tls !== undefined) === (scheme === "https"));
}

export function listenerOf(listener: DryListener, where: Where): ExplainedListener {
  const { address, name } = listener.compiled;
  const gateway = listener.resource.owners.find((owner) => parseResourceKey(owner).kind === "Gateway");
  const host = address?.kind === "tcp" ? address.host : "";
  return { name, address: host, port: portOf(listener), ...(gateway && { from: where(gateway) }) };
}

export function chainsOf(
  listener: DryListener,
  taking: CompiledChain | undefined,
  resources: ReadonlyMap<ResourceKey, Resource>,
  where: Where,
): readonly ExplainedChain[] {
  return chainsIn(listener).map((chain) => ({
    serverNames: [...chain.match.serverNames],
    tls: chain.tls !== undefined,
    takes: chain === taking,
    from: chain.tls === undefined ? [] : tlsOwners(listener, chain, resources).map((key) => where(key, "sslConfig")),
  }));
}

function chainsIn({ compiled }: DryListener): readonly CompiledChain[] {
  const { chains } = compiled;
  return chains === undefined ? [] : [...chains.matched, ...(chains.fallback ? [chains.fallback] : [])];
}

/** VirtualServices whose server names the chain has. */
function tlsOwners(
  { resource }: DryListener,
  { match }: CompiledChain,
  resources: ReadonlyMap<ResourceKey, Resource>,
): readonly ResourceKey[] {
  return resource.owners.filter((key) => {
    const owner = resources.get(key);
    const names = owner?.kind === "VirtualService" ? (owner as Resource<"VirtualService">).spec?.sslConfig?.sniDomains : undefined;
    if (names === undefined) return false;
    return match.serverNames.size === 0 ? names.length === 0 : names.some((name) => match.serverNames.has(name.toLowerCase()));
  });
}
