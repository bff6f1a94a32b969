// The pool with workers that do what a test tells them to. What real workers do together is in test/e2e/proxy.test.ts.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../../lib/testing/eventually.ts";
import { type EnvoyResource, typeUrls } from "../../model/envoy-resource.ts";
import type { Executor } from "./executor.ts";
import { inProcesses, type PoolOptions } from "./pool.ts";

const program = join(import.meta.dirname, "testing/scripted-worker.ts");

interface Pool extends AsyncDisposable {
  readonly pool: Executor;
  readonly said: string[];
  /** What workers look for: `go`, `mute`. */
  readonly put: (file: string) => void;
  readonly take: (file: string) => void;
  /** A worker is in the middle of a change. */
  readonly holding: () => boolean;
  /** The ids of all that ever started. */
  readonly started: () => number[];
}

function poolOf(size: number, options: Partial<PoolOptions> & { readonly files?: readonly string[] } = {}): Pool {
  const folder = mkdtempSync(join(tmpdir(), "headworks-pool-"));
  const put = (file: string) => writeFileSync(join(folder, file), "");
  for (const file of ["started", ...(options.files ?? [])]) put(file);
  const said: string[] = [];
  const pool = inProcesses({ size, program, args: [folder], log: (_, text) => void said.push(text), onProblems: () => {}, ...options });
  return {
    pool,
    said,
    put,
    holding: () => existsSync(join(folder, "holding")),
    take: (file) => rmSync(join(folder, file)),
    started: () => readFileSync(join(folder, "started"), "utf8").trim().split("\n").filter(Boolean).map(Number),
    async [Symbol.asyncDispose]() {
      await pool.drain(0);
      rmSync(folder, { recursive: true });
    },
  };
}

function resource(name: string, version: string): EnvoyResource {
  return { typeUrl: typeUrls.cluster, name, version, bytes: new Uint8Array(), owners: [] };
}

const batch = (...upserts: EnvoyResource[]) => ({ upserts, removals: [] });

/** By name and version, how many workers have it. */
async function held({ pool }: Pool): Promise<Record<string, number>> {
  const stats = Object.entries(await pool.stats()).filter(([name]) => name.endsWith("_active"));
  return Object.fromEntries(stats.map(([name, count]) => [name.replace("_active", ""), count]));
}

async function ready({ pool }: Pool, size: number): Promise<void> {
  await eventually(() => pool.workers().filter(({ isReady }) => isReady).length, size);
}

test("a worker that joins while others are asked about a change that they refuse has what is in force", async () => {
  await using made = poolOf(2);
  const { pool } = made;
  await ready(made, 2);
  expect(await pool.apply(batch(resource("a", "v1")))).toEqual([]);
  const asked = pool.apply(batch(resource("a", "refused held")));
  await eventually(made.holding, true);
  const [victim] = pool.workers();
  process.kill(victim?.pid ?? 0, "SIGKILL");
  await eventually(() => made.started().length, 3);
  // The message of the one that started is on its way, or here.
  await new Promise((resolve) => setTimeout(resolve, 100));
  made.put("go");
  expect(await asked).toEqual([{ typeUrl: typeUrls.cluster, name: "a", reason: "it is refused held" }]);
  await ready(made, 2);
  expect(await held(made)).toEqual({ "a v1": 2 });
});

test("a change on which all workers end is refused, and their successors serve what was there before", async () => {
  await using made = poolOf(2);
  const { pool } = made;
  await ready(made, 2);
  await pool.apply(batch(resource("a", "v1"), resource("b", "v1")));
  const refused = await pool.apply({ upserts: [resource("a", "deadly")], removals: [{ typeUrl: typeUrls.cluster, name: "b" }] });
  expect(refused).toEqual([{ typeUrl: typeUrls.cluster, name: "a", reason: expect.stringContaining("all workers ended") }]);
  await ready(made, 2);
  expect(await held(made)).toEqual({ "a v1": 2 });
  expect(await pool.apply(batch(resource("a", "v2")))).toEqual([]);
  expect(await held(made)).toEqual({ "a v2": 2 });
});

test.concurrent("a worker that is stuck is replaced; meanwhile numbers are those of the others, and its own last ones", async () => {
  await using made = poolOf(2, { stuckMs: 6_000 });
  const { pool, said } = made;
  await ready(made, 2);
  await pool.apply(batch(resource("a", "v1")));
  expect(await held(made)).toEqual({ "a v1": 2 });
  const [stuck] = pool.workers();
  process.kill(stuck?.pid ?? 0, "SIGSTOP");
  const asked = pool.apply(batch(resource("a", "v2")));
  await expect.poll(() => held(made), { timeout: 5_000 }).toEqual({ "a v1": 1, "a v2": 1 });
  expect(said).toEqual([]);
  expect(await asked).toEqual([]);
  await ready(made, 2);
  expect(await held(made)).toEqual({ "a v2": 2 });
  expect(said).toContain(`worker ${stuck?.pid} has not answered for 6 s; it is ended`);
});

test.concurrent("a worker that never starts is replaced, and what waits for one goes on", async () => {
  await using made = poolOf(1, { stuckMs: 3_000, files: ["mute"] });
  const asked = made.pool.apply(batch(resource("a", "v1")));
  await eventually(() => made.started().length, 1);
  made.take("mute");
  expect(await asked).toEqual([]);
  expect(await held(made)).toEqual({ "a v1": 1 });
  expect(made.said[0]).toMatch(/has not started for 3 s; it is ended/);
});

test.concurrent("a change that a stuck worker does not take keeps nobody from ending", async () => {
  await using made = poolOf(1);
  const { pool } = made;
  await ready(made, 1);
  const asked = pool.apply(batch(resource("a", "held")));
  await eventually(made.holding, true);
  await pool.drain(0);
  expect(await asked).toEqual([]);
  expect(pool.workers()).toEqual([]);
});
