// What a request costs the embedded data plane, beside Envoy, nginx, HAProxy and the proxy libraries of npm: CPU time, latency and memory. Answers of
// 1 KiB on kept connections; proxies on one core, load and backend on another; retries, time-outs, statistics and an access log in all.
//
// Other things run on a machine, so that every number is half of a pair: one run of ours, then one of the other. What counts is the ratio of the least
// disturbed run of each; those of the pairs are told beside it. Requests a second are told too, but where the load is the limit they say
// little; CPU time does not depend on it.

import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { certificates } from "../src/dataplane/testing/certificates.ts";
import { freePorts } from "../test/servers/ports.ts";
import { type Cost, costOf, type Running as RunningProcess } from "./dataplane/cost.ts";
import { paced } from "./dataplane/latency.ts";
import { cpuSeconds, isOnPath, loadCore, residentMiB, startNode, stop } from "./dataplane/processes.ts";
import { allPeers, embedded, envoy, type MeasuredProxy } from "./dataplane/proxies.ts";
import { type KeyFiles, type Shape, shapes } from "./dataplane/shapes.ts";
import { growthMiB } from "./dataplane/streaming.ts";
import { type BenchRow, median } from "./row.ts";

export interface DataPlaneBench {
  /** Of one run. */
  readonly seconds: number;
  readonly pairs: number;
  /** Not all libraries of npm. */
  readonly isShort: boolean;
}

const usual: DataPlaneBench = {
  seconds: Number(process.env.BENCH_SECONDS ?? 1),
  pairs: Number(process.env.BENCH_PAIRS ?? 5),
  isShort: false,
};
export const quick: DataPlaneBench = { seconds: 1, pairs: 3, isShort: true };

/** Of Envoy's, at 80 % of load. */
const latencyGoal = 2;
const streamingGoalMiB = 32;

interface Running extends RunningProcess {
  readonly proxy: MeasuredProxy;
}

export async function* benchDataplane(bench = usual): AsyncGenerator<BenchRow> {
  if (!isOnPath("taskset") || availableParallelism() < 2) throw new Error("it needs Linux, taskset and two cores");
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "bench-dataplane-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const [backend] = (await freePorts(1)) as [number];
  stopAtEnd(stack, await startNode([join(import.meta.dirname, "dataplane", "backend.ts"), String(backend)], loadCore));
  const keys = writeKeys(folder);
  const start = (proxy: MeasuredProxy) => startProxy(proxy, folder, backend, keys, stack);

  const own = await start(embedded);
  const peers: Running[] = [];
  const wanted = process.env.BENCH_PEERS?.split(",");
  for (const proxy of allPeers(bench.isShort)) {
    if (wanted !== undefined && !wanted.includes(proxy.name)) continue;
    const missing = proxy.missing();
    if (missing === undefined) peers.push(await start(proxy));
    else yield { area: "data plane", what: `${proxy.name}: ${missing}, skipped`, value: Number.NaN, unit: "" };
  }
  for (const shape of shapes) yield* compare(shape, own, peers, bench);
  const other = peers.find(({ proxy }) => proxy === envoy);
  if (other !== undefined) yield* compareLatency(own, other, bench);
  for (const each of other === undefined ? [own] : [own, other]) {
    for (const shape of shapes) yield* streamThrough(shape, await start(each.proxy));
  }
}

async function startProxy(
  proxy: MeasuredProxy,
  folder: string,
  backend: number,
  keys: KeyFiles,
  stack: AsyncDisposableStack,
): Promise<Running> {
  const [plain, h2c, tls] = (await freePorts(3)) as [number, number, number];
  const ports = { plain, h2c, tls };
  const own = mkdtempSync(join(folder, proxy.name.replace(/\W+/g, "-")));
  const child = await proxy.start({ folder: own, ports, backend, keys });
  stopAtEnd(stack, child);
  return { proxy, ports, pid: child.pid as number, backend };
}

function stopAtEnd(stack: AsyncDisposableStack, child: ChildProcess): void {
  stack.defer(() => stop(child));
}

function writeKeys(folder: string): KeyFiles {
  using made = certificates();
  const pair = made.selfSigned("bench");
  const files = { certificate: join(folder, "bench.crt"), key: join(folder, "bench.key") };
  writeFileSync(files.certificate, pair.certificate);
  writeFileSync(files.key, pair.key);
  return files;
}

