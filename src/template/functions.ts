// What the functions and operators of templates do, on values. lua/functions.ts does the same in Lua, with the same words in its faults.
import { TemplateFault } from "./ast.ts";
import { dumpJson, escaped } from "./json.ts";
import { power, rounded } from "./numbers.ts";
import type { Scope } from "./scope.ts";
import {
  Big,
  compare,
  Float,
  floatOf,
  integer,
  isArray,
  isInteger,
  isNumber,
  isObject,
  isTrue,
  itemsOf,
  kindOf,
  textOf,
  type Value,
  wholeOf,
} from "./value.ts";

/** With values that are all there. `default`, `exists`, `and`, `or` and the dot are render.ts's own. */
type Run = (args: readonly Value[], scope: Scope) => Value;

const a = (args: readonly Value[]) => args[0] as Value;
const b = (args: readonly Value[]) => args[1] as Value;
const fail = (what: string): never => {
  throw new TemplateFault(what);
};

export const implementations: Readonly<Record<string, Run>> = {
  not: (args) => !isTrue(a(args)),
  in: (args, scope) => walked(b(args), scope).some((each) => compare(each, a(args)) === 0),
  "==": (args) => compare(a(args), b(args)) === 0,
  "!=": (args) => compare(a(args), b(args)) !== 0,
  ">": (args) => compare(a(args), b(args)) > 0,
  ">=": (args) => compare(a(args), b(args)) >= 0,
  "<": (args) => compare(a(args), b(args)) < 0,
  "<=": (args) => compare(a(args), b(args)) <= 0,
  "+": (args) => {
    const [x, y] = [a(args), b(args)];
    return typeof x === "string" && typeof y === "string" ? x + y : arithmetic(x, y, (p, q) => p + q);
  },
  "-": (args) => arithmetic(a(args), b(args), (p, q) => p - q),
  "*": (args) => arithmetic(a(args), b(args), (p, q) => p * q),
  "/": (args) => (floatOf(b(args)) === 0 ? fail("division by zero") : new Float(floatOf(a(args)) / floatOf(b(args)))),
  "%": (args) => {
    const [x, y] = [wholeOf(a(args)), wholeOf(b(args))];
    return y === 0 ? fail("division by zero") : (x % y) + 0;
  },
  "^": (args) => {
    const [base, exponent] = [a(args), wholeOf(b(args))];
    const result = power(floatOf(base), exponent);
    return isInteger(base) && exponent >= 0 ? integer(result) : new Float(result);
  },

  at: (args) => {
    const [container, key] = [a(args), b(args)];
    if (isObject(container)) return container.get(textOf(key)) ?? missing(container, textOf(key));
    if (!isArray(container)) return fail(`at needs an array or object, not ${kindOf(container)}`);
    const index = typeof key === "boolean" ? Number(key) : wholeOf(key);
    return container[index] ?? (index in container ? null : fail(`the array has no item ${index}`));
  },
  capitalize: (args) => {
    const text = textOf(a(args));
    return upper(text.slice(0, 1)) + lower(text.slice(1));
  },
  divisibleBy: (args) => {
    const [x, y] = [wholeOf(a(args)), wholeOf(b(args))];
    return y !== 0 && x % y === 0;
  },
  even: (args) => wholeOf(a(args)) % 2 === 0,
  odd: (args) => wholeOf(a(args)) % 2 !== 0,
  existsIn: (args) => {
    const [container, key] = [a(args), textOf(b(args))];
    return isObject(container) && container.has(key);
  },
  first: (args) => itemsOf(a(args))[0] ?? nothing(a(args), 0),
  last: (args) => itemsOf(a(args)).at(-1) ?? nothing(a(args), -1),
  max: (args, scope) => {
    const items = walked(a(args), scope);
    if (items.length === 0) return fail("there is nothing in it");
    return items.reduce((most, each) => (compare(most, each) < 0 ? each : most));
  },
  min: (args, scope) => {
    const items = walked(a(args), scope);
    if (items.length === 0) return fail("there is nothing in it");
    return items.reduce((least, each) => (compare(each, least) < 0 ? each : least));
  },
  float: (args) => {
    const found = /^[ \t\n\v\f\r]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)/.exec(textOf(a(args)));
    const value = found ? Number(found[1]) : fail("this text is no number");
    return Number.isFinite(value) ? new Float(value) : fail("a number is too large");
  },
  int: (args) => {
    const found = /^[ \t\n\v\f\r]*([+-]?[0-9]+)/.exec(textOf(a(args)));
    const value = found ? Number(found[1]) : fail("this text is no number");
    return value >= -2147483648 && value <= 2147483647 ? value + 0 : fail("a number is too large");
  },
  isArray: (args) => isArray(a(args)),
  isBoolean: (args) => typeof a(args) === "boolean",
  isFloat: (args) => a(args) instanceof Float,
  isInteger: (args) => isInteger(a(args)),
  isNumber: (args) => isNumber(a(args)),
  isObject: (args) => isObject(a(args)),
  isString: (args) => typeof a(args) === "string",
  join: (args, scope) => {
    const separator = textOf(b(args));
    const items = walked(a(args), scope).map((each) => (typeof each === "string" ? each : dumpJson(each)));
    const size = items.reduce((sum, each) => sum + each.length, 0) + separator.length * Math.max(0, items.length - 1);
    return afford(scope, size, () => items.join(separator));
  },
  length: (args) => {
    const value = a(args);
    if (typeof value === "string") return value.length;
    return isObject(value) ? value.size : itemsOf(value).length;
  },
  lower: (args) => lower(textOf(a(args))),
  upper: (args) => upper(textOf(a(args))),
  range: (args, scope) => {
    const count = wholeOf(a(args));
    if (count < 0) fail("a range has no negative length");
    round(scope, count);
    return Array.from({ length: count }, (_, i) => i);
  },
  replace: (args, scope) => {
    const [text, what, by] = [textOf(a(args)), textOf(b(args)), textOf(args[2] as Value)];
    return what === "" ? text : replaced(text, what, by, scope);
  },
  round: (args) => {
    const [value, places] = [floatOf(a(args)), wholeOf(b(args))];
    if (places < -300 || places > 300) fail("a number is too large");
    const result = rounded(value, places);
    return places === 0 ? integer(result) : new Float(result);
  },
  sort: (args, scope) => {
    const list = a(args);
    if (!isArray(list)) return fail(`sort needs an array, not ${kindOf(list)}`);
    round(scope, list.length);
    return list.toSorted(compare);
  },

  base64_encode: (args) => Buffer.from(textOf(a(args)), "latin1").toString("base64"),
  base64url_encode: (args) => Buffer.from(textOf(a(args)), "latin1").toString("base64url"),
  base64_decode: (args) => {
    const text = textOf(a(args));
    return text.length % 4 === 0 ? decode64(text.replace(/==?$/, ""), standard) : "";
  },
  base64url_decode: (args) => decode64(textOf(a(args)), urlSafe),
  body: (_, scope) => scope.body,
  context: (_, scope) => scope.context,
  header: (args, { around }) => around.header(lower(textOf(a(args)))),
  request_header: (args, { around }) => around.requestHeader(lower(textOf(a(args)))),
  extraction: (args, { extractions }) => extractions.get(textOf(a(args))) ?? "",
  env: (args, { around }) => around.env(textOf(a(args))),
  data_source: (args) => textOf(a(args)) && "",
  clusterMetadata: (args) => textOf(a(args)) && "",
  cluster_metadata: () => "",
  host_metadata: () => "",
  dynamic_metadata: (args, { around }) => {
    const key = a(args);
    if (typeof key !== "string") return "";
    const namespace = args.length > 1 ? textOf(b(args)) : "io.solo.transformation";
    return metadataText(around.dynamicMetadata(namespace, key.split(":")));
  },
  raw_string: (args) => escaped(textOf(a(args))),
  replace_with_random: (args, scope) => {
    const [text, what] = [textOf(a(args)), textOf(b(args))];
    return what === "" ? text : replaced(text, what, scope.around.random(what), scope);
  },
  substring: (args) => {
    const text = textOf(a(args));
    const [, start, length = -1] = args;
    if (typeof start !== "number" || typeof length !== "number" || start < 0 || start >= text.length) return "";
    return length <= 0 || start + length > text.length ? text.slice(start) : text.slice(start, start + length);
  },
  trim: (args) => textOf(a(args)).replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, ""),
  word_count: (args) => wordCount(a(args)),
};

