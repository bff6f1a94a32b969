// A folder with one instance of each mistake: `check` finds all of them in one run, each with its place and a cure. A line with a
// mistake says so: `# ✖ HW2020`. The file expected.txt holds what a person reads; UPDATE_GOLDENS=1 writes it anew.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type Ended, headworks } from "../e2e/headworks.ts";

const here = import.meta.dirname;
const folder = join(here, "testdata");
const expected = join(here, "expected.txt");

interface Found {
  readonly code: string;
  readonly hint?: string;
  readonly message: string;
  readonly place?: { readonly file: string; readonly line: number; readonly column: number };
}

let found: readonly Found[];
let pretty: Ended;

beforeAll(async () => {
  const options = { cwd: here };
  const [asJson, asText] = await Promise.all([
    headworks(["check", "testdata", "-o", "json"], options),
    headworks(["check", "testdata", "--quiet"], options),
  ]);
  found = (JSON.parse(asJson.stdout) as { findings?: Found[] }).findings ?? (JSON.parse(asJson.stdout) as Found[]);
  pretty = asText;
});

const mistakes = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml"))
  .flatMap((file) =>
    readFileSync(join(folder, file), "utf8")
      .split("\n")
      .flatMap((text, i) => {
        const code = /# ✖ (HW\d{4})$/.exec(text)?.[1];
        return code === undefined ? [] : [{ at: `testdata/${file}:${i + 1}`, code }];
      }),
  );

test("every mistake is found where it is", () => {
  expect(mistakes.length).toBeGreaterThanOrEqual(60);
  const all = new Set(found.map(({ code, place }) => `${place?.file}:${place?.line} ${code}`));
  expect(mistakes.filter(({ at, code }) => !all.has(`${at} ${code}`))).toEqual([]);
});

test("every finding has a file, a line, a column and a cure", () => {
  expect(found.filter(({ place, hint }) => !place || place.line < 1 || place.column < 1 || !hint)).toEqual([]);
});

test("what a person reads is as expected", () => {
  expect(pretty.code).toBe(1);
  if (process.env.UPDATE_GOLDENS === "1") writeFileSync(expected, pretty.stdout);
  expect(pretty.stdout).toBe(readFileSync(expected, "utf8"));
});
