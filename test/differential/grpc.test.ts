// gRPC end to end, with the client and the server of grpc-js: every kind of call, through the embedded data plane and through Envoy, over TCP and TLS.

import {
  type Client,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type StatusObject,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { type HcmInit, listenerMessage, type RouteInit, staticCluster, toCluster } from "../../src/dataplane/testing/resources.ts";
import { tlsListener } from "../../src/dataplane/testing/tls.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { inline } from "./configs.ts";
import { type Planes, startListeners } from "./planes.ts";

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: gRPC against Envoy: no Envoy here (set ENVOY_BIN)");

const text = { serialize: (value: string) => Buffer.from(value), deserialize: (bytes: Buffer) => bytes.toString() };
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
});
const service = {
  unary: method("unary", false, false),
  fail: method("fail", false, false),
  slow: method("slow", false, false),
  server: method("server", false, true),
  client: method("client", true, false),
  bidi: method("bidi", true, true),
  nowhere: { ...method("nowhere", false, false), path: "/none.Service/nowhere" },
} satisfies ServiceDefinition;

interface Outcome {
  readonly messages: readonly string[];
  readonly code: number;
  readonly details: string;
  readonly trailer: readonly string[];
}

/** A call of any kind, with these messages; for bidi one after the answer to the one before. */
function call(client: Client, name: keyof typeof service, messages: readonly string[], deadlineMs = 10_000): Promise<Outcome> {
  return new Promise((resolve) => {
    const { path, requestStream, responseStream } = service[name];
    const metadata = new Metadata();
    metadata.set("x-asked", "yes");
    const options = { deadline: Date.now() + deadlineMs };
    const got: string[] = [];
    const done = ({ code, details, metadata: trailers }: StatusObject) =>
      resolve({ messages: got, code, details, trailer: trailers.get("x-trailer").map(String) });
    if (requestStream && responseStream) {
      const stream = client.makeBidiStreamRequest(path, text.serialize, text.deserialize, metadata, options);
      const rest = [...messages];
      const next = () => {
        const message = rest.shift();
        if (message === undefined) stream.end();
        else stream.write(message);
      };
      stream.on("data", (message: string) => {
        got.push(message);
        next();
      });
      stream.on("error", () => undefined);
      stream.on("status", done);
      next();
    } else if (responseStream) {
      const stream = client.makeServerStreamRequest(path, text.serialize, text.deserialize, messages[0] ?? "", metadata, options);
      stream.on("data", (message: string) => got.push(message));
      stream.on("error", () => undefined);
      stream.on("status", done);
    } else if (requestStream) {
      const stream = client.makeClientStreamRequest(
        path,
        text.serialize,
        text.deserialize,
        metadata,
        options,
        (_: unknown, value?: string) => {
          if (value !== undefined) got.push(value);
        },
      );
      stream.on("status", done);
      for (const message of messages) stream.write(message);
      stream.end();
    } else {
      const unary = client.makeUnaryRequest(
        path,
        text.serialize,
        text.deserialize,
        messages[0] ?? "",
        metadata,
        options,
        (_: unknown, value?: string) => {
          if (value !== undefined) got.push(value);
        },
      );
      unary.on("status", done);
    }
  });
}

async function startServer(): Promise<{ port: number; server: Server }> {
  const server = new Server();
  const trailer = () => {
    const metadata = new Metadata();
    metadata.set("x-trailer", "bye");
    return metadata;
  };
  server.addService(service, {
    // biome-ignore lint/suspicious/noExplicitAny: grpc-js has no types for services without generated code
    unary: ({ request, metadata }: any, reply: any) => reply(null, `${request} ${metadata.get("x-asked")}`, trailer()),
    // biome-ignore lint/suspicious/noExplicitAny: as above
    fail: (_: any, reply: any) => reply({ code: 7, details: "not for you, 100 %", metadata: trailer() }),
    slow: () => undefined,
    // biome-ignore lint/suspicious/noExplicitAny: as above
    server: (stream: any) => {
      for (let i = 0; i < 50; i++) stream.write(`${stream.request} ${i}`);
      stream.end(trailer());
    },
    // biome-ignore lint/suspicious/noExplicitAny: as above
    client: (stream: any, reply: any) => {
      const got: string[] = [];
      stream.on("data", (message: string) => got.push(message));
      stream.on("end", () => reply(null, `${got.length} ${got.join("").length}`, trailer()));
    },
    // biome-ignore lint/suspicious/noExplicitAny: as above
    bidi: (stream: any) => {
      stream.on("data", (message: string) => stream.write(`echo ${message}`));
      stream.on("end", () => stream.end(trailer()));
    },
    // biome-ignore lint/suspicious/noExplicitAny: as above
  } as any);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return { port, server };
}

