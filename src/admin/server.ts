// The admin app on a socket. On loopback it needs nothing; anywhere else it refuses to start without a token.
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { formatListenAddress, type ListenAddress } from "../lib/listen-address.ts";
import { type AdminOptions, adminApp } from "./app.ts";
import type { GuardOptions } from "./guard.ts";
import { needsToken } from "./needs-token.ts";

export interface AdminServer extends AsyncDisposable {
  /** `http://127.0.0.1:9091` */
  readonly url: string;
}

/** Thrown for what the one who starts us can mend: a port in use, an address that needs a token. */
export class AdminAddressError extends Error {}

export async function startAdmin(address: ListenAddress, options: AdminOptions): Promise<AdminServer> {
  return serveApp(
    address,
    options,
    (hosts) => adminApp({ ...options, hosts: [...hosts, ...(options.hosts ?? [])] }),
    () => options.events.close(),
  );
}

/** An app of ours on a socket; it is given the host names to answer to. `onEnd` ends what would keep connections open. */
export async function serveApp(
  address: ListenAddress,
  { token }: Pick<GuardOptions, "token">,
  appOn: (hosts: readonly string[]) => Hono,
  onEnd: () => void = () => {},
): Promise<AdminServer> {
  const missing = needsToken(address, token);
  if (missing !== undefined) throw new AdminAddressError(missing);
  const app = appOn(address.kind === "tcp" && address.isLoopback ? [hostHeader(address.host)] : []);
  const server = createAdaptorServer({ fetch: app.fetch });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new AdminAddressError(whyNot(address, error))));
    server.listen(address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port }, resolve);
  });
  const url = urlOf(address, server.address());
  return {
    url,
    async [Symbol.asyncDispose]() {
      onEnd();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      if ("closeAllConnections" in server) server.closeAllConnections();
      await closed;
    },
  };
}

function hostHeader(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function urlOf(address: ListenAddress, bound: AddressInfo | string | null): string {
  if (address.kind === "unix" || bound === null || typeof bound === "string") return formatListenAddress(address);
  return `http://${hostHeader(address.host)}:${bound.port}`;
}

function whyNot(address: ListenAddress, error: NodeJS.ErrnoException): string {
  const where = formatListenAddress(address);
  switch (error.code) {
    case "EADDRINUSE":
      return `the admin server cannot listen on ${where}: something else does already; choose another with --admin`;
    case "EACCES":
      return `the admin server may not listen on ${where}: permission denied`;
    default:
      return `the admin server cannot listen on ${where}: ${error.message}`;
  }
}
