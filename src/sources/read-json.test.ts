import { expect, test } from "vitest";
import { readJson } from "./read-json.ts";

const object = (more: object = {}, metadata: object = {}) => ({
  apiVersion: "gloo.solo.io/v1",
  kind: "Upstream",
  metadata: { name: "a", namespace: "b", resourceVersion: "7", managedFields: [{ manager: "x" }], ...metadata },
  spec: { static: { hosts: [{ addr: "127", port: 80 }] } },
  ...more,
});
const version = (value: object) => readJson(value, { source: "kubernetes" }).resources[0]?.version;

test("an object of the Kubernetes API is read as a file's would be", () => {
  expect(readJson(object(), { source: "kubernetes" })).toMatchObject({
    resources: [
      {
        key: "Upstream b/a",
        problems: [],
        origin: { source: "kubernetes" },
        spec: { upstreamType: { case: "static", value: { hosts: [{ addr: "127", port: 80 }] } } },
      },
    ],
    problems: [],
  });
});

test("a field that nothing knows costs the object, or only itself where it may", () => {
  const typo = object({ spec: { static: { hosts: [{ addr: "a", port: 80, wieght: 1 }] } }, spce: {} });
  const [strict] = readJson(typo, { source: "kubernetes" }).resources;
  expect(strict).toMatchObject({ spec: undefined, problems: [{ severity: "error" }, { severity: "error" }] });
  const [lenient] = readJson(typo, { source: "kubernetes", unknownFields: "warning" }).resources;
  expect(lenient?.problems).toMatchObject([
    { severity: "warning", code: "HW1003", path: "spce" },
    { severity: "warning", code: "HW1003", path: "static.hosts[0].wieght" },
  ]);
  expect(lenient?.spec).toMatchObject({ upstreamType: { value: { hosts: [{ addr: "a", port: 80 }] } } });
  const wrong = readJson(object({ spec: { static: { hosts: 1, typo: 1 } } }), { source: "kubernetes", unknownFields: "warning" });
  expect(wrong.resources[0]?.spec).toBeUndefined();
});

test("mistakes have a path and no place", () => {
  const { resources } = readJson(object({ spec: { static: { hsts: [] } } }), { source: "kubernetes" });
  expect(resources[0]?.problems).toMatchObject([{ code: "HW1003", path: "static.hsts", hint: 'did you mean "hosts"?' }]);
  expect(resources[0]?.problems[0]).not.toHaveProperty("at");
});

test("the version is of what the user wrote: not of statuses, resourceVersions or the order of keys", () => {
  const first = version(object());
  expect(version(object({ status: { statuses: {} } }, { resourceVersion: "8", generation: 3 }))).toBe(first);
  expect(version(Object.fromEntries(Object.entries(object()).reverse()))).toBe(first);
  expect(version(object({}, { labels: { a: "b" } }))).not.toBe(first);
  expect(version(object({ spec: { static: { hosts: [{ addr: 127, port: 80 }] } } }))).not.toBe(first);
});

test("__proto__ in JSON from outside is data or an error, never more", () => {
  const hostile = JSON.parse(
    '{"apiVersion":"gloo.solo.io/v1","kind":"Upstream","metadata":{"name":"a","labels":{"__proto__":"x"}},"spec":{"__proto__":{"polluted":1}}}',
  );
  const { resources } = readJson(hostile, { source: "kubernetes" });
  expect(resources[0]?.problems.map((each) => each.path)).toEqual(["__proto__"]);
  expect({}).not.toHaveProperty("polluted");
});
