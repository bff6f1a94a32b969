import { expect, test } from "vitest";
import { readText } from "./read-text.ts";

const yaml = (spec: string) => `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: till}\nspec: ${spec}\n`;
const read = (spec: string, customKinds?: string[]) => readText(yaml(spec), "a.yaml", customKinds && { customKinds }).resources[0]!;

test("the field of a user's type is taken out as JSON, the rest is read as ever", () => {
  const upstream = read("{hostsFile: {path: /run/x, every: 5}, useHttp2: true}", ["hostsFile"]);
  expect(upstream.problems).toEqual([]);
  expect(upstream.custom).toEqual({ kind: "hostsFile", config: { path: "/run/x", every: 5 } });
  expect(upstream.spec).toMatchObject({ useHttp2: true });
});

test("without the type it is an unknown field, and beside it typos are still found", () => {
  expect(read("{hostsFile: {path: /run/x}}").problems[0]).toMatchObject({ reason: "UnknownField" });
  const typo = read("{hostsFile: {path: /run/x}, useHtp2: true}", ["hostsFile"]);
  expect(typo.problems[0]).toMatchObject({ reason: "UnknownField", path: "useHtp2" });
  expect(typo.custom).toBeUndefined();
});

test("settings that are no map are an error at their place", () => {
  expect(read("{hostsFile: 5}", ["hostsFile"]).problems[0]).toMatchObject({ reason: "WrongType", path: "hostsFile", at: { line: 4 } });
});
