// What a change would do is what it does when it is made, and trying it does nothing.
import { expect, test } from "vitest";
import type { Flow } from "../../src/flow/flow.ts";
import { allKinds } from "../../src/flow/inputs.ts";
import { problemsOfTrial } from "../../src/flow/trial.ts";
import type { Change } from "../../src/model/change.ts";
import { problemKey } from "../../src/model/problem.ts";
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