const EchoClient = makeGenericClientConstructor(service, "test.Echo");

describe.skipIf(findEnvoy() === undefined && !isRequired)("gRPC through the embedded data plane and Envoy", () => {
  let backend: Awaited<ReturnType<typeof startServer>>;
  let planes: Planes;
  let made: Certificates;
  let certificate: KeyPair;
  const clients: { readonly name: string; readonly envoy: Client; readonly embedded: Client }[] = [];

  beforeAll(async () => {
    made = certificates();
    certificate = made.selfSigned("grpc.test");
    backend = await startServer();
    const limited = {
      match: { pathSpecifier: { case: "path", value: "/test.Echo/slow" } },
      action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "grpc" }, timeout: { nanos: 200_000_000 } } },
    } as RouteInit;
    const hcm = inline([{ name: "all", domains: ["*"], routes: [limited, toCluster("grpc", {}, "/test.Echo/")] }]) as HcmInit;
    planes = await startListeners(
      [(port) => listenerMessage(port, hcm), (port) => tlsListener(port, [{ certificate, hcm }])],
      [staticCluster("grpc", [backend.port], { http2ProtocolOptions: {} })],
    );
    for (const [index, { envoy, embedded }] of planes.ports.entries()) {
      const secure = index === 1;
      const connect = (port: number) =>
        new EchoClient(
          `127.0.0.1:${port}`,
          secure ? credentials.createSsl(Buffer.from(certificate.certificate)) : credentials.createInsecure(),
          { "grpc.ssl_target_name_override": "grpc.test" },
        ) as Client;
      clients.push({ name: secure ? "TLS" : "TCP", envoy: connect(envoy), embedded: connect(embedded) });
    }
  });

  afterAll(async () => {
    for (const { envoy, embedded } of clients) for (const each of [envoy, embedded]) each.close();
    await planes?.[Symbol.asyncDispose]();
    backend?.server.forceShutdown();
    made?.[Symbol.dispose]();
  });

  const calls: readonly (readonly [keyof typeof service, readonly string[], Partial<Outcome>])[] = [
    ["unary", ["hi"], { messages: ["hi yes"], code: 0, trailer: ["bye"] }],
    ["unary", ["x".repeat(300_000)], { code: 0 }],
    ["fail", ["hi"], { messages: [], code: 7, details: "not for you, 100 %", trailer: ["bye"] }],
    ["server", ["s"], { code: 0, trailer: ["bye"] }],
    ["client", Array.from({ length: 40 }, (_, i) => `${i} `.repeat(1_000)), { code: 0, trailer: ["bye"] }],
    ["bidi", ["a", "b", "c", "y".repeat(100_000)], { code: 0, trailer: ["bye"] }],
    ["slow", ["hi"], { code: 14, details: "upstream request timeout" }],
    ["nowhere", ["hi"], { messages: [], code: 12 }],
  ];

  test.each(calls)("%s is the same in both", async (name, messages, expected) => {
    for (const { name: over, envoy, embedded } of clients) {
      const [reference, own] = [await call(envoy, name, messages), await call(embedded, name, messages)];
      expect({ over, ...own }).toEqual({ over, ...reference });
      expect(own).toMatchObject(expected);
    }
  });

  test("a client's deadline ends its call and leaves nothing behind", async () => {
    for (const { embedded } of clients) expect(await call(embedded, "slow", ["hi"], 50)).toMatchObject({ code: 4 });
    const active = () => planes.plane.stats()["cluster.grpc.upstream_rq_active"];
    while (active() !== 0) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});
