import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { openStateStore } from "./store.ts";

let folder: string;
const warnings: string[] = [];
const log = { debug() {}, info() {}, warn: (_: object, message: string) => void warnings.push(message), error() {} };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "state-"));
  warnings.length = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function upstream(name: string, port = 80): Resource<"Upstream"> {
  const ref = { namespace: "gloo-system", name };
  const spec = create(UpstreamSchema, { upstreamType: { case: "static", value: { hosts: [{ addr: "10.0.0.1", port }] } } });
  return {
    kind: "Upstream",
    key: resourceKey("Upstream", ref),
    ref,
    labels: {},
    annotations: {},
    spec,
    version: `${port}`,
    problems: [],
    origin: { source: "files", file: "a.yaml" },
  };
}

async function remember(...resources: Resource[]): Promise<void> {
  await using store = await openStateStore(folder, log);
  for (const resource of resources) store.remember(resource);
}

async function recall(): Promise<readonly Resource[]> {
  await using store = await openStateStore(folder, log);
  return store.remembered.map((each) => each.resource);
}

describe("the state store", () => {
  test("gives back after a restart what was remembered, newest version first", async () => {
    await remember(upstream("a", 80), upstream("b", 81));
    await remember(upstream("a", 90));
    expect(await recall()).toEqual([upstream("a", 90), upstream("b", 81)]);
  });

  test("a forgotten resource does not come back", async () => {
    await remember(upstream("a"));
    {
      await using store = await openStateStore(folder, log);
      store.forget(upstream("a").key);
    }
    expect(await recall()).toEqual([]);
  });

  test("a line that a crash cut short costs that line only", async () => {
    await remember(upstream("a"), upstream("b"));
    const file = join(folder, "last-good.log");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.slice(0, -20));
    expect((await recall()).map((each) => each.ref.name)).toEqual(["a"]);
    expect(warnings).toHaveLength(1);
  });

  test.each(["", "rubbish\n", "00000000 {}\n"])("a file that is not ours (%j) is set aside and said so", async (content) => {
    await writeFile(join(folder, "last-good.log"), content);
    expect(await recall()).toEqual([]);
    expect(await readdir(folder)).toContain("last-good.log.bad");
    expect(warnings).toHaveLength(1);
  });

  test("a line appended by someone else that fails its checksum is left out", async () => {
    await remember(upstream("a"));
    await appendFile(join(folder, "last-good.log"), "deadbeef {}\n");
    expect(await recall()).toHaveLength(1);
  });

  test("many versions of one resource do not grow the file without bound", async () => {
    await using store = await openStateStore(folder, log);
    for (let port = 1; port <= 5000; port++) {
      store.remember(upstream("a", port));
      if (port % 100 === 0) await store.flushed();
    }
    expect((await stat(join(folder, "last-good.log"))).size).toBeLessThan(1_200_000);
  });

  test("only its owner may read it", async () => {
    await remember(upstream("a"));
    expect((await stat(join(folder, "last-good.log"))).mode & 0o777).toBe(0o600);
  });

  test("a folder that cannot be written is a warning, not a failure", async () => {
    await writeFile(join(folder, "file"), "");
    await using store = await openStateStore(join(folder, "file", "below"), log);
    store.remember(upstream("a"));
    await store.flushed();
    expect(warnings.length).toBeGreaterThan(0);
  });
});

test("a folder is made with those above it; where none can be made, that is said, and nothing waits", async () => {
  const deep = join(folder, "a", "b", "c");
  await using store = await openStateStore(deep, log);
  store.remember(upstream("a"));
  await store.flushed();
  expect((await stat(join(deep, "last-good.log"))).mode & 0o777).toBe(0o600);
  expect((await stat(deep)).mode & 0o777).toBe(0o700);
  expect(warnings).toEqual([]);
  await using none = await openStateStore("/proc/headworks/state", log);
  expect([none.remembered, warnings]).toEqual([[], ["cannot make the state folder"]]);
});
