import { describe, expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { readText } from "../sources/read-text.ts";
import { Flow } from "./flow.ts";

const key = "Upstream gloo-system/web" as ResourceKey;

function web(port: number): Resource {
  const text = `{apiVersion: gloo.solo.io/v1, kind: Upstream, metadata: {name: web, namespace: gloo-system}, spec: {static: {hosts: [{addr: 10.0.0.1, port: ${port}}]}}}`;
  return readText(text, `${port}.yaml`).resources[0] as Resource;
}

/** Does what is told in one batch each, and says whose version counts. */
function story(...steps: ((flow: Flow) => void)[]): string | undefined {
  const flow = new Flow(builtins);
  for (const step of steps) flow.graph.batch(() => step(flow));
  return flow.given(key)?.origin.file;
}

const give = (source: string, port: number) => (flow: Flow) => flow.apply(source, web(port));
const takeBack = (source: string) => (flow: Flow) => flow.delete(source, key);

describe("a resource that several sources give", () => {
  test("what is written counts before what is discovered, whichever came first", () => {
    expect(story(give("files", 1), give("discovery", 2))).toBe("1.yaml");
    expect(story(give("discovery", 2), give("files", 1))).toBe("1.yaml");
    expect(story(give("discovery", 2), give("files", 1), give("discovery", 3))).toBe("1.yaml");
  });

  test("the other one counts when the first is taken back, in its newest version", () => {
    expect(story(give("files", 1), give("discovery", 2), give("discovery", 3), takeBack("files"))).toBe("3.yaml");
    expect(story(give("discovery", 2), give("files", 1), takeBack("files"))).toBe("2.yaml");
    expect(story(give("discovery", 2), give("files", 1), takeBack("discovery"))).toBe("1.yaml");
    expect(story(give("discovery", 2), give("files", 1), takeBack("discovery"), takeBack("files"))).toBeUndefined();
  });

  test("also when both come at once", () => {
    const both = (flow: Flow) => {
      flow.apply("discovery", web(2));
      flow.apply("files", web(1));
    };
    expect(story(both)).toBe("1.yaml");
    expect(story(both, takeBack("files"))).toBe("2.yaml");
  });

  test("of two equals the first counts, also through its edits", () => {
    expect(story(give("files", 1), give("kubernetes", 2), give("files", 3))).toBe("3.yaml");
    expect(story(give("files", 1), give("kubernetes", 2), takeBack("kubernetes"), give("files", 3), takeBack("files"))).toBeUndefined();
  });

  test("a source that starts over takes back only its own", () => {
    expect(story(give("files", 1), give("discovery", 2), (flow) => flow.reset("files", []))).toBe("2.yaml");
    expect(story(give("files", 1), give("discovery", 2), (flow) => flow.reset("discovery", []))).toBe("1.yaml");
  });
});
