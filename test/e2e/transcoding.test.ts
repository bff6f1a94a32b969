// JSON in, gRPC out: through both proxies to a real gRPC server.
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tillDescriptors } from "../servers/till-descriptors.ts";
import { ask, type Folder, folder, object, proxies, run, until } from "./gateway.ts";
import type { Running } from "./headworks.ts";

const server = new Server();
const called: string[] = [];
const asIs = (bytes: Buffer) => bytes;
server.addService(
  {
    get: {
      path: "/till.v1.Till/Get",
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  },
  {
    get(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
      const reader = new BinaryReader(call.request);
      let id = "";
      let note = "";
      while (reader.pos < reader.len) {
        const [number, type] = reader.tag();
        if (number === 1) id = reader.string();
        else if (number === 2) note = reader.string();
        else reader.skip(type, number);
      }
      called.push(`${id}/${note}`);
      answer(null, Buffer.from(new BinaryWriter().tag(1, WireType.LengthDelimited).string(`got ${id}`).finish()));
    },
  },
);

let port: number;

beforeAll(async () => {
  port = await new Promise<number>((resolve) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
  );
});

afterAll(() => server.forceShutdown());

describe.each(proxies)("--proxy %s", (proxy) => {
  let files: Folder;
  let gateway: Running;

  beforeAll(async () => {
    files = await folder();
    const hosts = [{ addr: "127.0.0.1", port }];
    const bin = tillDescriptors("id", "note");
    const upstream = (name: string, serviceSpec: object) => object("Upstream", name, { static: { hosts, serviceSpec } });
    const to = (name: string) => ({ upstream: { name, namespace: "gloo-system" } });
    const transcoder = { services: ["till.v1.Till"], autoMapping: true, matchIncomingRequestRoute: true };
    const call = { grpc: { package: "till.v1", service: "Till", function: "Get" } };
    const parameters = { path: "/by-path/{id}", headers: { "x-note": "{note}" } };
    files.write("till.yaml", [
      upstream("till", { grpcJsonTranscoder: { ...transcoder, protoDescriptorBin: bin } }),
      upstream("configured", {
        grpcJsonTranscoder: { ...transcoder, protoDescriptorConfigMap: { configMapRef: { name: "protos", namespace: "gloo-system" } } },
      }),
      upstream("broken", { grpcJsonTranscoder: { ...transcoder, services: ["till.v1.None"], protoDescriptorBin: bin } }),
      upstream("old", {
        grpc: {
          descriptors: Buffer.from(bin).toString("base64"),
          grpcServices: [{ packageName: "till.v1", serviceName: "Till", functionNames: ["Get"] }],
        },
      }),
      object("Artifact", "protos", { data: { d: bin } }),
      upstream("empty", {
        grpcJsonTranscoder: { ...transcoder, protoDescriptorConfigMap: { configMapRef: { name: "nothing", namespace: "gloo-system" } } },
      }),
      object("Artifact", "nothing", {}),
      object("VirtualService", "configured", {
        virtualHost: {
          domains: ["configured.test"],
          routes: [
            { matchers: [{ prefix: "/" }], routeAction: { multi: { destinations: [{ weight: 1, destination: to("configured") }] } } },
          ],
        },
      }),
      object("VirtualService", "all", {
        virtualHost: {
          domains: ["*"],
          routes: [
            {
              matchers: [{ prefix: "/by-path" }],
              routeAction: { single: { ...to("old"), destinationSpec: { grpc: { ...call.grpc, parameters } } } },
            },
            { matchers: [{ exact: "/by-query" }], routeAction: { single: { ...to("old"), destinationSpec: call } } },
            { matchers: [{ prefix: "/till.v1.Till", methods: ["POST"] }], routeAction: { single: to("till") } },
            { matchers: [{ prefix: "/" }], routeAction: { multi: { destinations: [{ weight: 1, destination: to("till") }] } } },
          ],
        },
      }),
      object("VirtualService", "broken", {
        virtualHost: { domains: ["broken.test"], routes: [{ matchers: [{ prefix: "/" }], routeAction: { single: to("broken") } }] },
      }),
    ]);
    gateway = await run(files, "--proxy", proxy);
    await until("the gateway answers", async () => (await ask(files.port, "any", "/by-query"))?.status !== undefined);
  });

  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    files?.[Symbol.dispose]();
  });

  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    ask(files.port, "any", path, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });

  test("grpcJsonTranscoder of an Upstream: JSON becomes a call, also without useHttp2", async () => {
    called.length = 0;
    const answer = await post("/till.v1.Till/Get", '{"id": "5", "note": "x"}');
    expect([answer?.status, answer?.body, called]).toEqual([200, '{"id":"got 5"}', ["5/x"]]);
    expect(answer?.headers["content-type"]).toBe("application/json");
  });

  test("descriptors of a ConfigMap, on a weighted destination", async () => {
    const headers = { "content-type": "application/json" };
    const answer = await ask(files.port, "configured.test", "/till.v1.Till/Get", { method: "POST", body: '{"id": "6"}', headers });
    expect([answer?.status, answer?.body]).toEqual([200, '{"id":"got 6"}']);
  });

  test("serviceSpec.grpc: parameters of path and headers become fields of the message", async () => {
    called.length = 0;
    const answer = await ask(files.port, "any", "/by-path/7", { headers: { "x-note": "hi" } });
    expect([answer?.status, answer?.body, called]).toEqual([200, '{"id":"got 7"}', ["7/hi"]]);
    const withBody = await post("/by-path/8", '{"note": "body"}');
    expect([withBody?.status, called.at(-1)]).toEqual([200, "8/"]);
  });

  test("serviceSpec.grpc without parameters: the body is the message", async () => {
    const answer = await post("/by-query", '{"id": "9"}');
    expect([answer?.status, answer?.body]).toEqual([200, '{"id":"got 9"}']);
  });

  test("descriptors that Envoy would refuse are named, and cost nobody anything", async () => {
    const statuses = await (await fetch(`http://127.0.0.1:${files.adminPort}/api/v1/resources/Upstream`)).text().catch(() => "");
    expect(`${gateway.stderr()}${statuses}`).toContain("has no service till.v1.None");
    expect(`${gateway.stderr()}${statuses}`).toContain("configmap gloo-system:nothing does not contain any values");
  });
});
