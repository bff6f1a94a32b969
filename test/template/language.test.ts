// The template language, case by case: what closures make of it, and Lua in a real Envoy makes the same.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { plainTransformation as plain } from "../../src/lib/testing/transformations.ts";
import { bytesOf } from "../../src/template/json.ts";
import { changeProgram } from "../../src/template/program.ts";
import type { Transformation } from "../../src/template/transformation.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { byClosures, type LuaInEnvoy, luaInEnvoy, type Result, type Sample } from "./lua-in-envoy.ts";

const here = test.skipIf(findEnvoy() === undefined);

let lua: LuaInEnvoy;
beforeAll(async () => {
  if (findEnvoy() !== undefined) lua = await luaInEnvoy();
});
afterAll(async () => {
  await lua?.[Symbol.asyncDispose]();
});

const body = JSON.stringify({
  name: "Rex",
  age: 7,
  weight: 2.5,
  big: 1,
  tags: ["b", "a", 3],
  owner: { name: "Jo", "first name": "Joanna", "a/b": "slash", "a.b": "dot", deep: { er: [10, 20] } },
  empty: "",
  none: null,
  yes: true,
  quote: 'say "hi"\n',
}).replace('"big":1', '"big":12345678901234567890');

function sampleOf(template: string, more: Partial<Transformation> = {}, other: Partial<Sample> = {}): Sample {
  const change = changeProgram({ ...plain, body: { kind: "template", template }, ...more }, other.requestHeaders ? "response" : "request");
  const headers = [
    [":path", "/pets/7?q=1"],
    [":method", "POST"],
    ["x-user", "jo"],
    ["x-user", "second"],
  ] as const;
  return { change, headers, body: bytesOf(body), ...other };
}

function shown(result: Result): string {
  return "refused" in result ? result.refused : Buffer.from(result.body ?? "", "base64").toString();
}

