// What it costs to spread the embedded data plane over processes: CPU time per request of two workers, main process and all, against one process alone.
// In pairs, one after the other, so that both see the same machine.
//
//   node bench/workers.ts [SECONDS]

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "../test/servers/ports.ts";

const seconds = Number(process.argv[2] ?? 3);
const pairs = 4;
const connections = 64;
const here = join(import.meta.dirname, "dataplane");
const ticks = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

const [backendPort = 0, onePort = 0, twoPort = 0] = await freePorts(3);
const backendScript = `const b=Buffer.from("HTTP/1.1 200 OK\\r\\nContent-Length: 1024\\r\\n\\r\\n"+"x".repeat(1024));require("net").createServer({noDelay:true},s=>{s.on("error",()=>{});s.on("data",()=>s.write(b))}).listen(${backendPort},"127.0.0.1",()=>console.log("ready"))`;
const backend = await started(["-e", backendScript]);
const one = await started([join(here, "workers.ts"), String(onePort), String(backendPort), "1"]);
const two = await started([join(here, "workers.ts"), String(twoPort), String(backendPort), "2"]);
await delay(1_000);
const ratios: number[] = [];
for (let pair = 0; pair <= pairs; pair++) {
  const [alone, spread] = [measure(one, onePort), measure(two, twoPort)];
  // The first pair warms both up.
  if (pair === 0) continue;
  ratios.push(spread.micros / alone.micros);
  console.log(
    `one process ${alone.micros.toFixed(1)} µs/request · two workers ${spread.micros.toFixed(1)} µs/request, by process ${spread.shares.join(" ")}`,
  );
}
ratios.sort((a, b) => a - b);
console.log(`two workers / one process: ${(((ratios[1] ?? 0) + (ratios[2] ?? 0)) / 2).toFixed(2)} (median of ${pairs} pairs)`);
for (const child of [one, two, backend]) child.kill("SIGTERM");

function measure({ pid = 0 }: ChildProcess, port: number) {
  const pids = [pid, ...childrenOf(pid)];
  const before = pids.map(cpuSeconds);
  const text = execFileSync("node", [join(here, "load.ts"), String(port), String(connections), String(seconds)], { encoding: "utf8" });
  const { requests } = JSON.parse(text) as { requests: number };
  const used = pids.map((each, index) => cpuSeconds(each) - (before[index] ?? 0));
  const total = used.reduce((sum, each) => sum + each, 0);
  return { micros: (total / requests) * 1e6, shares: used.map((each) => `${Math.round((each / total) * 100)}%`) };
}

async function started(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn("node", args, { stdio: ["ignore", "pipe", "inherit"] });
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
