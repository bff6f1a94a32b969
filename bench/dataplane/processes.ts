// The processes that are measured: each on its core, with the CPU time that it has used and the memory that it holds.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const clockTicks = Number(run("getconf", ["CLK_TCK"]) ?? 100);

/** Proxies on one core; load and backend on another. */
export const proxyCore = 0;
export const loadCore = 1;

/** Node programs say "ready" when they are; `node` is this one. */
export async function startNode(args: readonly string[], core: number): Promise<ChildProcess> {
  const child = spawnPinned(process.execPath, args, core, "pipe");
  let text = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on("data", (data: Buffer) => {
      text += data.toString("utf8");
      if (text.includes("ready")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`${args.join(" ")} ended with ${code}`)));
  });
  return child;
}

export function spawnPinned(program: string, args: readonly string[], core: number, output: "pipe" | "ignore" | number): ChildProcess {
  return spawn("taskset", ["-c", String(core), program, ...args], { stdio: ["ignore", output, "inherit"] });
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await gone;
}

/** Waits until all of these ports are listened on. */
export async function listening(ports: readonly number[], child: ChildProcess): Promise<void> {
  for (const port of ports) {
    const end = performance.now() + 30_000;
    while (!(await answers(port))) {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      if (performance.now() > end) throw new Error(`nothing listens on port ${port}`);
      await delay(20);
    }
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const tell = (isUp: boolean) => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once("connect", () => tell(true));
    socket.once("error", () => tell(false));
  });
}

/** Of a process and its children, user and system time. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const each of [pid, ...childrenOf(pid)]) {
    const fields = readFileSync(`/proc/${each}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / clockTicks;
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

export function residentMiB(pid: number): number {
  return memoryOf(pid, "VmRSS");
}

/** Makes {@link peakMiB} begin anew: the most that it holds from now on. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

export function peakMiB(pid: number): number {
  return memoryOf(pid, "VmHWM");
}

function memoryOf(pid: number, field: string): number {
  return Number(new RegExp(`${field}:\\s*(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) / 1_024;
}

export function isOnPath(program: string): boolean {
  return run("which", [program]) !== undefined;
}

/** What it printed; undefined when it is not there or fails. */
export function run(program: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined;
  }
}
