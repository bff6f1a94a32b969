import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import { expect, test } from "vitest";
import { fieldsOf, harmless, judged, misfitsOf, type Schema } from "./structural-schema.ts";

const text: Schema = { type: "string" };
const open = { "x-kubernetes-preserve-unknown-fields": true };
const at = (schema: Schema, value: unknown) =>
  misfitsOf({ type: "object", properties: { spec: { type: "object", properties: { x: schema } } } }, { kind: "K", spec: { x: value } }).map(
    ({ path, message }) => `${path} ${message}`,
  );

test.each<[Schema, unknown, string]>([
  [text, 5, "spec.x is an integer, and has to be a string"],
  [{ type: "integer" }, 0.5, "spec.x is a number, and has to be an integer"],
  [{ type: "integer", format: "int32" }, 2 ** 31, "spec.x is 2147483648, and has to be an int32"],
  [{ type: "integer", minimum: 0 }, -1, "spec.x is -1, and has to be 0 at least"],
  [{ type: "integer", maximum: 9 }, 10, "spec.x is 10, and may be 9 at most"],
  [{ "x-kubernetes-int-or-string": true }, true, "spec.x is a boolean, and has to be an integer or a string"],
  [{ type: "array", items: text }, ["a", {}], "spec.x[1] is an object, and has to be a string"],
  [{ type: "object", additionalProperties: text }, { a: "b", c: 1 }, "spec.x.c is an integer, and has to be a string"],
  [{ type: "object", required: ["a"], ...open }, {}, "spec.x.a is missing, and is required"],
  [{ type: "object", properties: { a: text } }, { b: 1 }, "spec.x.b is not known, and would be dropped"],
  [text, null, "spec.x is null, and may not be"],
])("%j refuses %j", (schema, value, message) => {
  expect(at(schema, value)).toEqual([message]);
});

test.each<[Schema, unknown]>([
  [{ type: "number" }, 1],
  [{ type: "string", nullable: true }, null],
  [{ "x-kubernetes-int-or-string": true, anyOf: [{ enum: ["A"] }, {}] }, "B"],
  [{ type: "object", ...open, properties: { a: text } }, { b: [1] }],
  [{ type: "object", additionalProperties: true }, { b: 1 }],
  [{ ...open }, "anything"],
])("%j takes %j", (schema, value) => {
  expect(at(schema, value)).toEqual([]);
});

test("fields are told by path, with what they have to be", () => {
  const list = {
    type: "object",
    properties: { a: { type: "array", description: "words", items: { type: "object", additionalProperties: text } } },
  };
  expect([...fieldsOf(list)]).toEqual([
    ["a", '[["type","array"]]'],
    ["a[]", '[["type","object"]]'],
    ["a[]{}", '[["type","string"]]'],
  ]);
});

test("every keyword of our definitions is known here", () => {
  const known = new Set<string>([...judged, ...harmless]);
  const unknown = new Set<string>();
  const walk = (schema: Schema) => {
    for (const keyword of Object.keys(schema)) if (!known.has(keyword)) unknown.add(keyword);
    if (schema.anyOf) expect(schema.anyOf).toContainEqual({});
    for (const each of [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties])
      if (typeof each === "object") walk(each);
  };
  const folder = join(import.meta.dirname, "../../../deploy/crds");
  for (const file of readdirSync(folder)) {
    const { spec } = load(readFileSync(join(folder, file), "utf8")) as {
      spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
    };
    for (const { schema } of spec.versions) walk(schema.openAPIV3Schema);
  }
  expect([...unknown]).toEqual([]);
});
