// Goldens: a YAML file that holds a story's input and, below a line, what comes of it.
//
//   # a host on port 443 gets TLS
//   kind: Upstream
//   …
//   # ---- expect ----
//   clusters: […]
//
// `UPDATE_GOLDENS=1 vitest run PATH` writes what comes of it today; the reviewer reads the difference.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { dump, load } from "js-yaml";
import { expect, test } from "vitest";

const divider = "# ---- expect ----\n";

/** One test for each `*.yaml` in a folder, named by the comment at its head. `run` gets the input as text and returns plain data. */
export function goldens(folder: string, run: (input: string, file: string) => unknown): void {
  const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
  if (files.length === 0) throw new Error(`no golden in ${folder}`);
  for (const name of files.sort()) {
    const file = join(folder, name);
    test(`${basename(name, ".yaml")}: ${storyOf(readFileSync(file, "utf8"))}`, () => {
      const { input, expected } = readGolden(file);
      // Through JSON, so that a missing value and one that is undefined are the same.
      const got = JSON.parse(JSON.stringify(run(input, file)));
      if (process.env.UPDATE_GOLDENS === "1") writeFileSync(file, `${input}${divider}${dump(got, { lineWidth: 140, noRefs: true })}`);
      else expect(got).toEqual(expected);
    });
  }
}

export function readGolden(file: string): { readonly input: string; readonly expected: unknown } {
  const [input = "", expected = ""] = readFileSync(file, "utf8").split(divider);
  return { input: input.endsWith("\n") || input === "" ? input : `${input}\n`, expected: load(expected === "" ? "null" : expected) };
}

function storyOf(text: string): string {
  return /^# (.*)/.exec(text)?.[1] ?? "";
}
