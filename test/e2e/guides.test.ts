// Every code block of docs/guides is executed: how, says test/guides/guide.ts.
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { follow, ownTest, stepsOf } from "../guides/guide.ts";

const repository = join(import.meta.dirname, "../..");
const guides = globSync("docs/guides/*.md", { cwd: repository }).sort();

test("there are guides", () => {
  expect(guides).toContain("docs/guides/upstream-types.md");
});

test.each(guides)("%s does what it says", { timeout: 180_000 }, async (file) => {
  const text = readFileSync(join(repository, file), "utf8");
  const elsewhere = ownTest(text);
  if (elsewhere === undefined) await follow(text, repository);
  else expect(readFileSync(join(repository, elsewhere), "utf8")).toContain(basename(file));
});

describe("a guide", () => {
  test("is files, commands and what they print", () => {
    expect(stepsOf("# T\n\n```ts a/b.ts\nx;\n```\n\n```sh\nnpm test -- a \\\n  b\n```\n\n```text\n1 passed\n```\n")).toEqual([
      { kind: "file", line: 3, path: "a/b.ts", text: "x;\n" },
      { kind: "commands", line: 7, commands: ["npm test -- a    b"] },
      { kind: "output", line: 12, lines: ["1 passed"] },
    ]);
  });

  test("has no block that nobody executes", () => {
    expect(() => stepsOf("```ts\nx;\n```\n")).toThrow('line 1: nobody executes a block of "ts"');
    expect(() => stepsOf("```text\nprinted by whom?\n```\n")).toThrow("nobody executes");
  });

  test("fails where a command fails, prints something else, or the types are wrong", async () => {
    await expect(follow("```sh\nfalse\n```\n", repository)).rejects.toThrow('line 1: "false" ended with 1');
    await expect(follow("```sh\necho b a\n```\n\n```text\na\nb\n```\n", repository)).rejects.toThrow("not in this order: b");
    await expect(follow("```ts examples/x.ts\nexport const x: number = '1';\n```\n", repository)).rejects.toThrow("examples/x.ts(1,14)");
  });
});
