// Instances whose address is a name: asked of the DNS server of the Settings, which is Consul's own unless they say otherwise.
import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";

/** Looks names up at a server, `host:port`. */
export function lookUpAt(server: string): (name: string) => Promise<string[]> {
  let opening: Promise<Resolver> | undefined;
  return async (name) => {
    opening ??= resolverOf(server);
    const resolver = await opening.catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (found.length > 0) return found;
    throw v4.status === "rejected" ? v4.reason : new Error(`${name} has no address`);
  };
}

async function resolverOf(server: string): Promise<Resolver> {
  const [, host = server, port = "53"] = /^\[?(.*?)\]?:(\d+)$/.exec(server) ?? [];
  const address = isIP(host) === 0 ? (await lookup(host)).address : host;
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`]);
  return resolver;
}
