// Options that Envoy as it is published cannot do: whoever writes one is told so, and what it is written on is withheld.
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

const names = ["waf", "dlp", "caching", "wasm", "tap", "ratelimit_basic", "proxy_latency", "leftmost_xff_address", "ai"];

/** Those of them that a message does not have are nobody's. */
export const refusedFields: readonly string[] = ["RouteOptions", "VirtualHostOptions", "HttpListenerOptions"].flatMap((message) =>
  names.map((name) => `gloo.solo.io.${message}.${name}`),
);

export function refused({ any }: Words): Record<string, Values> {
  return Object.fromEntries(refusedFields.map((name) => [name, name.endsWith(".leftmost_xff_address") ? any(true) : any({})]));
}
