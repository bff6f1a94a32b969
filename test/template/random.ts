// Random templates, regular expressions and messages: mostly right, often wrong in one place, with values where the two back-ends could
// part: large and small numbers, bytes that are no UTF-8, empty things.
import { TemplateFault } from "../../src/template/ast.ts";
import { changeProgram } from "../../src/template/program.ts";
import type { Change, Extractor } from "../../src/template/transformation.ts";
import type { Sample } from "./lua-in-envoy.ts";

/** A small generator with a seed, so that a failure can be told again. */
export function generator(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n: number) => Math.floor(next() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const many = <T>(most: number, make: () => T): T[] => Array.from({ length: below(most + 1) }, make);
  return { next, below, pick, many, chance: (p: number) => next() < p };
}

export type Random = ReturnType<typeof generator>;

export interface RandomCase {
  readonly text: string;
  readonly sample: Sample;
}

/** Undefined where what came out is refused, as a user would be told. */
export function randomCase(seed: number): RandomCase | undefined {
  const random = generator(seed);
  const change = randomChange(random);
  try {
    const program = changeProgram(change, "request");
    const isResponse = random.chance(0.3);
    return {
      text: JSON.stringify(change),
      sample: { change: program, headers: headers(random), body: body(random), ...(isResponse && { requestHeaders: headers(random) }) },
    };
  } catch (fault) {
    if (fault instanceof TemplateFault) return undefined;
    throw fault;
  }
}

function randomChange(random: Random): Change {
  if (random.chance(0.03)) return { kind: "envelope", tellsRequest: random.chance(0.7) };
  const advanced = random.chance(0.2);
  const write = () => template(random, advanced, 3);
  const kind = random.pick(["template", "template", "template", "keep", "passthrough", "mergeExtractors", "mergeKeys"] as const);
  return {
    extractors: random.chance(0.4) ? random.many(3, () => extractor(random)) : [],
    headers: random.many(2, (): [string, string] => [
      random.pick(["x-a", "x-b", "x-new", "x-a", "x-b", "x-new", "x-new", ":path", ":method"]),
      write(),
    ]),
    append: random.many(1, (): [string, string] => [random.pick(["x-a", "x-more"]), write()]),
    remove: random.many(1, () => random.pick(["x-a", "x-b"])),
    metadata: random.many(1, () => ({ namespace: "n", key: "k", template: write(), isJson: random.chance(0.5) })),
    body:
      kind === "template"
        ? { kind, template: write() }
        : kind === "mergeKeys"
          ? {
              kind,
              keys: random.many(2, () => ({
                name: random.pick(["a", "b", "new"]),
                template: random.pick(["{{ a }}", '"{{ a }}"', "[1, 2.0]", write()]),
                evenEmpty: random.chance(0.3),
              })),
            }
          : { kind },
    parsesBody: random.chance(0.9),
    ignoresBadBody: random.chance(0.3),
    advanced: kind === "mergeKeys" ? false : advanced,
    escapes: random.chance(0.2),
  };
}

type Wanted = "text" | "number" | "list" | "any";

const variables: Readonly<Record<Exclude<Wanted, "any">, readonly string[]>> = {
  text: ["text", "empty", "body", "object.t"],
  number: ["n", "f", "object.k", "list.0"],
  list: ["list", "object.l", "words"],
};
const others = ["a", "b", "object", "loop.index", "loop.is_last", "x", "y", "none", "e.f", "context", "missing", "list.1.k"];
const texts = [
  "",
  "a",
  "k",
  "a b  c",
  "x-a",
  "é",
  "0",
  "12",
  " -7x",
  "1.5e3",
  '\\n\\t\\"',
  "\\u0001",
  "aGVsbG8",
  "aGk=",
  "object.k",
  "list.0",
  "n:k",
  "\\ud83d\\ude00",
];
const numbers = [
  "0",
  "1",
  "2",
  "-1",
  "3",
  "7",
  "10",
  "1.5",
  "-0.25",
  "2.0",
  "1e3",
  "0.1",
  "1e20",
  "1e-7",
  "123456.789",
  "9007199254740991",
  "9007199254740993",
  "18446744073709551615",
  "-9223372036854775808",
  "5e-324",
  "1.7976931348623157e308",
  "100000000000000000000",
];

