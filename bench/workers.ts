// What it costs to spread the embedded data plane over processes: CPU time per request of two workers, main process and all, against one process alone.
// In pairs, one after the other, so that both see the same machine.

import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "../test/servers/ports.ts";
import { type BenchRow, median } from "./row.ts";

const pairs = 4;
const connections = 64;
const here = join(import.meta.dirname, "dataplane");
const ticks = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

export async function benchWorkers(seconds = 3): Promise<BenchRow[]> {
  await using stack = new AsyncDisposableStack();
  const [backendPort = 0, onePort = 0, twoPort = 0] = await freePorts(3);
  const start = async (...args: readonly string[]) => {
    const child = await started(args);
    stack.defer(() => void child.kill("SIGTERM"));
    return child;
  };
  await start(join(here, "backend.ts"), String(backendPort));
  const one = await start(join(here, "workers.ts"), String(onePort), String(backendPort), "1");
  const two = await start(join(here, "workers.ts"), String(twoPort), String(backendPort), "2");
  await delay(1_000);
  // Warms both up.
  measure(one, onePort, seconds);
  measure(two, twoPort, seconds);
  const ratios: number[] = [];
  let last = "";
  while (ratios.length < pairs) {
    const [alone, spread] = [measure(one, onePort, seconds), measure(two, twoPort, seconds)];
    ratios.push(spread.micros / alone.micros);
    last = `${spread.micros.toFixed(1)} µs (main process and workers ${spread.shares.join(" ")}), alone ${alone.micros.toFixed(1)} µs`;
  }
  const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
  return [
    {
      area: "CPU time for a request, spread over processes",
      what: "two workers / one process",
      value: median(ratios),
      unit: "×",
      note: `${range} in ${pairs} pairs; at last ${last}`,
    },
  ];
}

function measure({ pid = 0 }: ChildProcess, port: number, seconds: number) {
  const pids = [pid, ...childrenOf(pid)];
  const before = pids.map(cpuSeconds);
  const text = execFileSync(process.execPath, [join(here, "load.ts"), String(port), String(connections), String(seconds)], {
    encoding: "utf8",
  });
  const { requests } = JSON.parse(text) as { requests: number };
  const used = pids.map((each, index) => cpuSeconds(each) - (before[index] ?? 0));
  const total = used.reduce((sum, each) => sum + each, 0);
  return { micros: (total / requests) * 1e6, shares: used.map((each) => `${Math.round((each / total) * 100)}%`) };
}

async function started(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve, reject) => {
    child.stdout.once("data", resolve);
    child.once("exit", (code) => reject(new Error(`ended with ${code}`)));
  });
  return child;
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticks;
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}