/** Items that are looked at, one after the other. */
function walked(value: Value, scope: Scope): readonly Value[] {
  const items = itemsOf(value);
  round(scope, items.length);
  return items;
}

/** Before it is made: a text that is too large would be made in vain, or not at all. */
function afford(scope: Scope, size: number, make: () => string): string {
  if (size > scope.budget.bytes) fail("the template makes too much text");
  return make();
}

function replaced(text: string, what: string, by: string, scope: Scope): string {
  const parts = text.split(what);
  return afford(scope, text.length + (parts.length - 1) * by.length, () => parts.join(by));
}

/** Rounds of a loop, or as many as one of them does. */
export function round(scope: Scope, count: number): void {
  scope.budget.rounds -= count;
  if (scope.budget.rounds < 0) fail("the template takes too long");
}

/** A text that the template has made. */
export function spent(scope: Scope, text: string): string {
  scope.budget.bytes -= text.length;
  if (scope.budget.bytes < 0) fail("the template makes too much text");
  return text;
}

function arithmetic(x: Value, y: Value, run: (x: number, y: number) => number): Value {
  const result = run(floatOf(x), floatOf(y));
  return isInteger(x) && isInteger(y) && !(x instanceof Big) && !(y instanceof Big) ? integer(result) : new Float(result);
}