/** What each kind of value may come from: a function and what it takes. */
const sources: Readonly<Record<Exclude<Wanted, "any">, readonly (readonly [name: string, ...args: Wanted[]])[]>> = {
  text: [
    ["capitalize", "text"],
    ["lower", "text"],
    ["upper", "text"],
    ["trim", "text"],
    ["base64_encode", "text"],
    ["base64_decode", "text"],
    ["base64url_encode", "text"],
    ["base64url_decode", "text"],
    ["raw_string", "text"],
    ["header", "text"],
    ["request_header", "text"],
    ["extraction", "text"],
    ["env", "text"],
    ["dynamic_metadata", "text"],
    ["dynamic_metadata", "text", "text"],
    ["replace_with_random", "text", "text"],
    ["replace", "text", "text", "text"],
    ["substring", "text", "number"],
    ["substring", "text", "number", "number"],
    ["join", "list", "text"],
    ["join", "any", "text"],
    ["default", "text", "text"],
  ],
  number: [
    ["length", "any"],
    ["word_count", "any"],
    ["int", "text"],
    ["float", "text"],
    ["round", "number", "number"],
    ["default", "number", "number"],
  ],
  list: [
    ["sort", "list"],
    ["range", "number"],
    ["default", "list", "list"],
  ],
};
const tests: readonly (readonly [name: string, ...args: Wanted[]])[] = [
  ["isArray", "any"],
  ["isBoolean", "any"],
  ["isFloat", "any"],
  ["isInteger", "any"],
  ["isNumber", "any"],
  ["isObject", "any"],
  ["isString", "any"],
  ["even", "number"],
  ["odd", "number"],
  ["divisibleBy", "number", "number"],
  ["exists", "text"],
  ["existsIn", "any", "text"],
  ["first", "list"],
  ["last", "list"],
  ["max", "list"],
  ["min", "list"],
  ["max", "any"],
  ["at", "list", "number"],
  ["default", "any", "any"],
  ["context"],
];
const arithmetic = ["+", "-", "*", "/", "%", "^"];
const relations = ["==", "!=", "<", "<=", ">", ">=", "and", "or", "in"];

function literal(random: Random, wanted: Wanted): string {
  const kind = wanted === "any" ? random.pick(["text", "number", "list", "word", "object"] as const) : wanted;
  if (kind === "text") return `"${random.pick(texts)}"`;
  if (kind === "number") return random.pick(numbers);
  if (kind === "word") return random.pick(["true", "false", "null"]);
  if (kind === "list") return `[${random.many(3, () => literal(random, "any")).join(", ")}]`;
  return `{${random.many(2, () => `"${random.pick(["k", "a", "z"])}": ${random.pick(numbers)}`).join(", ")} }`;
}

function variable(random: Random, wanted: Wanted, advanced: boolean): string {
  const name =
    wanted === "any" ? random.pick([...others, ...variables.text, ...variables.number, ...variables.list]) : random.pick(variables[wanted]);
  const written = advanced ? name.replaceAll(".", "/") : name;
  return random.chance(0.85) ? `default(${written}, ${literal(random, wanted)})` : written;
}

/** Mostly of the kind that is wanted. */
function expression(random: Random, advanced: boolean, depth: number, asked: Wanted = "any"): string {
  const wanted = random.chance(0.04) ? "any" : asked;
  const inner = (kind: Wanted = "any") => expression(random, advanced, depth - 1, kind);
  if (depth <= 0 || random.chance(0.25)) return random.chance(0.4) ? literal(random, wanted) : variable(random, wanted, advanced);
  const called = ([name, ...args]: readonly [string, ...Wanted[]]) => {
    const values = args.map((each) => inner(each));
    const pipes = values.length > 0 && random.chance(0.1);
    return pipes ? `(${values[0]}) | ${name}(${values.slice(1).join(", ")})` : `${name}(${values.join(", ")})`;
  };
  if (wanted === "text") return random.chance(0.1) ? `(${inner("text")}) + (${inner("text")})` : called(random.pick(sources.text));
  if (wanted === "number" && random.chance(0.6)) {
    const [x, y] = [inner("number"), inner("number")];
    return random.chance(0.5) ? `(${x}) ${random.pick(arithmetic)} (${y})` : `${x} ${random.pick(arithmetic)} ${y}`;
  }
  if (wanted === "number" || wanted === "list") return called(random.pick(sources[wanted]));
  const kind = random.below(6);
  if (kind === 0) return `(${inner()}) ${random.pick(relations)} (${inner()})`;
  if (kind === 1) return `${inner("number")} ${random.pick(relations)} ${inner("number")}`;
  if (kind === 2) return `not ${inner()}`;
  if (kind === 3) return called(random.pick(tests));
  if (kind === 4) return `default(${random.pick(others).replaceAll(".", advanced ? "/" : ".")}, ${inner()})`;
  return inner(random.pick(["text", "number", "list"]));
}

