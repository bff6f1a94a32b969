// A folder with a Gateway on a port of its own, a backend behind it, and the program that serves it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { type Running, start } from "./headworks.ts";

/** Both data planes; Envoy is left out aloud where there is none, unless it is required. */
export const proxies: readonly string[] = (() => {
  if (findEnvoy() !== undefined) return ["embedded", "envoy"];
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("Envoy is required (HEADWORKS_REQUIRE_SERVERS=1) and not there");
  console.warn("SKIPPED: Envoy is not there; only the embedded data plane was tried. Set ENVOY_BIN.");
  return ["embedded"];
})();

export interface Folder extends Disposable {
  readonly path: string;
  readonly port: number;
  readonly adminPort: number;
  write(name: string, content: string | object | readonly object[]): void;
  remove(name: string): void;
}

/** With a Gateway on a free port in it. */
export async function folder(): Promise<Folder> {
  const path = mkdtempSync(join(tmpdir(), "headworks-e2e-"));
  const [port = 0, adminPort = 0] = await freePorts(2);
  const write: Folder["write"] = (name, content) => {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    const objects = Array.isArray(content) ? content : [content];
    writeFileSync(
      join(path, name),
      typeof content === "string" ? content : objects.map((each) => JSON.stringify(each, undefined, 1)).join("\n---\n"),
    );
  };
  write("gateway.yaml", object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {} }));
  return {
    path,
    port,
    adminPort,
    write,
    remove: (name) => rmSync(join(path, name)),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

export async function run({ path, adminPort }: Folder, ...args: string[]): Promise<Running> {
  const running = start(["run", path, "--admin", `127.0.0.1:${adminPort}`, "--log", "pretty", ...args]);
  await running.said(/ ready {2}/);
  return running;
}

export function object(kind: string, name: string, spec: object, namespace = "gloo-system") {
  const group = ["Gateway", "VirtualService", "RouteTable"].includes(kind) ? "gateway" : "gloo";
  return { apiVersion: `${group}.solo.io/v1`, kind, metadata: { name, namespace }, spec };
}

export function upstream(name: string, port: number) {
  return object("Upstream", name, { static: { hosts: [{ addr: "127.0.0.1", port }] } });
}

/** Sends a path to an Upstream, under a domain of its own: `name.test`. */
export function virtualService(name: string, to: string, prefix = "/") {
  const routes = [{ matchers: [{ prefix }], routeAction: { single: { upstream: { name: to, namespace: "gloo-system" } } } }];
  return object("VirtualService", name, { virtualHost: { domains: [`${name}.test`], routes } });
}

export interface Backend extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
}

/** Answers each request with its name and the path. */
export async function backend(name: string): Promise<Backend> {
  const server = createServer((asked, answer) => answer.end(`${name} ${asked.url}`));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Undefined when nobody answers. */
export function ask(
  port: number,
  host: string,
  path = "/",
  { method = "GET", headers = {}, body }: Asked = {},
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const call = request({ host: "127.0.0.1", port, path, method, headers: { host, ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
      response.on("error", () => resolve(undefined));
    });
    call.on("error", () => resolve(undefined)).end(body);
  });
}

export async function until(what: string, isSo: () => Promise<boolean> | boolean, ms = 60_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so after ${ms} ms: ${what}`);
    await delay(3);
  }
}

/** Waits until a host answers with this body. */
export async function untilAnswers(port: number, host: string, body: string, path = "/"): Promise<void> {
  await until(`${host}${path} answers "${body}"`, async () => (await ask(port, host, path))?.body === body);
}
