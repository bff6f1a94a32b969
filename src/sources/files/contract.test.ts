import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sourceContract } from "../source.contract.ts";
import { filesSource } from "./files.ts";

const yaml = (name: string, port: number) =>
  `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: ${name}, namespace: contract}\nspec: {static: {hosts: [{addr: a.test, port: ${port}}]}}\n`;

for (const pollOnly of [false, true]) {
  sourceContract(pollOnly ? "files (polling)" : "files", () => {
    const folder = mkdtempSync(join(tmpdir(), "files-"));
    return {
      source: filesSource(folder, { pollOnly, ...(pollOnly && { pollMs: 50 }) }),
      put: (name, port) => writeFileSync(join(folder, `${name}.yaml`), yaml(name, port)),
      remove: (name) => rmSync(join(folder, `${name}.yaml`)),
      end: () => rmSync(folder, { recursive: true, force: true }),
    };
  });
}
