import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { writeOf } from "./kubernetes-plan.ts";

const ref = { namespace: "gloo-system", name: "shop-till-80" };
const own = { discovered_by: "kubernetesplugin" };

const upstream = (json: JsonObject, more: Partial<Resource<"Upstream">> = {}): Resource<"Upstream"> => ({
  kind: "Upstream",
  key: resourceKey("Upstream", ref),
  ref,
  labels: own,
  annotations: {},
  spec: fromJson(UpstreamSchema, json),
  version: "1",
  problems: [],
  origin: { source: "kubernetes" },
  ...more,
});

const kube = (port: number, more: JsonObject = {}): JsonObject => ({
  kube: { serviceName: "till", serviceNamespace: "shop", servicePort: port },
  ...more,
});

test("what is not there is created, what nobody finds any more is deleted, and what is as it should be is left alone", () => {
  const found = upstream(kube(80), { annotations: { owner: "a" } });
  expect(writeOf(found, undefined)).toEqual({
    kind: "create",
    ref,
    object: { metadata: { ...ref, labels: own, annotations: { owner: "a" } }, spec: kube(80) },
  });
  expect(writeOf(undefined, upstream(kube(80)))).toEqual({ kind: "delete", ref });
  expect(writeOf(found, upstream(kube(80), { annotations: { owner: "a", mine: "b" } }))).toBeUndefined();
  expect(writeOf(undefined, undefined)).toBeUndefined();
});

test("a patch names what is different and nothing else", () => {
  const present = upstream(
    kube(80, { circuitBreakers: { maxConnections: 7 }, useHttp2: false, discoveryMetadata: { labels: { a: "1", b: "2" } } }),
  );
  const found = upstream(kube(81, { useHttp2: true, discoveryMetadata: { labels: { b: "2", c: "3" } } }), { annotations: { x: "1" } });
  expect(writeOf(found, present)).toEqual({
    kind: "update",
    ref,
    patch: {
      metadata: { annotations: { x: "1" } },
      spec: { kube: { servicePort: 81 }, useHttp2: true, discoveryMetadata: { labels: { a: null, c: "3" } } },
    },
  });
});

test.each([
  ["without the label", { labels: {} }],
  ["of another discovery", { labels: { discovered_by: "consulplugin" } }],
])("an object %s is somebody's own", (_, more) => {
  expect(writeOf(upstream(kube(81)), upstream(kube(80), more))).toBeUndefined();
  expect(writeOf(undefined, upstream(kube(80), more))).toBeUndefined();
});

test("an object that cannot be read is not merged with, but goes with its Service", () => {
  const present = { ...upstream(kube(80)), spec: undefined };
  expect(writeOf(upstream(kube(81)), present)).toBeUndefined();
  expect(writeOf(upstream(kube(81)), upstream(kube(80), { isStale: true }))).toBeUndefined();
  expect(writeOf(undefined, present)).toMatchObject({ kind: "delete" });
});
