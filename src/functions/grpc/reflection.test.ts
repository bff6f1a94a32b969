// Against real gRPC servers, hostile ones among them.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { bestOf } from "../../lib/testing/bestOf.ts";
import type { FunctionTarget } from "../../plugin/function-kind.ts";
import { grpc } from "./grpc.ts";
import { reflect, reflectionLimits } from "./reflection.ts";

type FileInit = Exclude<MessageInitShape<typeof FileDescriptorProtoSchema>, { $typeName: string }>;
type Stream = ServerDuplexStream<Buffer, Buffer>;

const servers: Server[] = [];
afterEach(() => {
  for (const each of servers.splice(0)) each.forceShutdown();
});

const file = (init: FileInit) => toBinary(FileDescriptorProtoSchema, create(FileDescriptorProtoSchema, { syntax: "proto3", ...init }));
const message = (field: number, content: Uint8Array) => new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(content).finish();
const string = (field: number, content: string) => new BinaryWriter().tag(field, WireType.LengthDelimited).string(content).finish();

const services = (names: readonly string[]) => message(6, Buffer.concat(names.map((name) => message(1, string(1, name)))));
const files = (list: readonly Uint8Array[]) => message(4, Buffer.concat(list.map((each) => message(1, each))));
const error = (text: string) => message(7, string(2, text));