/** Template and result; a result that begins with `bad request` is the refusal. */
const cases: Readonly<Record<string, readonly (readonly [template: string, result: string])[]>> = {
  text: [
    ["", ""],
    ["plain é text", "plain é text"],
    ["a { b } c # d", "a { b } c # d"],
    ["a{# comment {{ x }} #}b", "ab"],
    ["a  {#- c -#}  \nb", "a  b"],
    ["{{ name }}{{ name }}", "RexRex"],
    ["a ## b", "a ## b"],
  ],
  "values are printed": [
    ["{{ name }}", "Rex"],
    ["{{ age }}", "7"],
    ["{{ weight }}", "2.5"],
    ["{{ big }}", "12345678901234567890"],
    ["{{ none }}", ""],
    ["{{ yes }}", "true"],
    ["{{ tags }}", '["b","a",3]'],
    ["{{ owner }}", '{"a.b":"dot","a/b":"slash","deep":{"er":[10,20]},"first name":"Joanna","name":"Jo"}'],
    ["{{ quote }}", 'say "hi"\n'],
    ["{{ 1.0 }}", "1.0"],
    ["{{ 1e3 }}", "1000.0"],
    ["{{ 1e15 }} {{ 1e14 }} {{ 1e16 }}", "1e+15 100000000000000.0 1e+16"],
    ["{{ 0.0001 }} {{ 0.00001 }} {{ -0.0 }}", "0.0001 1e-05 -0.0"],
    ["{{ 1e-99999999999999 }} {{ -1e-99999999999999 }} {{ 0e99999999999999 }}", "0.0 -0.0 0.0"],
    ['{{ float("1e99999999999999") }}', "bad request: a number is too large (at 1:4)"],
    ['{{ float("-2e-99999999999999") }}', "-0.0"],
    ["{{ 0.1 + 0.2 }}", "0.30000000000000004"],
    ["{{ 9007199254740993 }}", "9007199254740993"],
    ["{{ 123456789012345678901 }}", "1.2345678901234568e+20"],
    ['{{ {"b": [1, 2.50], "a": null} }}', '{"a":null,"b":[1,2.5]}'],
    ['{{ "tab\\t\\u00e9\\ud83d\\ude00" }}', "tab\té😀"],
  ],
  variables: [
    ["{{ owner.name }}", "Jo"],
    ["{{ owner/name }}", "Jo"],
    ["{{ owner.deep.er.1 }}", "20"],
    ["{{ tags.0 }}", "b"],
    ["{{ missing }}", "bad request: variable 'missing' not found (at 1:4)"],
    ["a\nb {{ owner.missing }}", "bad request: variable 'owner.missing' not found (at 2:6)"],
    ["{{ tags.9 }}", "bad request: variable 'tags.9' not found (at 1:4)"],
    ["{{ body }}", body],
    ["{{ loop }}", ""],
  ],
  operators: [
    ["{{ 1 + 2 * 3 }}", "7"],
    ["{{ (1 + 2) * 3 }}", "9"],
    ["{{ 7 - 2 - 1 }}", "4"],
    ["{{ 2 ^ 3 ^ 2 }}", "512"],
    ["{{ 2 ^ -1 }}", "0.5"],
    ["{{ 2.0 ^ 3 }}", "8.0"],
    ["{{ 7 / 2 }} {{ 4 / 2 }}", "3.5 2.0"],
    ["{{ 7 % 3 }} {{ -7 % 3 }}", "1 -1"],
    ["{{ age - 3 }}", "4"],
    ["{{ age -3 }}", "4"],
    ["{{ name }}{{ -3 }}", "Rex-3"],
    ["{{ 1 / 0 }}", "bad request: division by zero (at 1:6)"],
    ["{{ 1 % 0 }}", "bad request: division by zero (at 1:6)"],
    ['{{ "a" + "b" }}', "ab"],
    ['{{ "a" + 1 }}', "bad request: a number is needed, not a text (at 1:8)"],
    ["{{ 9007199254740991 + 1 }}", "9.007199254740992e+15"],
    ["{{ 1 == 1.0 }} {{ 1 != 2 }} {{ 1 < 2 }} {{ 2 <= 1 }} {{ 2 > 1 }} {{ 2 >= 3 }}", "true true true false true false"],
    ['{{ "a" < "b" }} {{ [1, 2] < [1, 3] }} {{ null < false }} {{ "1" == 1 }}', "true true true false"],
    ["{{ true and false }} {{ true or false }} {{ not true }}", "false true false"],
    ["{{ false and missing }} {{ true or missing }}", "false true"],
    ["{{ not 1 == 2 }}", "false"],
    ["{{ true or true and false }}", "false"],
    ['{{ "a" in tags }} {{ "z" in tags }} {{ 3 in tags }} {{ "Jo" in owner }} {{ "Rex" in name }}', "true false true true true"],
    ["{{ big == 12345678901234567890 }} {{ big > 1 }}", "true true"],
  ],
  conditions: [
    ["{% if yes %}a{% endif %}", "a"],
    ["{% if empty %}a{% else %}b{% endif %}", "b"],
    ["{% if age > 10 %}old{% else if age > 5 %}grown{% else %}young{% endif %}", "grown"],
    ["{% if false %}1{% else if false %}2{% else if true %}3{% else %}4{% endif %}", "3"],
    ["{% if 0 %}a{% endif %}{% if none %}b{% endif %}{% if tags %}c{% endif %}{% if [] %}d{% endif %}", "c"],
    ["{% if missing %}a{% endif %}", "bad request: variable 'missing' not found (at 1:7)"],
    ['{% if exists("missing") %}a{% else %}b{% endif %}', "b"],
    ["a {%- if yes -%} b {%- endif %}", "a b "],
    ["x\n  {%- if yes %}b{% endif %}", "x\nb"],
    ["## if yes\nb\n## endif\nc", "b\nc"],
  ],
  loops: [
    ["{% for t in tags %}{{ t }},{% endfor %}", "b,a,3,"],
    [
      "{% for t in tags %}{{ loop.index }}{{ loop.index1 }}{{ loop.is_first }}{{ loop.is_last }} {% endfor %}",
      "01truefalse 12falsefalse 23falsetrue ",
    ],
    ["{% for k, v in owner.deep %}{{ k }}={{ v }};{% endfor %}", "er=[10,20];"],
    ['{% for k, v in {"b": 1, "a": 2} %}{{ k }}{{ v }}{% endfor %}', "a2b1"],
    ["{% for x in range(2) %}{% for y in range(2) %}{{ loop.parent.index }}{{ loop.index }} {% endfor %}{% endfor %}", "00 01 10 11 "],
    ["{% for t in [] %}a{% endfor %}", ""],
    ["{% for t in name %}a{% endfor %}", "bad request: an array is needed, not a text (at 1:4)"],
    ["{% for k, v in tags %}a{% endfor %}", "bad request: an object is needed, not an array (at 1:4)"],
    ["{% for t in tags %}{% endfor %}{{ t }}", "0"],
    ["{% for t in tags %}{% if loop.is_last %}{{ t }}{% endif %}{% endfor %}", "3"],
    ["## for t in tags\n{{ t }}\n## endfor\n", "b\na\n3\n"],
    ["{% for x in range(2000000) %}{% endfor %}", "bad request: the template takes too long (at 1:13)"],
  ],
  set: [
    ["{% set x = 3 %}{{ x }}", "3"],
    ["{% set x.y = 3 %}{{ x }}", '{"y":3}'],
    ["{% set x = owner %}{% set x.name = 1 %}{{ x.name }}{{ owner.name }}", "1Jo"],
    ["{% set list = tags %}{% set list.1 = 9 %}{{ list }}{{ tags }}", '["b",9,3]["b","a",3]'],
    ["{% set name = 1 %}{{ name }}", "1"],
    ["{% block a %}x{% endblock %}y", "xy"],
  ],
  functions: [
    ['{{ at(tags, 1) }} {{ at(owner, "name") }}', "a Jo"],
    ["{{ at(tags, 9) }}", "bad request: the array has no item 9 (at 1:4)"],
    ['{{ capitalize("heLLO") }}', "Hello"],
    ['{{ default(missing, "d") }} {{ default(name, "d") }} {{ default(none, "d") }}', "d Rex "],
    ["{{ divisibleBy(6, 3) }} {{ divisibleBy(6, 0) }}", "true false"],
    ["{{ even(4) }} {{ odd(4) }} {{ even(-3) }} {{ odd(-3) }}", "true false false true"],
    ['{{ exists("owner.name") }} {{ exists("owner/name") }} {{ exists("x") }}', "true true false"],
    ['{{ existsIn(owner, "name") }} {{ existsIn(owner, "x") }}', "true false"],
    ["{{ first(tags) }} {{ last(tags) }} {{ first(owner) }}", "b 3 dot"],
    ["{{ first([]) }}", "bad request: there is nothing in it (at 1:4)"],
    ['{{ float("2.5") }} {{ float("2") }} {{ int("12x") }}', "2.5 2.0 12"],
    ['{{ int("x") }}', "bad request: this text is no number (at 1:4)"],
    [
      "{{ isArray(tags) }} {{ isObject(owner) }} {{ isString(name) }} {{ isNumber(age) }} {{ isInteger(age) }} {{ isFloat(weight) }} {{ isBoolean(yes) }}",
      "true true true true true true true",
    ],
    ["{{ isInteger(big) }} {{ isFloat(1) }}", "true false"],
    ['{{ join(tags, "-") }} {{ join([1, [2]], ", ") }}', "b-a-3 1, [2]"],
    ['{{ length(tags) }} {{ length("é") }} {{ length(owner) }} {{ length(none) }}', "3 2 5 0"],
    ['{{ lower("ABCÉ") }} {{ upper("abcé") }}', "abcÉ ABCé"],
    ["{{ max([1, 3, 2]) }} {{ min([1, 3, 2]) }} {{ max(tags) }}", "3 1 b"],
    ["{{ range(4) }}", "[0,1,2,3]"],
    ['{{ replace("aXbX", "X", "-") }}', "a-b-"],
    ["{{ length(join(range(400000), base64_encode(body()))) }}", "bad request: the template makes too much text (at 1:11)"],
    ["{{ round(2.5, 0) }} {{ round(-2.5, 0) }} {{ round(3.14159, 2) }} {{ round(1234.5, -2) }}", "3 -3 3.14 1200.0"],
    ["{{ sort([3, 1, 2]) }} {{ sort(tags) }}", '[1,2,3] [3,"a","b"]'],
    ['{{ upper(name) | lower }} {{ "a,b" | replace(",", ";") }}', "rex a;b"],
    ["{{ upper(1) }}", "bad request: a text is needed, not a number (at 1:4)"],
  ],
  "functions of Gloo": [
    ['{{ header("x-user") }} {{ header("X-User") }} [{{ header("none") }}]', "jo jo []"],
    ['{{ request_header("x-user") }}', "jo"],
    ["{{ length(body()) }}", String(Buffer.byteLength(body))],
    [
      "{{ context() }}",
      '{"age":7,"big":12345678901234567890,"empty":"","name":"Rex","none":null,"owner":{"a.b":"dot","a/b":"slash","deep":{"er":[10,20]},"first name":"Joanna","name":"Jo"},"quote":"say \\"hi\\"\\n","tags":["b","a",3],"weight":2.5,"yes":true}',
    ],
    ['{{ env("HOME") }}', "env of HOME"],
    ['{{ base64_encode("hi?>") }} {{ base64url_encode("hi?>") }} {{ base64_encode("") }}', "aGk/Pg== aGk_Pg "],
    [
      '{{ base64_decode("aGk/Pg==") }} {{ base64url_decode("aGk_Pg") }} [{{ base64_decode("aGk/Pg") }}] [{{ base64_decode("!!!!") }}]',
      "hi?> hi?> [] []",
    ],
    [
      '{{ substring("hello", 1) }} {{ substring("hello", 1, 3) }} {{ substring("hello", 1, 0) }} [{{ substring("hello", 9) }}] [{{ substring("hello", -1) }}]',
      "ello ell ello [] []",
    ],
    ['[{{ trim("  a b\\t\\n") }}] [{{ trim("") }}]', "[a b] []"],
    ["{{ raw_string(quote) }}", 'say \\"hi\\"\\n'],
    ["{{ raw_string(1) }}", "bad request: a text is needed, not a number (at 1:4)"],
    ['{{ replace_with_random("a-X-X", "X") }}', "a-random of X-random of X"],
    ['{{ word_count("a b  c") }} {{ word_count(tags) }} {{ word_count(owner) }} {{ word_count("") }} {{ word_count(" ") }}', "3 3 13 0 1"],
    ['{{ dynamic_metadata("a:b", "ns") }}', '{"namespace":"ns","path":["a","b"]}'],
    ['{{ cluster_metadata("a") }}{{ host_metadata("a") }}{{ data_source("a") }}', ""],
    ['{{ extraction("none") }}', ""],
  ],
};

