import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { plainTransformation as plain } from "../lib/testing/transformations.ts";
import { TemplateFault } from "./ast.ts";
import { bytesOf, dumpJson, isUtf8, parseJson, textOfBytes } from "./json.ts";
import { formatFloat } from "./numbers.ts";
import { parseTemplate } from "./parse.ts";
import { PlanFault } from "./plan-fault.ts";
import { changeProgram, stageProgram } from "./program.ts";
import { compileRegex } from "./regex.ts";
import { groupOf, matchAt, replaceAll } from "./regex-run.ts";
import type { Transformation } from "./transformation.ts";

describe("a template that is wrong says what and where", () => {
  test.each([
    ["{{ a", "expected }}, got the end (at 1:5)"],
    ["a\n{{ a b }}", "these are several values, with no operator between them (at 2:8)"],
    ["{{ }}", 'an expression is missing before "}}" (at 1:4)'],
    ["{{ a + }}", "+ has too few values (at 1:6)"],
    ["{{ nope(1) }}", "unknown function nope (at 1:4)"],
    ["{{ toString() }}", "unknown function toString (at 1:4)"],
    ["{{ upper() }}", "the function upper takes 1 values, not 0 (at 1:4)"],
    ["{{ upper(a }}", 'expected ) after the values of upper, got "}}" (at 1:12)'],
    ['{{ "a }}', "this string has no end (at 1:4)"],
    ["{{ [1, }}", "[ has no end (at 1:4)"],
    ["{{ [1 2] }}", "[1 2] is not valid JSON (at 1:4)"],
    ["{{ 1.2.3 }}", "1.2.3 is not valid JSON (at 1:4)"],
    ["{{ ( }}", 'expected ), got "}}" (at 1:6)'],
    ["{{ () }}", "these parentheses are empty (at 1:4)"],
    ["{{ a ? b }}", 'expected }}, got "?" (at 1:6)'],
    ["{# a", "expected comment close, got the end (at 1:1)"],
    ["{% if a %}b", "this if has no end: endif is missing (at 1:4)"],
    ["{% for a in b %}{% endif %}", "endif where endfor is needed: the for at 1:4 is still open (at 1:20)"],
    ["{% endif %}", "endif without if (at 1:4)"],
    ["{% else %}", "else without if (at 1:4)"],
    ["{% for in b %}", 'expected in, got "b" (at 1:11)'],
    ["{% for a of b %}", 'expected in, got "of" (at 1:10)'],
    ["{% set a b %}", 'expected =, got "b" (at 1:10)'],
    ["{% nope %}", 'there is no statement "nope"; there are if, else, for, set and block (at 1:4)'],
    ['{% include "a" %}', "include is not supported: a template of a gateway stands alone (at 1:4)"],
    ["## if a b\n", "these are several values, with no operator between them (at 1:10)"],
    [`{{ ${"upper(".repeat(1_000)}`, "this expression is nested too deeply"],
    ["{% if a %}".repeat(1_000), "statements are nested too deeply"],
  ])("%s", (template, message) => {
    expect(() => parseTemplate(template)).toThrow(TemplateFault);
    expect(() => parseTemplate(template)).toThrow(message);
  });
});

test("any text is a template or a fault, and nothing else", () => {
  const words = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "##",
    "\n",
    "(",
    ")",
    ",",
    '"',
    "a",
    ".",
    " ",
    "1",
    "\\",
    "default",
    "if",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "set",
    "=",
    "-",
    "[",
    "]",
    "{",
    "}",
    "|",
    "not",
    "and",
    "é",
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words)), fc.boolean(), (parts, advanced) => {
      try {
        parseTemplate(parts.join(""), { advanced });
      } catch (fault) {
        expect(fault).toBeInstanceOf(TemplateFault);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("a parsed template is plain JSON", () => {
  const tree = parseTemplate('a{% if x.y %}{{ upper("é") }}{% endif %}{% for k, v in o %}{% set z = 1.50 %}{% endfor %}');
  expect(JSON.parse(JSON.stringify(tree))).toEqual(tree);
});

test.each([
  ["(a|ab)(c|bcd)", "abcd", ["abcd", "a", "bcd"]],
  ["(a*)*", "aa", ["aa", "aa"]],
  ["(?=(a+))a*b\\1", "baaabac".slice(1, 6), undefined],
  ["(z)((a+)?(b+)?(c))*", "zaacbbbcac", ["zaacbbbcac", "z", "ac", "a", "bbb", "c"]],
  ["[[:alpha:]]+\\d{2,3}", "ab123", ["ab123"]],
  ["(\\w+)@\\1", "jo@jo", ["jo@jo", "jo"]],
  ["(?!b)[^c]", "a", ["a"]],
  ["a{2}", "aaa", undefined],
  [".*", "a\nb", undefined],
  ["\\x41\\u0042\\cJ", "AB\n", ["AB\n"]],
])("%s on %s", (regex, text, groups) => {
  const program = compileRegex(regex);
  const match = matchAt(program, text, 0, "whole");
  expect(match && Array.from({ length: program.groups + 1 }, (_, i) => groupOf(text, match, i))).toEqual(groups);
});

test("expressions that both know find the same as the engine of JavaScript", () => {
  const atoms = ["a", "b", ".", "[ab]", "[^a]", "(a)", "(b|a)", "(?:ab)", "\\w", "(?=a)", "(?!b)"];
  const repeats = ["", "*", "+", "?", "*?", "+?", "{2}", "{1,2}"];
  const part = fc
    .tuple(fc.constantFrom(...atoms), fc.constantFrom(...repeats))
    .map(([atom, repeat]) => (/^\(\?[=!]/.test(atom) ? atom : atom + repeat));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), fc.stringMatching(/^[abc]{0,8}$/), (parts, text) => {
      const regex = parts.join("");
      const match = matchAt(compileRegex(regex), text, 0, "whole");
      expect(match !== undefined, `${regex} on ${text}`).toBe(new RegExp(`^(?:${regex})$`).test(text));
    }),
    { numRuns: 2_000 },
  );
});

