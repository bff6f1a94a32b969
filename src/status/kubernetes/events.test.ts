// How many events there are.
import { expect, test } from "vitest";
import type { KubeApi } from "../../lib/kubernetes/api.ts";
import type { KubeObject } from "../../lib/kubernetes/object.ts";
import { EventRecorder } from "./events.ts";
import type { Condition } from "./status-object.ts";
import type { StoredObject } from "./stored.ts";

test("an object that is good and bad by turns is told of a few times, and leaves the others room", async () => {
  const told: string[] = [];
  const create = async (_: unknown, { involvedObject }: KubeObject) => told.push((involvedObject as { name: string }).name);
  const recorder = new EventRecorder({ create } as unknown as KubeApi, "pod-1");
  const condition: Condition = { type: "Accepted", status: "False", reason: "HostMissing", message: "", lastTransitionTime: "" };
  const type = {
    group: "gloo.solo.io",
    version: "v1",
    plural: "upstreams",
    kind: "Upstream",
    isNamespaced: true,
    verbs: [],
    hasStatus: true,
  };
  const object = (name: string): StoredObject => ({ type, namespace: "shop", name, uid: name, resourceVersion: "1", status: {} });
  const record = (name: string) => recorder.record(object(name), "gloo.solo.io/v1", "Rejected", condition);
  for (let i = 0; i < 60; i++) await record("flapping");
  const flapping = told.length;
  expect(flapping).toBeGreaterThan(0);
  expect(flapping).toBeLessThanOrEqual(6);
  for (let i = 0; i < 100; i++) await record(`other-${i}`);
  // Of all together there are not many either.
  expect(told.length - flapping).toBeGreaterThanOrEqual(15);
  expect(told.length).toBeLessThanOrEqual(30);
});