/** A row for us, and for each peer the ratio of what a request costs. */
async function* compare(
  shape: Shape,
  own: Running,
  peers: readonly Running[],
  { seconds, pairs }: DataPlaneBench,
): AsyncGenerator<BenchRow> {
  const area = `CPU time for a request of ${shape.name}, one core each`;
  const rows: BenchRow[] = [];
  const ofOwn: Cost[] = [];
  await costOf(shape, own, 1);
  for (const peer of peers) {
    if (!peer.proxy.shapes.includes(shape)) continue;
    const measured: Pair[] = [];
    try {
      await costOf(shape, peer, 1);
      while (measured.length < pairs) measured.push([await costOf(shape, own, seconds), await costOf(shape, peer, seconds)]);
      rows.push(rowOf(area, peer, measured));
    } catch (error) {
      rows.push({ area, what: `${peer.proxy.name}: failed`, value: Number.NaN, unit: "", note: (error as Error).message });
    }
    ofOwn.push(...measured.map(([ours]) => ours));
  }
  const { micros, perSecond } = leastDisturbed(ofOwn.length > 0 ? ofOwn : [await costOf(shape, own, seconds)]);
  yield { area, what: "embedded", value: micros, unit: "µs", note: `${told(perSecond)} · ${residentMiB(own.pid).toFixed(0)} MiB` };
  yield* rows;
}

type Pair = readonly [ours: Cost, theirs: Cost];

function rowOf(area: string, { proxy, pid }: Running, measured: readonly Pair[]): BenchRow {
  const ratios = measured.map(([ours, theirs]) => ours.micros / theirs.micros).sort((a, b) => a - b);
  const [ours, theirs] = [leastDisturbed(measured.map(([first]) => first)), leastDisturbed(measured.map(([, second]) => second))];
  const range = `${ratios[0]?.toFixed(2)}–${ratios.at(-1)?.toFixed(2)}`;
  const lacks = proxy.lacks === undefined ? "" : ` · ${proxy.lacks}`;
  return {
    area,
    what: `embedded / ${proxy.name}`,
    value: ours.micros / theirs.micros,
    unit: "×",
    ...(proxy.goal !== undefined && { goal: proxy.goal }),
    note: `${range} in ${ratios.length} pairs; it: ${theirs.micros.toFixed(1)} µs · ${told(theirs.perSecond)} · ${residentMiB(pid).toFixed(0)} MiB${lacks}`,
  };
}

/** Whatever else the machine does only adds to what a request costs. */
function leastDisturbed(costs: readonly Cost[]): Cost {
  return costs.reduce((least, each) => (each.micros < least.micros ? each : least));
}

function told(perSecond: number): string {
  return `${perSecond.toLocaleString("en", { maximumFractionDigits: 0 })} requests/s`;
}

/** Each at 80 % of what it takes itself, and both at 80 % of what Envoy takes. */
async function* compareLatency(own: Running, other: Running, { seconds, pairs }: DataPlaneBench): AsyncGenerator<BenchRow> {
  const [ours, theirs] = [await most(own, seconds), await most(other, seconds)];
  yield latencyRow("each at 80 % of its own limit", own, 0.8 * ours, other, 0.8 * theirs, seconds, pairs);
  yield latencyRow("both at 80 % of Envoy's limit", own, 0.8 * theirs, other, 0.8 * theirs, seconds, pairs);
}

async function most(proxy: Running, seconds: number): Promise<number> {
  const [plain] = shapes as [Shape];
  const costs: Cost[] = [];
  while (costs.length < 3) costs.push(await costOf(plain, proxy, seconds));
  return median(costs.map(({ perSecond }) => perSecond));
}

function latencyRow(
  what: string,
  own: Running,
  ourRate: number,
  other: Running,
  theirRate: number,
  seconds: number,
  pairs: number,
): BenchRow {
  const measured = Array.from(
    { length: pairs },
    () => [paced(own.ports, ourRate, seconds), paced(other.ports, theirRate, seconds)] as const,
  );
  const ratios = measured.map(([ours, theirs]) => ours.p99Ms / theirs.p99Ms).sort((a, b) => a - b);
  const [p99, otherP99] = [Math.min(...measured.map(([first]) => first.p99Ms)), Math.min(...measured.map(([, second]) => second.p99Ms))];
  return {
    area: "p99 of requests of HTTP/1.1 at a fixed rate, from when they are due",
    what: `embedded / Envoy, ${what}`,
    value: p99 / otherP99,
    unit: "×",
    goal: latencyGoal,
    note: `${ratios[0]?.toFixed(2)}–${ratios.at(-1)?.toFixed(2)} in ${pairs} pairs; ${p99.toFixed(2)} ms at ${told(ourRate)}, Envoy ${otherP99.toFixed(2)} ms at ${told(theirRate)}`,
  };
}

/** Through a process that has served small requests only: what it holds from then on is held for what streams. */
async function* streamThrough(shape: Shape, running: Running): AsyncGenerator<BenchRow> {
  await costOf(shape, running, 1);
  for (const direction of ["down", "up"] as const) {
    const before = cpuSeconds(running.pid);
    const value = await growthMiB(shape, running.ports, running.pid, direction);
    const cpu = cpuSeconds(running.pid) - before;
    yield {
      area: "memory growth while 1 GiB is streamed",
      what: `${running.proxy.name}, ${shape.name}, ${direction}`,
      value,
      unit: "MiB",
      ...(running.proxy === embedded && { goal: streamingGoalMiB }),
      note: `${cpu.toFixed(2)} s CPU`,
    };
  }
}
