// How long a change takes from publish to Envoy, how much of it goes over the wire, and what it costs us.
//
//   node bench/xds.ts [10 1000 10000]
import { request } from "node:http";
import { type EnvoyResource, typeUrls } from "../src/model/envoy-resource.ts";
import { createXdsServer, type XdsServer } from "../src/xds/server.ts";
import { backend, envoyOn, get, until } from "../test/conformance/xds/envoy.ts";
import { edsCluster, endpoints, listener, routes } from "../test/conformance/xds/resources.ts";
import { findEnvoy } from "../test/servers/envoy.ts";
import { freePort } from "../test/servers/ports.ts";

export interface XdsBenchRow {
  readonly clusters: number;
  readonly what: "first sync" | "one endpoint" | "one cluster";
  /** From publish (first sync: from Envoy's start) until all of it is acknowledged. */
  readonly ackMs: number;
  /** …until a request is answered by it. Undefined where a change cannot be seen from outside. */
  readonly liveMs?: number;
  /** Of all responses that the change took. */
  readonly bytes: number;
  /** User and system time of this process, which includes the client that polls. */
  readonly cpuMs: number;
}

const repeats = 30;

/** Medians, against a real Envoy over delta ADS. Empty where there is no Envoy. */
export async function benchXds(sizes: readonly number[] = [10, 1000, 10_000]): Promise<readonly XdsBenchRow[]> {
  if (findEnvoy() === undefined) return [];
  const rows: XdsBenchRow[] = [];
  for (const size of sizes) rows.push(...(await benchSize(size)));
  return rows;
}

async function benchSize(clusters: number): Promise<XdsBenchRow[]> {
  using one = await backend("one");
  using two = await backend("two");
  const port = await freePort();
  await using server = createXdsServer();
  const address = await server.listen({ host: "127.0.0.1", port: 0 });
  const publish = (upserts: readonly EnvoyResource[]) => server.publish("ns~proxy", { upserts, removals: [] });
  const names = Array.from({ length: clusters }, (_, i) => `cluster-${i}_ns`);
  publish([
    ...names.flatMap((name) => [edsCluster(name), endpoints(name, [one.port])]),
    routes("r", Object.fromEntries(names.map((name) => [`/${name}/`, name]))),
    listener("l", port, "r"),
  ]);

  const start = performance.now();
  const startCpu = cpuMs();
  await using _envoy = await envoyOn(address);
  await until("all acknowledged", () => isSettled(server) && acks(server, typeUrls.route) > 0, 120_000);
  const sync: XdsBenchRow = {
    clusters,
    what: "first sync",
    ackMs: performance.now() - start,
    bytes: sentBytes(server),
    cpuMs: cpuMs() - startCpu,
  };

  const name = names[clusters >> 1] as string;
  const path = `/${name}/`;
  await until("served", async () => (await get(port, path))?.body === "one");
  let turn = 0;
  const endpoint = await measure(server, clusters, "one endpoint", async () => {
    const target = turn++ % 2 === 0 ? two : one;
    publish([endpoints(name, [target.port])]);
    return () => answersFrom(port, path, target === two ? "two" : "one");
  });
  const cluster = await measure(server, clusters, "one cluster", async () => {
    publish([edsCluster(name, 2000 + turn++)]);
    return undefined;
  });
  return [sync, endpoint, cluster];
}

async function measure(
  server: XdsServer,
  clusters: number,
  what: XdsBenchRow["what"],
  change: () => Promise<(() => Promise<void>) | undefined>,
): Promise<XdsBenchRow> {
  const runs: { ack: number; live: number | undefined; bytes: number; cpu: number }[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const [bytes, cpu, before] = [sentBytes(server), cpuMs(), performance.now()];
    const live = await change();
    const [ack, used] = await Promise.all([
      untilSettled(server).then(() => performance.now() - before),
      live?.().then(() => performance.now() - before),
    ]);
    runs.push({ ack, live: used, bytes: sentBytes(server) - bytes, cpu: cpuMs() - cpu });
  }
  const lives = runs.map(({ live }) => live).filter((live) => live !== undefined);
  return {
    clusters,
    what,
    ackMs: median(runs.map(({ ack }) => ack)),
    ...(lives.length > 0 && { liveMs: median(lives) }),
    bytes: median(runs.map(({ bytes }) => bytes)),
    cpuMs: median(runs.map(({ cpu }) => cpu)),
  };
}

/** Looks after each turn of the event loop: a timer would add its own millisecond. */
async function untilSettled(server: XdsServer): Promise<void> {
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
  const acked = totalAcks(server);
  while (totalAcks(server) === acked || !isSettled(server)) await nextTurn();
}

async function answersFrom(port: number, path: string, name: string): Promise<void> {
  while ((await body(port, path)) !== name);
}

function body(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    call.on("error", reject).end();
  });
}

function isSettled(server: XdsServer): boolean {
  const [client] = server.clients();
  return client?.types.every(({ pendingSince }) => pendingSince === undefined) ?? false;
}

function acks(server: XdsServer, typeUrl: string): number {
  return server.metrics.types[typeUrl]?.acks ?? 0;
}

function totalAcks(server: XdsServer): number {
  return Object.values(server.metrics.types).reduce((sum, type) => sum + type.acks, 0);
}

function sentBytes(server: XdsServer): number {
  return Object.values(server.metrics.types).reduce((sum, { bytes }) => sum + bytes, 0);
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

if (import.meta.main) {
  const sizes = process.argv.slice(2).map(Number);
  const rows = await benchXds(sizes.length > 0 ? sizes : undefined);
  if (rows.length === 0) console.log("Envoy is not there: set ENVOY_BIN");
  const rounded = (value: number | undefined) => (value === undefined ? "" : value.toFixed(1));
  console.table(
    rows.map(({ ackMs, liveMs, cpuMs: cpu, ...row }) => ({ ...row, ackMs: rounded(ackMs), liveMs: rounded(liveMs), cpuMs: rounded(cpu) })),
  );
}
