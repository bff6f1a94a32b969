// A real Envoy on an xDS server of ours, with backends behind it.
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe } from "vitest";
import type { BoundAddress } from "../../../src/xds/address.ts";
import { type BootstrapOptions, envoyBootstrap } from "../../../src/xds/bootstrap.ts";
import { findEnvoy, type RunningEnvoy, startEnvoy } from "../../servers/envoy.ts";
import { freePort } from "../../servers/ports.ts";

/** Tests that need Envoy: skipped aloud where there is none, unless it is required. */
export const withEnvoy: typeof describe = (() => {
  if (findEnvoy() !== undefined) return describe;
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1")
    throw new Error("Envoy is required (HEADWORKS_REQUIRE_SERVERS=1) and not there: set ENVOY_BIN");
  console.warn("SKIPPED: Envoy is not there, so nothing here was tried against it. Set ENVOY_BIN.");
  return describe.skip as typeof describe;
})();

/** An Envoy whose role is `ns~proxy`. */
export async function envoyOn(address: BoundAddress, options: Partial<BootstrapOptions> = {}): Promise<RunningEnvoy> {
  const port = await freePort();
  const xds = "path" in address ? { path: address.path } : address;
  return startEnvoy(envoyBootstrap({ proxy: "ns~proxy", xds, admin: { port }, ...options }), port);
}

export interface Backend extends Disposable {
  readonly port: number;
}

/** Answers each request with its name. */
export async function backend(name: string): Promise<Backend> {
  const server: Server = createServer((_, response) => response.end(name));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Takes connections, and says nothing. */
export async function silentBackend(): Promise<Backend> {
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket.on("error", () => {}).resume());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Status and body of a GET; undefined when nobody answers. */
export async function get(port: number, path = "/"): Promise<{ status: number; body: string } | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: await response.text() };
  } catch {
    return undefined;
  }
}

/** Waits until it is so. */
export async function until(what: string, isSo: () => Promise<boolean> | boolean, ms = 60_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so after ${ms} ms: ${what}`);
    await delay(5);
  }
}

/** A counter or gauge of Envoy. */
export async function stat(envoy: RunningEnvoy, name: string): Promise<number> {
  const text = await envoy.admin(`/stats?filter=${encodeURIComponent(`^${name}$`)}`);
  return Number(text.split(": ")[1] ?? 0);
}
