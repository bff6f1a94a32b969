import { toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { TransformationTemplateSchema } from "../../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/transformation/transformation_pb.js";
import { bestOfThree, cpuMs } from "../../lib/testing/bestOf.ts";
import { parseTemplate } from "../../template/parse.ts";
import { readDocument } from "./document.ts";
import { restFunctionsOf } from "./templates.ts";

function functionsIn(document: unknown): Record<string, unknown> {
  const read = readDocument(typeof document === "string" ? document : JSON.stringify(document));
  if (read === undefined) throw new Error("no document");
  const { transformations } = restFunctionsOf(read);
  return Object.fromEntries(Object.entries(transformations).map(([name, each]) => [name, toJson(TransformationTemplateSchema, each)]));
}

const till = {
  swagger: "2.0",
  basePath: "/api",
  paths: {
    "/items": {
      get: {
        operationId: "listItems",
        parameters: [
          { name: "page", in: "query" },
          { name: "x-tier", in: "header" },
        ],
      },
      post: { operationId: "addItem", parameters: [{ name: "item", in: "body", schema: { $ref: "#/definitions/Item" } }] },
    },
    "/items/{id}": { parameters: [{ name: "id", in: "path" }], get: { operationId: "getItem" }, delete: {} },
  },
  definitions: { Item: { properties: { name: { type: "string" }, count: { type: "integer", default: 3 }, tags: { type: "array" } } } },
};

test("a Swagger 2 document becomes functions in Gloo's form", () => {
  expect(functionsIn(till)).toEqual({
    listItems: {
      headers: {
        ":method": { text: "GET" },
        ":path": { text: '/api/items?page={{default(page, "")}}' },
        "content-length": { text: "0" },
        "content-type": {},
        "transfer-encoding": {},
        "x-tier": { text: '{{default(x-tier, "")}}' },
      },
      body: {},
    },
    getItem: {
      headers: {
        ":method": { text: "GET" },
        ":path": { text: '/api/items/{{ default(id, "") }}' },
        "content-length": { text: "0" },
        "content-type": {},
        "transfer-encoding": {},
      },
      body: {},
    },
    "delete.items.{id}": {
      headers: {
        ":method": { text: "DELETE" },
        ":path": { text: '/api/items/{{ default(id, "") }}' },
        "content-type": { text: "application/json" },
      },
    },
    addItem: {
      headers: { ":method": { text: "POST" }, ":path": { text: "/api/items" }, "content-type": { text: "application/json" } },
      body: {
        text: '{"count": {{ default(count, "3") }},"name": "{{ raw_string(default(name, "")) }}","tags": {{ default(tags, "null") }}}',
      },
    },
  });
});

test("OpenAPI 3 in YAML: servers with variables, bodies by reference, allOf", () => {
  const functions = functionsIn(`
openapi: 3.1.0
servers: [{url: "https://{host}/v{n}/", variables: {host: {default: shop.test}, n: {default: "2"}}}]
paths:
  /pets/{pet-id}:
    put:
      operationId: putPet
      requestBody: {$ref: "#/components/requestBodies/Pet"}
  /upload: {post: {requestBody: {content: {text/plain: {schema: {type: string}}}}}}
components:
  requestBodies: {Pet: {content: {application/json: {schema: {allOf: [{$ref: "#/components/schemas/Named"}, {properties: {age: {type: [integer, "null"]}}}]}}}}}
  schemas: {Named: {properties: {name: {type: string, default: 'R"x'}}}}
`);
  expect(functions).toMatchObject({
    putPet: {
      headers: { ":path": { text: '/v2/pets/{{ default(pet-id, "") }}' } },
      body: { text: '{"age": {{ default(age, "null") }},"name": "{{ raw_string(default(name, "R\\"x")) }}"}' },
    },
    "post.upload": { passthrough: {} },
  });
});

test("what is no such document is none", () => {
  for (const text of [
    "",
    "{",
    "<html></html>",
    "null",
    "[1]",
    "hello",
    '{"swagger": "1.2", "paths": {}}',
    '{"openapi": "3.0.0"}',
    "\u0000",
    "a: [",
    "{".repeat(100_000),
  ])
    expect(readDocument(text), text.slice(0, 20)).toBeUndefined();
});

test("references lead nowhere but into the document, and circles end", () => {
  const get = (extra: object) => ({ get: { operationId: "a", ...extra } });
  const document = {
    swagger: "2.0",
    paths: {
      "/far": { $ref: "http://169.254.169.254/latest" },
      "/file": { $ref: "file:///etc/passwd" },
      "/up": { $ref: "../../x.json#/a" },
      "/circle": { $ref: "#/x/a" },
      "/self": { post: { operationId: "self", parameters: [{ in: "body", name: "b", schema: { $ref: "#/definitions/Self" } }] } },
      "/proto": { $ref: "#/__proto__/constructor" },
      "/fine": get({ parameters: [{ $ref: "#/parameters/q" }, { $ref: "#/parameters/none" }] }),
    },
    x: { a: { $ref: "#/x/b" }, b: { $ref: "#/x/a" } },
    parameters: { q: { in: "query", name: "q" } },
    definitions: { Self: { allOf: [{ $ref: "#/definitions/Self" }], properties: { n: { type: "string" } } } },
  };
  expect(functionsIn(document)).toMatchObject({ a: { headers: { ":path": { text: '/fine?q={{default(q, "")}}' } } }, self: {} });
});

test("names and parameters are made harmless; two of one name are both there", () => {
  const evil = 'a", header("x-secret")) }}{{ default(b';
  const document = {
    swagger: "2.0",
    paths: {
      "/a": {
        get: {
          operationId: "__proto__",
          parameters: [
            { in: "query", name: evil },
            { in: "header", name: "transfer-encoding" },
            { in: "header", name: ":path" },
          ],
        },
      },
      "/b": { get: { operationId: "../../x" } },
      "/c": { get: { operationId: "n".repeat(10_240) } },
      "/d": { get: { operationId: "twice" } },
      "/e": { get: { operationId: "twice" } },
      [`/f/{${evil}}`]: { get: { operationId: "f" } },
      "/g/{{ body() }}": { get: { operationId: "g" } },
      "/h i": { get: { operationId: "h" } },
    },
  };
  const functions = functionsIn(document);
  expect(Object.keys(functions).sort()).toEqual(["get.a", ".__.__x", "n".repeat(128), "twice", "get.e"].sort());
  const templates = Object.values(functions as Record<string, { headers: Record<string, { text?: string }> }>).flatMap((each) =>
    Object.values(each.headers),
  );
  for (const { text = "" } of templates) parseTemplate(text);
  expect(functions["get.a"]).toMatchObject({ headers: { ":path": { text: "/a" }, "transfer-encoding": {} } });
});

test("a document with a million paths costs a thousand functions, and not long", bestOfThree, () => {
  const paths = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`/p${i}`, { get: {} }]));
  const before = cpuMs();
  const read = readDocument(JSON.stringify({ swagger: "2.0", paths }));
  expect(read?.operations).toHaveLength(1_000);
  expect(read?.leftOut).toEqual(["functions after the first 1000"]);
  expect(cpuMs() - before).toBeLessThan(2_000);
});

test("a YAML bomb does not go off", bestOfThree, () => {
  const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`).join("\n");
  const before = cpuMs();
  const read = readDocument(`swagger: "2.0"\na0: &a0 x\n${levels}\npaths: {/a: {get: {parameters: *a30}}}\n`);
  expect(cpuMs() - before).toBeLessThan(1_000);
  expect(read === undefined || read.operations.length === 1).toBe(true);
});
