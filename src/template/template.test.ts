import fc from "fast-check";
import { expect, test } from "vitest";
import { TemplateFault } from "./ast.ts";
import { luaScripts, quoted, type Transformation } from "./lua.ts";
import { parseTemplate } from "./parse.ts";
import { luaPattern } from "./pattern.ts";

test("text, comments, variables, literals and calls", () => {
  expect(parseTemplate('a{# no #}{{ default(x-tier, "q\\"}}") }}{{a.b.0}}{{ f(1.50, -2, true, null) }}}')).toEqual([
    { kind: "text", text: "a" },
    {
      kind: "print",
      value: {
        kind: "call",
        name: "default",
        args: [
          { kind: "variable", path: "x-tier" },
          { kind: "text", text: 'q"}}' },
        ],
      },
    },
    { kind: "print", value: { kind: "variable", path: "a.b.0" } },
    {
      kind: "print",
      value: {
        kind: "call",
        name: "f",
        args: [
          { kind: "number", text: "1.50" },
          { kind: "number", text: "-2" },
          { kind: "constant", value: true },
          { kind: "constant", value: null },
        ],
      },
    },
    { kind: "text", text: "}" },
  ]);
});

test.each([
  ["{% if x %}", "statements (if, for, set) are not supported yet, at character 1"],
  ["a\n## for x in y", "statements"],
  ["{{ a + b }}", '"+" is not supported here, at character 6'],
  ["{{ a", "}} is missing"],
  ["{{", "}} is missing"],
  ["{{ }}", '"}" is not supported here'],
  ["{{ f(a }}", "f( has no end"],
  ['{{ "a }}', "this is no string of JSON"],
  ["{# a", "a comment has no end"],
  [`{{ ${"f(".repeat(1_000)}`, "nested too deeply"],
])("%s is refused", (template, message) => {
  expect(() => parseTemplate(template)).toThrow(TemplateFault);
  expect(() => parseTemplate(template)).toThrow(message);
});

const plain: Transformation = {
  extractors: [],
  headers: [],
  append: [],
  remove: [],
  body: { kind: "passthrough" },
  parsesBody: true,
  ignoresBadBody: false,
  advanced: false,
};

test("what cannot be done is named", () => {
  const withHeader = (name: string, template: string) => () => luaScripts({ request: { ...plain, headers: [[name, template]] } });
  expect(withHeader("x", "{{ env(a) }}")).toThrow("the function env is not supported yet");
  expect(withHeader("x", "{{ toString() }}")).toThrow("the function toString is not supported yet");
  expect(withHeader("x", "{{ upper() }}")).toThrow("the function upper takes 1 values, not 0");
  expect(withHeader("a b", "")).toThrow("is no header of a request");
  expect(withHeader(":status", "200")).toThrow("is no header of a request");
  expect(() => luaScripts({ response: { ...plain, headers: [["x", '{{ request_header("a") }}']] } })).toThrow(
    "request_header in a response",
  );
});

test("no text of a user's gets out of its quotes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const lua = quoted(text);
      expect(lua).toMatch(/^"(?:[ !#-[\]-~]|\\\d{3})*"$/);
      const bytes = [...lua.slice(1, -1).matchAll(/\\(\d{3})|(.)/g)].map(([, code, one]) =>
        code ? Number(code) : (one?.charCodeAt(0) ?? 0),
      );
      expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(new TextDecoder().decode(new TextEncoder().encode(text)));
    }),
  );
});

test("any text is a template or a fault, and nothing else", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("{{", "}}", "{%", "{#", "#}", "(", ")", ",", '"', "a", ".", " ", "1", "\\", "default")),
      (words) => {
        try {
          parseTemplate(words.join(""));
        } catch (fault) {
          expect(fault).toBeInstanceOf(TemplateFault);
        }
      },
    ),
  );
});

test.each([
  ["/get/([\\-._%[:alnum:]]+)", "^/get/([%-%._%%%w]+)$", 1],
  ["(.*)", "^(.*)$", 1],
  ["^a\\.b(\\d+)x?$", "^a%.b(%d+)x?$", 1],
  ["([^/]+)/([A-Z0-9_]*)", "^([^/]+)/([A-Z0-9_]*)$", 2],
  ["\\w\\s", "^[%w_]%s$", 0],
  ["[\\w-]", "^[%w_%-]$", 0],
])("%s is Lua's %s", (regex, pattern, groups) => {
  expect(luaPattern(regex)).toEqual({ pattern, groups });
});

test.each(["a|b", "(ab)+", "(?:a)", "a{2}", "a*?", "(", ")", "[a", "\\b", "*", "a\\", "[\\W]", "[[:nope:]]", "[[:nothing:]]"])(
  "%s is refused",
  (regex) => {
    expect(() => luaPattern(regex)).toThrow(TemplateFault);
  },
);
