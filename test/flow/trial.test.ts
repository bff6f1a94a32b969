// What a change would do is what it does when it is made, and trying it does nothing.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { FunctionOverlay, hasFunctions } from "../../src/discovery/overlay.ts";
import { Flow } from "../../src/flow/flow.ts";
import { allKinds } from "../../src/flow/inputs.ts";
import { problemsOfTrial } from "../../src/flow/trial.ts";
import { ServiceSpecSchema } from "../../src/gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import type { Change } from "../../src/model/change.ts";
import { problemKey } from "../../src/model/problem.ts";
import type { Resource } from "../../src/model/resource.ts";
import { readText } from "../../src/sources/read-text.ts";
import { apply, Folder } from "./folder.ts";
import { randomOf } from "./random.ts";
import { Running, seenOf } from "./running.ts";

test("a trial finds what the change then brings, and leaves everything as it was", () => {
  let found = 0;
  for (let seed = 1; seed <= 8; seed++) {
    const random = randomOf(seed);
    const folder = new Folder();
    const running = new Running();
    folder.fill();
    running.batch((flow) => apply(flow, folder.take()));
    for (let i = 0; i < 40; i++) {
      folder.edit(random);
      for (const change of folder.take()) {
        if (change.kind === "reset") continue;
        found += expectTrial(running, change);
      }
    }
  }
  expect(found).toBeGreaterThan(40);
});

const read = (name: string, spec: object) =>
  readText(
    JSON.stringify({ apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: { name, namespace: "gloo-system" }, spec }),
    "a.yaml",
  ).resources[0] as Resource<"Upstream">;
const till = () => read("till", { static: { hosts: [{ addr: "127.0.0.1", port: 8080 }] } });

test("a deletion that is only tried forgets no functions that were found, and what users wrote stays theirs", () => {
  const flow = new Flow(builtins);
  flow.overlay = new FunctionOverlay();
  const found = create(ServiceSpecSchema, { pluginType: { case: "rest", value: { transformations: { getItem: {} } } } });
  flow.graph.batch(() => {
    flow.apply("files", till());
    const next = flow.overlay?.learn({ key: till().key, spec: found });
    if (next) flow.inputs.given.Upstream.set(next.key, next);
  });
  problemsOfTrial(flow, "files", { kind: "delete", key: till().key });
  problemsOfTrial(flow, "files", { kind: "apply", resource: read("till", { static: { hosts: [] } }) });
  expect(flow.overlay.bases.get(till().key)?.version).toBe(till().version);
  const labelled = { ...till(), labels: { a: "b" }, version: "next" };
  flow.graph.batch(() => flow.apply("files", labelled));
  expect(hasFunctions(flow.given(till().key) as Resource<"Upstream">)).toBe(true);
  problemsOfTrial(flow, "files", { kind: "apply", resource: read("new", { static: { hosts: [] } }) });
  expect([...flow.overlay.bases.keys()]).toEqual([till().key]);
});

test("a function that discovery may still find is a warning of the route that names it; where nobody asks, it is an error", () => {
  const flow = new Flow(builtins);
  const label = { "discovery.solo.io/function_discovery": "enabled" };
  flow.graph.batch(() => flow.apply("files", { ...till(), labels: label }));
  const single = {
    upstream: { name: "till", namespace: "gloo-system" },
    destinationSpec: { rest: { functionName: "getItem", parameters: {} } },
  };
  const spec = { virtualHost: { domains: ["*"], routes: [{ matchers: [{ prefix: "/" }], routeAction: { single } }] } };
  const host = { apiVersion: "gateway.solo.io/v1", kind: "VirtualService", metadata: { name: "a", namespace: "gloo-system" }, spec };
  const [resource] = readText(JSON.stringify(host), "b.yaml").resources as [Resource];
  const severities = () => {
    const problems = problemsOfTrial(flow, "files", { kind: "apply", resource });
    return problems.filter(({ path }) => path?.includes("destinationSpec")).map(({ severity }) => severity);
  };
  expect(severities()).toEqual(["warning"]);
  flow.graph.batch(() => flow.apply("files", { ...till(), version: "unlabelled" }));
  expect(severities()).toEqual(["error"]);
});

test("what Envoy refused is still refused after a deletion was tried", () => {
  const flow = new Flow(builtins);
  const upstream = till();
  flow.graph.batch(() => flow.apply("files", upstream));
  flow.graph.batch(() => flow.inputs.refused.set(upstream.key, { version: upstream.version, message: "no" }));
  const before = seenOf(flow);
  problemsOfTrial(flow, "files", { kind: "delete", key: upstream.key });
  expect(flow.inputs.refused.get(upstream.key)).toEqual({ version: upstream.version, message: "no" });
  expect(seenOf(flow)).toEqual(before);
});

test("of what several sources give, each keeps its word when a change of one is tried", () => {
  const flow = new Flow(builtins);
  const [ours, theirs] = [till(), { ...till(), version: "theirs" }];
  flow.graph.batch(() => {
    flow.apply("files", ours);
    flow.apply("other", theirs);
  });
  problemsOfTrial(flow, "files", { kind: "delete", key: ours.key });
  problemsOfTrial(flow, "other", { kind: "apply", resource: { ...theirs, version: "tried" } });
  problemsOfTrial(flow, "other", { kind: "delete", key: ours.key });
  expect(flow.given(ours.key)).toBe(ours);
  flow.graph.batch(() => flow.delete("files", ours.key));
  expect(flow.given(ours.key)).toBe(theirs);
  expect(flow.isGivenByAnother("other", ours.key)).toBe(false);
});

function expectTrial({ flow }: Running, change: Exclude<Change, { kind: "reset" }>): number {
  const before = seenOf(flow);
  const had = findings(flow);
  let told = 0;
  const end = flow.graph.observe(flow.inputs.given.Upstream, () => told++);
  const tried = problemsOfTrial(flow, "files", change);
  end();
  expect(told).toBe(0);
  expect(seenOf(flow)).toEqual(before);
  flow.graph.batch(() => apply(flow, [change]));
  const appeared = [...findings(flow)].filter((each) => !had.has(each));
  expect([...new Set(tried.map(problemKey))].sort()).toEqual(
    [...new Set(appeared.map((each) => each.slice(each.indexOf("\n") + 1)))].sort(),
  );
  return tried.length;
}

/** By resource. */
function findings(flow: Flow): ReadonlySet<string> {
  return new Set(
    allKinds.flatMap((kind) =>
      [...flow.judged[kind].entries()].flatMap(([key, { problems }]) => problems.map((each) => `${key}\n${problemKey(each)}`)),
    ),
  );
}
