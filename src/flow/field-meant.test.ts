import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { fieldsMeant } from "./field-meant.ts";

const key = "Upstream shop/till" as ResourceKey;

function meant(message: string, ...addresses: readonly string[]) {
  const hosts = addresses.map((addr) => ({ addr, port: 80 }));
  const spec = create(UpstreamSchema, { upstreamType: { case: "static", value: { hosts } } });
  const known = { get: () => ({ kind: "Upstream", spec }) as unknown as Resource, all: () => [] };
  return fieldsMeant(problem("warning", key, "DnsNotResolved", message), known).map(({ path }) => path);
}

test("of several hosts that is meant whose whole name does not resolve", () => {
  const hosts = ["a.test", "b.a.test", "a.test.org", "x-a.test"];
  expect(meant("cluster till_shop: getaddrinfo ENOTFOUND a.test", ...hosts)).toEqual(["static.hosts[0].addr"]);
  expect(meant("cluster till_shop: b.a.test cannot be found", ...hosts)).toEqual(["static.hosts[1].addr"]);
  expect(meant("cluster till_shop: nothing at a.test.org.", ...hosts)).toEqual(["static.hosts[2].addr"]);
  expect(meant("cluster a_test: nothing", "a")).toEqual([]);
});
