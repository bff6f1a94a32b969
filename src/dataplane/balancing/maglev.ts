// Maglev, as Envoy builds it: a table of prime size that hosts fill in turns, each along its own permutation. The same hosts and the same key give the
// same host as in Envoy.

import type { Candidate } from "./candidate.ts";
import { flipped, hashKeyOf, type Picker, random64, type Share } from "./policies.ts";
import { xxHash64 } from "./xxhash64.ts";

export interface MaglevConfig {
  readonly size: number;
  readonly byHostname: boolean;
}

interface Filler {
  readonly position: number;
  readonly skip: number;
  readonly weight: number;
  next: number;
  target: number;
}

export function maglevTable<H extends Candidate>(shares: readonly Share<H>[], { size, byHostname }: MaglevConfig): Picker<H> {
  const sorted = shares
    .map((share) => ({ ...share, key: hashKeyOf(share.host, byHostname) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const table = fill(
    sorted.map(({ key, weight }) => ({
      position: Number(xxHash64(key) % BigInt(size)),
      skip: Number(xxHash64(key, 1n) % BigInt(size - 1)) + 1,
      weight,
      next: 0,
      target: 0,
    })),
    size,
  );
  return (hash, attempt) => {
    const slot = Number(flipped(hash ?? random64(), attempt) % BigInt(size));
    return (sorted[table[slot] as number] as { host: H }).host;
  };
}

/** For each slot, the number of its host. */
function fill(hosts: readonly Filler[], size: number): Uint32Array {
  const table = new Uint32Array(size);
  const taken = new Uint8Array(size);
  const most = Math.max(...hosts.map(({ weight }) => weight));
  let filled = 0;
  for (let turn = 1; filled < size; turn++) {
    for (const [index, host] of hosts.entries()) {
      if (filled === size) break;
      // The heaviest host takes a slot at every turn, one of a third of its weight at every third.
      if (turn * host.weight < host.target) continue;
      host.target += most;
      let slot = slotOf(host, size);
      while (taken[slot] === 1) {
        host.next++;
        slot = slotOf(host, size);
      }
      table[slot] = index;
      taken[slot] = 1;
      host.next++;
      filled++;
    }
  }
  return table;
}

function slotOf({ position, skip, next }: Filler, size: number): number {
  // Table sizes are below 5,000,011, so that the product stays exact for 2^53 / 5e6 steps.
  return (position + skip * next) % size;
}
