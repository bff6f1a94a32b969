// Who of several hosts gets the next request.

import type { Candidate } from "./candidate.ts";
import { maglevTable } from "./maglev.ts";
import type { Position } from "./positions.ts";
import { hashRing } from "./ring-hash.ts";

export type PolicyConfig =
  | { readonly kind: "roundRobin" }
  | { readonly kind: "random" }
  | { readonly kind: "leastRequest"; readonly choices: number }
  | { readonly kind: "ringHash"; readonly minSize: number; readonly maxSize: number; readonly byHostname: boolean }
  | { readonly kind: "maglev"; readonly size: number; readonly byHostname: boolean };

/** `attempt`: how often a host was picked for this choice already and not liked. */
export type Picker<H> = (hash: bigint | undefined, attempt: number) => H;

/** A host and its share; all shares together are 1. */
export interface Share<H> {
  readonly host: H;
  readonly weight: number;
}

export function isHashing({ kind }: PolicyConfig): boolean {
  return kind === "ringHash" || kind === "maglev";
}

/** Of at least one host. Where round robin stands is told by `position`, so that a change does not begin at the first host again. */
export function pickerOf<H extends Candidate>(
  policy: PolicyConfig,
  hosts: readonly H[],
  position: Position,
  shares: () => readonly Share<H>[],
): Picker<H> {
  const [only] = hosts;
  if (hosts.length === 1 && only !== undefined) return () => only;
  const isWeighted = hosts.some((host) => host.spec.weight !== only?.spec.weight);
  switch (policy.kind) {
    case "random":
      return isWeighted ? () => randomWeighted(hosts) : () => randomOf(hosts);
    case "leastRequest":
      return () => leastRequest(hosts, policy.choices);
    case "ringHash":
      return hashRing(shares(), policy);
    case "maglev":
      return maglevTable(shares(), policy);
    default:
      if (isWeighted) return smoothWeighted(hosts, position);
      return () => {
        position.value = (position.value + 1) % 0x4000_0000;
        return hosts[position.value % hosts.length] as H;
      };
  }
}

function randomOf<H>(hosts: readonly H[]): H {
  return hosts[Math.floor(Math.random() * hosts.length)] as H;
}

function randomWeighted<H extends Candidate>(hosts: readonly H[]): H {
  let point = Math.random() * hosts.reduce((sum, { spec }) => sum + spec.weight, 0);
  for (const host of hosts) {
    point -= host.spec.weight;
    if (point < 0) return host;
  }
  return hosts[0] as H;
}

/** The least busy of a few that are drawn. */
function leastRequest<H extends Candidate>(hosts: readonly H[], choices: number): H {
  let best = randomOf(hosts);
  for (let i = 1; i < choices; i++) {
    const other = randomOf(hosts);
    if ((other.activeRequests + 1) / other.spec.weight < (best.activeRequests + 1) / best.spec.weight) best = other;
  }
  return best;
}

/** Each host gets its share, spread evenly over time: who is owed most is next. What hosts were owed before a change, they still are. */
function smoothWeighted<H extends Candidate>(hosts: readonly H[], position: Position): () => H {
  const owed = new Map(position.credits?.labels.map((label, index) => [label, position.credits?.values[index]]));
  const values = hosts.map(({ label }) => owed.get(label) ?? 0);
  position.credits = { labels: hosts.map(({ label }) => label), values };
  return () => {
    let total = 0;
    let best = 0;
    for (let i = 0; i < hosts.length; i++) {
      const { weight } = (hosts[i] as H).spec;
      total += weight;
      values[i] = (values[i] as number) + weight;
      if ((values[i] as number) > (values[best] as number)) best = i;
    }
    values[best] = (values[best] as number) - total;
    return hosts[best] as H;
  };
}

const all64 = 0xffff_ffff_ffff_ffffn;

export function random64(): bigint {
  return (BigInt(Math.floor(Math.random() * 2 ** 32)) << 32n) | BigInt(Math.floor(Math.random() * 2 ** 32));
}

/** The key that a host is hashed by. */
export function hashKeyOf({ spec, label }: Candidate, byHostname: boolean): string {
  return spec.hashKey ?? (byHostname && spec.hostname !== "" ? spec.hostname : label);
}

export function flipped(hash: bigint, attempt: number): bigint {
  return attempt === 0 ? hash : hash ^ ((all64 - BigInt(attempt) + 1n) & all64);
}
