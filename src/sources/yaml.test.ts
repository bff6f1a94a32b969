import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { limits, parseYaml } from "./yaml.ts";
import { nodeOfJson, type YamlNode } from "./yaml-node.ts";
import { resolveScalar } from "./yaml-scalar.ts";

/** The documents of a text as plain values, with YAML's own sense of plain scalars. */
function values(text: string): unknown[] {
  const parsed = parseYaml(text);
  if ("failure" in parsed) throw new Error(parsed.failure.message);
  return parsed.documents.map(({ root }) => (root ? value(root) : null));
}

function value(node: YamlNode): unknown {
  switch (node.kind) {
    case "list":
      return node.items.map(value);
    case "map":
      return new Map(node.entries.map((entry) => [entry.key, value(entry.value)]));
    case "scalar": {
      const scalar = resolveScalar(node);
      if (scalar.kind === "null") return null;
      return scalar.kind === "integer" ? Number(scalar.value) : scalar.value;
    }
  }
}

function findings(text: string): string[] {
  const parsed = parseYaml(text);
  if ("failure" in parsed) return [`${parsed.failure.reason}: ${parsed.failure.message}`];
  return parsed.documents.flatMap((each) => each.findings.map((finding) => `${finding.reason}: ${finding.message}`));
}

/** What stands where the tree says it does. */
function marked(text: string, node: YamlNode): string {
  return text.slice(node.start, node.end);
}

describe("trees", () => {
  test("every key and value knows where it stands", () => {
    const text = `a: "x"\nb:\n  - {k: 'v', "q": no}\n  - |\n    text\n`;
    const parsed = parseYaml(text);
    if ("failure" in parsed) throw new Error("broken");
    const root = parsed.documents[0]!.root!;
    if (root.kind !== "map") throw new Error("no map");
    const list = root.entries[1]!.value;
    if (list.kind !== "list" || list.items[0]?.kind !== "map") throw new Error("no list");
    expect(root.entries.map((entry) => text.slice(entry.keyStart, entry.keyEnd))).toEqual(["a", "b"]);
    expect(marked(text, root.entries[0]!.value)).toBe('"x"');
    expect(list.items[0].entries.map((entry) => [text.slice(entry.keyStart, entry.keyEnd), marked(text, entry.value)])).toEqual([
      ["k", "'v'"],
      ['"q"', "no"],
    ]);
    expect(list.items[1]).toMatchObject({ kind: "scalar", text: "text\n", isPlain: false });
  });

  test("documents, comments, directives, CRLF and a missing end are read", () => {
    expect(values("%YAML 1.2\n---\n# c\r\na: 1\r\n---\nb: 2\n...\n---\n")).toEqual([new Map([["a", 1]]), new Map([["b", 2]]), null]);
    expect(values("")).toEqual([]);
  });

  test("JSON is read", () => {
    expect(values('{"a": [1, 2.5, "x", true, null, {"b": "\\u00e9\\n"}]}')).toEqual([
      new Map([["a", [1, 2.5, "x", true, null, new Map([["b", "é\n"]])]]]),
    ]);
  });

  test("anchors, aliases and merge keys are followed; what is written wins over what is merged", () => {
    const text = "base: &base {a: 1, b: 2}\nx: {<<: *base, b: 3}\ny: {<<: [{a: 9}, *base]}\nz: *base\n";
    const [root] = values(text) as [Map<string, Map<string, unknown>>];
    expect([...root.get("x")!]).toEqual([
      ["b", 3],
      ["a", 1],
    ]);
    expect([...root.get("y")!]).toEqual([
      ["a", 9],
      ["b", 2],
    ]);
    expect(root.get("z")).toEqual(root.get("base"));
  });

  test("a quoted << is a key like others", () => {
    expect(values('{"<<": {a: 1}}')).toEqual([new Map([["<<", new Map([["a", 1]])]])]);
  });

  test("!!str makes text of anything", () => {
    expect(values("a: !!str 010\nb: ! yes\nc: !!str\nd: !!int 7")).toEqual([
      new Map<string, unknown>([
        ["a", "010"],
        ["b", "yes"],
        ["c", ""],
        ["d", 7],
      ]),
    ]);
  });
});

describe("what is wrong in one document leaves the others readable", () => {
  test.each([
    ["a: 1\nb: 2\na: 3", 'DuplicateKey: the key "a" is there twice'],
    ["{a: 1, a: 2}", 'DuplicateKey: the key "a" is there twice'],
    ["a: *x", 'UnknownAlias: there is no "&x" before "*x"'],
    ["a: &x [*x]", 'UnknownAlias: "*x" repeats what it stands in'],
    ["a: !!js/function 'x'", "UnknownTag: the tag !!js/function is not followed here"],
    ["a: !include other.yaml", "UnknownTag: the tag !include is not followed here"],
    ["a: !env {}", "UnknownTag: the tag !env is not followed here"],
    ["<<: 1", "BadMergeKey: `<<` takes a map, or a list of maps"],
    ["{a: 1}: 1", "BadKey: a key is a single value; this is a map or a list"],
  ])("%j", (text, finding) => {
    expect(findings(`first: 1\n---\n${text}\n---\nlast: 1`)).toEqual([finding]);
  });
});

