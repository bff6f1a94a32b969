// The values that templates work on: JSON as Gloo's filter keeps it. Texts are bytes, one character each ("binary" strings), so that
// lengths, substrings and order are those of bytes, as in Gloo and in Lua. An integer stays one: `1` and `1.0` print differently.
import { TemplateFault } from "./ast.ts";

export type Value = null | boolean | string | number | Float | Big | readonly Value[] | JsonObject;

/** Keys in any order; they are sorted when they are written or walked through. */
export type JsonObject = ReadonlyMap<string, Value>;

export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** An integer beyond 2^53 that fits in 64 bits: passed through as it is written. */
export class Big {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type NumberValue = number | Float | Big;

export function isObject(value: Value | undefined): value is JsonObject {
  return value instanceof Map;
}

export function isArray(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

export function isNumber(value: Value): value is NumberValue {
  return typeof value === "number" || value instanceof Float || value instanceof Big;
}

export function isInteger(value: Value): value is number | Big {
  return typeof value === "number" || value instanceof Big;
}

/** An integer, or a float where it is beyond what is counted exactly. */
export function integer(value: number): NumberValue {
  return Number.isSafeInteger(value) ? value + 0 : new Float(value);
}

export function floatOf(value: Value): number {
  if (typeof value === "number") return value;
  if (value instanceof Float) return value.value;
  if (value instanceof Big) return Number(value.text);
  throw new TemplateFault(`a number is needed, not ${kindOf(value)}`);
}

/** Without its fraction. */
export function wholeOf(value: Value): number {
  const whole = Math.trunc(floatOf(value));
  if (!Number.isSafeInteger(whole)) throw new TemplateFault("a number is too large");
  return whole + 0;
}

export function textOf(value: Value): string {
  if (typeof value === "string") return value;
  throw new TemplateFault(`a text is needed, not ${kindOf(value)}`);
}

export function kindOf(value: Value): string {
  if (value === null) return "null";
  if (isNumber(value)) return "a number";
  if (isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  return typeof value === "string" ? "a text" : "a boolean";
}

export function sortedKeys(object: JsonObject): string[] {
  return [...object.keys()].sort();
}

/** What `for`, `in`, `join`, `max` walk through: items, values in the order of their keys, or the one value. */
export function itemsOf(value: Value): readonly Value[] {
  if (isArray(value)) return value;
  if (isObject(value)) return sortedKeys(value).map((key) => value.get(key) as Value);
  return value === null ? [] : [value];
}

export function isTrue(value: Value): boolean {
  if (typeof value === "boolean") return value;
  if (isNumber(value)) return floatOf(value) !== 0;
  if (isObject(value)) return value.size > 0;
  return value !== null && (value as string | readonly Value[]).length > 0;
}

/** Kinds in their order; a number is less than an object, an object than an array. */
function rank(value: Value): number {
  if (value === null) return 0;
  if (typeof value === "boolean") return 1;
  if (isNumber(value)) return 2;
  if (isObject(value)) return 3;
  return isArray(value) ? 4 : 5;
}

/** Below 0: a comes first. 0: they are equal. */
export function compare(a: Value, b: Value): number {
  const kind = rank(a);
  if (kind !== rank(b)) return kind - rank(b);
  switch (kind) {
    case 0:
      return 0;
    case 2:
      return compareNumbers(a as NumberValue, b as NumberValue);
    case 3:
      return compareObjects(a as JsonObject, b as JsonObject);
    case 4:
      return compareLists(a as readonly Value[], b as readonly Value[]);
    default: {
      const [x, y] = [a as string | boolean, b as string | boolean];
      return x < y ? -1 : x === y ? 0 : 1;
    }
  }
}

function compareNumbers(a: NumberValue, b: NumberValue): number {
  if (a instanceof Big && b instanceof Big) {
    if (a.text === b.text) return 0;
    const [x, y] = [BigInt(a.text), BigInt(b.text)];
    return x < y ? -1 : 1;
  }
  const [x, y] = [floatOf(a), floatOf(b)];
  return x < y ? -1 : x === y ? 0 : 1;
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = compare(a[i] as Value, b[i] as Value);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareObjects(a: JsonObject, b: JsonObject): number {
  const [x, y] = [sortedKeys(a), sortedKeys(b)];
  for (let i = 0; i < x.length && i < y.length; i++) {
    const [p, q] = [x[i] as string, y[i] as string];
    if (p !== q) return p < q ? -1 : 1;
    const order = compare(a.get(p) as Value, b.get(q) as Value);
    if (order !== 0) return order;
  }
  return x.length - y.length;
}
