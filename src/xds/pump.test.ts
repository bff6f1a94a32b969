import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Pump } from "./pump.ts";

test("waking twice is working once, in the order of waking", async () => {
  const done: string[] = [];
  const pump = new Pump<string>((item) => done.push(item));
  for (const item of ["b", "a", "b"]) pump.wake(item);
  await turn();
  expect(done).toEqual(["b", "a"]);
});

test("waking while working works once more", async () => {
  const done: number[] = [];
  const pump: Pump<string> = new Pump(() => {
    done.push(done.length);
    if (done.length < 3) pump.wake("again");
  });
  pump.wake("again");
  while (done.length < 3) await turn();
  await turn();
  expect(done).toHaveLength(3);
});

test("much work leaves the event loop free in between", async () => {
  let done = 0;
  const pump = new Pump<number>(() => {
    const end = performance.now() + 1;
    while (performance.now() < end);
    done++;
  });
  for (let item = 0; item < 200; item++) pump.wake(item);
  // In items, each of a millisecond at least: a busy machine makes slices longer, and never fuller.
  let most = 0;
  for (let before = 0; done < 200; before = done) {
    await turn();
    most = Math.max(most, done - before);
  }
  expect(most).toBeLessThan(20);
});
