import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AccessLogFiles } from "./access-log-files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "access-logs-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const soon = { retryMs: 20, checkMs: 0, idleMs: 60_000 };
const textOf = (path: string) => (existsSync(path) ? readFileSync(path, "latin1") : "");

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !holds() && performance.now() < end; ) await delay(5);
  expect(holds()).toBe(true);
}

test("a file that was moved away is left alone, and lines go to a new one", async () => {
  const path = join(folder, "log");
  const logs = new AccessLogFiles((path, failure) => expect.fail(`${path}: ${failure}`), soon);
  logs.write(path, "one\n");
  await until(() => textOf(path) === "one\n");
  renameSync(path, `${path}.1`);
  logs.write(path, "two\n");
  await until(() => textOf(path) === "two\n");
  rmSync(path);
  logs.write(path, "three\n");
  await until(() => textOf(path) === "three\n");
  logs.write(path, "four \u00ff\n");
  await logs.close();
  expect(textOf(path)).toBe("three\nfour \u00ff\n");
  expect(textOf(`${path}.1`)).toBe("one\n");
});

test("a file that cannot be written is tried again, and it is said once", async () => {
  const path = join(folder, "later", "log");
  const said: unknown[] = [];
  const logs = new AccessLogFiles((...file) => said.push(file), soon);
  logs.write(path, "lost\n");
  await until(() => said.length > 0);
  logs.write(path, "lost, too\n");
  await delay(150);
  mkdirSync(join(folder, "later"));
  await until(() => {
    logs.write(path, "kept\n");
    return textOf(path).endsWith("kept\n");
  });
  await logs.close();
  expect(said).toEqual([
    [path, expect.stringContaining("ENOENT")],
    [path, undefined],
  ]);
});

test("that a file cannot be opened is known before the first line, and that it can be again without one", async () => {
  const path = join(folder, "later", "log");
  const said: unknown[] = [];
  const logs = new AccessLogFiles((...file) => said.push(file), soon);
  logs.follow(new Set([path]));
  await until(() => said.length === 1);
  mkdirSync(join(folder, "later"));
  await until(() => said.length === 2);
  expect(existsSync(path)).toBe(true);
  // What is not asked for is not tried; what is asked for again is told again.
  rmSync(join(folder, "later"), { recursive: true });
  logs.follow(new Set());
  logs.write(path, "nobody cares\n");
  await logs.close();
  const again = new AccessLogFiles((...file) => said.push(file), soon);
  again.follow(new Set([path]));
  await until(() => said.length >= 3);
  again.follow(new Set());
  again.follow(new Set([path]));
  await until(() => said.length >= 4);
  expect(said.at(-1)).toEqual([path, expect.stringContaining("ENOENT")]);
  await again.close();
});

test("a file that nobody writes to is closed", async () => {
  const path = join(folder, "log");
  const logs = new AccessLogFiles((path, failure) => expect.fail(`${path}: ${failure}`), { ...soon, idleMs: 500 });
  const isOpen = () =>
    readdirSync("/proc/self/fd").some((each) => {
      try {
        return readlinkSync(`/proc/self/fd/${each}`) === path;
      } catch {
        return false; // closed meanwhile
      }
    });
  logs.write(path, "one\n");
  await until(isOpen);
  await until(() => !isOpen());
  logs.write(path, "two\n");
  await logs.close();
  expect(textOf(path)).toBe("one\ntwo\n");
});
