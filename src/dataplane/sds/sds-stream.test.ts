// How an SDS server is asked, and what is said of one that does not answer.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, expect, test } from "vitest";
import { packAny } from "../../envoy/encode.ts";
import { FileBasedMetadataConfigSchema } from "../../gen/envoy/envoy/config/grpc_credential/v3/file_based_metadata_pb.js";
import { SdsSecretConfigSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { compileSecretSource, type SecretSource } from "../compile/secret-source.ts";
import { SdsStream } from "./sds-stream.ts";

const temporary = mkdtempSync(join(tmpdir(), "sds-"));
afterAll(() => rmSync(temporary, { recursive: true }));

function sourceOf(targetUri: string, more: object = {}): { readonly source: SecretSource | undefined; readonly unsupported?: string } {
  const targetSpecifier = { case: "googleGrpc", value: { targetUri, statPrefix: "sds", ...more } };
  const value = { apiType: 2, grpcServices: [{ targetSpecifier }] };
  const sources: SecretSource[] = [];
  const config = { name: "a", sdsConfig: { configSourceSpecifier: { case: "apiConfigSource", value } } };
  const { unsupported } = compileSecretSource(create(SdsSecretConfigSchema, config as never), sources);
  return { source: sources[0], ...(unsupported !== undefined && { unsupported }) };
}

const withToken = (filename: string, headerKey: string) => {
  const value = packAny(FileBasedMetadataConfigSchema, {
    headerKey,
    headerPrefix: "Bearer ",
    secretData: { specifier: { case: "filename", value: filename } },
  });
  const plugin = { name: "file", configType: { case: "typedConfig", value } };
  return {
    channelCredentials: { credentialSpecifier: { case: "localCredentials", value: {} } },
    callCredentials: [{ credentialSpecifier: { case: "fromPlugin", value: plugin } }],
  };
};

test.each([
  ["sds.test:8234", { host: "sds.test", port: 8_234 }],
  ["sds.test", { host: "sds.test", port: 443 }],
  ["dns:///sds.test:1", { host: "sds.test", port: 1 }],
  ["dns://8.8.8.8/sds.test:1", { host: "sds.test", port: 1 }],
  ["ipv4:10.0.0.1:1", { host: "10.0.0.1", port: 1 }],
  ["[::1]:1", { host: "::1", port: 1 }],
  ["unix:/run/sds", { path: "/run/sds" }],
  ["unix:///run/sds", { path: "/run/sds" }],
  ["unix-abstract:sds", undefined],
  ["sds.test:70000", undefined],
  ["", undefined],
])("the target %s", (target, dial) => {
  expect(sourceOf(target).source?.server.dial).toEqual(dial);
  expect(sourceOf(target).unsupported === undefined).toBe(dial !== undefined);
});

async function serverOf(answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    answer(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    target: `127.0.0.1:${(server.address() as { port: number }).port}`,
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

function follow(source: SecretSource | undefined, patienceMs = 60_000) {
  const troubles: string[] = [];
  const stream = new SdsStream(
    source as SecretSource,
    "role",
    { onSecret: () => undefined, onTrouble: (why) => void troubles.push(why) },
    patienceMs,
  );
  stream.start();
  return { troubles, [Symbol.dispose]: () => stream.close() };
}

test("a call has the token that is in a file, the newest each time", async () => {
  const file = join(temporary, "token");
  writeFileSync(file, "one\n");
  const seen: unknown[] = [];
  using server = await serverOf((stream, headers) => {
    seen.push(headers["x-token"]);
    writeFileSync(file, "two\n");
    stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "7", "grpc-message": "no" }, { endStream: true });
  });
  using followed = follow(sourceOf(server.target, withToken(file, "X-Token")).source);
  await expect.poll(() => seen.slice(0, 2)).toEqual(["Bearer one", "Bearer two"]);
  expect(followed.troubles[0]).toBe("gRPC status 7: no");
});

test("what keeps a server from being asked, or from answering, is told", async () => {
  const file = join(temporary, "header");
  writeFileSync(file, "one");
  using silent = await serverOf(() => undefined);
  using confused = await serverOf((stream) => void stream.respond({ ":status": 404 }, { endStream: true }));
  using garbled = await serverOf((stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(Buffer.alloc(9, 1));
  });
  for (const [source, why] of [
    [sourceOf(silent.target).source, "it has said nothing yet"],
    [sourceOf(confused.target).source, "HTTP status 404"],
    [sourceOf(garbled.target).source, "it sent a compressed message"],
    [sourceOf("127.0.0.1:1").source, "ECONNREFUSED"],
    [sourceOf("unix:/no/such/socket").source, "ENOENT"],
    [sourceOf(silent.target, withToken("/no/such/file", "x")).source, "cannot read /no/such/file: ENOENT"],
    [sourceOf(silent.target, withToken(import.meta.filename, "x")).source, 'Invalid character in header content ["x"]'],
    [sourceOf(silent.target, withToken(file, "connection")).source, expect.stringContaining("forbidden")],
  ] as const) {
    using followed = follow(source, why === "it has said nothing yet" ? 50 : undefined);
    await expect.poll(() => followed.troubles[0]).toEqual(why);
  }
});
