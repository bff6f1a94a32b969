// What is told of requests to others (spans, access logs), observed through the embedded data plane.
import { afterAll, beforeAll, expect, test } from "vitest";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { listeners } from "./cases/listener.ts";
import { type Served, serve } from "./harness.ts";

// What stands beside an address in front of the bytes is not kept.
const cases = listeners.filter(
  ({ fact, options }) =>
    options.some((each) => /\.tracing$|accessLoggingService$|AccessLoggingService$/.test(each)) && !fact.includes("in front of its bytes"),
);

withEnvoy("through the embedded data plane", () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve(cases, true);
  });
  afterAll(async () => {
    await served?.[Symbol.asyncDispose]();
  });

  test.concurrent.for(cases.map((each) => [each.fact, each] as const))("%s", async ([, each]) => {
    expect(served.process.faults).toEqual([]);
    await each.observe?.(served.of(each, "embedded"));
  });
});