function missing(container: ReadonlyMap<string, Value>, key: string): Value {
  return container.has(key) ? null : fail("the object has no such key");
}

function nothing(value: Value, index: number): Value {
  const items = itemsOf(value);
  return items.length === 0 ? fail("there is nothing in it") : (items.at(index) as Value);
}

export function upper(text: string): string {
  return text.replace(/[a-z]/g, (c) => c.toUpperCase());
}

export function lower(text: string): string {
  return text.replace(/[A-Z]/g, (c) => c.toLowerCase());
}

const standard = /^[A-Za-z0-9+/]*$/;
const urlSafe = /^[A-Za-z0-9_-]*$/;
const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** As strictly as Envoy: what is wrong anywhere is an empty text. */
function decode64(text: string, alphabet: RegExp): string {
  if (!alphabet.test(text) || text.length % 4 === 1) return "";
  const last = text.at(-1)?.replace("-", "+").replace("_", "/") ?? "";
  const unused = text.length % 4 === 2 ? 16 : text.length % 4 === 3 ? 4 : 1;
  if (digits.indexOf(last) % unused !== 0) return "";
  return Buffer.from(text, "base64").toString("latin1");
}

/** Numbers of metadata are floats, booleans are words. */
function metadataText(value: Value | undefined): Value {
  if (value === undefined || value === null) return "";
  if (isNumber(value)) return new Float(floatOf(value));
  if (typeof value === "string") return value;
  return typeof value === "boolean" ? String(value) : dumpJson(value);
}

function wordCount(value: Value): number {
  if (typeof value === "string") {
    const words = value.replace(/^[ \t\n\v\f\r]+/, "").match(/[ \t\n\v\f\r]+|[^ \t\n\v\f\r]+$/g)?.length ?? 0;
    return value !== "" && words === 0 ? 1 : words;
  }
  if (isObject(value)) return [...value].reduce((sum, [key, each]) => sum + wordCount(key) + wordCount(each), 0);
  if (isArray(value)) return value.reduce<number>((sum, each) => sum + wordCount(each), 0);
  return value === null ? 0 : 1;
}
