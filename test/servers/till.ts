// Services that tell of their functions, as the recorded cases of discovery had them: Swagger 2 in three places, OpenAPI 3, gRPC with
// reflection, and one that tells nothing. In this process, on free ports.
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";

export interface Till extends AsyncDisposable {
  /** Where a service of the recording is now, by the port it had there. */
  readonly ports: ReadonlyMap<number, number>;
  /** What was asked, by the port of the recording. */
  readonly asked: ReadonlyMap<number, readonly string[]>;
}

const parameters = {
  page: { name: "page", in: "query", type: "integer" },
  tier: { name: "x-tier", in: "header", type: "string" },
  id: { name: "id", in: "path", required: true, type: "string" },
};

function swagger(basePath: string): object {
  return {
    swagger: "2.0",
    info: { title: "till", version: "1" },
    basePath,
    consumes: ["application/json"],
    paths: {
      "/items": {
        get: { operationId: "listItems", parameters: [parameters.page, parameters.tier] },
        post: { operationId: "addItem", parameters: [{ name: "item", in: "body", schema: { $ref: "#/definitions/Item" } }] },
      },
      "/items/{id}": {
        get: { operationId: "getItem", parameters: [parameters.id] },
        delete: { parameters: [parameters.id] },
      },
    },
    definitions: { Item: { type: "object", properties: { name: { type: "string" }, price: { type: "number" } } } },
  };
}

const openapi = {
  openapi: "3.0.0",
  info: { title: "till", version: "1" },
  servers: [{ url: "/api" }],
  paths: {
    "/items/{id}": {
      get: { operationId: "getItem", parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }] },
    },
  },
};

/** By port of the recording: the path of the document, and the document. */
const documents: readonly (readonly [number, string | undefined, object])[] = [
  [28090, "/swagger.json", swagger("/api")],
  [28092, "/v2/swagger", swagger("/v2")],
  [28093, "/swagger.json", openapi],
  [28094, "/custom/docs.json", swagger("/api")],
  [28095, undefined, {}],
];
const grpcPort = 28091;

export async function startTill(): Promise<Till> {
  const ports = new Map<number, number>();
  const asked = new Map<number, string[]>([...documents.map(([port]) => port), grpcPort].map((port) => [port, []]));
  const servers: HttpServer[] = [];
  for (const [port, path, document] of documents) {
    const server = createServer(({ url = "" }, response) => {
      asked.get(port)?.push(url);
      if (url === path) response.setHeader("content-type", "application/json").end(JSON.stringify(document));
      else response.writeHead(404).end();
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.set(port, (server.address() as AddressInfo).port);
  }
  const grpc = reflecting((question) => asked.get(grpcPort)?.push(question));
  ports.set(
    grpcPort,
    await new Promise<number>((resolve, reject) =>
      grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (fault, port) => (fault ? reject(fault) : resolve(port))),
    ),
  );
  return {
    ports,
    asked,
    async [Symbol.asyncDispose]() {
      grpc.forceShutdown();
      await Promise.all(
        servers.map((server) => {
          server.closeAllConnections();
          return new Promise((resolve) => server.close(resolve));
        }),
      );
    },
  };
}

const file = toBinary(
  FileDescriptorProtoSchema,
  create(FileDescriptorProtoSchema, {
    name: "till.proto",
    package: "till.v1",
    syntax: "proto3",
    messageType: [
      {
        name: "Ask",
        field: [
          { name: "id", number: 1, jsonName: "id", label: FieldDescriptorProto_Label.OPTIONAL, type: FieldDescriptorProto_Type.STRING },
        ],
      },
    ],
    service: [service("Till", "Get", "Put"), service("Audit", "List")],
  }),
);

function service(name: string, ...methods: string[]) {
  return { name, method: methods.map((each) => ({ name: each, inputType: ".till.v1.Ask", outputType: ".till.v1.Ask" })) };
}

/** Reflection v1alpha, as Gloo asks, by hand, since no library of ours serves it; and a method that answers what it is asked. */
function reflecting(note: (question: string) => void): Server {
  const server = new Server();
  const asIs = (bytes: Buffer) => bytes;
  const info = {
    path: "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  } as const;
  server.addService(
    { info, get: { ...info, path: "/till.v1.Till/Get", requestStream: false, responseStream: false } },
    {
      get: ({ request }: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, request),
      info(stream: ServerDuplexStream<Buffer, Buffer>) {
        stream.on("data", (bytes: Buffer) => {
          const question = questionIn(bytes);
          note(question);
          stream.write(Buffer.from(question.startsWith("7") ? serviceList : fileAnswer));
        });
        stream.on("end", () => stream.end());
        stream.on("error", () => {});
      },
    },
  );
  return server;
}

/** `7 *` lists, `4 till.v1.Till` asks for the file of a symbol. */
function questionIn(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  const [field] = reader.tag();
  return `${field} ${reader.string()}`;
}

const message = (field: number, content: Uint8Array) => new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(content).finish();
const text = (field: number, content: string) => new BinaryWriter().tag(field, WireType.LengthDelimited).string(content).finish();

const names = ["till.v1.Audit", "till.v1.Till", "grpc.reflection.v1alpha.ServerReflection"];
const serviceList = message(6, Buffer.concat(names.map((name) => message(1, text(1, name)))));
const fileAnswer = message(4, message(1, file));
