import { expect, test } from "vitest";
import { countPassing } from "./passing-bytes.ts";

test("buffers of bodies that have passed are collected long before V8 would do it", () => {
  const piece = 65_536;
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let passed = 0; passed < 268_435_456; passed += piece) {
    Buffer.allocUnsafeSlow(piece);
    countPassing(piece);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  // V8 alone: 64 MiB.
  expect(most).toBeLessThan(24 * 1_048_576);
});
