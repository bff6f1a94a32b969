// What the whole program takes as its user sees it: resident memory, time to the first answer, time of `check`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { realistic } from "../src/lib/testing/realistic.ts";
import { start } from "../test/e2e/headworks.ts";
import { freePort } from "../test/servers/ports.ts";
import { folder, writeEach, writeMany } from "./folder.ts";
import { type BenchRow, median, spread } from "./row.ts";

const root = join(import.meta.dirname, "..");
const source = [process.execPath, join(root, "src/main.ts")] as const;
const bundle = [process.execPath, join(root, "bin/headworks.cjs")] as const;

/** The sources, and the bundle where there is one. */
function programs(): readonly (readonly [string, readonly string[]])[] {
  return [["sources", source], ...(existsSync(join(root, "dist/main.js")) ? ([["bundle", bundle]] as const) : [])];
}

const memoryGoals = new Map([
  [10_000, 250],
  [100_000, 2_048],
]);

export async function benchMemory(sizes: readonly number[] = [10_000, 100_000]): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const size of sizes) {
    using files = folder();
    writeMany(files, realistic({ upstreams: size, routes: size / 10 }));
    await using running = start(["run", files.path, "--proxy", "none", "--xds", `unix:${join(files.path, "x.sock")}`, "--admin", "none"]);
    await running.said(/"msg":"ready"| ready {2}/);
    await delay(3_000);
    const status = readFileSync(`/proc/${running.process.pid}/status`, "utf8");
    const mebibytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    const goal = memoryGoals.get(size);
    rows.push({
      area: "memory",
      what: `${size.toLocaleString("en")} Upstreams: resident after load`,
      value: mebibytes("VmRSS"),
      unit: "MiB",
      ...(goal !== undefined && { goal }),
      note: `peak ${mebibytes("VmHWM").toFixed(0)}`,
    });
  }
  return rows;
}

export async function benchStart(repeats = 7): Promise<BenchRow[]> {
  const node = Array.from({ length: repeats }, () => wall(process.execPath, ["-e", "0"]));
  const rows: BenchRow[] = [{ area: "start", what: "node -e 0, for comparison", value: median(node), unit: "ms", note: spread(node, 0) }];
  const samples = new Map<string, number[]>();
  for (let i = 0; i < repeats; i++) {
    for (const [name, program] of programs()) samples.set(name, [...(samples.get(name) ?? []), await firstAnswer(program)]);
  }
  for (const [name, all] of samples)
    rows.push({
      area: "start",
      what: `process start → gateway answers (${name})`,
      value: median(all),
      unit: "ms",
      goal: 500,
      note: spread(all, 0),
    });
  return rows;
}

/** From the start of the process until the route of the petstore that needs no backend is answered. */
async function firstAnswer(program: readonly string[]): Promise<number> {
  const port = await freePort();
  const path = mkdtempSync(join(tmpdir(), "headworks-start-"));
  try {
    for (const file of ["routes.yaml", "upstreams.yaml"])
      writeFileSync(join(path, file), readFileSync(join(root, "examples/petstore", file), "utf8"));
    writeFileSync(
      join(path, "gateway.yaml"),
      `apiVersion: gateway.solo.io/v1\nkind: Gateway\nmetadata: {name: gateway, namespace: gloo-system}\nspec: {bindAddress: 127.0.0.1, bindPort: ${port}, httpGateway: {}}\n`,
    );
    const from = performance.now();
    await using _running = start(["run", path, "--admin", "none"], { program });
    while ((await statusOf(port, "/hello")) !== 200) await delay(2);
    return performance.now() - from;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

export function benchCheck(repeats = 5): BenchRow[] {
  using files = folder();
  writeEach(files, realistic({ upstreams: 300, routes: 3_000 }));
  const rows: BenchRow[] = [];
  for (const [name, [command = "", ...args]] of programs()) {
    const cpu: number[] = [];
    const all = Array.from({ length: repeats }, () => {
      const before = childCpuMs();
      const milliseconds = wall(command, [...args, "check", files.path, "-o", "json"]);
      cpu.push(childCpuMs() - before);
      return milliseconds;
    });
    rows.push({
      area: "check",
      what: `3,000 routes, the whole process (${name})`,
      value: median(all),
      unit: "ms",
      goal: 500,
      note: `${spread(all, 0)} · ${median(cpu).toFixed(0)} ms CPU`,
    });
  }
  return rows;
}

function wall(command: string, args: readonly string[]): number {
  const from = performance.now();
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`);
  return performance.now() - from;
}

/** Of all children that have ended, in clock ticks of 10 ms (Linux). */
function childCpuMs(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

function statusOf(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    get({ host: "127.0.0.1", port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", () => resolve(undefined));
  });
}