for (const [name, list] of Object.entries(cases)) {
  describe(name, () => {
    test.each(list)("%s", (template, result) => {
      expect(shown(byClosures(sampleOf(template)))).toBe(result);
    });
    here("the same in Envoy", async () => {
      const results = await lua.run(list.map(([template]) => sampleOf(template)));
      expect(results.map(shown)).toEqual(list.map(([, result]) => result));
    });
  });
}

describe("advanced templates", () => {
  const advanced = { advanced: true, extractors: [{ name: "who", header: "x-user", regex: "(.*)", subgroup: 1 }] };
  const list = [
    ["{{ owner/name }}", "Jo"],
    ["{{ owner/a~1b }} {{ owner/a.b }}", "slash dot"],
    ["{{ owner.name }}", "bad request: variable 'owner.name' not found (at 1:4)"],
    ["{{ tags/1 }}", "a"],
    ['{{ extraction("who") }}', "jo"],
    ["{{ who }}", "bad request: variable 'who' not found (at 1:4)"],
    ['{{ exists("owner/name") }}', "true"],
  ] as const;
  test.each(list)("%s", (template, result) => {
    expect(shown(byClosures(sampleOf(template, advanced)))).toBe(result);
  });
  here("the same in Envoy", async () => {
    const results = await lua.run(list.map(([template]) => sampleOf(template, advanced)));
    expect(results.map(shown)).toEqual(list.map(([, result]) => result));
  });
});

