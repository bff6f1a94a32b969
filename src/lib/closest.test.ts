import { expect, test } from "vitest";
import { closest, closestAlone, editDistance } from "./closest.ts";

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

test("of several that are as near, none is a suggestion", () => {
  const versions = ["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"];
  expect(closestAlone("TLSv1_9", versions)).toBeUndefined();
  expect(closestAlone("tlsv1.2", versions)).toBe("TLSv1_2");
  expect(closestAlone("TLSAUT", versions)).toBe("TLS_AUTO");
});