test("what a regular expression finds is replaced", () => {
  expect(replaceAll(compileRegex("(\\d)(\\d)?"), "a12b3", "[$2$1$$$&]")).toBe("a[21$12]b[3$3]");
  expect(replaceAll(compileRegex("a*"), "baac", "-")).toBe("b-c");
  expect(replaceAll(compileRegex("^a"), "aaa", "b")).toBe("baa");
});

test("an expression that takes too long gives up", () => {
  expect(() => matchAt(compileRegex("(a*)*b"), "a".repeat(40), 0, "whole")).toThrow("takes too long");
});

test.each([
  ["(", "a ( without end, at character 1"],
  ["a)", "a ) too many, at character 2"],
  ["*", "nothing that could repeat, at character 1"],
  ["[a", "a set without end, at character 1"],
  ["\\2(a)", "\\2, but 1 groups"],
  ["a{2,1}", "repeats from more to fewer"],
  ["[b-a]", "such a range"],
  ["[[:nope:]]", "no such class"],
  ["\\q", "\\q, which is not supported"],
  ["(((a{99}){99}){99})", "too large"],
])("%s is refused", (regex, message) => {
  expect(() => compileRegex(regex)).toThrow(TemplateFault);
  expect(() => compileRegex(regex)).toThrow(message);
});

test.each([
  [1.5, "1.5"],
  [100, "100.0"],
  [1e15, "1e+15"],
  [123456789012345, "123456789012345.0"],
  [1e-4, "0.0001"],
  [1.25e-5, "1.25e-05"],
  [-0, "-0.0"],
  [1 / 3, "0.3333333333333333"],
  [Number.NaN, "null"],
])("%s is written %s", (value, text) => {
  expect(formatFloat(value)).toBe(text);
});

test("JSON comes out as it went in, with its keys in order", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
      const text = JSON.stringify(value);
      const written = textOfBytes(dumpJson(parseJson(bytesOf(text))));
      expect(JSON.parse(written)).toEqual(JSON.parse(text));
    }),
  );
});

test("bytes are valid UTF-8 or not", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      let isValid = true;
      try {
        new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        isValid = false;
      }
      expect(isUtf8(text)).toBe(isValid);
    }),
    { numRuns: 2_000 },
  );
});

test("a fault names the part of the plan that it is in", () => {
  const fieldOf = (change: Partial<Transformation>) => {
    try {
      stageProgram({ entries: [{ request: { ...plain, ...change } }] });
    } catch (fault) {
      return fault instanceof PlanFault ? `${fault.field}: ${fault.message}` : String(fault);
    }
    return "nothing";
  };
  expect(fieldOf({ headers: [["x-a", "{{"]] })).toBe("entries[0].request.headers.x-a: an expression is missing before the end (at 1:3)");
  expect(fieldOf({ headers: [["a b", ""]] })).toBe('entries[0].request.headers.a b: "a b" is no header of a request');
  expect(fieldOf({ append: [["x", "{{ a"]] })).toBe("entries[0].request.append[0]: expected }}, got the end (at 1:5)");
  expect(fieldOf({ extractors: [{ name: "e", header: "a", regex: "(", subgroup: 0 }] })).toContain(
    "extractors.e.regex: the regular expression",
  );
  expect(fieldOf({ extractors: [{ name: "e", header: "a", regex: "a", subgroup: 1 }] })).toContain("group 1 requested");
  expect(fieldOf({ body: { kind: "mergeKeys", keys: [{ name: "a.b", template: "", evenEmpty: false }] } })).toContain(
    "keys.a.b: Invalid key name",
  );
});

test("all faults of a plan are found at once", () => {
  const request: Transformation = {
    ...plain,
    headers: [
      ["a", "{{"],
      ["b", "{{"],
    ],
    body: { kind: "template", template: "{%" },
  };
  try {
    stageProgram({ entries: [{ request }, { response: request }] });
    expect.unreachable();
  } catch (fault) {
    const { field, more } = fault as PlanFault;
    const first = "entries[0].request";
    const second = "entries[1].response";
    expect([field, ...more.map((each) => each.field)]).toEqual(
      [first, second].flatMap((each) => [`${each}.headers.a`, `${each}.headers.b`, `${each}.body`]),
    );
  }
});

test("the body is held only if something looks at it", () => {
  const needs = (change: Partial<Transformation>) => changeProgram({ ...plain, ...change }, "request").needs;
  const headers = (template: string): Partial<Transformation> => ({ headers: [["x", template]] });
  const who = [{ name: "who", header: "x-user", subgroup: 0 }];
  expect(needs(headers("plain"))).toBeUndefined();
  expect(needs(headers('{{ header("a") }}'))).toBeUndefined();
  expect(needs({ ...headers("{{ who }}"), extractors: who })).toBeUndefined();
  expect(needs(headers("{{ who }}"))).toBe("json");
  expect(needs(headers("{{ body() }}"))).toBe("text");
  expect(needs({ ...headers("{{ name }}"), body: { kind: "passthrough" } })).toBeUndefined();
  expect(needs({ body: { kind: "template", template: "x" } })).toBe("text");
  expect(needs({ body: { kind: "mergeExtractors" } })).toBe("json");
  expect(needs({ extractors: [{ name: "b", regex: ".*", subgroup: 0 }] })).toBe("text");
});