function template(random: Random, advanced: boolean, depth: number): string {
  const write = () => expression(random, advanced, 3);
  const inner = () => template(random, advanced, depth - 1);
  const part = (): string => {
    const kind = depth <= 0 ? random.below(4) : random.below(12);
    const strip = random.chance(0.1) ? "-" : "";
    switch (kind) {
      case 0:
        return random.pick(["text", " ", "\n", "é😀", "{", '"k": ', "#", "a\n  "]);
      case 1:
      case 2:
      case 3:
        return `{{${strip} ${write()} ${strip}}}`;
      case 4:
        return `{%${strip} if ${write()} ${strip}%}${inner()}{% endif %}`;
      case 5:
        return `{% if ${write()} %}${inner()}{% else if ${write()} %}${inner()}{% else %}${inner()}{% endif %}`;
      case 6:
        return `{% for x in ${random.pick(["list", "range(3)", "[1, 2.5, null]", write()])} %}${inner()}{{ loop.index1 }}{% endfor %}`;
      case 7:
        return `{% for x, y in ${random.pick(["object", '{"k": 1, "a": [2]}', write()])} %}${inner()}{{ x }}{% endfor %}`;
      case 8:
        return `{% set ${random.pick(["x", "y", "v.w", "object.k", "list.0"])} = ${write()} %}`;
      case 9:
        return `{# ${random.pick(["", "note", "{{"])} ${strip}#}`;
      case 10:
        return `\n## if ${write()}\n${inner()}\n## endif\n`;
      default:
        return `{{ default(${random.pick(["x", "v/w", "list", "object"]).replace("/", advanced ? "/" : ".")}, "") }}`;
    }
  };
  return random.many(3, part).join("");
}

const atoms = [
  "a",
  "b",
  ".",
  "[a-c]",
  "[^b]",
  "\\d",
  "\\w",
  "\\s",
  "(a)",
  "(b|c)",
  "(?:ab)",
  "(a*)",
  "(?=a)",
  "(?!b)",
  "\\1",
  "^",
  "$",
  "\\b",
  "[[:alpha:]]",
  "[\\w-]",
  "/",
  "é",
  "(a|b)*",
  "(x(y)?)+",
  "[^]-a]",
];
const repeats = ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,}", "{2}?"];

function extractor(random: Random): Extractor {
  const regex = random.pick([
    ".*",
    "(.*)",
    "([^/]*)/(.*)",
    random.many(5, () => random.pick(atoms) + random.pick(repeats)).join(random.chance(0.1) ? "|" : ""),
    random.many(4, () => random.pick(atoms) + random.pick(repeats)).join(""),
  ]);
  const mode = random.pick(["extract", "extract", "replaceGroup", "replaceAll"] as const);
  return {
    name: random.pick(["x", "e.f", "a", "object.k", "list"]),
    ...(random.chance(0.7) && { header: random.pick(["x-a", "x-b", ":path"]) }),
    regex,
    subgroup: mode === "replaceAll" ? 0 : random.below(3),
    mode,
    ...(mode !== "extract" && { replacement: random.pick(["", "-", "$&$&", "[$1|$2]", "$$", "$`$'", "$10$x", "é"]) }),
  };
}

const bytes = [
  "a",
  "b",
  "c",
  "ab",
  "x",
  "y",
  "1",
  "22",
  "/",
  "-",
  "_",
  " ",
  "\t",
  "abc",
  "xyxy",
  "\xc3\xa9",
  "\xff",
  "\xe2\x82",
  '"',
  "\\",
  "A",
  "é".charCodeAt(0) > 0 ? "?q=1" : "",
];

function headers(random: Random): [string, string][] {
  const value = () => random.many(5, () => random.pick(bytes)).join("");
  return [
    [":path", `/${value()}`],
    [":method", "POST"],
    ...random.many(4, (): [string, string] => [random.pick(["x-a", "x-b", "content-type"]), value()]),
  ];
}

function body(random: Random): string {
  const kind = random.below(20);
  if (kind === 0) return "";
  if (kind === 1) return random.many(6, () => random.pick(bytes)).join("");
  if (kind === 2)
    return random.pick(["[1, 2]", "3", '"text"', "null", "{", '{"a": 01}', '{"a": 1e999}', '"\\ud800"', "[1,]", " \n", "\xef\xbb\xbf{}"]);
  const text = JSON.stringify({
    empty: "",
    none: null,
    text: random.pick(["a b", "é😀", "1.5", "\u0001"]),
    n: random.pick([0, 1, 2, 3, -5]),
    f: random.pick([0.5, 2.25, -1.1]),
    words: ["b", "a"],
    x: 1,
    y: "y",
    list: [],
    object: {},
  });
  const filled = text.replace('"list":[]', `"list": [${[random.pick(numbers), ...random.many(3, () => value(random, 2))].join(", ")}]`);
  const a = `"a": ${value(random, 2)}, "b": ${value(random, 2)}, `;
  return Buffer.from(
    filled
      .replace("{", `{${a}`)
      .replace(
        '"object":{}',
        `"object": {"k": ${random.pick(numbers)}, "t": "${random.pick(texts)}", "l": [${value(random, 1)}], "A": ${value(random, 2)}}`,
      ),
    "utf8",
  ).toString("latin1");
}

function value(random: Random, depth: number): string {
  const kind = depth <= 0 ? random.below(3) : random.below(5);
  if (kind === 0) return random.pick(numbers);
  if (kind === 1) return `"${random.pick(texts)}"`;
  if (kind === 2) return random.pick(["true", "false", "null"]);
  if (kind === 3) return `[${random.many(3, () => value(random, depth - 1)).join()}]`;
  return `{${random.many(3, () => `"${random.pick(texts)}": ${value(random, depth - 1)}`).join()}}`;
}
