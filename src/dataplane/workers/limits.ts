// Limits that each worker counts for itself, so that several of them let more through.
import { type EnvoyResource, typeUrls } from "../../model/envoy-resource.ts";

/** What the configuration of such a filter has in it, and what people call it. */
const counting = [
  ["extensions.filters.http.local_ratelimit.", "local rate limits"],
  ["extensions.filters.network.local_ratelimit.", "local rate limits of connections"],
  ["extensions.filters.network.connection_limit.", "limits of connections"],
] as const;

/** In words; none for most resources. Found in the bytes, without reading them: a name that only looks like it is worth a word, too. */
export function limitsIn({ typeUrl, bytes }: EnvoyResource): string[] {
  if (typeUrl !== typeUrls.listener && typeUrl !== typeUrls.route) return [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return counting.filter(([name]) => buffer.includes(name)).map(([, words]) => words);
}
