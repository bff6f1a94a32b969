import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
// @ts-expect-error plain JavaScript without types, as it runs before anything is installed
import { bundledMain } from "./bundled.mjs";

const root = join(import.meta.dirname, "..");

describe("the program that npm start runs", () => {
  test("is one bundle, made once for the same sources, and says what the sources say", () => {
    const main: string = bundledMain(root, process.execPath, process.env);
    expect(main).toMatch(/node_modules\/\.cache\/headworks\/[0-9a-f]{16}\/main\.js$/);
    const madeAt = statSync(main).mtimeMs;
    expect(bundledMain(root, process.execPath, process.env)).toBe(main);
    expect(statSync(main).mtimeMs).toBe(madeAt);
    const said = (file: string) =>
      spawnSync(process.execPath, [file, "check", join(root, "examples/petstore"), "-o", "json"]).stdout.toString();
    expect(JSON.parse(said(main)).summary).toEqual(JSON.parse(said(join(root, "src/main.ts"))).summary);
  });

  test("is the sources where that is asked for", () => {
    expect(bundledMain(root, process.execPath, { HEADWORKS_FROM_SOURCE: "1" })).toBe(join(root, "src/main.ts"));
  });
});
