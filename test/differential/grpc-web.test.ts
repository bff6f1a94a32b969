// gRPC-Web in the embedded data plane and in Envoy.

import type { ServerHttp2Stream } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Http2Request, type Http2TestUpstream, http2Upstream } from "../../src/dataplane/testing/http2.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { GrpcWebSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { differencesOf, directRoute, hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const manager = managerWith(
  [{ name: "envoy.filters.http.grpc_web", config: packAny(GrpcWebSchema, {}) }],
  [toRoute("/grpc", {}, {}, "grpc"), toRoute("/http1"), toRoute("/dead", {}, {}, "dead"), directRoute("/direct", "some é text")],
);

const frame = (text: string, flag = 0) => {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
};
const ofHttp1 = Buffer.from("HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 8\r\n\r\nnot % it").toString("base64");
const post = (path: string, type: string, body: Buffer | string, headers: readonly string[] = []) => {
  const bytes = Buffer.from(body as string).toString("latin1");
  return request(
    `POST ${path}`,
    [`Content-Type: ${type}`, "X-Request-Id: 1", `X-Answer: ${ofHttp1}`, `Content-Length: ${bytes.length}`, ...headers],
    bytes,
  );
};
const types = [
  "application/grpc-web",
  "application/grpc-web+proto",
  "application/grpc-web-text",
  "application/grpc-web-text+proto",
  "application/grpc-web; charset=utf-8",
  "application/grpc-web+json",
  "application/grpc",
  "text/plain",
];
const accepts = [[], ["Accept: application/grpc-web-text"], ["Accept: application/grpc-web-text+proto"], ["Accept: */*"]];
const asText = (type: string, body: Buffer) => (type.includes("-text") ? body.toString("base64") : body);

function answer(stream: ServerHttp2Stream, asked: Http2Request): void {
  const told = asked.headers.map((each) => each.join("=")).sort();
  const headers = [":status", "200", "content-type", "application/grpc", "x-asked", told.join(" ")];
  if (asked.path.endsWith("/none")) {
    stream.respond([...headers, "grpc-status", "5"] as never, { endStream: true });
    return;
  }
  if (asked.path.endsWith("/web")) headers[3] = "application/grpc-web+proto";
  if (asked.path.endsWith("/html")) headers.splice(1, 3, "502", "content-type", "text/html");
  stream.respond(headers as never, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine", "x-extra": ["1", "2"] as never }));
  const got = Buffer.from(asked.body, "latin1").toString("hex");
  const all = Buffer.concat([frame(`got ${got}`), frame("second"), frame("")]);
  stream.write(all.subarray(0, 7));
  stream.end(all.subarray(7));
}

describe.skipIf(hasNoEnvoy("gRPC-Web"))("gRPC-Web in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let backend: Http2TestUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    backend = await http2Upstream("grpc");
    backend.onStream = (stream, _, whole) => void whole().then((asked) => stream.destroyed || answer(stream, asked));
    planes = await startPlanes(
      [manager],
      [staticCluster("a", [upstream.port]), staticCluster("grpc", [backend.port], { http2ProtocolOptions: {} }), staticCluster("dead", [])],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await backend?.[Symbol.asyncDispose]();
  });

  test("agree on every type, path and answer", async () => {
    expect(planes.plane.unsupported()).toEqual([]);
    const message = frame("a message");
    const paths = ["/grpc/call", "/grpc/none", "/grpc/web", "/grpc/html", "/http1", "/dead", "/direct", "/nowhere"];
    const found = await differencesOf(
      planes,
      0,
      paths.flatMap((path) => types.flatMap((type) => accepts.map((accept) => post(path, type, asText(type, message), accept)))),
    );
    expect(found).toEqual([]);
  });

  test("agree on bodies in base64", async () => {
    const bodies = [
      "",
      "AAAA",
      "AAA",
      "AA==",
      "AA==AAAA",
      "A===",
      "====",
      "AA=A",
      "not base64!!",
      "AAAA\n",
      "AAA*",
      `${frame("one").toString("base64")}${frame("two").toString("base64")}`,
    ];
    const found = await differencesOf(
      planes,
      0,
      bodies.map((body) => post("/grpc/call", "application/grpc-web-text", body)),
    );
    expect(found).toEqual([]);
  });
});
