// A real Consul for tests: built once, started in dev mode on free ports, killed with the scope. It keeps nothing on disk, so one that
// starts again on the same ports has forgotten everything, as after a disaster.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "./ports.ts";

const version = "1.13.9";

function folder(): string {
  return join(process.env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks"), `consul-${version}`);
}

/** Where Consul is: `$CONSUL_BIN`, the cache that the test set-up fills, or PATH; undefined when it is nowhere. */
export function findConsul(): string | undefined {
  const candidates = [
    process.env.CONSUL_BIN,
    join(folder(), "consul"),
    ...(process.env.PATH ?? "").split(delimiter).map((each) => join(each, "consul")),
  ];
  return candidates.find((path) => path !== undefined && path !== "" && existsSync(path));
}

/** Builds it with Go, about two minutes. Throws an Error that says why it could not. */
export function installConsul(): void {
  const unfinished = `${folder()}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  // Consul's own go.mod replaces these by folders of its repository; a module that uses it has to name their releases.
  const replaced = { api: "v1.15.2", sdk: "v0.11.0", "proto-public": "v0.1.0" };
  const lines = Object.entries(replaced).map(([name, release]) => {
    const path = `github.com/hashicorp/consul/${name}`;
    return `replace ${path} => ${path} ${release}`;
  });
  writeFileSync(join(unfinished, "go.mod"), ["module build", "go 1.24", ...lines, ""].join("\n"));
  go(unfinished, "get", "-tool", `github.com/hashicorp/consul@v${version}`);
  go(unfinished, "build", "-o", "consul", "github.com/hashicorp/consul");
  rmSync(folder(), { recursive: true, force: true });
  renameSync(unfinished, folder());
}

function go(cwd: string, ...args: string[]): void {
  const run = spawnSync("go", args, { cwd, encoding: "utf8", env: { ...process.env, CGO_ENABLED: "0" } });
  if (run.error) throw new Error("there is no Go to build it with", { cause: run.error });
  if (run.status !== 0) throw new Error(`go ${args[0]} failed: ${run.stderr.trim().split("\n").at(-1) ?? "no reason given"}`);
}

export interface ConsulOptions {
  /** Further configuration of the agent, as its files have it. Its `ports` join those that are chosen. */
  readonly config?: { readonly ports?: object; readonly [field: string]: unknown };
}

export interface RunningConsul extends AsyncDisposable {
  readonly httpPort: number;
  readonly dnsPort: number;
  /** For `retry_join_wan` of a Consul of another data centre: `127.0.0.1:PORT`. */
  readonly wan: string;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  process(): ChildProcess;
  /** A request to its HTTP API; throws unless it answers 200. `body` is sent as JSON. */
  api(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<unknown>;
  /** Registers a service with the agent. */
  register(service: object): Promise<void>;
  deregister(id: string): Promise<void>;
  /** Kills at once, as a crash would. What it knew is lost. */
  kill(): Promise<void>;
  /** After a kill: the same ports, nothing remembered. */
  restart(): Promise<void>;
  /** All that it logged so far. */
  log(): string;
}

/** Starts a Consul of one node in dev mode, on loopback. */
export async function startConsul({ config = {} }: ConsulOptions = {}): Promise<RunningConsul> {
  const binary = findConsul();
  if (binary === undefined) throw new Error("Consul is not there: set CONSUL_BIN");
  const [http, dns, server, lan, wan, grpc] = (await freePorts(6)) as [number, number, number, number, number, number];
  const ports = { http, dns, server, serf_lan: lan, serf_wan: wan, grpc, https: -1 };
  const temporary = mkdtempSync(join(tmpdir(), "consul-"));
  const file = join(temporary, "config.json");
  writeFileSync(file, JSON.stringify({ disable_update_check: true, node_name: "n1", ...config, ports: { ...ports, ...config.ports } }));
  const url = `http://127.0.0.1:${http}`;
  let log = "";
  let child: ChildProcess;
  let exited: Promise<void>;

  const api: RunningConsul["api"] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  const start = async () => {
    child = spawn(binary, ["agent", "-dev", "-log-level=warn", "-bind=127.0.0.1", "-client=127.0.0.1", `-config-file=${file}`], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    exited = new Promise((resolve) => child.once("exit", () => resolve()));
    const keep = (chunk: Buffer) => {
      log = (log + chunk.toString("utf8")).slice(-1_000_000);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    const begun = performance.now();
    for (;;) {
      if (child.exitCode !== null) throw new Error(`Consul ended with ${child.exitCode}:\n${log}`);
      const leader = await fetch(`${url}/v1/status/leader`).then(
        (response) => response.text(),
        () => "",
      );
      if (leader.length > 4) return;
      if (performance.now() - begun > 90_000) throw new Error(`Consul did not come up:\n${log}`);
      await delay(50);
    }
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  await start();
  return {
    httpPort: http,
    dnsPort: dns,
    wan: `127.0.0.1:${wan}`,
    url,
    process: () => child,
    api,
    async register(service) {
      await api("PUT", "/v1/agent/service/register", service);
    },
    async deregister(id) {
      await api("PUT", `/v1/agent/service/deregister/${encodeURIComponent(id)}`);
    },
    kill,
    restart: start,
    log: () => log,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(temporary, { recursive: true, force: true });
    },
  };
}