async function serve(version: string, answer: (question: string, stream: Stream) => Uint8Array | undefined): Promise<FunctionTarget> {
  const server = new Server({ "grpc.max_send_message_length": -1 });
  servers.push(server);
  const asIs = (bytes: Buffer) => bytes;
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const method = {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  server.addService(
    { info: method },
    {
      info(stream: Stream) {
        stream.on("data", (bytes: Buffer) => {
          const content = answer(`${(bytes[0] ?? 0) >> 3} ${bytes.subarray(2).toString("utf8")}`, stream);
          if (content) stream.write(Buffer.from(content));
        });
        stream.on("end", () => stream.end());
        stream.on("error", () => {});
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (fault, bound) => (fault ? reject(fault) : resolve(bound))),
  );
  return target(port);
}

function target(port: number): FunctionTarget {
  return { upstream: undefined as never, address: "127.0.0.1", port, authority: `127.0.0.1:${port}` };
}

const till: FileInit = {
  name: "till.proto",
  package: "till.v1",
  dependency: ["ask.proto", "google/protobuf/empty.proto"],
  service: [
    {
      name: "Till",
      method: [
        { name: "Get", inputType: ".till.v1.Ask", outputType: ".google.protobuf.Empty" },
        { name: "Put", inputType: ".till.v1.Ask", outputType: ".till.v1.Ask" },
      ],
    },
    { name: "Audit", method: [{ name: "List", inputType: ".till.v1.Ask", outputType: ".till.v1.Ask" }] },
  ],
};
const askProto: FileInit = {
  name: "ask.proto",
  package: "till.v1",
  messageType: [
    { name: "Ask", field: [{ name: "id", number: 1, label: FieldDescriptorProto_Label.OPTIONAL, type: FieldDescriptorProto_Type.STRING }] },
  ],
};

/** Questions: 7 lists, 4 asks for a symbol, 3 for a file. */
function honest(question: string): Uint8Array {
  if (question.startsWith("7")) return services(["till.v1.Till", "grpc.reflection.v1alpha.ServerReflection", "till.v1.Audit"]);
  if (question.startsWith("4 till.v1.")) return files([file(till)]);
  if (question === "3 ask.proto") return files([file(askProto)]);
  return error("no such file");
}

const signal = new AbortController().signal;

test.each(["v1", "v1alpha"])("services and files, imports first, each once (%s)", async (version) => {
  const reflected = await reflect(await serve(version, honest), signal);
  expect(reflected?.services).toEqual(["till.v1.Audit", "till.v1.Till"]);
  expect(reflected?.files.map((each) => fromBinary(FileDescriptorProtoSchema, each).name)).toEqual([
    "ask.proto",
    "google/protobuf/empty.proto",
    "till.proto",
  ]);
});

test("what is found is what Gloo writes; what a user began stays", async () => {
  const server = await serve("v1", honest);
  const answer = await grpc.ask({ target: server, begun: undefined, memo: undefined, signal });
  if (answer.kind !== "found" || answer.found.spec.pluginType.case !== "grpcJsonTranscoder") throw new Error("nothing found");
  const { services, matchIncomingRequestRoute, descriptorSet } = answer.found.spec.pluginType.value;
  expect([services, matchIncomingRequestRoute, answer.found.count]).toEqual([["till.v1.Audit", "till.v1.Till"], true, 3]);
  expect(fromBinary(FileDescriptorSetSchema, descriptorSet.value as Uint8Array).file).toHaveLength(3);
});

test("a server without reflection, or of HTTP/1 only, has no functions", async () => {
  expect(await reflect(await serve("v9", honest), signal)).toBeUndefined();
  const plain = createServer((_, answer) => answer.end("hello"));
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  await expect(reflect(target((plain.address() as AddressInfo).port), signal)).rejects.toThrow();
  plain.close();
});

const many = (count: number) => Array.from({ length: count }, (_, i) => file({ name: `f${i}.proto` }));

const deep = nested(5_000);

const hostile: Record<string, [(question: string, stream: Stream) => Uint8Array | undefined, string]> = {
  "a server that says nothing": [() => undefined, "did not answer in time"],
  "a server that ends the stream": [(_, stream) => void stream.end(), "ended the stream"],
  "a server that answers twice": [
    (_, stream) => {
      stream.write(Buffer.from(services(["a.A"])));
      stream.write(Buffer.from(services(["a.A"])));
      return undefined;
    },
    "",
  ],
  "an endless stream": [
    (_, stream) => {
      const timer = setInterval(
        () => (stream.destroyed || stream.cancelled ? clearInterval(timer) : stream.write(Buffer.from(services(["a"])))),
        1,
      );
      return undefined;
    },
    "",
  ],
  "64 MB at once": [() => Buffer.alloc(64_000_000), "larger than max"],
  "too many services": [() => services(Array.from({ length: 1_000 }, (_, i) => `a.S${i}`)), "more than 500 services"],
  "too many files": [(question) => (question.startsWith("7") ? services(["a.A"]) : files(many(3_000))), "more than 2000 files"],
  "an import that is not there": [
    (question) =>
      question.startsWith("7")
        ? services(["a.A"])
        : question.startsWith("4")
          ? files([file({ name: "a", dependency: ["b"] })])
          : error("no"),
    'the server says of "b": "no"',
  ],
  "a file that imports itself": [
    (question) => (question.startsWith("7") ? services(["a.A"]) : files([file({ name: "a", dependency: ["a"] })])),
    "import each other in a circle",
  ],
  "files in a circle": [
    (question) =>
      question.startsWith("7")
        ? services(["a.A"])
        : files([file({ name: "a", dependency: ["b"] }), file({ name: "b", dependency: ["a"] })]),
    "import each other in a circle",
  ],
  "another file than was asked for": [
    (question) =>
      question.startsWith("7")
        ? services(["a.A"])
        : question.startsWith("4")
          ? files([file({ name: "a", dependency: ["b"] })])
          : files([file({ name: "c" })]),
    'does not have "b"',
  ],
  "no descriptor": [
    (question) => (question.startsWith("7") ? services(["a.A"]) : files([Buffer.from([0xff, 0xff, 0xff])])),
    "a descriptor that is none",
  ],
  "no message": [() => Buffer.from([0xff, 0xff]), "no message of reflection"],
  "deep nesting": [(question) => (question.startsWith("7") ? services(["a.A"]) : files([deep])), ""],
};

test.each(Object.entries(hostile))("%s ends within the limits", async (_, [answer, text]) => {
  const server = await serve("v1", answer);
  // Short only where it is the time that ends it.
  const timeoutMs = text === "" || text === "did not answer in time" ? 700 : 60_000;
  const took = await bestOf(3, 3_000, async () => {
    const before = performance.now();
    await expect(reflect(server, signal, { ...reflectionLimits, timeoutMs })).rejects.toThrow(text);
    return performance.now() - before;
  });
  expect(took).toBeLessThan(3_000);
});

test("descriptors that do not hold together are not given to Envoy", async () => {
  const server = await serve("v1", (question) =>
    question.startsWith("7")
      ? services(["a.A"])
      : files([
          file({ name: "a", package: "a", service: [{ name: "A", method: [{ name: "M", inputType: ".a.None", outputType: ".a.None" }] }] }),
        ]),
  );
  await expect(grpc.ask({ target: server, begun: undefined, memo: undefined, signal })).rejects.toThrow(
    "what the server says of itself is not a valid FileDescriptorSet",
  );
});

/** Message types within message types. */
function nested(depth: number): Uint8Array {
  let content: Uint8Array = string(1, "M");
  for (let i = 0; i < depth; i++) content = Buffer.concat([string(1, "M"), message(3, content)]);
  return Buffer.concat([string(1, "deep.proto"), message(4, content)]);
}
