// Limits that each worker counts for itself, so that several of them let more through.
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { LocalRateLimitSchema } from "../../gen/envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { type EnvoyResource, typeUrls } from "../../model/envoy-resource.ts";

/** The filters that count, what people call it, and whether their configuration limits anything. */
const counting: readonly (readonly [type: string, words: string, limits: (config: Uint8Array) => boolean])[] = [
  [
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    "local rate limits",
    // Every listener of ours has the filter, so that routes can have limits.
    (config) => hasTokenBucket(config),
  ],
  ["envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit", "local rate limits of connections", () => true],
  ["envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit", "limits of connections", () => true],
];

/** In words; none for most resources. */
export function limitsIn({ typeUrl, bytes }: EnvoyResource): string[] {
  if (typeUrl !== typeUrls.listener && typeUrl !== typeUrls.route) return [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return counting.filter(([type, , limits]) => configsOf(buffer, type).some(limits)).map(([, words]) => words);
}

/** Found in the bytes, since they may be anywhere: after the name of a type, `google.protobuf.Any` has its value. */
function configsOf(bytes: Buffer, type: string): Uint8Array[] {
  const configs: Uint8Array[] = [];
  for (let at = bytes.indexOf(type); at >= 0; at = bytes.indexOf(type, at + 1)) {
    const reader = new BinaryReader(bytes.subarray(at + type.length));
    try {
      const [field, wireType] = reader.tag();
      if (field === 2 && wireType === WireType.LengthDelimited) configs.push(reader.bytes());
    } catch {
      // The name stands somewhere else, and is followed by something else.
    }
  }
  return configs;
}

function hasTokenBucket(config: Uint8Array): boolean {
  try {
    return fromBinary(LocalRateLimitSchema, config).tokenBucket !== undefined;
  } catch {
    return false; // what cannot be read is refused by those who execute it
  }
}
