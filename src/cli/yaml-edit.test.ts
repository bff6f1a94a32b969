import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { appendToYaml, editYaml, removeFromYaml } from "./yaml-edit.ts";

const wanted = { kind: "VirtualService", namespace: "shop", name: "pets" };
const routes = ["virtualHost", "routes"];
const insert = (at: number, item: unknown = { name: "new" }) => ({ list: routes, change: { kind: "insert", at, item } as const });
const remove = (at: number) => ({ list: routes, change: { kind: "remove", at } as const });

const head = `# The shop.
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: pets, namespace: shop}   # ours
spec:
  virtualHost:
    domains: ['*']
`;
const block = `${head}    routes:
      # the first
      - name: a   # A
        matchers: [{prefix: /a}]

      # the second
      - name: b
  # behind
  displayName: "x"
`;

test("a route goes between others, and nothing else in the file changes", () => {
  expect(editYaml(block, wanted, insert(1))).toBe(block.replace("      # the second\n", "      - name: new\n      # the second\n"));
  expect(editYaml(block, wanted, insert(0))).toBe(block.replace("      # the first\n", "      - name: new\n      # the first\n"));
  expect(editYaml(block, wanted, insert(2))).toBe(block.replace("      - name: b\n", "      - name: b\n      - name: new\n"));
  const last = `${head}    routes:\n    - name: a`;
  expect(editYaml(last, wanted, insert(1, { x: { y: [1] } }))).toBe(`${last}\n    - x:\n        y:\n          - 1\n`);
});

test("lines end as the others do", () => {
  const windows = (text: string) => text.replaceAll("\n", "\r\n");
  expect(editYaml(windows(block), wanted, insert(2))).toBe(windows(editYaml(block, wanted, insert(2)) as string));
});

test("a list whose items others refer to is left to a person", () => {
  const anchored = `${head}    routes:\n      - &a {name: a}\n      - name: b\n  x: *a\n`;
  expect(editYaml(anchored, wanted, remove(0))).toBeUndefined();
  expect(editYaml(anchored, wanted, remove(1))).toBe(anchored.replace("      - name: b\n", ""));
});

test("a route goes out with its comments", () => {
  expect(editYaml(block, wanted, remove(0))).toBe(`${head}    routes:
      # the second
      - name: b
  # behind
  displayName: "x"
`);
  expect(editYaml(block, wanted, remove(1))).toBe(block.replace("      # the second\n      - name: b\n", ""));
});

test("a list in one line stays in one line", () => {
  const flow = (list: string) => `${head}    routes: ${list}   # all\n`;
  expect(editYaml(flow("[{name: a}, {name: b}]"), wanted, insert(1))).toBe(flow("[{name: a}, { name: new }, {name: b}]"));
  expect(editYaml(flow("[{name: a}]"), wanted, insert(1))).toBe(flow("[{name: a}, { name: new }]"));
  expect(editYaml(flow("[]"), wanted, insert(0))).toBe(flow("[{ name: new }]"));
  expect(editYaml(flow("[{name: a}, {name: b}]"), wanted, remove(1))).toBe(flow("[{name: a}]"));
  expect(editYaml(flow("[{name: a}]"), wanted, remove(0))).toBe(flow("[]"));
});

test("where there is no list yet, or it becomes empty, comments are kept", () => {
  const text = editYaml(head, wanted, insert(0)) ?? "";
  expect(text).toContain("# The shop.\n");
  expect(text).toContain("# ours\n");
  expect(text).toContain("    routes:\n      - name: new\n");
  const emptied = editYaml(`${head}    routes:\n      - name: a # A\n`, wanted, remove(0)) ?? "";
  expect(emptied).toContain("    routes: []\n");
  expect(emptied).toContain("# The shop.\n");
});

test("one document of many, one item of a List, an object of Gloo's file mode", () => {
  const other = "# other\nkind: Upstream\nmetadata: {name: pets}\n";
  const both = `${other}---\n${block}---\n${other}`;
  expect(editYaml(both, wanted, insert(0))).toBe(`${other}---\n${editYaml(block, wanted, insert(0))}---\n${other}`);
  const list = `kind: List\napiVersion: v1\nitems:\n${block.replaceAll(/^/gm, "  ").replace("  # The shop.\n  api", "- api").trimEnd()}\n`;
  expect(parseAllDocuments(editYaml(list, wanted, insert(0)) ?? "")[0]?.toJS().items[0].spec.virtualHost.routes[0]).toEqual({
    name: "new",
  });
  const file = "metadata: {name: pets, namespace: shop}\nvirtual_host:\n  routes:\n  - name: a\n";
  expect(editYaml(file, wanted, insert(1))).toBe(`${file}  - name: new\n`);
  expect(editYaml(both, { ...wanted, name: "nobody" }, insert(0))).toBeUndefined();
});

test("an object is taken out of a file with others, and its neighbours stay as they are", () => {
  const other = "# other\nkind: Upstream\nmetadata: {name: pets}\n";
  expect(removeFromYaml(`${other}---\n${block}---\n${other}`, wanted)).toBe(`${other}---\n${other}`);
  expect(removeFromYaml(`${block}---\n${other}`, wanted)).toBe(other);
  expect(removeFromYaml(`${other}---\n${block}`, wanted)).toBe(other);
  expect(removeFromYaml(block, wanted)).toBe("");
  expect(removeFromYaml(`---\n${block}`, wanted)).toBe("");
  const list =
    "items:\n  - kind: VirtualService\n    metadata: {name: pets, namespace: shop}\n  - kind: Upstream # U\n    metadata: {name: a}\n";
  expect(removeFromYaml(list, wanted)).toBe("items:\n  - kind: Upstream # U\n    metadata: {name: a}\n");
});

test("an object is added as a document of its own", () => {
  expect(appendToYaml("a: 1 # one", { b: 2 })).toBe("a: 1 # one\n---\nb: 2\n");
  expect(appendToYaml("", { b: 2 })).toBe("b: 2\n");
});
