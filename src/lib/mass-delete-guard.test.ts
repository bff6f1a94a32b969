import { expect, test } from "vitest";
import { MassDeleteGuard } from "./mass-delete-guard.ts";

const all = new Set(["a", "b", "c", "d", "e", "f"]);
const none = new Set<string>();

function guarded() {
  let now = 0;
  const guard = new MassDeleteGuard({ holdMs: 5000, now: () => now });
  return { guard, pass: (ms: number) => (now += ms) };
}

test("what vanishes while all goes well is gone", () => {
  expect(guarded().guard.believes(all, none, false)).toBe(true);
});

test("what vanishes right after an outage is held until the same answer has stood long enough", () => {
  const { guard, pass } = guarded();
  expect(guard.believes(all, none, true)).toBe(false);
  expect(guard.isHolding).toBe(true);
  pass(4999);
  expect(guard.believes(all, none, false)).toBe(false);
  pass(1);
  expect(guard.believes(all, none, false)).toBe(true);
  expect(guard.isHolding).toBe(false);
});

test("an answer that differs starts the clock again; one that has most of it back ends the hold", () => {
  const { guard, pass } = guarded();
  expect(guard.believes(all, none, true)).toBe(false);
  pass(5000);
  expect(guard.believes(all, new Set(["a"]), false)).toBe(false);
  expect(guard.believes(all, new Set(["a", "b", "c"]), false)).toBe(true);
  expect(guard.isHolding).toBe(false);
});

test("few, or half, may go at any time", () => {
  const { guard } = guarded();
  expect(guard.believes(new Set(["a", "b"]), none, true)).toBe(true);
  expect(guard.believes(all, new Set(["a", "b", "c"]), true)).toBe(true);
});

test("where one may stand for another, as many others are no loss", () => {
  const guard = new MassDeleteGuard({ holdMs: 5000, atLeast: 1, isReplaceable: true });
  expect(guard.believes(new Set(["a", "b"]), new Set(["c", "d"]), true)).toBe(true);
  expect(guard.believes(new Set(["a", "b", "c"]), new Set(["d"]), true)).toBe(false);
});