describe("syntax errors say what is wrong and where it began", () => {
  test.each([
    ["a: b: c", "1:4", 'a value cannot hold ": "'],
    ["a:\n\t- b", "2:1", "YAML is indented by spaces; here is a tab"],
    ["a: [1,\n  2\nb: 3", "1:4", "the [ is not closed"],
    ["x: don't\na: {b: 1\nc: 2", "2:4", "the { is not closed"],
    ['a: "x\nb: 1\n', "1:4", 'the " is not closed'],
    ["a: 'x", "1:4", "the ' is not closed"],
    ["k: @x", "1:4", "a value cannot begin with @"],
    ["a: \0b", "1:4", "the file holds a control character, so it is not text"],
    ["- a\nb: 1", "2:1", "this does not go with what is above it"],
    ["key: value\nsome text\n", "2:1", 'this line is no "key: value"'],
    ["a:b\nc: d", "1:1", 'this line is no "key: value"'],
    ["a: {{ x }}y", "1:4", "here is a template that was not rendered"],
    ["{{- if x }}\na: 1\n", "1:1", "here is a template that was not rendered"],
    ["<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "1:1", "here is a merge conflict"],
    ['{"a": 1 "b": 2}', "1:12", "a comma is missing before this"],
    ["a: [b]]", "1:7", "here is a ] without its other half"],
    ["a: 'b'c", "1:7", "here is more after the closing quote"],
    ["a: [b]c", "1:7", "here is more after the closing ]"],
    ["a: ['b'c]", "1:8", "here is more after the closing quote"],
    ["- *", "1:3", "to YAML, a value that begins with * repeats an anchor"],
    ["a: [*, b]", "1:5", "to YAML, a value that begins with * repeats an anchor"],
    ["a: &", "1:4", "to YAML, a value that begins with & marks an anchor"],
    ["a: [@b]", "1:5", "a value cannot begin with @"],
    ["a: [`b`]", "1:5", "a value cannot begin with `"],
    ["a: [b, %c]", "1:8", "a value cannot begin with %"],
    ["a: >b", "1:4", "to YAML, a value that begins with > is a text that begins on the next line"],
    ["a: [{b: 1]", "1:10", "here is a ], and the last that was opened is a {"],
    ["a: [{b: /[a-z]+}]", "1:9", "a value inside of brackets cannot hold brackets or commas of its own"],
    ["a:\t[b]\nc:\n\t- d", "1:3", "YAML is indented by spaces; here is a tab"],
    ["a: - b", "1:4", "a list does not begin on the line of its key"],
  ])("%j", (text, place, message) => {
    const parsed = parseYaml(text);
    if (!("failure" in parsed)) throw new Error("it was read");
    const { start } = parsed.failure;
    const line = text.slice(0, start).split("\n").length;
    const column = start - (text.lastIndexOf("\n", start - 1) + 1) + 1;
    expect([`${line}:${column}`, parsed.failure.message]).toEqual([place, message]);
    expect(parsed.failure.end).toBeGreaterThan(start);
  });
});

test.each([
  ["- *", 'quote it, as text: "*"'],
  ["- * # all", 'quote it, as text: "*"'],
  ["a: [*, b]", 'quote it, as text: "*"'],
  ["kind:Upstream\nmetadata:\n", "put a space after the colon"],
])("the cure for %j", (text, hint) => {
  const parsed = parseYaml(text);
  expect("failure" in parsed && parsed.failure.hint).toBe(hint);
});

test.each([
  ['a: {{ header("a") }}', "quote it: '{{ header(\"a\") }}'"],
  ["a: {{ body }}", 'quote it: "{{ body }}"'],
  ["a: {b: {{ .Values.b }}}", "render it first, as in: helm template . | headworks check -"],
])("the cure for a template without quotes: %j", (text, hint) => {
  const parsed = parseYaml(text);
  expect("documents" in parsed && parsed.documents[0]?.findings).toMatchObject([{ reason: "BadKey", hint }]);
});

describe("limits", () => {
  const bombs: Record<string, string> = {
    "an alias bomb": `a: &a [x]\n${Array.from({ length: 8 }, (_, i) => `${"bcdefghi"[i]}: &${"bcdefghi"[i]} [${`*${"abcdefgh"[i]},`.repeat(9)}]`).join("\n")}`,
    "merge keys of merge keys": `a: &a {${Array.from({ length: 2_000 }, (_, i) => `k${i}: 1`).join(", ")}}\nb: [${"{<<: *a},".repeat(2_000)}]`,
    "aliases of something large": `a: &a [${"x,".repeat(10_000)}]\nb: [${"*a,".repeat(99)}]`,
    "deep nesting": "[".repeat(100_000),
    "deep nesting in blocks": Array.from({ length: 1_000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
    "deep nesting by aliases": `a: &a ${"[".repeat(40)}${"]".repeat(40)}\nb: ${"[".repeat(40)}*a${"]".repeat(40)}`,
    "a million documents": "---\n".repeat(1_000_000),
    "ten megabytes": `a: ${"x".repeat(10 * 1024 * 1024)}`,
  };
  test.each(Object.entries(bombs))("%s is refused, and quickly", (_, text) => {
    const before = process.cpuUsage();
    expect(findings(text).map((each) => each.split(":")[0])).toEqual(["TooLarge"]);
    const { user } = process.cpuUsage(before);
    expect(user / 1_000).toBeLessThan(1_000);
  });

  test("what stays inside of the limits is read", () => {
    expect(findings(`a: &a [x]\nb: [${"*a,".repeat(100)}]`)).toEqual([]);
    expect(findings(`${"[".repeat(limits.depth)}${"]".repeat(limits.depth)}`)).toEqual([]);
    expect(values("---\n".repeat(limits.documents))).toHaveLength(limits.documents);
    expect(values(`a: |\n${"  -----BEGIN\n".repeat(10_000)}`)).toHaveLength(1);
  });
});

describe("against another parser", () => {
  const scalar = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.constantFrom(
      "yes",
      "null",
      "~",
      "1",
      "0x1",
      "- a",
      "a: b",
      "#x",
      "*x",
      "&x",
      "!x",
      "<<",
      "'",
      '"',
      "",
      " ",
      "a\nb\n",
      "\t",
      "é",
      "[",
      "{",
    ),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      scalar,
      fc.array(tie("tree"), { maxLength: 4 }),
      fc.dictionary(fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom("__proto__", "<<x", "a b", "k:")), tie("tree"), { maxKeys: 4 }),
    ),
  }));

  test("what it writes we read as it does, in every style", () => {
    fc.assert(
      fc.property(
        tree,
        fc.constantFrom("PLAIN", "QUOTE_DOUBLE", "QUOTE_SINGLE", "BLOCK_LITERAL", "BLOCK_FOLDED"),
        fc.boolean(),
        (data, style, flow) => {
          const options = {
            defaultStringType: style as "PLAIN",
            collectionStyle: flow ? ("flow" as const) : ("block" as const),
            lineWidth: 40,
            version: "1.1" as const,
          };
          const text = stringify(data, options);
          const expected = parseAllDocuments(text, { version: "1.1" }) as { toJS(options: object): unknown }[];
          // biome-ignore lint/suspicious/noControlCharactersInRegex: the two parsers differ in which of these they refuse
          fc.pre(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u0085]/.test(text));
          expect(values(text)).toEqual(expected.map((each) => each.toJS({ mapAsMap: true })));
        },
      ),
      { numRuns: 2_000, seed: 7 },
    );
  });

  test("no text makes us throw, and all places lie inside of the text", () => {
    const piece = fc.constantFrom(
      "a",
      ":",
      " ",
      "\n",
      "  ",
      "- ",
      "[",
      "]",
      "{",
      "}",
      ",",
      '"',
      "'",
      "|",
      ">",
      "#",
      "&a ",
      "*a",
      "!x ",
      "?",
      "---\n",
      "\t",
      "1",
      "<<: ",
      "%",
      "\\",
      "\r\n",
      "é",
      "\u{1f600}",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = pieces.join("");
        const parsed = parseYaml(text);
        if ("failure" in parsed) {
          expect(parsed.failure.start).toBeLessThanOrEqual(text.length);
          expect(parsed.failure.message).not.toBe("");
        } else for (const { root } of parsed.documents) if (root) inside(root, text.length);
      }),
      { numRuns: 5_000, seed: 11 },
    );
  });

  function inside(node: YamlNode, length: number): void {
    expect(node.start).toBeGreaterThanOrEqual(0);
    expect(node.end).toBeGreaterThanOrEqual(node.start);
    expect(node.start).toBeLessThanOrEqual(length);
    if (node.kind === "list") for (const item of node.items) inside(item, length);
    if (node.kind === "map") for (const entry of node.entries) inside(entry.value, length);
  }
});

test("JSON as a tree has the value of the JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false } as object), (json) => {
      const plain = (each: unknown): unknown =>
        each instanceof Map
          ? Object.fromEntries([...each].map(([key, inner]) => [key, plain(inner)]))
          : Array.isArray(each)
            ? each.map(plain)
            : each;
      expect(plain(value(nodeOfJson(json)))).toEqual(JSON.parse(JSON.stringify(json)));
    }),
    { numRuns: 300, seed: 3 },
  );
});
