// Cases of options, observed through the embedded data plane of one whole process.
import { afterAll, beforeAll, expect, test } from "vitest";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { type Served, serve } from "./harness.ts";
import type { OptionCase } from "./option-case.ts";

export function throughEmbedded(cases: readonly OptionCase[]): void {
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
}
