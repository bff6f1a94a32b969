// The decoder against protobuf-es' own strict one: what that takes, we take in the same sense; what we take can be encoded.
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  ScalarType,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { type ApiKind, kinds } from "../model/resource.ts";
import { apiTypes } from "./any-types.ts";
import { apiKinds } from "./object-kind.ts";
import { readText } from "./read-text.ts";

type Random = (below: number) => number;

function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const words = ["a", "x-y", "no", "010", "1.5", "*", "a: b", "é", "__proto__", "null", "# c", "", "~", "true", "{{", "on"];

/** A random message in proto-JSON; with `wild`, some values are of another type than they should be. */
function messageJson(desc: DescMessage, random: Random, depth: number, wild: boolean): JsonObject {
  const json: JsonObject = {};
  const taken = new Set<string>();
  for (const field of desc.fields) {
    if (["metadata", "status", "namespacedStatuses", "reporterStatus"].includes(field.jsonName) && depth === 0) continue;
    if (random(3) !== 0 || (field.oneof && taken.has(field.oneof.name))) continue;
    if (field.message && depth > 4) continue;
    if (field.oneof) taken.add(field.oneof.name);
    json[wild && random(4) === 0 ? field.name : field.jsonName] =
      wild && random(10) === 0 ? wildJson(random) : fieldJson(field, random, depth, wild);
  }
  if (wild && random(20) === 0) json[words[random(words.length)]!] = wildJson(random);
  return json;
}

function wildJson(random: Random): JsonValue {
  const all: JsonValue[] = [null, true, 0, -1, 1.5, 1e300, "", "yes", [], [null], {}, { a: [{}] }, "5s", "1m", "9e3", [[1]], 77, "\ud800"];
  return all[random(all.length)]!;
}

function fieldJson(field: DescField, random: Random, depth: number, wild: boolean): JsonValue {
  switch (field.fieldKind) {
    case "list":
      return Array.from({ length: random(3) }, () => valueJson(field, random, depth, wild));
    case "map":
      return Object.fromEntries(
        Array.from({ length: random(3) }, (_, i) => [
          field.mapKey === ScalarType.STRING ? `k${i}` : `${i}`,
          valueJson(field, random, depth, wild),
        ]),
      );
    default:
      return valueJson(field, random, depth, wild);
  }
}

function valueJson(field: DescField, random: Random, depth: number, wild: boolean): JsonValue {
  if (field.message) return wellKnownJson(field.message, random) ?? messageJson(field.message, random, depth + 1, wild);
  if (field.enum) return field.enum.values[random(field.enum.values.length)]!.name;
  return scalarJson(field.scalar!, random);
}

function wellKnownJson(desc: DescMessage, random: Random): JsonValue | undefined {
  if (isWrapperDesc(desc)) return scalarJson(desc.fields[0]!.scalar!, random);
  switch (desc.typeName) {
    case "google.protobuf.Duration":
      return ["5s", "1.5s", "-0.25s", "0s", "0.000000001s"][random(5)]!;
    case "google.protobuf.Timestamp":
      return "2026-11-23T10:00:00Z";
    case "google.protobuf.Any":
      return { "@type": "type.googleapis.com/core.solo.io.ResourceRef", name: words[random(words.length)]! };
    case "google.protobuf.Struct":
      return { a: [1, "no", { b: null }], c: true };
    case "google.protobuf.Value":
      return [null, 1, "x", [], {}][random(5)]!;
    case "google.protobuf.ListValue":
      return [1, "x", null];
    default:
      return undefined;
  }
}

function scalarJson(type: ScalarType, random: Random): JsonValue {
  switch (type) {
    case ScalarType.STRING:
      return words[random(words.length)]!;
    case ScalarType.BOOL:
      return random(2) === 0;
    case ScalarType.BYTES:
      return ["", "aGk=", "/+8="][random(3)]!;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return [0, 1.5, -2, 1e10, "NaN", "Infinity"][random(6)]!;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return ["0", "9007199254740993", 12][random(3)]!;
    default:
      return [0, 1, 65_535, 2_147_483_647][random(4)]!;
  }
}

function read(kind: ApiKind, spec: JsonObject) {
  const { group, version } = kinds[kind];
  const [resource] = readText(
    JSON.stringify({ apiVersion: `${group}/${version}`, kind, metadata: { name: "a" }, spec }),
    "f.json",
  ).resources;
  return resource!;
}

describe.each(apiKinds)("%s", (kind) => {
  const { schema } = kinds[kind];
  const registry = apiTypes();

  test("what protobuf's own parser takes is taken in the same sense", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const json = messageJson(schema, seeded(seed), 0, false);
      const resource = read(kind, json);
      expect(resource.problems.filter((each) => each.severity === "error")).toEqual([]);
      expect(Buffer.from(toBinary(schema, resource.spec as never))).toEqual(
        Buffer.from(toBinary(schema, fromJson(schema, json, { registry }))),
      );
    }
  });

  test("what is printed is read back the same, without a warning", () => {
    for (let seed = 41; seed <= 60; seed++) {
      const { spec } = read(kind, messageJson(schema, seeded(seed), 0, false));
      const again = read(kind, toJson(schema, spec as never, { registry }) as JsonObject);
      expect(again.problems.filter((each) => each.reason !== "OldFieldNotConverted")).toEqual([]);
      expect(Buffer.from(toBinary(schema, again.spec as never))).toEqual(Buffer.from(toBinary(schema, spec as never)));
    }
  });

  test("nothing makes the reader throw, and what it lets through can be encoded", () => {
    for (let seed = 61; seed <= 160; seed++) {
      const resource = read(kind, messageJson(schema, seeded(seed), 0, true));
      if (resource.spec) toBinary(schema, resource.spec as never);
      for (const problem of resource.problems) expect(problem).toMatchObject({ message: expect.stringMatching(/./), at: { line: 1 } });
    }
  });
});