/** Every function and operator with every kind of value: what comes out is not told here, only that it is the same. */
here("functions and operators with all kinds of values do the same in both", async () => {
  const values = [
    "0",
    "-3",
    "2.5",
    "1e300",
    "big",
    '""',
    '"a b"',
    '"12"',
    '"aGk="',
    "true",
    "null",
    "[]",
    '[2, 1.5, "a"]',
    "owner",
    "{}",
    "quote",
  ];
  const one = [
    "capitalize",
    "even",
    "first",
    "float",
    "int",
    "isArray",
    "isBoolean",
    "isFloat",
    "isInteger",
    "isNumber",
    "isObject",
    "isString",
    "last",
    "length",
    "lower",
    "max",
    "min",
    "odd",
    "range",
    "sort",
    "upper",
    "base64_decode",
    "base64_encode",
    "base64url_decode",
    "base64url_encode",
    "exists",
    "extraction",
    "header",
    "raw_string",
    "trim",
    "word_count",
    "not",
  ];
  const two = ["at", "default", "divisibleBy", "existsIn", "join", "round", "substring", "replace_with_random"];
  const signs = ["+", "-", "*", "/", "%", "^", "==", "<", "<=", "and", "or", "in"];
  const templates = [
    ...one.flatMap((name) => values.map((x) => `{{ ${name}(${x}) }}`)),
    ...two.flatMap((name) => values.flatMap((x) => ["1", '"a"', "2.5", x].map((y) => `{{ ${name}(${x}, ${y}) }}`))),
    ...signs.flatMap((sign) => values.flatMap((x) => ["2", "-0.5", '"a b"', x].map((y) => `{{ (${x}) ${sign} (${y}) }}`))),
  ];
  const samples = templates.filter((each) => !each.startsWith("{{ not(")).map((each) => sampleOf(each));
  expect(samples.length).toBeGreaterThan(1_500);
  expect(await lua.run(samples)).toEqual(samples.map(byClosures));
});

