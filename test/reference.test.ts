import { posix } from "node:path";
import { expect, test } from "vitest";
import { apiTable, ourRegistry } from "../scripts/dump-api.ts";
import { splitDefault } from "../scripts/reference/comment.ts";
import { undocumented } from "../scripts/reference/coverage.ts";
import { optionsWithoutCase } from "../scripts/reference/options.ts";
import { referenceOf, slug } from "../scripts/reference/types.ts";
import { differences, pages, written } from "../scripts/reference.ts";

const registry = ourRegistry();
const reference = referenceOf(registry, apiTable(registry));
const wanted = pages(reference);

test("docs/reference is what the protos say", () => {
  expect(differences(wanted, written()), "npm run reference").toEqual([]);
});

test("every type, field and value that a user can write has a comment", () => {
  const fields = reference.files.flatMap((file) => reference.typesOf(file)).flatMap((type) => (type.kind === "message" ? type.fields : []));
  expect(fields.length).toBeGreaterThan(2000);
  expect(undocumented(reference)).toEqual([]);
});

test("every option has a test that observes it, or that its user is told that it has no effect", () => {
  expect(optionsWithoutCase(reference)).toEqual([]);
});

test("every link leads to a heading of our own pages, or to Envoy's documentation", () => {
  const headings = new Map([...wanted].map(([path, text]) => [path, headingsOf(text)]));
  const links = [...wanted].flatMap(([path, text]) => linksOf(text).map((target) => ({ path, target })));
  const broken = links.filter(({ path, target }) => {
    if (/^https?:/.test(target)) return !target.startsWith("https://www.envoyproxy.io/docs/envoy/latest/");
    const [page, anchor] = target.split("#") as [string, string | undefined];
    const found = headings.get(page === "" ? path : posix.join(posix.dirname(path), page));
    return !found || (anchor !== undefined && !found.includes(anchor));
  });
  expect(links.length).toBeGreaterThan(2000);
  expect(broken).toEqual([]);
});

test("no two headings of a page have the same anchor", () => {
  for (const [path, text] of wanted) {
    const anchors = headingsOf(text);
    expect(new Set(anchors).size, path).toBe(anchors.length);
  }
});

test("tables have as many cells in every row", () => {
  for (const [path, text] of wanted) {
    for (const table of text.match(/(^\|.*\n)+/gm) ?? []) {
      const cells = table
        .trim()
        .split("\n")
        .map((row) => row.match(/(?<!\\)\|/g)!.length);
      expect(new Set(cells).size, `${path}: ${table.slice(0, 200)}`).toBe(1);
    }
  }
});

test("a default is told apart from the rest of the comment", () => {
  expect(splitDefault("How long it may take. Default: 1.5s. `0s` turns it off.")).toEqual({
    description: "How long it may take. `0s` turns it off.",
    byDefault: "1.5s",
  });
  expect(splitDefault("Default: `a.b` of the Settings, else 5.")).toEqual({ description: "", byDefault: "`a.b` of the Settings, else 5" });
  expect(splitDefault("Name of the header.")).toEqual({ description: "Name of the header.", byDefault: "" });
});

function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
}

function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map((match) => slug(match[1]!));
}
