// Whatever a file looks like: an edit does what it should and nothing else, or nothing.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { edited, type ListEdit } from "./list-edit.ts";
import { appendToYaml, editYaml, removeFromYaml } from "./yaml-edit.ts";

const runs = process.env.HEADWORKS_LONG === "1" ? 4000 : 100;

const wanted = { kind: "VirtualService", namespace: "shop", name: "pets" };
const text = fc.constantFrom(
  "a",
  "/",
  "",
  "# no comment",
  "- x",
  "a: b",
  "1",
  "true",
  "long ".repeat(40),
  "two\nlines\n",
  "'",
  '"',
  "ü",
  "  indented\n",
);
const leaf = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.dictionary(fc.constantFrom("p", "q", "r s"), leaf, { maxKeys: 3 }));
const route = fc.record(
  { name: text, matchers: fc.array(fc.dictionary(fc.constantFrom("prefix", "exact"), value), { maxLength: 2 }) },
  { requiredKeys: [] },
);
const layout = fc.record({
  indent: fc.constantFrom(2, 3, 4),
  indentSeq: fc.boolean(),
  collectionStyle: fc.constantFrom("any" as const, "flow" as const),
  lineWidth: fc.constantFrom(0, 40),
});

/** Comments between and behind lines, blank lines, other line ends. */
function decorated(yaml: string, choices: readonly number[], isWindows: boolean): string {
  let inBlock = false;
  const lines = yaml.split("\n").flatMap((line, index) => {
    // Within a text of several lines a comment would be text.
    if (/[|>][-+\d]*$/.test(line)) inBlock = true;
    else if (inBlock && /^\s*[\w-]+:|^\s*- /.test(line)) inBlock = false;
    const choice = choices[index % choices.length] ?? 0;
    if (inBlock || choice === 0 || !/^\s*(- )?[a-zA-Z]+:( [\w/]+)?$/.test(line)) return [line];
    const indent = /^ */.exec(line)?.[0] ?? "";
    return choice === 1 ? [`${indent}# above ${index}`, line] : choice === 2 ? ["", line] : [`${line}   # behind ${index}`];
  });
  return lines.join(isWindows ? "\r\n" : "\n");
}

const world = fc.record({
  routes: fc.option(fc.array(route, { maxLength: 4 }), { nil: undefined }),
  layout,
  choices: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 7 }),
  isWindows: fc.boolean(),
  before: fc.boolean(),
  after: fc.boolean(),
});

const neighbour = "# neighbour\nkind: Upstream\nmetadata: {name: pets, namespace: shop}   # kept\n";
const jsonOf = (yaml: string) => parseAllDocuments(yaml, { logLevel: "error" }).map((each) => each.toJS() as unknown);

function textOf(given: {
  routes: unknown[] | undefined;
  layout: object;
  choices: number[];
  isWindows: boolean;
  before: boolean;
  after: boolean;
}): string {
  const object = {
    apiVersion: "gateway.solo.io/v1",
    kind: "VirtualService",
    metadata: { name: "pets", namespace: "shop" },
    spec: { virtualHost: { domains: ["*"], ...(given.routes && { routes: given.routes }) }, displayName: "x" },
  };
  const own = decorated(stringify(object, given.layout), given.choices, given.isWindows);
  return [...(given.before ? [neighbour] : []), own, ...(given.after ? [neighbour] : [])].join("---\n");
}

const commentsOf = (yaml: string) => yaml.match(/# (above|behind) \d+|# neighbour|# kept/g) ?? [];

test("an item goes in where it should, and no comment is lost", () => {
  fc.assert(
    fc.property(world, route, fc.nat(5), (given, drawn, at) => {
      const item = JSON.parse(JSON.stringify(drawn)) as unknown;
      const before = textOf(given);
      const documents = jsonOf(before);
      const index = given.before ? 1 : 0;
      const edit: ListEdit = {
        list: ["virtualHost", "routes"],
        change: { kind: "insert", at: Math.min(at, given.routes?.length ?? 0), item },
      };
      const after = editYaml(before, wanted, edit) as string;
      expect(jsonOf(after)).toEqual(documents.with(index, edited(documents[index], edit)));
      expect(commentsOf(after).sort()).toEqual(commentsOf(before).sort());
      // And out again: what it was.
      const back = editYaml(after, wanted, { ...edit, change: { kind: "remove", at: edit.change.at } }) as string;
      const expected =
        given.routes === undefined ? edited(documents[index], { ...edit, change: { kind: "remove", at: 99 } }) : documents[index];
      expect(jsonOf(back)).toEqual(documents.with(index, expected));
    }),
    { numRuns: runs },
  );
});

test("an object goes out, and its neighbours stay byte for byte", () => {
  fc.assert(
    fc.property(world, (given) => {
      const before = textOf(given);
      const rest = removeFromYaml(before, wanted) as string;
      const neighbours = [...(given.before ? [neighbour] : []), ...(given.after ? [neighbour] : [])];
      expect(rest).toBe(neighbours.join("---\n"));
      expect(jsonOf(appendToYaml(before, { a: 1 }))).toEqual([...jsonOf(before), { a: 1 }]);
    }),
    { numRuns: runs / 2 },
  );
});
