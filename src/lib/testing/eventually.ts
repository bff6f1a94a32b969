// Waiting for something that another process brings about: asked often, given up late, and never longer than needed.
import { setTimeout as delay } from "node:timers/promises";
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
