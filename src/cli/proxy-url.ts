// `headworks proxy url` and `proxy address`: one line for scripts, as in `curl $(headworks proxy url)/api/pets`.
import { CommandError, exitCodes } from "./exit.ts";
import type { ServerOptions } from "./get-answers.ts";
import { print, say } from "./terminal.ts";
import type { Where } from "./where.ts";

export interface ProxyUrlOptions extends ServerOptions {
  readonly namespace: string;
  /** In a cluster, the name of the Service. */
  readonly name: string;
  readonly port: string;
  readonly config?: string;
}

/** Where one can send requests. */
export interface Gateway {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** What it is called where it has a name. */
  readonly portName?: string;
}

export async function proxyUrl(what: "url" | "address", where: Where, options: ProxyUrlOptions): Promise<number> {
  const gateways = await gatewaysOf(where, options);
  const found = gateways.find((each) => fits(each, options.port));
  if (found === undefined) {
    const ports = gateways.map(({ port, portName, isTls }) => `${portName ?? (isTls ? "https" : "http")} (${port})`).join(", ");
    throw new CommandError(
      gateways.length === 0
        ? `the proxy ${options.namespace}.${options.name} takes no requests: it has no listener`
        : `the proxy ${options.namespace}.${options.name} has no port ${options.port}; it has ${ports}`,
      exitCodes.findings,
    );
  }
  const host = found.host.includes(":") ? `[${found.host}]` : found.host;
  print(what === "address" ? `${host}:${found.port}` : `${found.isTls ? "https" : "http"}://${host}:${found.port}`);
  return exitCodes.ok;
}

function fits({ port, portName, isTls }: Gateway, wanted: string): boolean {
  if (String(port) === wanted || portName === wanted) return true;
  return portName === undefined && wanted === (isTls ? "https" : "http");
}

async function gatewaysOf(where: Where, options: ProxyUrlOptions): Promise<readonly Gateway[]> {
  if (where.kind === "cluster") {
    const { gatewaysOfCluster } = await import("./proxy-url-cluster.ts");
    return await gatewaysOfCluster(where.flags, options);
  }
  const { answersOfServer, answersOnce } = await import("./get-answers.ts");
  const answers = where.kind === "folders" ? await answersOnce(where, options.config) : answersOfServer(options);
  const key = `${options.namespace}~${options.name}`;
  const keys = (await answers.proxies()).map((each) => each.key);
  if (!keys.includes(key)) throw new CommandError(`there is no proxy ${key}; there is ${keys.join(", ") || "none"}`, exitCodes.findings);
  const { listeners = [] } = (await answers.proxy(key)) as { readonly listeners?: readonly Listener[] };
  const isHere = where.kind === "folders" ? "127.0.0.1" : hostOfServer(options.server);
  return listeners.flatMap((each) => gatewayOf(each, isHere));
}

/** Envoy's Listener in proto-JSON, as much of it as is read. */
interface Listener {
  readonly address?: { readonly socketAddress?: { readonly address?: string; readonly portValue?: number } };
  readonly filterChains?: readonly { readonly transportSocket?: unknown; readonly filters?: readonly { readonly name?: string }[] }[];
}

function gatewayOf({ address, filterChains = [] }: Listener, everywhere: string): Gateway[] {
  const { address: host = "", portValue: port } = address?.socketAddress ?? {};
  const isTcp = filterChains.some(({ filters = [] }) => filters.some(({ name }) => name === "envoy.filters.network.tcp_proxy"));
  if (port === undefined || isTcp) return [];
  const isTls = filterChains.length > 0 && filterChains.every(({ transportSocket }) => transportSocket !== undefined);
  return [{ host: ["", "::", "0.0.0.0"].includes(host) ? everywhere : host, port, isTls }];
}

/** The embedded data plane is in the process that answers; so is an Envoy that it started. */
function hostOfServer(server: string): string {
  const url = URL.parse(/^https?:\/\//.test(server) ? server : `http://${server}`);
  const host = url?.hostname.replaceAll(/^\[|\]$/g, "") ?? "127.0.0.1";
  if (host !== "127.0.0.1" && host !== "localhost" && host !== "::1") say(`of the Headworks at ${host}; Envoys may be elsewhere`);
  return host;
}
