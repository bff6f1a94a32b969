import fc from "fast-check";
import { expect, it } from "vitest";
import { SortedEntries } from "./sorted.ts";

it("lists what a map holds, in code-unit order, whenever it is asked", () => {
  const key = fc.string({ maxLength: 2, unit: fc.constantFrom("a", "B", "c", "D", "z", "é", "😀", "\uffff") });
  const step = fc.record({ key, value: fc.option(fc.nat(9), { nil: undefined }), lists: fc.integer({ min: 0, max: 19 }) });
  fc.assert(
    fc.property(fc.array(key, { maxLength: 80, size: "max" }), fc.array(step, { maxLength: 200, size: "max" }), (initial, steps) => {
      const truth = new Map<string, number>(initial.map((each) => [each, -1]));
      const sorted = SortedEntries.of(truth);
      for (const { key, value, lists } of steps) {
        if (value === undefined) truth.delete(key);
        else truth.set(key, value);
        sorted.set(key, value);
        if (lists === 0) expect(sorted.list()).toEqual(expected(truth));
      }
      expect(sorted.list()).toEqual(expected(truth));
    }),
    { numRuns: 300 },
  );
});

it("never writes to a list it has handed out", () => {
  for (const size of [1, 5, 100]) {
    const sorted = SortedEntries.of(new Map(Array.from({ length: size }, (_, n) => [`k${n}`, n])));
    const list = sorted.list();
    const copy = structuredClone(list);
    for (let n = 0; n < 30; n++) sorted.set(`k${n % 7}`, n % 3 === 0 ? undefined : n);
    sorted.list();
    expect(list).toEqual(copy);
  }
});

const expected = (truth: ReadonlyMap<string, number>) =>
  [...truth.keys()].sort((a, b) => (a < b ? -1 : 1)).map((key) => [key, truth.get(key)]);
