// From the save of a file until a request is answered by it: the real program, a real Envoy, a folder with a file for each object.
import { createServer, get as httpGet, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type PlainResource, realistic } from "../src/lib/testing/realistic.ts";
import { start } from "../test/e2e/headworks.ts";
import { findEnvoy } from "../test/servers/envoy.ts";
import { freePort } from "../test/servers/ports.ts";
import { envoyAlone, tableOf } from "./envoy-alone.ts";
import { folder, writeEach } from "./folder.ts";
import { type BenchRow, median, spread } from "./row.ts";

interface World {
  readonly name: string;
  readonly objects: readonly PlainResource[];
  /** Milliseconds. */
  readonly goals: { readonly upstream?: number; readonly route?: number };
}

const goals = new Map([
  [10, 15],
  [1_000, 15],
  [10_000, 30],
]);

export async function* benchLive(
  sizes: readonly number[] = [10, 1_000, 10_000],
  repeats = 30,
  hosts: readonly number[] = [10_000],
): AsyncGenerator<BenchRow> {
  const worlds = [...sizes.map(manyUpstreams), ...hosts.map(manyHosts)];
  for (const proxy of ["embedded", ...(findEnvoy() ? ["envoy"] : [])]) for (const world of worlds) yield* measure(proxy, world, repeats);
}

function manyUpstreams(size: number): World {
  const goal = goals.get(size);
  return {
    name: `${count(size)} Upstreams and routes`,
    objects: realistic({ upstreams: size, routes: size }),
    goals: goal === undefined ? {} : { upstream: goal, route: goal },
  };
}

function manyHosts(size: number): World {
  return {
    name: `${count(size)} VirtualServices × 3 routes`,
    objects: realistic({ upstreams: 1_000, routes: size * 3, routesPerTable: 3 }),
    goals: { route: 40 },
  };
}

async function* measure(proxy: string, { name, objects, goals }: World, repeats: number): AsyncGenerator<BenchRow> {
  await using one = await backend("one");
  await using two = await backend("two");
  const port = await freePort();
  using files = folder();
  writeEach(files, objects);
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
  const row = (what: string, samples: readonly number[], goal?: number, note = ""): BenchRow => ({
    area: "change → live",
    what: `${proxy}, ${name}: ${what}`,
    value: median(samples),
    unit: "ms",
    ...(goal !== undefined && { goal }),
    note: `${spread(samples)}${note}`,
  });

  const routeMs: number[] = [];
  {
    await using running = start(["run", files.path, "--proxy", proxy, "--admin", "none", "--log", "pretty"]);
    await running.said(/ ready {2}/);
    await answers(port, "one");
    const upstreamMs = await changes(port, repeats, (isTwo) => upstream(isTwo ? two.port : one.port));
    yield row("an Upstream's file saved", upstreamMs, goals.upstream);
    upstream(one.port);
    await answers(port, "one");
    routeMs.push(...(await changes(port, repeats, (isTwo) => route(isTwo ? "other" : "target"))));
  }
  if (proxy !== "envoy") {
    yield row("a route's file saved", routeMs, goals.route);
    return;
  }
  // The same two tables, from a file.
  route("target");
  const first = await tableOf(files.path);
  route("other");
  const second = await tableOf(files.path);
  using own = folder();
  await using alone = await envoyAlone(own.path, first, { "target_gloo-system": one.port, "other_gloo-system": two.port });
  await answers(alone.port, "one");
  const aloneMs = await changes(alone.port, repeats, (isTwo) => alone.take(isTwo ? second : first));
  const rest = `; ${(median(routeMs) - median(aloneMs)).toFixed(1)} ms more than Envoy takes alone`;
  yield row("a route's file saved", routeMs, goals.route, rest);
  yield row("Envoy alone, the same table replaced as a file", aloneMs);
}

/** Milliseconds from each save until its answer comes: "two" and "one" in turn. */
async function changes(port: number, repeats: number, save: (isTwo: boolean) => void): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const isTwo = i % 2 === 0;
    await delay(60);
    const from = performance.now();
    save(isTwo);
    while ((await answer(port)) !== (isTwo ? "two" : "one"));
    samples.push(performance.now() - from);
  }
  return samples;
}

async function answers(port: number, expected: string): Promise<void> {
  while ((await answer(port)) !== expected) await delay(20);
}

function count(size: number): string {
  return size.toLocaleString("en");
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
