// Ketama, as Envoy builds it: points of all hosts on a ring of 64 bits, as many as their weight says; a key belongs to the next point. The same hosts and
// the same key give the same host as in Envoy.

import type { Candidate } from "./candidate.ts";
import { hashKeyOf, type Picker, random64, type Share } from "./policies.ts";
import { xxHash64 } from "./xxhash64.ts";

export interface RingConfig {
  readonly minSize: number;
  readonly maxSize: number;
  readonly byHostname: boolean;
}

export function hashRing<H extends Candidate>(shares: readonly Share<H>[], { minSize, maxSize, byHostname }: RingConfig): Picker<H> {
  const least = Math.min(...shares.map(({ weight }) => weight));
  const scale = Math.min(Math.ceil(least * minSize) / least, maxSize);
  const points: { readonly hash: bigint; readonly host: H }[] = [];
  let current = 0;
  let target = 0;
  for (const { host, weight } of shares) {
    const key = hashKeyOf(host, byHostname);
    // Running sums over all hosts: a host need not have a whole number of points.
    target += scale * weight;
    for (let i = 0; current < target; i++, current++) points.push({ hash: xxHash64(`${key}_${i}`), host });
  }
  points.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  return (hash, attempt) => {
    const at = nextPoint(points, hash ?? random64());
    return (points[(at + attempt) % points.length] as { host: H }).host;
  };
}

function nextPoint(points: readonly { readonly hash: bigint }[], hash: bigint): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle] as { hash: bigint }).hash < hash) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}
