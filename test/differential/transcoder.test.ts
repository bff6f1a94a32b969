// JSON to gRPC and back in the embedded data plane and in Envoy: the same calls, the same answers.

import type { ServerHttp2Stream } from "node:http2";
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  setExtension,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  file_google_protobuf_timestamp,
  FieldDescriptorProto_Label as Label,
  type MethodDescriptorProtoSchema,
  MethodOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Http2Request, type Http2TestUpstream, http2Upstream } from "../../src/dataplane/testing/http2.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { GrpcJsonTranscoderSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import { http } from "../../src/gen/envoy/google/api/annotations_pb.js";
import type { HttpRule, HttpRuleSchema } from "../../src/gen/envoy/google/api/http_pb.js";
import { differencesOf, hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

type TranscoderInit = Exclude<MessageInitShape<typeof GrpcJsonTranscoderSchema>, { $typeName: string }>;

const field = (name: string, number: number, type: Type, more: object = {}) => ({
  name,
  number,
  jsonName: name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
  label: Label.OPTIONAL,
  type,
  ...more,
});
const message = (name: string, number: number, typeName: string, more: object = {}) =>
  field(name, number, Type.MESSAGE, { typeName, ...more });

const repeated = { label: Label.REPEATED };

type Rule = Exclude<MessageInitShape<typeof HttpRuleSchema>, HttpRule>;

function method(
  name: string,
  rule: MessageInitShape<typeof HttpRuleSchema> | undefined,
  more: object = {},
): MessageInitShape<typeof MethodDescriptorProtoSchema> {
  const options = create(MethodOptionsSchema);
  if (rule !== undefined) setExtension(options, http, create(http.message as never, rule as never) as never);
  return { name, inputType: ".shop.v1.Book", outputType: ".shop.v1.Book", options, ...more };
}

const get = (value: string): Rule => ({ pattern: { case: "get", value } });
const post = (value: string, body = "*"): Rule => ({ pattern: { case: "post", value }, body });

const files = create(FileDescriptorSetSchema, {
  file: [
    file_google_protobuf_timestamp.proto,
    {
      name: "google/api/httpbody.proto",
      package: "google.api",
      syntax: "proto3",
      messageType: [{ name: "HttpBody", field: [field("content_type", 1, Type.STRING), field("data", 2, Type.BYTES)] }],
    },
    {
      name: "shop.proto",
      package: "shop.v1",
      syntax: "proto3",
      dependency: ["google/protobuf/timestamp.proto", "google/api/httpbody.proto"],
      enumType: [{ name: "Genre", value: ["NONE", "CRIME", "POETRY"].map((name, number) => ({ name, number })) }],
      messageType: [
        { name: "Author", field: [field("full_name", 1, Type.STRING), field("age", 2, Type.UINT32)] },
        {
          name: "Book",
          field: [
            field("id", 1, Type.STRING),
            field("pages", 2, Type.INT32),
            field("stock", 3, Type.INT64),
            field("sold", 4, Type.BOOL),
            field("genre", 5, Type.ENUM, { typeName: ".shop.v1.Genre" }),
            field("tags", 6, Type.STRING, repeated),
            message("author", 7, ".shop.v1.Author"),
            field("price", 8, Type.DOUBLE),
            field("cover", 9, Type.BYTES),
            message("printed_at", 10, ".google.protobuf.Timestamp"),
            message("more", 11, ".shop.v1.Author", repeated),
            field("long_title", 12, Type.STRING),
            field("sizes", 13, Type.INT32, repeated),
            field("weight", 14, Type.FLOAT),
            field("sku", 15, Type.UINT64),
            message("file", 16, ".google.api.HttpBody"),
          ],
        },
      ],
      service: [
        {
          name: "Books",
          method: [
            method("Get", { ...get("/v1/books/{id}"), additionalBindings: [get("/v2/{author.full_name}/books/{id}"), get("/v2/first")] }),
            method("Shelf", get("/v1/{id=shelves/*/books/*}")),
            method("File", get("/v1/files/{id=**}")),
            method("Create", post("/v1/books")),
            method("SetAuthor", { pattern: { case: "put", value: "/v1/books/{id}/author" }, body: "author" }),
            method("SetTags", { pattern: { case: "patch", value: "/v1/books/{id}/tags" }, body: "tags" }),
            method("Archive", post("/v1/books/{id}:archive")),
            method("Remove", { pattern: { case: "delete", value: "/v1/books/{id}" } }),
            method("Look", { pattern: { case: "custom", value: { kind: "LOOK", path: "/v1/look/*" } } }),
            method("List", get("/v1/list/{pages}"), { serverStreaming: true }),
            method("Put", post("/v1/put"), { clientStreaming: true }),
            method("Fail", get("/v1/fail/{pages}")),
            method("FailLate", get("/v1/late/{pages}")),
            method("Broken", get("/v1/broken/{pages}")),
            method("BrokenStream", get("/v1/breaking/{pages}"), { serverStreaming: true }),
            method("FailStream", get("/v1/failing/{pages}"), { serverStreaming: true }),
            method("Upload", post("/v1/upload/{id}", "file")),
            method("Raw", post("/v1/raw"), { inputType: ".google.api.HttpBody" }),
            method("Download", get("/v1/download/{id}"), { outputType: ".google.api.HttpBody" }),
            method("Plain", undefined),
          ],
        },
      ],
    },
  ],
});

const set = toBinary(FileDescriptorSetSchema, files);
const Book = createFileRegistry(files).getMessage("shop.v1.Book") as DescMessage;

/** Each message, and as bytes in the one order. */
function messagesIn(body: Buffer): { readonly told: string; readonly frame: Buffer }[] {
  const found: { told: string; frame: Buffer }[] = [];
  for (let at = 0; at + 5 <= body.length; at += 5 + body.readUInt32BE(at + 1)) {
    const message = fromBinary(Book, body.subarray(at + 5, at + 5 + body.readUInt32BE(at + 1)));
    const bytes = Buffer.from(toBinary(Book, message));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    found.push({ told: encodeURI(toJsonString(Book, message)), frame: Buffer.concat([head, bytes]) });
  }
  return found;
}

const filter = "envoy.filters.http.grpc_json_transcoder";
const transcoder = (more: TranscoderInit = {}) =>
  packAny(GrpcJsonTranscoderSchema, {
    descriptorSet: { case: "protoDescriptorBin", value: set },
    services: ["shop.v1.Books"],
    matchIncomingRequestRoute: true,
    ...more,
  } as never);
const routes = (perFilter: Readonly<Record<string, ReturnType<typeof packAny>>> = {}): RouteInit[] => [
  toRoute("/dead", {}, {}, "dead"),
  toRoute("/v1/files/dead", perFilter, {}, "dead"),
  toRoute("/http1", perFilter),
  toRoute("/", perFilter, {}, "grpc"),
];
const listed = (config: ReturnType<typeof packAny>) => [{ name: filter, config }];
const managers = [
  managerWith(listed(transcoder()), routes()),
  managerWith(
    listed(
      transcoder({
        autoMapping: true,
        convertGrpcStatus: true,
        ignoreUnknownQueryParameters: true,
        caseInsensitiveEnumParsing: true,
        printOptions: {
          alwaysPrintPrimitiveFields: true,
          alwaysPrintEnumsAsInts: true,
          preserveProtoFieldNames: true,
          addWhitespace: true,
        },
      }),
    ),
    routes(),
  ),
  managerWith(
    listed(
      transcoder({
        ignoredQueryParameters: ["key"],
        queryParamUnescapePlus: true,
        urlUnescapeSpec: 2,
        requestValidationOptions: { rejectUnknownMethod: true, rejectUnknownQueryParameters: true, rejectBindingBodyFieldCollisions: true },
        printOptions: { streamNewlineDelimited: true },
      }),
    ),
    routes(),
  ),
  managerWith(
    [{ name: filter, config: transcoder({ services: [] }), disabled: true }],
    routes({ [filter]: transcoder({ matchIncomingRequestRoute: false, printOptions: { streamSseStyleDelimited: true } }) }),
  ),
];

function answer(stream: ServerHttp2Stream, { path, body, headers }: Http2Request): void {
  if (path.endsWith("/Download") || path.endsWith("/Raw")) {
    answerBytes(stream, path, Buffer.from(body, "latin1"));
    return;
  }
  const isCall = headers.some(([name, value]) => name === "te" && value === "trailers");
  const messages = isCall ? messagesIn(Buffer.from(body, "latin1")) : [];
  const told = headers.filter(([name]) => !/^(x-request-id|x-forwarded|x-envoy-expected)/.test(name)).map((each) => each.join("="));
  const asked = [path, ...told.sort(), ...messages.map((each) => each.told)].join(" ");
  const head = [":status", "200", "content-type", "application/grpc", "x-asked", asked];
  const name = path.slice(path.lastIndexOf("/") + 1);
  const first = messages[0]?.frame ?? Buffer.alloc(5);
  const pages = first[5] === 0x10 ? (first[6] as number) : 0;
  if (name === "Fail") {
    stream.respond([...head, "grpc-status", String(pages), "grpc-message", "no%2C never"] as never, { endStream: true });
    return;
  }
  stream.respond(head as never, { waitForTrailers: true });
  const isFailing = name === "FailLate" || name === "FailStream";
  stream.on("wantTrailers", () =>
    stream.sendTrailers(isFailing ? { "grpc-status": String(pages), "grpc-message": "too late" } : { "grpc-status": "0" }),
  );
  if (name === "List") for (let i = 0; i < pages; i++) stream.write(first);
  if (name === "FailStream") stream.write(first);
  if (name.startsWith("Broken")) {
    if (pages === 5) stream.write(first);
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x7f])); // a text that goes on after the end
    return;
  }
  stream.end(isFailing || name === "List" ? undefined : first);
}

