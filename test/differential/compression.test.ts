// Compression in the embedded data plane and in Envoy: who gets what compressed, which headers say so, and what is in it.

import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { BrotliSchema } from "../../src/gen/envoy/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js";
import { GzipSchema } from "../../src/gen/envoy/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js";
import { ZstdSchema } from "../../src/gen/envoy/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js";
import {
  CompressorPerRouteSchema,
  CompressorSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/compressor/v3/compressor_pb.js";
import { differences, type Outcome, outcomeOf } from "./compare.ts";
import { directRoute, hasNoEnvoy, type ListedFilter, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { answeredWith, request } from "./requests.ts";

const name = "envoy.filters.http.compressor";
const gzip = { name: "gzip", typedConfig: packAny(GzipSchema, {}) };
const brotli = { name: "brotli", typedConfig: packAny(BrotliSchema, {}) };
const zstd = { name: "zstd", typedConfig: packAny(ZstdSchema, {}) };
const compressor = (message: object, own = name): ListedFilter => ({ name: own, config: packAny(CompressorSchema, message as never) });
const perRoute = (override: object) => ({ [name]: packAny(CompressorPerRouteSchema, { override } as never) });

const text = "compress me, compress me, compress me, compress me";
const routes = [
  toRoute("/off", perRoute({ case: "disabled", value: true })),
  toRoute("/hides", perRoute({ case: "overrides", value: { responseDirectionConfig: { removeAcceptEncodingHeader: true } } })),
  directRoute("/direct", text),
  directRoute("/short", "hi"),
  toRoute("/dead", {}, {}, "dead"),
  toRoute("/x"),
];
const managers = [
  managerWith([compressor({ compressorLibrary: gzip })], routes),
  managerWith(
    [
      compressor({
        compressorLibrary: { name: "gzip", typedConfig: packAny(GzipSchema, { memoryLevel: 9, windowBits: 15, compressionLevel: 9 }) },
        contentLength: 10,
        contentType: ["text/plain", "Application/X"],
        disableOnEtagHeader: true,
        removeAcceptEncodingHeader: true,
      }),
    ],
    routes,
  ),
  managerWith(
    [
      compressor({ compressorLibrary: brotli }, "br"),
      compressor({ compressorLibrary: gzip, chooseFirst: true }),
      compressor(
        {
          compressorLibrary: zstd,
          responseDirectionConfig: {
            commonConfig: { contentType: ["text/plain"], minContentLength: 40 },
            weakenEtagOnCompress: true,
            uncompressibleResponseCodes: [206],
          },
        },
        "zstd",
      ),
    ],
    [...routes.slice(2)],
  ),
  managerWith(
    [
      compressor({
        compressorLibrary: gzip,
        responseDirectionConfig: { commonConfig: { enabled: { defaultValue: false, runtimeKey: "x" } } },
      }),
    ],
    routes,
  ),
];

const decoders: Readonly<Record<string, (data: Buffer) => Buffer>> = {
  gzip: gunzipSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

async function decoded(port: number, bytes: string): Promise<Outcome> {
  const outcome = await outcomeOf(port, bytes);
  const decode = decoders[outcome.headers["content-encoding"] ?? ""];
  if (decode === undefined || outcome.body === "") return outcome;
  try {
    const body = decode(Buffer.from(outcome.body, "latin1")).toString("latin1");
    return { ...outcome, body: `decoded: ${body.replace(/[0-9a-f-]{36}/, "some id")}` };
  } catch {
    return outcome; // an upstream that only says so
  }
}

const answer = (headers: readonly string[], body = text, status = "200 OK") =>
  `HTTP/1.1 ${status}\r\n${headers.map((each) => `${each}\r\n`).join("")}content-length: ${body.length}\r\n\r\n${body}`;
const chunkedAnswer = (headers: readonly string[]) =>
  `HTTP/1.1 200 OK\r\n${headers.map((each) => `${each}\r\n`).join("")}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`;

const types = [
  "text/plain",
  "text/html; charset=utf-8",
  "TEXT/CSS",
  "application/json",
  "application/javascript",
  "application/x-javascript",
  "text/javascript",
  "text/x-javascript",
  "text/ecmascript",
  "application/ecmascript",
  "text/js",
  "text/jscript",
  "text/x-js",
  "application/x-json",
  "application/xml",
  "application/xhtml+xml",
  "image/svg+xml",
  "text/xml",
  "text/markdown",
  "application/grpc",
  "application/octet-stream",
  "image/png",
  "application/x",
  "font/ttf",
  "application/wasm",
  "text/csv",
  "text/event-stream",
  "",
];
const accepts = [
  "gzip",
  "GZIP",
  "gzip;q=0",
  "gzip;q=0.5, identity",
  "gzip;q=0.5, identity;q=0.1",
  "*",
  "*;q=0",
  "identity, *;q=0.1",
  "br",
  "deflate",
  "br, gzip",
  "gzip, br",
  "gzip;q=0.5, br;q=0.9, zstd",
  "zstd;q=0.1, *;q=0",
  "gzip;q=x",
  "gzip; q = 0.7 , deflate",
  "",
  "gzip;level=1",
  ",gzip,",
  "gzip;q=0, *",
  "br;q=0, *",
];

describe.skipIf(hasNoEnvoy("compression"))("compression in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    planes = await startPlanes(managers, [staticCluster("a", [upstream.port]), staticCluster("dead", [])]);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test("nothing of it is reported as not executed", () => {
    expect(planes.plane.unsupported()).toEqual([]);
  });

  async function differing(requests: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const [index, { envoy, embedded }] of planes.ports.entries())
      for (const bytes of requests)
        for (const line of differences(await decoded(envoy, bytes), await decoded(embedded, bytes)))
          found.push(
            `[${index}] ${JSON.stringify(bytes.slice(0, 60))} ${Buffer.from(/X-Answer: (\S*)/.exec(bytes)?.[1] ?? "", "base64")} ${line}`,
          );
    return found;
  }
  const gets = "Accept-Encoding: gzip";
  const plain = "content-type: text/plain";

  test("agree on every content type", async () => {
    expect(await differing(types.map((type) => answeredWith("/x", answer([`content-type: ${type}`]), [gets])))).toEqual([]);
  });

  test("agree on every Accept-Encoding", async () => {
    expect(await differing(accepts.map((accept) => answeredWith("/x", answer([plain]), [`Accept-Encoding: ${accept}`])))).toEqual([]);
  });

  test("agree on every other header, size and route", async () => {
    const headers = [
      [],
      [plain, 'etag: "strong"'],
      [plain, 'etag: W/"weak"'],
      [plain, "cache-control: public, No-Transform"],
      [plain, "cache-control: public"],
      [plain, "content-encoding: br"],
      [plain, "vary: origin"],
      [plain, "vary: x, Accept-Encoding"],
      [plain, "vary: accept-encoding"],
      [plain, "vary: a", "vary: b"],
      [plain, "content-range: bytes 0-9/10"],
    ];
    const found = await differing([
      ...headers.flatMap((each) => [
        answeredWith("/x", answer(each), [gets]),
        answeredWith("/x", chunkedAnswer(each), [gets]),
        answeredWith("/x", answer(each)),
      ]),
      ...[0, 5, 9, 10, 29, 30, 39, 40].map((size) =>
        answeredWith("/x", answer([plain], "x".repeat(size)), [gets, "Accept-Encoding: zstd"]),
      ),
      ...["/off", "/hides"].map((path) => answeredWith(path, answer([plain]), [gets])),
      ...["/direct", "/short", "/dead", "/nowhere"].flatMap((path) => [
        request(`GET ${path}`, [gets]),
        request(`GET ${path}`),
        request(`HEAD ${path}`, [gets]),
      ]),
      ...["206 Partial Content", "404 Not Found", "500 Oops"].map((status) =>
        answeredWith("/x", answer([plain], text, status), ["Accept-Encoding: zstd"]),
      ),
      answeredWith("/x", "HTTP/1.1 204 No Content\r\n\r\n", [gets]),
      answeredWith("/x", "HTTP/1.1 304 Not Modified\r\n\r\n", [gets]),
      answeredWith("/x", "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n".replace("\r\n\r\n", "\r\ncontent-length: 0\r\n\r\n"), [
        gets,
      ]),
      request("GET /hides", [gets]),
    ]);
    expect(found).toEqual([]);
  });

  test("what there is of a response goes on at once, and the whole of a large one arrives", async () => {
    const port = planes.ports[0]?.embedded as number;
    let finish = () => {};
    upstream.answer = (_, socket) => {
      finish = () => socket.write("4\r\nlast\r\n0\r\n\r\n");
      return "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    };
    const events = await fetch(`http://127.0.0.1:${port}/x`, { headers: { "accept-encoding": "gzip" } });
    const reader = (events.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("first");
    finish();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("last");

    const large = Array.from({ length: 40_000 }, (_, i) => `line ${i} of a large answer\n`).join("");
    upstream.answer = () => answer([plain], large);
    const whole = await fetch(`http://127.0.0.1:${port}/x`, { headers: { "accept-encoding": "gzip" } });
    expect(whole.headers.get("content-encoding")).toBe("gzip");
    expect((await whole.text()) === large).toBe(true);
  });
});
