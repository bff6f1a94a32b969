// The virtual hosts of a site in shards. In a large table an edit joins and hashes the hosts of one shard again, not all ten thousand.
import type { Collection, Graph, Index, Read } from "../graph/mod.ts";
import type { ResourceKey } from "../model/ref.ts";
import { type HostBlock, hostBlock, sameBlock } from "../translate/route-configuration.ts";
import type { EncodedVirtualHost } from "../translate/virtual-host.ts";
import { type Hosts, type SiteHost, siteOf } from "./hosts.ts";

interface Shard {
  readonly site: string;
  /** With those that are withheld. */
  readonly size: number;
  readonly block: HostBlock;
}

export type HostShards = Index<Shard>;

const shardsOfSite = 64;

/** Up to here a table is one block, in the order of its names. What is larger goes by shards. */
export const mostInOneBlock = 512;

export function hostShards(graph: Graph, hosts: Collection<SiteHost>): HostShards {
  const shards = graph.deriveGroups(
    "virtual hosts in shards",
    hosts.index("by shard", ({ attachment }) => [`${shardOf(attachment.virtualService)} ${siteOf(attachment)}`]),
    (key, its): Shard => ({
      site: key.slice(key.indexOf(" ") + 1),
      size: its.length,
      block: hostBlock(madeOf(its.map(([, host]) => host))),
    }),
    { equals: (a, b) => a.size === b.size && sameBlock(a.block, b.block) },
  );
  return shards.index("by site", ({ site }) => [site]);
}

/** The virtual hosts of these VirtualServices at a site, which are all that it has, or some. */
export function blocksOf(read: Read, site: string, wanted: readonly ResourceKey[], hosts: Hosts, shards: HostShards): readonly HostBlock[] {
  const its = read.lookup(shards, site);
  let size = 0;
  for (const [, shard] of its) size += shard.size;
  const areAll = wanted.length === size;
  if (areAll && size > mostInOneBlock) return its.map(([, { block }]) => block);
  const all = read.lookup(hosts.hostsBySite, site).map(([, host]) => host);
  if (areAll) return [hostBlock(madeOf(all))];
  const names = new Set(wanted);
  return [hostBlock(madeOf(all.filter(({ attachment }) => names.has(attachment.virtualService))))];
}

function madeOf(hosts: readonly SiteHost[]): readonly EncodedVirtualHost[] {
  return hosts.flatMap(({ made }) => made ?? []);
}

/** FNV-1a: the same on any machine and after any restart. */
function shardOf(key: ResourceKey): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shardsOfSite;
}