/** What is no Book. */
function answerBytes(stream: ServerHttp2Stream, path: string, asked: Buffer): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc", "x-asked": asked.toString("hex") }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  const message = path.endsWith("/Raw") ? "" : "\n\ttext/html\x12\x06<html>";
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, Buffer.from(message, "latin1")]));
}

const send = (line: string, body: unknown, headers: readonly string[] = []) => {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const bytes = Buffer.from(text).toString("latin1");
  return request(line, ["X-Request-Id: 1", "Content-Type: application/json", `Content-Length: ${bytes.length}`, ...headers], bytes);
};
const ask = (line: string, headers: readonly string[] = []) => request(line, ["X-Request-Id: 1", ...headers]);

const everything = {
  id: "a<b>",
  pages: 3,
  stock: "9007199254740993",
  sold: true,
  genre: "POETRY",
  tags: ["x", "y"],
  author: { fullName: "Ä. Ö.", age: 7 },
  price: 1.5,
  cover: "AAEC",
  printedAt: "2024-01-02T03:04:05.600Z",
  more: [{ full_name: "B" }, {}],
  longTitle: 'quote " and \n line',
  sizes: [1, 2, 3],
};

const requests = [
  ask("GET /v1/books/1"),
  ask("GET /v1/books/a%20b%2Fc"),
  ask("GET /v1/books/a+b?longTitle=c+d%2Be"),
  ask(
    "GET /v1/books/1?pages=7&stock=12345678901234&sold=true&genre=CRIME&tags=a&tags=b&author.full_name=X&author.age=3&price=2.5&cover=AAEC",
  ),
  ask("GET /v1/books/1?printedAt=2024-01-02T03:04:05Z&sizes=4&sizes=5&weight=0.5&sku=18446744073709551615"),
  ask("GET /v1/books/1?genre=2&long_title=snake"),
  ask("GET /v1/books/1?unknown=2"),
  ask("GET /v1/books/1?key=2"),
  ask("GET /v1/books/1?pages"),
  ask("GET /v1/books/1?pages=many"),
  ask("GET /v1/books/1?author.none=1"),
  ask("GET /v1/books/1?sold=perhaps"),
  ask("GET /v1/books/1?genre=WESTERN"),
  ask("GET /v1/books/1?genre=crime"),
  send("POST /v1/books", { genre: "crime" }),
  ask("GET /v2/Karl%20May/books/9"),
  ask("GET /v2/first"),
  ask("GET /v2/first?id=1&id=2"),
  ask("GET /v1/shelves/2/books/a%2Fb%41"),
  ask("GET /v1/files/a/b%2Fc/d%20e"),
  ask("GET /v1/files"),
  ask("GET /v1/files/dead/x"),
  ask("GET /v1/none/x/y/z"),
  ask("GET /none"),
  ask("GET /"),
  ask("POST /v1/books/1"),
  ask("LOOK /v1/look/x"),
  ask("DELETE /v1/books/1"),
  ask("GET /v1/list/3"),
  ask("GET /v1/list/1"),
  ask("GET /v1/list/0"),
  ask("GET /v1/fail/5"),
  ask("GET /v1/fail/14"),
  ask("GET /v1/fail/99"),
  ask("GET /v1/late/5"),
  ask("GET /v1/late/16"),
  ask("GET /v1/failing/5"),
  ask("GET /v1/broken/5"),
  ask("GET /v1/broken/6"),
  ask("GET /v1/breaking/5"),
  ask("GET /shop.v1.Books/Get"),
  ask("GET /v1/books/1", ["Content-Type: application/grpc"]),
  send("POST /v1/books", everything),
  send("POST /v1/books", {}),
  send("POST /v1/books", ""),
  send("POST /v1/books", "{not JSON"),
  send("POST /v1/books", "[]"),
  send("POST /v1/books", { id: 5 }),
  send("POST /v1/books", { pages: "many" }),
  send("POST /v1/books", { pages: "4", stock: 5, price: "2.5", genre: 1 }),
  send("POST /v1/books", { unknown: 1 }),
  send("POST /v1/books", { id: null, tags: null }),
  send("POST /v1/books?longTitle=q", { id: "1" }),
  send("POST /v1/books?id=2", { id: "1" }),
  send("POST /v1/books?tags=z", { tags: ["a"] }),
  send("PUT /v1/books/1/author", { fullName: "C", age: 4 }),
  send("PUT /v1/books/1/author?author.age=5", { fullName: "C" }),
  send("PATCH /v1/books/1/tags", ["a", "b"]),
  send("POST /v1/books/1:archive", { pages: 4 }),
  send("POST /v1/put", [{ id: "1" }, { id: "2" }]),
  send("POST /v1/put", []),
  send("POST /v1/upload/7", "any bytes \u00e9", ["Content-Type: image/png"]),
  send("POST /v1/upload/7?pages=3", "{}"),
  ask("POST /v1/upload/7"),
  send("POST /v1/raw", "any bytes"),
  ask("GET /v1/download/7"),
  send("POST /shop.v1.Books/Plain", { id: "1" }),
  send("POST /shop.v1.Books/Create", { id: "1" }),
];

/** What is wrong with a request, each parser says in its own words. */
const refusals = /v1.broken|crime|many|perhaps|WESTERN|not JSON|\[\]|"id\\":5/;
const isWordOfRefusal = (line: string) =>
  refusals.test(line) && /\] \.(body|headers\.content-length):|" \.(body|headers\.content-length):/.test(line);

describe.skipIf(hasNoEnvoy("transcoding"))("JSON to gRPC in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let backend: Http2TestUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    backend = await http2Upstream("grpc");
    backend.onStream = (stream, _, whole) => void whole().then((asked) => stream.destroyed || answer(stream, asked));
    planes = await startPlanes(managers, [
      staticCluster("a", [upstream.port]),
      staticCluster("grpc", [backend.port], { http2ProtocolOptions: {} }),
      staticCluster("dead", []),
    ]);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await backend?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test("nothing of it is reported as not executed", () => {
    expect(planes.plane.unsupported()).toEqual([]);
  });

  test.each(managers.map((_, index) => index))("settings %i", async (manager) => {
    const found = await differencesOf(planes, manager, requests);
    expect(found.filter((line) => !isWordOfRefusal(line))).toEqual([]);
  });
});