const extraction = [
  [{ mode: "extract", regex: "(\\w+)-(\\w+)", subgroup: 2 }, "ab-cd", "cd"],
  [{ mode: "extract", regex: "(\\w+)", subgroup: 1 }, "ab-cd", ""],
  [{ mode: "extract", regex: "(a)|(b)", subgroup: 2 }, "a", ""],
  [{ mode: "replaceGroup", regex: "(\\w+)-(\\w+)", subgroup: 1, replacement: "*" }, "ab-cd", "*-cd"],
  [{ mode: "replaceGroup", regex: "\\w+", subgroup: 0, replacement: "*" }, "ab-cd", "ab-cd"],
  [{ mode: "replaceGroup", regex: ".*", subgroup: 0, replacement: "*" }, "", ""],
  [{ mode: "replaceAll", regex: "[a-c]", subgroup: 0, replacement: "<$&>" }, "ab-cd", "<a><b>-<c>d"],
  [{ mode: "extract", regex: "(?=.*d)(.*)-\\w+", subgroup: 1 }, "ab-cd", "ab"],
  [{ mode: "extract", regex: "(.)(.)-\\w+", subgroup: 2 }, "\xc3\xa9-a", "\xa9"],
] as const;

describe("extractors", () => {
  const samples = extraction.map(([{ mode, ...rest }, value]) =>
    sampleOf(
      '{{ extraction("e") }}',
      { advanced: true, extractors: [{ name: "e", header: "x-value", mode, ...rest }] },
      { headers: [["x-value", value]] },
    ),
  );
  const bytes = (result: Result) => ("refused" in result ? result.refused : Buffer.from(result.body ?? "", "base64").toString("latin1"));
  test.each(extraction.map((each, i) => [i, ...each] as const))("%i: %o of %s", (i, _, __, expected) => {
    expect(bytes(byClosures(samples[i] as Sample))).toBe(expected);
  });
  here("the same in Envoy", async () => {
    expect((await lua.run(samples)).map(bytes)).toEqual(extraction.map(([, , expected]) => expected));
  });
});
