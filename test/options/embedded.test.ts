// Options that keep requests out, or have them changed by others, observed through the embedded data plane: what it does not do itself, it must not let
// pass.
import { afterAll, beforeAll, expect, test } from "vitest";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { authConfigs } from "./cases/auth-configs.ts";
import { leading } from "./cases/leading.ts";
import { services, unasked, uncounted } from "./cases/services.ts";
import { tokens } from "./cases/tokens.ts";
import { type Served, serve } from "./harness.ts";

const keys = services.filter(({ fact }) => fact.includes("API key"));
const processing = services.filter(({ options }) => options.some((each) => each.includes("extProc")));
// Of those that are refused, one of a kind is enough.
const checks = authConfigs.filter(({ options }) => options.length > 0);
const cases = [...tokens, ...leading, ...checks, ...keys, ...processing, ...unasked, ...uncounted];

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
