import { expect, test } from "vitest";
import { labelFilter } from "./label-filter.ts";

const labels = { app: "web", "example.com/tier": "a.b-c", empty: "" };

test.each<[string, boolean]>([
  ["app=web", true],
  ["app == web, example.com/tier=a.b-c", true],
  ["app!=web", false],
  ["other!=web", true],
  ["app", true],
  ["!app", false],
  ["! other", true],
  ["empty=", true],
  ["app in (x, web),other notin (y)", true],
  ["app notin (web)", false],
  ["toString", false],
  ["", true],
])("%j: %s", (selector, expected) => {
  expect(labelFilter(selector)(labels)).toBe(expected);
});

test.each(["a b", "a=b=c", "in (x)", "a in x", "(a)"])("%j is no selector", (selector) => {
  expect(() => labelFilter(selector)).toThrow("-l takes labels");
});
