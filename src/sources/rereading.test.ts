import { expect, test } from "vitest";
import { locateInText } from "./locate-text.ts";
import { readText } from "./read-text.ts";
import { Rereading } from "./rereading.ts";

const upstream = (name: string, port: number, more = "") => `apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: ${name}, namespace: d}
spec: {static: {hosts: [{addr: a, port: ${port}}]}}
${more}`;

type Random = (below: number) => number;

function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Documents, and what else may stand between two separators. */
const pieces: readonly ((random: Random) => string)[] = [
  (random) => upstream(`u${random(30)}`, random(3)),
  (random) => upstream(`u${random(30)}`, random(3)),
  (random) => upstream(`u${random(30)}`, random(3), "# a comment\n\n"),
  (random) => upstream(`u${random(30)}`, random(3)).replaceAll("\n", "\r\n"),
  (random) => upstream(`u${random(30)}`, 1, "surprise: true\n"),
  (random) => upstream(`u${random(30)}`, 1, "kind: Upstream\n"),
  () => "",
  () => "# nothing but words\n",
  () => "just words\n",
  (random) => `${upstream(`u${random(30)}`, 1)}...\n${random(2) ? "# end\n" : ""}`,
  () => "a: |\n  ---\n  text\nb: '---'\n",
  () => `${upstream("anchored", 1)}x: &a [1]\ny: *a\n`,
  () => `${upstream("elsewhere", 1)}y: *a\n`,
  ...["|\n", "|+\n", "|-\n", ">\n", "", '"'].map(
    (open) => () => `${upstream("text", 1)}x: ${open}  one\n  two${open === '"' ? open : ""}\n\n\n`,
  ),
];

const oddities: readonly ((random: Random) => string)[] = [
  () => "kind: [\n",
  () => "a: {{ .Values.x }}\n",
  () => "kind: Upstream\nspec: {}\n",
  () => "a: 'open\n",
  () => "%YAML 1.2\n---\na: 1\n",
  () => "\ufeff# of a file that was joined\n",
];

function textOf(documents: readonly string[], random: Random): string {
  const separator = ["---\n", "--- \n", "---\r\n", "--- # next\n"];
  return documents.map((each, i) => (i === 0 && random(2) ? each : `${separator[random(separator.length)]}${each}`)).join("");
}

test.each([1, 2, 3, 4])("after any edits a text is read as if for the first time (seed %i)", (seed) => {
  const random = seeded(seed);
  const piece = () => (random(25) === 0 ? oddities[random(oddities.length)]! : pieces[random(pieces.length)]!)(random);
  const documents = Array.from({ length: 12 }, piece);
  const reading = new Rereading(() => ({}), 0);
  for (let round = 0; round < 150; round++) {
    for (let edits = random(3); edits >= 0; edits--) {
      const at = random(documents.length + 1);
      const how = random(4);
      if (how === 0) documents.splice(at, 0, piece());
      else if (how === 1) documents.splice(at, 1);
      else if (how === 2) documents[Math.min(at, documents.length)] = piece();
      else documents.splice(random(documents.length + 1), 0, ...documents.splice(at, 1));
    }
    const text = textOf(documents, round % 10 === 0 ? random : () => 0);
    expect(reading.read(text, "a.yaml")).toEqual(readText(text, "a.yaml"));
  }
});

test("files that were joined with their byte-order marks are read as a whole", () => {
  const text = [upstream("a", 1), "\ufeff# of another file\n", upstream("b", 1)].join("---\n");
  expect(new Rereading(() => ({}), 0).read(text, "a.yaml")).toEqual(readText(text, "a.yaml"));
});

test("objects that an edit does not touch are the very same; those behind a new one know their document", () => {
  const documents = Array.from({ length: 50 }, (_, i) => upstream(`u${i}`, i));
  const reading = new Rereading(() => ({}), 0);
  const read = () => reading.read(documents.join("---\n"), "a.yaml").resources;
  const before = read();
  documents[20] = upstream("u20", 99);
  const edited = read();
  expect(edited.filter((each, i) => each !== before[i]).map(({ ref }) => ref.name)).toEqual(["u20"]);
  documents.splice(10, 0, upstream("new", 1));
  const inserted = read();
  expect(inserted.slice(0, 10).every((each, i) => each === edited[i])).toBe(true);
  expect(inserted.map(({ origin }) => origin.document)).toEqual(documents.map((_, i) => i));
  expect(inserted[30]?.spec).toBe(edited[29]?.spec);
});

test("a file that is forgotten is read anew", () => {
  const text = `${upstream("a", 1)}---\n${upstream("b", 1)}`;
  const reading = new Rereading(() => ({}), 0);
  const [first] = reading.read(text, "a.yaml").resources;
  expect(reading.read(text, "a.yaml").resources[0]).toBe(first);
  reading.forget("a.yaml");
  expect(reading.read(text, "a.yaml").resources[0]).not.toBe(first);
});

test("places in a long text are those of the whole text", () => {
  const comment = "# of this file\n---\n";
  const text = comment + Array.from({ length: 400 }, (_, i) => `# number ${i}\n${upstream(`u${i}`, i)}`).join("---\n");
  const lines = text.split("\n");
  for (const resource of readText(text, "a.yaml").resources) {
    const line = lines.findIndex((each) => each.includes(`name: ${resource.ref.name},`)) + 1;
    expect(locateInText(text, "a.yaml", resource, "metadata.name")).toMatchObject({ line, column: 12 });
    expect(locateInText(text, "a.yaml", resource, "static.hosts[0].port")).toMatchObject({ line: line + 1, column: 35 });
  }
});

test("an object that is there twice in a long text is found where it was read, also behind comments", () => {
  const objects = Array.from({ length: 400 }, (_, i) => upstream(i === 6 ? "u5" : `u${i}`, i)).join("---\n");
  for (const head of ["", "# of this file\n---\n"]) {
    const text = head + objects;
    const places = readText(text, "a.yaml").resources.map((resource) => locateInText(text, "a.yaml", resource, "static.hosts[0].port"));
    const lines = text.split("\n").flatMap((line, i) => (line.includes("port: ") ? [i + 1] : []));
    expect(places.map((place) => place?.line)).toEqual(lines);
  }
});
