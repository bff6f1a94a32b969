import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { completionScript, completions, shells } from "./completion.ts";
import { program } from "./program.ts";

const after = (line: string) => completions(program(), line.split(" "));

test("commands, those below them, and kinds", () => {
  expect(after("c")).toEqual(["check", "completion", "crds", "create"]);
  expect(after("create upstream a")).toEqual(["aws", "azure"]);
  expect(after("get virt")).toEqual(["virtualhostoptions", "virtualservices"]);
  expect(after("create us st")).toEqual(["static"]);
});

test("options and their choices; otherwise the shell completes files", () => {
  expect(after("check --fail")).toEqual(["--fail-on"]);
  expect(after("check -o ")).toEqual(["github", "json", "pretty", "sarif"]);
  expect(after("check --fail-on w")).toEqual(["warning"]);
  expect(after("check ./con")).toEqual([]);
  expect(after("get upstreams ")).toEqual([]);
  // What is not shown in help is not offered either.
  expect(after("create secret aws --sec")).toEqual([]);
});

test.each(shells)("the script for %s is one", (shell) => {
  const script = completionScript(shell);
  expect(script).toContain("headworks complete --");
  const found = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
  if (found.error === undefined) expect(found).toMatchObject({ status: 0, stderr: "" });
});

test("bash completes with it", () => {
  const script = `headworks() { shift 2; printf 'check\\ncrds\\n'; }
${completionScript("bash")}
COMP_WORDS=(headworks cr); COMP_CWORD=1; _headworks; echo "\${COMPREPLY[@]}"`;
  const { stdout, error } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  if (error === undefined) expect(stdout).toBe("crds\n");
});
