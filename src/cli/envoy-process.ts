// An Envoy of our own: started on a bootstrap that leads it to our xDS, started again when it ends by itself, drained at the end.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { ProxyKey } from "../model/envoy-resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { type BootstrapOptions, envoyBootstrap } from "../xds/bootstrap.ts";
import type { EnvoyBinary } from "./envoy-binary.ts";

export interface EnvoyProcess {
  /** Resolves when the first Envoy has ended by itself, with how and with its last words. */
  readonly firstEnd: Promise<EnvoyEnd>;
  /** Names of the listeners on which Envoy takes requests; none while it does not answer. */
  openListeners(): Promise<ReadonlySet<string>>;
  /** Lets requests in flight finish, at most so long, then ends Envoy. */
  stop(graceMs: number): Promise<void>;
  /** Ends Envoy at once. */
  kill(): void;
}

export interface EnvoyEnd {
  /** `code 1`, `SIGSEGV`. */
  readonly how: string;
  readonly lastWords: string;
}

export interface EnvoyProcessOptions {
  readonly binary: EnvoyBinary;
  readonly proxy: ProxyKey;
  readonly xds: BootstrapOptions["xds"];
  readonly log: Logger;
}

/** An Envoy that lived this long did not fail at its start; the next wait is short again. */
const healthyMs = 60_000;
const longestWaitMs = 10_000;

export function superviseEnvoy({ binary, proxy, xds, log }: EnvoyProcessOptions): EnvoyProcess {
  const folder = mkdtempSync(join(tmpdir(), "headworks-envoy-"));
  const adminSocket = join(folder, "admin.sock");
  const bootstrap = join(folder, "bootstrap.json");
  writeFileSync(bootstrap, JSON.stringify(envoyBootstrap({ proxy, xds, admin: { path: adminSocket } })));
  const ended = new AbortController();
  const firstEnd = Promise.withResolvers<EnvoyEnd>();
  let child: ChildProcess | undefined;

  const supervise = async () => {
    for (let waitMs = 200; !ended.signal.aborted; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
      const started = performance.now();
      const said: string[] = [];
      child = start(binary.path, bootstrap, log, said);
      const how = await exitOf(child);
      if (ended.signal.aborted) return;
      const lastWords = said.join("\n");
      firstEnd.resolve({ how, lastWords });
      if (performance.now() - started > healthyMs) waitMs = 200;
      log.error({ envoy: binary.path, how, lastWords, againInMs: waitMs }, "Envoy ended by itself; starting it again");
      await delay(waitMs, undefined, { signal: ended.signal }).catch(() => {});
    }
  };
  const done = supervise().finally(() => rmSync(folder, { recursive: true, force: true }));

  return {
    firstEnd: firstEnd.promise,
    openListeners: () => openListeners(adminSocket).catch(() => new Set<string>()),
    async stop(graceMs) {
      ended.abort();
      if (child && child.exitCode === null && child.signalCode === null) {
        const until = performance.now() + graceMs;
        await post(adminSocket, "/healthcheck/fail").catch(() => {});
        await post(adminSocket, "/drain_listeners?graceful").catch(() => {});
        while (performance.now() < until && (await inFlight(adminSocket).catch(() => 0)) > 0) await delay(100);
        child.kill("SIGTERM");
        const isGone = await Promise.race([exitOf(child), delay(2000, "late", { ref: false })]);
        if (isGone === "late") child.kill("SIGKILL");
      }
      await done;
    },
    kill() {
      ended.abort();
      child?.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Runs Envoy beside a watcher that waits for the end of a pipe of ours. When we are killed (no handler runs then) the pipe ends, and the
 * watcher ends Envoy: one left behind would share its ports with the next one and go on serving old configuration. "done" says that
 * Envoy has ended by itself and nothing is left to do.
 */
const withWatcher = '(read -r word <&3; [ "$word" = done ] || kill -TERM $$) & exec "$@" 3<&-';

/** `said` holds the last lines on stderr. */
function start(path: string, bootstrap: string, log: Logger, said: string[]): ChildProcess {
  // Looking for unknown fields takes Envoy as long as all else that it does with a change of many routes. What we send is made from
  // its own schema, and by default it would only count them.
  const speed = "--ignore-unknown-dynamic-fields";
  const args = ["-c", bootstrap, "--use-dynamic-base-id", speed, "-l", "warning", "--log-format", "%l %n %v"];
  const isWindows = process.platform === "win32";
  const [program, programArgs] = isWindows ? [path, args] : ["sh", ["-c", withWatcher, "sh", path, ...args]];
  const child = spawn(program, programArgs, {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    // Its own process group: Ctrl-C in a terminal must reach only us, so that we can drain it.
    detached: !isWindows,
  });
  const pipe = child.stdio[3] as Writable;
  pipe.on("error", () => {}); // the watcher may be gone first
  child.once("exit", () => pipe.end("done\n"));
  let rest = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = (lines.pop() ?? "").slice(-10_000);
    for (const line of lines) logLine(line, log);
    said.push(...lines.filter((line) => line.trim() !== ""));
    said.splice(0, said.length - 5);
  });
  child.on("error", (error) => log.error({ error: error.message }, "Envoy could not be started"));
  return child;
}

function logLine(line: string, log: Logger): void {
  const [level = "", ...rest] = line.split(" ");
  const text = rest.join(" ").trim();
  if (text === "") return;
  if (level === "error" || level === "critical") log.error({}, `envoy: ${text}`);
  else log.debug({}, `envoy: ${line}`);
}

function exitOf(child: ChildProcess): Promise<string> {
  if (child.exitCode !== null) return Promise.resolve(`code ${child.exitCode}`);
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `code ${code}`));
    child.once("error", (error) => resolve(error.message));
  });
}

/** A listener is told here once its routes have come (it is "warm"), and none takes requests before the first start of Envoy's workers. */
async function openListeners(socketPath: string): Promise<ReadonlySet<string>> {
  if ((await ask(socketPath, "GET", "/ready")).trim() !== "LIVE") return new Set();
  const told = JSON.parse(await ask(socketPath, "GET", "/listeners?format=json")) as { listener_statuses?: readonly { name: string }[] };
  return new Set(told.listener_statuses?.map(({ name }) => name));
}

/** Requests, and connections that are passed on as they are: those of listeners that are not HTTP's. */
async function inFlight(socketPath: string): Promise<number> {
  const text = await ask(socketPath, "GET", `/stats?usedonly&filter=${encodeURIComponent("downstream_(rq|cx)_active$")}`);
  const sum = (name: RegExp) => [...text.matchAll(name)].reduce((total, match) => total + Number(match[1]), 0);
  // The admin interface counts our own question, and each worker what its listener counts.
  const requests = sum(/^http\.(?!admin\.)\S*downstream_rq_active: (\d+)$/gm);
  const ofHttp = sum(/^http\.(?!admin\.)\S*downstream_cx_active: (\d+)$/gm);
  const ofListeners = sum(/^listener\.(?!admin\.)(?!\S*\.worker_\d+\.)\S*downstream_cx_active: (\d+)$/gm);
  return requests + Math.max(0, ofListeners - ofHttp);
}

function post(socketPath: string, path: string): Promise<string> {
  return ask(socketPath, "POST", path);
}

function ask(socketPath: string, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, timeout: 2000, headers: { host: "localhost" } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    asked.on("timeout", () => asked.destroy(new Error("Envoy's admin interface did not answer")));
    asked.on("error", reject);
    asked.end();
  });
}
