// Values of two flavours, for random objects: `good` ones keep to the ranges that the API tells its users; `wild` ones also have values
// at the edges of the ranges and beyond.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";

export type Flavour = "good" | "wild";

export type Values = fc.Arbitrary<JsonValue>;

export const badDurations: readonly string[] = ["0s", "0.001s", "-1s", "315576000000s"];

const nonsense = ["", "\n", "a b", "é", "%", "%NOPE%", "%REQ(x)%", ":path", "Host", "a,", "\\1", "(", "*", "x".repeat(300)];

/** `rarity`: one in so many of the wild values is a bad one. They are rare, as an object has so many that one would hide the next. */
export function flavoured(flavour: Flavour, rarity = 40) {
  const isWild = flavour === "wild";
  const or = <T extends JsonValue>(good: fc.Arbitrary<T>, ...bad: T[]): fc.Arbitrary<T> =>
    isWild && bad.length > 0 ? fc.oneof({ weight: rarity, arbitrary: good }, { weight: 1, arbitrary: fc.constantFrom(...bad) }) : good;
  return {
    isWild,
    or,
    any: (...values: JsonValue[]): Values => fc.constantFrom(...values),
    whole: (min: number, max: number, ...bad: number[]) => or(fc.integer({ min, max }), ...bad),
    real: (min: number, max: number, ...bad: number[]) => or(fc.double({ min, max, noNaN: true }), ...bad),
    seconds: (min: number, max: number, ...bad: string[]) =>
      or(
        fc.integer({ min, max }).map((s) => `${s}s`),
        ...bad,
      ),
    texts: (...good: string[]) => or(fc.constantFrom(...good), ...nonsense),
    some: <T extends JsonValue>(element: fc.Arbitrary<T>, minLength = 0, maxLength = 2) =>
      fc.array(element, { minLength, maxLength }) as Values,
    distinct: (...values: string[]) => fc.subarray(values, { maxLength: Math.min(3, values.length) }) as Values,
    /** The parts of a message, each there or not. */
    parts: (fields: Readonly<Record<string, Values>>, required: readonly string[] = []): fc.Arbitrary<JsonObject> =>
      fc.record(fields, { requiredKeys: isWild ? [] : (required as never) }) as fc.Arbitrary<JsonObject>,
  };
}
