// What is said about which version of an object.
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import type { Resource } from "../model/resource.ts";
import { readText } from "../sources/read-text.ts";
import { Flow } from "./flow.ts";
import { verdictsOf } from "./verdicts.ts";

const upstream = (generation: number): Resource => {
  const spec = { static: { hosts: [{ addr: "127.0.0.1", port: 80 }] } };
  const object = { apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: { name: "web", namespace: "shop" }, spec };
  const [resource] = readText(JSON.stringify(object), "a.yaml").resources as [Resource];
  return { ...resource, origin: { ...resource.origin, generation } };
};

test("a verdict is about the newest generation, also of an object that was made anew with the same content", () => {
  const flow = new Flow(builtins);
  const verdicts = verdictsOf(flow, () => true);
  const generation = () => verdicts.of(upstream(1).key)?.generation;
  for (const each of [5, 7, 1]) {
    flow.graph.batch(() => flow.apply("kubernetes", upstream(each)));
    expect(generation()).toBe(each);
  }
  flow.graph.batch(() => flow.delete("kubernetes", upstream(1).key));
  expect(verdicts.of(upstream(1).key)).toBeUndefined();
});
