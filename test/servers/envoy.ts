// A real Envoy for tests: found, started on a given bootstrap, stopped with the scope.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Where Envoy is: `$ENVOY_BIN`, the cache that the test set-up fills, or PATH; undefined when it is nowhere. */
export function findEnvoy(): string | undefined {
  const cache = process.env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks");
  const candidates = [
    process.env.ENVOY_BIN,
    join(cache, "envoy-1.40.0", "envoy", "_bin", "envoy"),
    ...(process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "envoy")),
  ];
  return candidates.find((path) => path !== undefined && path !== "" && existsSync(path));
}

export interface RunningEnvoy extends AsyncDisposable {
  readonly adminPort: number;
  readonly process: ChildProcess;
  /** GET on the admin interface; the body as text. */
  admin(path: string): Promise<string>;
  /** All that it logged so far. */
  log(): string;
  /** Kills at once, as a crash would. */
  kill(): Promise<void>;
}

/** Starts Envoy on a bootstrap (a plain object, written as JSON); `adminPort` must be the port of the bootstrap's admin. */
export async function startEnvoy(
  bootstrap: object,
  adminPort: number,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningEnvoy> {
  const binary = findEnvoy();
  if (binary === undefined) throw new Error("Envoy is not there: set ENVOY_BIN");
  const folder = mkdtempSync(join(tmpdir(), "envoy-"));
  const file = join(folder, "bootstrap.json");
  writeFileSync(file, JSON.stringify(bootstrap));
  const child = spawn(binary, ["-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let log = "";
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString("utf8")).slice(-1_000_000);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const begun = performance.now();
  for (;;) {
    if (child.exitCode !== null) throw new Error(`Envoy ended with ${child.exitCode}:\n${log}`);
    const up = await admin("/server_info").then(
      (text) => text.includes('"state"'),
      () => false,
    );
    if (up) break;
    if (performance.now() - begun > 60_000) {
      await kill();
      throw new Error(`Envoy did not come up:\n${log}`);
    }
    await delay(20);
  }
  return { adminPort, process: child, admin, log: () => log, kill, [Symbol.asyncDispose]: kill };
}
