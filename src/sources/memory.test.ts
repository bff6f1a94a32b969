import { expect, test } from "vitest";
import type { Resource } from "../model/resource.ts";
import { memorySource } from "./memory.ts";
import { readText } from "./read-text.ts";
import { sourceContract } from "./source.contract.ts";

function upstream(name: string, port: number): Resource {
  const text = `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: ${name}, namespace: contract}\nspec: {static: {hosts: [{addr: a.test, port: ${port}}]}}\n`;
  return readText(text, "memory", { source: "memory" }).resources[0]!;
}

sourceContract("memory", () => {
  const source = memorySource();
  return {
    source,
    put: (name, port) => source.say({ kind: "apply", resource: upstream(name, port) }),
    remove: (name) => source.say({ kind: "delete", key: upstream(name, 1).key }),
    end: () => {},
  };
});

test("what was said before a watch is in its first batch", async () => {
  const source = memorySource([upstream("a", 1)]);
  source.say({ kind: "apply", resource: upstream("b", 1) });
  source.say({ kind: "reset", resources: [upstream("c", 1)] });
  const { changes } = await source.read();
  expect(changes).toMatchObject([{ kind: "reset", resources: [{ key: "Upstream contract/c" }] }]);
});
