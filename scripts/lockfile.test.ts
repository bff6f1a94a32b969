import { expect, test } from "vitest";
import { addMissing, faultsOf } from "./lockfile.ts";

const tool = { version: "1.0.0", dev: true, optionalDependencies: { "tool-linux-x64": "1.0.0", "tool-linux-arm64-musl": "1.0.0" } };

test("a platform's package without an entry is a fault, and can be added", () => {
  const lock = {
    packages: { "": {}, "node_modules/tool": tool, "node_modules/tool-linux-x64": { version: "1.0.0" } } as Record<string, object>,
  };
  expect(faultsOf(lock)).toEqual(["tool-linux-arm64-musl, which node_modules/tool may need, has no entry (--fix adds it)"]);
  addMissing(lock);
  expect(faultsOf(lock)).toEqual([]);
  expect(lock.packages["node_modules/tool-linux-arm64-musl"]).toEqual({
    version: "1.0.0",
    dev: true,
    optional: true,
    os: ["linux"],
    cpu: ["arm64"],
    libc: ["musl"],
  });
});

test("an entry below the package that needs it counts, one below another does not", () => {
  const needs = { version: "1.0.0", optionalDependencies: { "tool-linux-x64": "1.0.0" } };
  const own = { "node_modules/a/node_modules/tool": needs, "node_modules/a/node_modules/tool-linux-x64": { version: "1.0.0" } };
  expect(faultsOf({ packages: own })).toEqual([]);
  const others = { "node_modules/tool": needs, "node_modules/b/node_modules/tool-linux-x64": { version: "1.0.0" } };
  expect(faultsOf({ packages: others })).toHaveLength(1);
});

test("the address of a registry is a fault", () => {
  expect(faultsOf({ packages: { "node_modules/a": { resolved: "https://registry.example/a.tgz" } } })).toEqual([
    "node_modules/a names a registry",
  ]);
});
