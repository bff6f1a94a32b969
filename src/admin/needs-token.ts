// Whom the admin server may listen to without a token. A file of its own: `run` asks before it starts anything, and without the server's modules.
import { formatListenAddress, type ListenAddress } from "../lib/listen-address.ts";

/** What is wrong with listening there; undefined where nothing is. */
export function needsToken(address: ListenAddress, token: string | undefined): string | undefined {
  if (address.kind !== "tcp" || address.isLoopback || token !== undefined) return undefined;
  return `the admin server shows the whole configuration; on ${formatListenAddress(address)} it needs a token (--admin-token-file FILE), or give it a loopback address`;
}
