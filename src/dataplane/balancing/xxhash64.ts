// XXH64, the hash that Envoy balances by. Written for keys of some dozen bytes.

const prime1 = 0x9e3779b185ebca87n;
const prime2 = 0xc2b2ae3d27d4eb4fn;
const prime3 = 0x165667b19e3779f9n;
const prime4 = 0x85ebca77c2b2ae63n;
const prime5 = 0x27d4eb2f165667c5n;
const mask = 0xffff_ffff_ffff_ffffn;

const rotl = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & mask;
const round = (acc: bigint, input: bigint): bigint => (rotl((acc + input * prime2) & mask, 31n) * prime1) & mask;
const merge = (hash: bigint, acc: bigint): bigint => ((hash ^ round(0n, acc)) * prime1 + prime4) & mask;

/** @param text latin1: a character for each byte */
export function xxHash64(text: string, seed = 0n): bigint {
  const bytes = Buffer.from(text, "latin1");
  const { length } = bytes;
  let at = 0;
  let hash: bigint;
  if (length >= 32) {
    let v1 = (seed + prime1 + prime2) & mask;
    let v2 = (seed + prime2) & mask;
    let v3 = seed;
    let v4 = (seed - prime1) & mask;
    for (; at <= length - 32; at += 32) {
      v1 = round(v1, bytes.readBigUInt64LE(at));
      v2 = round(v2, bytes.readBigUInt64LE(at + 8));
      v3 = round(v3, bytes.readBigUInt64LE(at + 16));
      v4 = round(v4, bytes.readBigUInt64LE(at + 24));
    }
    hash = (rotl(v1, 1n) + rotl(v2, 7n) + rotl(v3, 12n) + rotl(v4, 18n)) & mask;
    for (const each of [v1, v2, v3, v4]) hash = merge(hash, each);
  } else hash = (seed + prime5) & mask;
  hash = (hash + BigInt(length)) & mask;
  for (; at + 8 <= length; at += 8) hash = (rotl(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * prime1 + prime4) & mask;
  if (at + 4 <= length) {
    hash = (rotl(hash ^ ((BigInt(bytes.readUInt32LE(at)) * prime1) & mask), 23n) * prime2 + prime3) & mask;
    at += 4;
  }
  for (; at < length; at++) hash = (rotl(hash ^ ((BigInt(bytes[at] as number) * prime5) & mask), 11n) * prime1) & mask;
  hash = ((hash ^ (hash >> 33n)) * prime2) & mask;
  hash = ((hash ^ (hash >> 29n)) * prime3) & mask;
  return hash ^ (hash >> 32n);
}
