// Every option, observed on a request through a real Envoy. docs/reference/options.md lists options with these tests.
import { afterAll, beforeAll, expect, test } from "vitest";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { cases } from "./cases.ts";
import { type Served, serve } from "./harness.ts";
import type { OptionCase } from "./option-case.ts";

withEnvoy("through Envoy", () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve(cases);
  });
  afterAll(async () => {
    await served?.[Symbol.asyncDispose]();
  });

  test("Envoy took all of it", () => {
    expect(served.process.refusals).toEqual([]);
    expect(served.process.faults).toEqual([]);
  });

  test.concurrent.for(cases.map((each) => [titleOf(each), each] as const))("%s", async ([, each]) => {
    const said = served.saidOf(each);
    if (each.says) expect(said.join("\n")).toMatch(each.says);
    else expect(said).toEqual([]);
    await each.observe?.(served.of(each));
  });
});

function titleOf({ options, fact }: OptionCase): string {
  return options.length === 0 ? fact : `${options.join(", ")}: ${fact}`;
}
