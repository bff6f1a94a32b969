// Whatever is written into an Upstream: what we send, Envoy takes; what we do not send, we explain.
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { envoyJson } from "../admin/envoy-json.ts";
import { builtins } from "../builtins.ts";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { randomUpstream } from "../lib/testing/randomUpstreams.ts";
import { surroundings } from "../lib/testing/surroundings.ts";
import { worldOf } from "../lib/testing/world.ts";
import { type EnvoyResource, typeUrls } from "../model/envoy-resource.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { defineUpstreamType } from "../plugin/upstream-type.ts";
import { apiTypes } from "../sources/any-types.ts";
import { readText } from "../sources/read-text.ts";
import { clusterOf } from "./clusters.ts";

const world = worldOf([]);

function upstream(name: string, spec: JsonObject): Resource<"Upstream"> {
  const ref = { namespace: "shop", name };
  return {
    kind: "Upstream",
    key: resourceKey("Upstream", ref),
    ref,
    labels: {},
    annotations: {},
    spec: fromJson(UpstreamSchema, spec, { registry: apiTypes() }),
    version: "1",
    problems: [],
    origin: { source: "memory" },
  };
}

test("what is sent for any Upstream, a stock Envoy takes", () => {
  using around = surroundings();
  const world = worldOf(readText(around.objects.map((each) => JSON.stringify(each)).join("\n---\n"), "all.yaml").resources as Resource[]);
  const numRuns = process.env.HEADWORKS_LONG === "1" ? 20_000 : 2000;
  // Envoy's mode for validation crashes at some that have SDS (seen with 1.40); a running one has them in test/e2e/upstreams-random.test.ts.
  const specs = fc.sample(randomUpstream("wild", around), { numRuns, seed: 7 }).filter((each) => !JSON.stringify(each).includes('"sds"'));
  const made = specs.map((each, i) => ({ spec: each, ...clusterOf(upstream(`u${i}`, each), world, builtins) }));
  for (const { spec, cluster, problems, fault } of made) {
    expect(fault, JSON.stringify(spec)).toBeUndefined();
    expect(cluster === undefined, JSON.stringify({ spec, problems })).toBe(problems.some(({ severity }) => severity === "error"));
  }
  const served = made.flatMap(({ spec, cluster, extras }) => (cluster ? [{ spec, ...sentOf([cluster, ...extras]) }] : []));
  expect(served.length).toBeGreaterThan(numRuns / 4);
  expect(firstRefused(served)).toBeUndefined();
});

interface Served {
  readonly spec: JsonObject;
  readonly clusters: readonly unknown[];
  readonly listeners: readonly unknown[];
}

/** Tunnels have a listener and a second cluster. */
function sentOf(resources: readonly EnvoyResource[]) {
  const ofType = (typeUrl: string) => resources.filter((each) => each.typeUrl === typeUrl).map(envoyJson);
  return { clusters: ofType(typeUrls.cluster), listeners: ofType(typeUrls.listener) };
}

/** The Upstream whose cluster Envoy refuses, found by halving, and why. */
function firstRefused(served: readonly Served[]): object | undefined {
  const refusal = refusalOf(
    served.flatMap(({ clusters }) => clusters),
    served.flatMap(({ listeners }) => listeners),
  );
  if (refusal === undefined) return undefined;
  if (served.length === 1) return { refusal, ...served[0] };
  const middle = served.length >> 1;
  return firstRefused(served.slice(0, middle)) ?? firstRefused(served.slice(middle));
}

describe("a plug-in that goes wrong costs its Upstream:", () => {
  const spec = { pipe: { path: "/s" } };
  const run = (cluster: () => undefined) =>
    clusterOf(upstream("u", spec), world, { upstreamTypes: { pipe: defineUpstreamType({ kind: "pipe", cluster }) }, features: [] });

  test("one that throws is named, and what it threw is there for the log", () => {
    const thrown = new Error("no idea");
    const { cluster, problems, fault } = run(() => {
      throw thrown;
    });
    expect(cluster).toBeUndefined();
    expect(problems.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
      "PluginFailed: a plug-in failed while it made the cluster of this Upstream: no idea",
    ]);
    expect(fault).toBe(thrown);
  });

  test("one that makes nothing and says nothing is named", () => {
    expect(run(() => undefined).problems.map(({ reason }) => reason)).toEqual(["PluginFailed"]);
  });
});

test("an Upstream without a type, or of one that nobody serves, says so", () => {
  const reasons = (spec: JsonObject, plugins = builtins) =>
    clusterOf(upstream("u", spec), world, plugins).problems.map(({ reason }) => reason);
  expect(reasons({})).toEqual(["UpstreamTypeMissing"]);
  expect(reasons({ consul: { serviceName: "a" } }, { upstreamTypes: {}, features: [] })).toEqual(["UpstreamTypeNotSupported"]);
});
