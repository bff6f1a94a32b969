// Options that keep requests out, observed through the embedded data plane: what it does not do itself, it must not let pass.
import { afterAll, beforeAll, expect, test } from "vitest";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { tokens } from "./cases/tokens.ts";
import { type Served, serve } from "./harness.ts";

withEnvoy("through the embedded data plane", () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve(tokens, true);
  });
  afterAll(async () => {
    await served?.[Symbol.asyncDispose]();
  });

  test.concurrent.for(tokens.map((each) => [each.fact, each] as const))("%s", async ([, each]) => {
    expect(served.process.faults).toEqual([]);
    await each.observe?.(served.of(each, "embedded"));
  });
});
