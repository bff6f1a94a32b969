// Judging leaves time for everything else.
import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

const busyFor = (ms: number) => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};

test("one at a time, and as long as one has worked, others have their turn", async () => {
  const turns = new Turns({ waitMs: 60_000 });
  const spans: (readonly [number, number])[] = [];
  let others = 0;
  const work = () => {
    const begun = performance.now();
    busyFor(20);
    spans.push([begun, performance.now()]);
    return { others: others++ };
  };
  await Promise.all([1, 2, 3, 4].map(() => turns.take(work)));
  for (const [i, [begun]] of spans.entries()) {
    const [earlier, ended] = spans[i - 1] ?? [];
    if (earlier === undefined || ended === undefined) continue;
    // A timer may be a millisecond early.
    expect(begun - ended).toBeGreaterThanOrEqual(ended - earlier - 2);
  }
  expect(spans).toHaveLength(4);
});

test("who waits too long, who is one too many and who has left gets no verdict; the others do, also after a fault", async () => {
  const turns = new Turns({ most: 3, waitMs: 60_000 });
  const slow = turns.take(() => {
    busyFor(30);
    return {};
  });
  const faulty = turns.take(() => {
    throw new Error("a fault of ours");
  });
  const left = turns.take(
    () => ({}),
    () => false,
  );
  const tooMany = turns.take(() => ({}));
  await expect(tooMany).resolves.toBeUndefined();
  await expect(faulty).rejects.toThrow("a fault of ours");
  expect(await Promise.all([slow, left])).toEqual([{}, undefined]);
  expect(await turns.take(() => ({}))).toEqual({});

  const impatient = new Turns({ waitMs: 1 });
  const first = impatient.take(() => {
    busyFor(10);
    return {};
  });
  expect(await impatient.take(() => ({}))).toBeUndefined();
  await first;
});
