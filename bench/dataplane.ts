// Requests per second of proxies on one core each, and what a request costs: the embedded data plane beside Envoy, nginx and the fastest proxy
// library of npm. Proxy on core 0, load and backend on core 1; 1 KiB answers, 64 kept connections. Where the load is the limit, the CPU time per
// request is the fair number.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findEnvoy, startEnvoy } from "../test/servers/envoy.ts";
import { freePorts } from "../test/servers/ports.ts";

export interface ProxyResult {
  readonly proxy: string;
  readonly requestsPerSecond: number;
  /** User and system time of the proxy for one request. */
  readonly cpuMicrosPerRequest: number;
  readonly residentMiB: number;
}

const seconds = Number(process.env.BENCH_SECONDS ?? 4);
const rounds = Number(process.env.BENCH_ROUNDS ?? 2);
const connections = 64;
const here = import.meta.dirname;
const clockTicks = Number(run("getconf", ["CLK_TCK"]) ?? 100);

/** Best of a few rounds for each proxy that is there. */
export async function benchDataplane(): Promise<ProxyResult[]> {
  const folder = mkdtempSync(join(tmpdir(), "bench-dataplane-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const [backendPort, proxyPort, adminPort] = (await freePorts(3)) as [number, number, number];
  const backend = await startBackend(folder, backendPort);
  stack.defer(() => stop(backend));

  const starters: readonly (readonly [string, () => Promise<ChildProcess | undefined>])[] = [
    ["embedded", () => start("node", [join(here, "dataplane", "embedded.ts"), String(proxyPort), String(backendPort)], 0)],
    ["envoy", () => startEnvoyProxy(proxyPort, backendPort, adminPort)],
    ["nginx", () => startNginx(folder, proxyPort, backendPort)],
    ["fast-proxy (npm)", () => startFastProxy(proxyPort, backendPort)],
  ];
  const results: ProxyResult[] = [];
  for (const [name, starter] of starters) {
    const child = await starter();
    if (child === undefined) {
      console.log(`${name}: not here, skipped`);
      continue;
    }
    const pids = [child.pid as number, ...childrenOf(child.pid as number)];
    load(proxyPort, 1);
    let best: ProxyResult | undefined;
    for (let round = 0; round < rounds; round++) {
      const before = cpuSeconds(pids);
      const { requests, perSecond } = load(proxyPort, seconds);
      const cpu = cpuSeconds(pids) - before;
      const result = {
        proxy: name,
        requestsPerSecond: perSecond,
        cpuMicrosPerRequest: (cpu / requests) * 1e6,
        residentMiB: residentMiB(pids),
      };
      if (best === undefined || result.cpuMicrosPerRequest < best.cpuMicrosPerRequest) best = result;
    }
    await stop(child);
    if (best !== undefined) results.push(best);
  }
  console.log("proxy               requests/s   CPU µs/request   RSS MiB");
  for (const each of results) {
    console.log(
      `${each.proxy.padEnd(18)} ${each.requestsPerSecond.toFixed(0).padStart(11)} ${each.cpuMicrosPerRequest.toFixed(1).padStart(16)} ${each.residentMiB.toFixed(0).padStart(9)}`,
    );
  }
  return results;
}

function load(port: number, duration: number): { requests: number; perSecond: number } {
  if (onPath("wrk")) {
    const text = execFileSync("taskset", ["-c", "1", "wrk", "-t1", `-c${connections}`, `-d${duration}s`, `http://127.0.0.1:${port}/`], {
      encoding: "utf8",
    });
    const errors = /Socket errors.*|Non-2xx.*/.exec(text)?.[0];
    if (errors !== undefined) console.log(`  ${errors}`);
    return { requests: Number(/(\d+) requests in/.exec(text)?.[1]), perSecond: Number(/Requests\/sec:\s*([\d.]+)/.exec(text)?.[1]) };
  }
  const text = execFileSync(
    "taskset",
    ["-c", "1", "node", join(here, "dataplane", "load.ts"), String(port), String(connections), String(duration)],
    {
      encoding: "utf8",
    },
  );
  return JSON.parse(text) as { requests: number; perSecond: number };
}

async function startBackend(folder: string, port: number): Promise<ChildProcess> {
  if (!onPath("nginx")) {
    const script = `const b=Buffer.from("HTTP/1.1 200 OK\\r\\nContent-Length: 1024\\r\\n\\r\\n"+"x".repeat(1024));require("net").createServer({noDelay:true},s=>{s.on("error",()=>{});s.on("data",()=>s.write(b))}).listen(${port},"127.0.0.1",()=>console.log("ready"))`;
    return (await start("node", ["-e", script], 1)) as ChildProcess;
  }
  return nginx(folder, "backend", 1, port, `location / { return 200 "${"x".repeat(1024)}"; }`, "");
}

async function startNginx(folder: string, port: number, backend: number): Promise<ChildProcess | undefined> {
  if (!onPath("nginx")) return undefined;
  const location =
    'location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }';
  return nginx(folder, "proxy", 0, port, location, `upstream backend { server 127.0.0.1:${backend}; keepalive 128; }`);
}

async function nginx(folder: string, name: string, core: number, port: number, location: string, upstream: string): Promise<ChildProcess> {
  const file = join(folder, `${name}.conf`);
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/${name}.pid; error_log stderr crit;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
${upstream}
server { listen 127.0.0.1:${port} backlog=4096; ${location} } }\n`,
  );
  const child = spawn("taskset", ["-c", String(core), "nginx", "-c", file, "-p", folder], { stdio: ["ignore", "ignore", "inherit"] });
  await reachable(port);
  return child;
}

async function startEnvoyProxy(port: number, backend: number, adminPort: number): Promise<ChildProcess | undefined> {
  if (findEnvoy() === undefined) return undefined;
  const address = (value: number) => ({ socket_address: { address: "127.0.0.1", port_value: value } });
  const envoy = await startEnvoy(
    {
      admin: { address: address(adminPort) },
      static_resources: {
        listeners: [
          {
            address: address(port),
            filter_chains: [
              {
                filters: [
                  {
                    name: "envoy.filters.network.http_connection_manager",
                    typed_config: {
                      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                      stat_prefix: "http",
                      use_remote_address: true,
                      route_config: {
                        virtual_hosts: [
                          { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "backend" } }] },
                        ],
                      },
                      http_filters: [
                        {
                          name: "envoy.filters.http.router",
                          typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
                        },
                      ],
                    },
                  },
                ],
              },
            ],
          },
        ],
        clusters: [
          {
            name: "backend",
            type: "STATIC",
            load_assignment: { cluster_name: "backend", endpoints: [{ lb_endpoints: [{ endpoint: { address: address(backend) } }] }] },
          },
        ],
      },
    },
    adminPort,
  );
  run("taskset", ["-acp", "0", String(envoy.process.pid)]);
  await reachable(port);
  return envoy.process;
}

/** Installed once into the cache folder, outside the tree: it is measured, not used. */
async function startFastProxy(port: number, backend: number): Promise<ChildProcess | undefined> {
  const cache = join(process.env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks"), "bench-fast-proxy-2.2.0");
  if (!existsSync(join(cache, "node_modules", "fast-proxy"))) {
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, "package.json"), '{"private":true}');
    if (run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", cache, "fast-proxy@2.2.0"]) === undefined)
      return undefined;
  }
  return start("node", [join(here, "dataplane", "fast-proxy.mjs"), cache, String(port), String(backend)], 0);
}

/** Resolves when it prints that it is ready. */
async function start(command: string, args: readonly string[], core: number): Promise<ChildProcess | undefined> {
  const program = command === "node" ? process.execPath : command;
  const child = spawn("taskset", ["-c", String(core), program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const isReady = await new Promise<boolean>((resolve) => {
    child.stdout?.on("data", (data: Buffer) => data.includes("ready") && resolve(true));
    child.once("exit", () => resolve(false));
  });
  return isReady ? child : undefined;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await gone;
}

async function reachable(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const answered = await fetch(`http://127.0.0.1:${port}/`).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await delay(20);
  }
  throw new Error(`nothing answers on port ${port}`);
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / clockTicks;
}

function residentMiB(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0), 0) / 1_024;
}

function onPath(program: string): boolean {
  return run("which", [program]) !== undefined;
}

function run(program: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined;
  }
}

if (import.meta.main) await benchDataplane();
