import { expect, test } from "vitest";
import { packAny } from "../../envoy/encode.ts";
import { LocalRateLimitSchema } from "../../gen/envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import type { HcmInit, RouteInit } from "../testing/resources.ts";
import { allTo, listener, routeConfig, staticCluster } from "../testing/resources.ts";
import { limitsIn } from "./limits.ts";

test("limits that each worker counts are found, in listeners and in routes", () => {
  const limit = packAny(LocalRateLimitSchema, { statPrefix: "x", tokenBucket: { maxTokens: 2, fillInterval: { seconds: 1n } } });
  const httpFilters = [{ name: "limit", configType: { case: "typedConfig", value: limit } }];
  expect(limitsIn(listener(1, { httpFilters } as HcmInit))).toEqual(["local rate limits"]);
  expect(limitsIn(routeConfig([allTo("a", { typedPerFilterConfig: { limit } } as RouteInit)]))).toEqual(["local rate limits"]);
  expect(limitsIn(listener(1))).toEqual([]);
  // The filter alone, which limits nothing, is in every listener of ours.
  const idle = [{ name: "limit", configType: { case: "typedConfig", value: packAny(LocalRateLimitSchema, { statPrefix: "x" }) } }];
  expect(limitsIn(listener(1, { httpFilters: idle } as HcmInit))).toEqual([]);
  expect(limitsIn(staticCluster("a", [1]))).toEqual([]);
});
