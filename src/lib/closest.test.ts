import { expect, test } from "vitest";
import { closest, editDistance } from "./closest.ts";

test.each([
  ["upstrem", "upstream"],
  ["upstraem", "upstream"],
  ["UpStream", "upstream"],
  ["route_action", "routeAction"],
  ["rotueAction", "routeAction"],
  ["routes", "routes"],
])("%s is near %s", (word, near) => {
  expect(closest(word, ["timeout", "routes", "upstream", "routeAction"])).toBe(near);
});

test.each(["xyz", "a", "completelyElse"])("nothing is near %s", (word) => {
  expect(closest(word, ["timeout", "routes", "upstream"])).toBeUndefined();
});

test("a swap of neighbours is one edit", () => {
  expect(editDistance("abcd", "abdc")).toBe(1);
  expect(editDistance("", "abc")).toBe(3);
  expect(editDistance("kitten", "sitting")).toBe(3);
  expect(editDistance("kitten", "sitting", 2)).toBe(2);
});
