import { expect, test } from "vitest";
import { backoffMs, paceOf } from "./watch.ts";

test("after quiet a burst goes through at once, and then one in each interval", () => {
  let now = 50;
  const pace = paceOf({ burst: 3, everyMs: 1000 }, () => now);
  expect([pace(), pace(), pace()]).toEqual([0, 0, 0]);
  expect(pace()).toBe(1000);
  now += 1000;
  expect(pace()).toBe(1000);
  now += 60_000;
  expect([pace(), pace(), pace(), pace()]).toEqual([0, 0, 0, 1000]);
});

test("waiting after failures grows up to 3 s, never to nothing, and is left to chance", () => {
  expect([1, 2, 3, 4, 5, 6, 60].map((failures) => backoffMs(failures, () => 1))).toEqual([100, 200, 400, 800, 1600, 3000, 3000]);
  expect(backoffMs(6, () => 0)).toBe(1500);
});
