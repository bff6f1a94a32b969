// From the save of a file until a request is answered by it: the real program, a real Envoy, a folder with a file for each object.
import { createServer, get as httpGet, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { realistic } from "../src/lib/testing/realistic.ts";
import { start } from "../test/e2e/headworks.ts";
import { findEnvoy } from "../test/servers/envoy.ts";
import { freePort } from "../test/servers/ports.ts";
import { folder, writeEach } from "./folder.ts";
import { type BenchRow, median, spread } from "./row.ts";

const goals = new Map([
  [10, 15],
  [1_000, 15],
  [10_000, 30],
]);

export async function benchLive(sizes: readonly number[] = [10, 1_000, 10_000], repeats = 30): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const proxy of ["embedded", ...(findEnvoy() ? ["envoy"] : [])]) {
    for (const size of sizes) rows.push(...(await measure(proxy, size, repeats)));
  }
  return rows;
}

async function measure(proxy: string, size: number, repeats: number): Promise<BenchRow[]> {
  await using one = await backend("one");
  await using two = await backend("two");
  const port = await freePort();
  using files = folder();
  const routes = realistic({ upstreams: size, routes: size });
  writeEach(files, routes);
  files.write("gateway.yaml", object("gateway", "Gateway", "gateway", { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {} }));
  const upstream = (target: number) =>
    files.write("target.yaml", object("gloo", "Upstream", "target", { static: { hosts: [{ addr: "127.0.0.1", port: target }] } }));
  const route = (target: string) =>
    files.write(
      "route.yaml",
      object("gateway", "VirtualService", "edited", {
        virtualHost: {
          domains: ["edited.example.com"],
          routes: [{ matchers: [{ prefix: "/" }], routeAction: { single: { upstream: { name: target, namespace: "gloo-system" } } } }],
        },
      }),
    );
  files.write("other.yaml", object("gloo", "Upstream", "other", { static: { hosts: [{ addr: "127.0.0.1", port: two.port }] } }));
  upstream(one.port);
  route("target");

  await using running = start(["run", files.path, "--proxy", proxy, "--admin", "none", "--log", "pretty"]);
  await running.said(/ ready {2}/);
  while ((await answer(port)) !== "one") await delay(20);

  const change = async (save: () => void, expected: string) => {
    await delay(60);
    const from = performance.now();
    save();
    while ((await answer(port)) !== expected);
    return performance.now() - from;
  };
  const upstreamMs: number[] = [];
  for (let i = 0; i < repeats; i++)
    upstreamMs.push(await change(() => upstream(i % 2 === 0 ? two.port : one.port), i % 2 === 0 ? "two" : "one"));
  upstream(one.port);
  while ((await answer(port)) !== "one") await delay(20);
  const routeMs: number[] = [];
  for (let i = 0; i < repeats; i++) routeMs.push(await change(() => route(i % 2 === 0 ? "other" : "target"), i % 2 === 0 ? "two" : "one"));

  const name = `${proxy}, ${size.toLocaleString("en")} Upstreams and routes`;
  const goal = goals.get(size);
  const row = (what: string, samples: readonly number[]): BenchRow => ({
    area: "change → live",
    what: `${name}: ${what}`,
    value: median(samples),
    unit: "ms",
    ...(goal !== undefined && { goal }),
    note: spread(samples),
  });
  return [row("an Upstream's file saved", upstreamMs), row("a route's file saved", routeMs)];
}

function object(group: string, kind: string, name: string, spec: Record<string, unknown>) {
  return { apiVersion: `${group}.solo.io/v1`, kind, metadata: { name, namespace: "gloo-system" }, spec };
}

/** What answers right now; undefined when nobody does. */
function answer(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    httpGet({ host: "127.0.0.1", port, path: "/", headers: { host: "edited.example.com" } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
      response.on("error", () => resolve(undefined));
    }).on("error", () => resolve(undefined));
  });
}

async function backend(name: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer((_, response) => response.end(name));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
