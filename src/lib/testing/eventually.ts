// Waiting for something that another process brings about: asked often, given up late, and never longer than needed.
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";

/** Waits until the value equals what is expected; fails with the difference. Returns how long that took. */
export async function eventually(read: () => unknown, expected: unknown, timeoutMs = 60_000): Promise<number> {
  const begun = performance.now();
  for (;;) {
    try {
      expect(read()).toEqual(expected);
      return performance.now() - begun;
    } catch (error) {
      if (performance.now() - begun > timeoutMs) throw error;
      await delay(10);
    }
  }
}

/** Waits until the value has stayed the same for so long, and returns it: what was written before has come then. */
export async function steady<T>(read: () => T, forMs = 500): Promise<T> {
  let [value, since] = [read(), performance.now()];
  while (performance.now() - since < forMs) {
    await delay(25);
    const next = read();
    if (!isDeepStrictEqual(next, value)) [value, since] = [next, performance.now()];
  }
  return value;
}
