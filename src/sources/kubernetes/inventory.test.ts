import { expect, test } from "vitest";
import type { KubeObject } from "../../lib/kubernetes/object.ts";
import { Inventory } from "./inventory.ts";
import { type ClusterKind, ownKinds } from "./kinds.ts";

const upstreams = ownKinds.find(({ kind }) => kind === "Upstream") as ClusterKind;
const object = (more: object = {}, metadata: object = {}): KubeObject => ({
  apiVersion: "gloo.solo.io/v1",
  kind: "Upstream",
  metadata: { namespace: "a", name: "b", uid: "1", generation: 1, resourceVersion: "10", ...metadata },
  spec: { static: { hosts: [{ addr: "10.0.0.1", port: 80 }] } },
  ...more,
});

test("what others write beside the content is no news; all else is", () => {
  const inventory = new Inventory({});
  const isNews = (next: KubeObject) => {
    inventory.apply(upstreams, next);
    const { hasNews } = inventory;
    inventory.take();
    return hasNews;
  };
  expect(isNews(object())).toBe(true);
  expect(isNews(object({ status: { state: "Accepted" } }, { resourceVersion: "11" }))).toBe(false);
  expect(isNews(object({}, { resourceVersion: "12", labels: { team: "x" } }))).toBe(true);
  // Where a status is part of the object, verdicts are about a generation.
  expect(isNews(object({}, { resourceVersion: "13", labels: { team: "x" }, generation: 2 }))).toBe(true);
  expect(isNews(object({}, { resourceVersion: "14", labels: { team: "x" }, generation: 2, uid: "2" }))).toBe(true);
  const typo = { spec: { static: { hosts: [] }, conectTimeout: "1s" } };
  expect(isNews(object(typo, { generation: 3, uid: "2" }))).toBe(true);
  expect(isNews(object(typo, { generation: 3, uid: "2", resourceVersion: "20" }))).toBe(false);
});

test("what is remembered counts as known when it was seen, and is handed on", () => {
  const first = new Inventory({});
  first.apply(upstreams, object());
  const [resource] = first.take().changes.flatMap((change) => (change.kind === "apply" ? [change.resource] : []));
  if (resource === undefined) throw new Error("nothing was read");
  const inventory = new Inventory({ remembered: [{ key: resource.key, resource }] });
  inventory.standIn(() => true);
  inventory.take();
  expect(inventory.standIns).toBe(1);
  inventory.apply(upstreams, object());
  expect(inventory.standIns).toBe(0);
  expect(inventory.hasNews).toBe(true);
});
