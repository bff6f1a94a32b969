// The gRPC methods: separate services, addresses, and the one door that all calls pass.
import { existsSync, mkdtempSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import type { BoundAddress } from "../../../src/xds/address.ts";
import { createXdsServer } from "../../../src/xds/server.ts";
import { xdsMethods } from "../../../src/xds/services.ts";
import { freePort } from "../../servers/ports.ts";
import { TestClient } from "./client.ts";
import { assignment, CDS, cluster, EDS, LDS, listen, RDS, resource, route, SDS, serve } from "./fixture.ts";

const path = (variant: "delta" | "sotw", service: string, noun: string) =>
  `/envoy.service.${service}.v3.${service[0]?.toUpperCase()}${service.slice(1)}DiscoveryService/${variant === "delta" ? "Delta" : "Stream"}${noun}`;

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test.each([
    ["cluster", "Clusters", CDS],
    ["endpoint", "Endpoints", EDS],
    ["listener", "Listeners", LDS],
    ["route", "Routes", RDS],
    ["secret", "Secrets", SDS],
  ] as const)("the %s service serves its type, also when the request does not say it", async (service, noun, type) => {
    await using xds = await serve([resource(type, "x"), resource(type === CDS ? EDS : CDS, "other")]);
    for (const typeUrl of [type, ""]) {
      const client = xds.client({ variant, method: path(variant, service, noun), id: typeUrl });
      client[variant](variant === "delta" ? { typeUrl, resourceNamesSubscribe: ["x"] } : { typeUrl, resourceNames: ["x"] });
      expect(await client.next()).toMatchObject({ typeUrl: type, names: ["x"] });
    }
    const stranger = xds.client({ variant, method: path(variant, service, noun) });
    stranger.subscribe(type === CDS ? EDS : CDS, ["other"]);
    expect(await stranger.ended).toMatchObject({ code: 3 });
  });

  test("runtime is served, and has nothing", async () => {
    await using xds = await serve();
    const client = xds.client({ variant, method: path(variant, "runtime", "Runtime") });
    client.subscribe("type.googleapis.com/envoy.service.runtime.v3.Runtime", ["layer"]);
    expect((await client.next()).names).toEqual([]);
  });
});

test("the services of one node on one connection keep the order, as far as streams can", async () => {
  await using xds = await serve([cluster("a"), assignment("a"), listen("l"), route("r")]);
  const clients = {
    [CDS]: xds.client({ method: path("delta", "cluster", "Clusters") }),
    [EDS]: xds.client({ method: path("delta", "endpoint", "Endpoints") }),
  };
  clients[CDS].subscribe(CDS);
  expect((await clients[CDS].take(CDS)).names).toEqual(["a"]);
  clients[EDS].subscribe(EDS, ["a"]);
  expect((await clients[EDS].take(EDS)).names).toEqual(["a"]);
  expect(xds.server.clients().every(({ service }) => service === "separate")).toBe(true);
});

function unary(address: BoundAddress, method: string): Promise<ServiceError> {
  const client = new Client(`${(address as { host: string }).host}:${(address as { port: number }).port}`, credentials.createInsecure());
  const asIs = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(method, asIs, asIs, Buffer.alloc(0), (error) => {
      client.close();
      resolve(error as ServiceError);
    });
  });
}

test("every method asks for credentials, unary ones too", async () => {
  const asked: string[] = [];
  await using xds = await serve([cluster("a")], {
    authenticate({ method, header }) {
      asked.push(method);
      return header("authorization") === "Bearer good" ? {} : undefined;
    },
  });
  for (const { path: method, variant } of xdsMethods) {
    if (variant === undefined) expect((await unary(xds.address, method)).code).toBe(16);
    else {
      const client = xds.client({ variant, method });
      client.subscribe("");
      expect(await client.ended).toMatchObject({ code: 16 });
      expect(client.answers).toEqual([]);
    }
  }
  expect(asked).toHaveLength(xdsMethods.length);
  expect(xds.server.metrics.streamsTotal).toBe(0);
  const admitted = xds.client({ headers: { authorization: "Bearer good" } });
  admitted.subscribe(CDS);
  expect((await admitted.take(CDS)).names).toEqual(["a"]);
});

test("an authentication that throws lets nobody in", async () => {
  await using xds = await serve([cluster("a")], {
    authenticate() {
      throw new Error("the key server is away");
    },
  });
  const client = xds.client();
  client.subscribe(CDS);
  expect(await client.ended).toMatchObject({ code: 16 });
});

test("an identity gets the proxies it may be, and no other", async () => {
  await using xds = await serve([cluster("a")], { authenticate: () => ({ mayBe: (proxy) => proxy === "ns~other" }) });
  const client = xds.client({ role: "ns~proxy" });
  client.subscribe(CDS);
  expect(await client.ended).toMatchObject({ code: 7, details: expect.stringContaining("may not be") });
});

test("Fetch says that it is not served", async () => {
  await using xds = await serve();
  for (const { path: method, variant } of xdsMethods) {
    if (variant === undefined) expect(await unary(xds.address, method)).toMatchObject({ code: 12 });
  }
});

test("a Unix socket is served, is the owner's alone, and a stale one is replaced", async () => {
  const socket = join(mkdtempSync(join(tmpdir(), "xds-")), "xds.sock");
  for (let round = 0; round < 2; round++) {
    await using server = createXdsServer();
    server.publish("ns~proxy", { upserts: [cluster("a")], removals: [] });
    const address = await server.listen({ path: socket });
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await using client = new TestClient(address);
    client.subscribe(CDS);
    expect((await client.take(CDS)).names).toEqual(["a"]);
    await using second = createXdsServer();
    await expect(second.listen({ path: socket })).rejects.toThrow("another process listens");
  }
  // What a killed process leaves behind.
  const { spawnSync } = await import("node:child_process");
  spawnSync(process.execPath, [
    "-e",
    `require("net").createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 9))`,
  ]);
  expect(existsSync(socket)).toBe(true);
  await using server = createXdsServer();
  await server.listen({ path: socket });
});

test("a file that is no socket is not removed", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "xds-")), "precious");
  (await import("node:fs")).writeFileSync(file, "data");
  await using server = createXdsServer();
  await expect(server.listen({ path: file })).rejects.toThrow("is not a socket");
  expect(existsSync(file)).toBe(true);
});

test("an address that others can reach needs TLS with client certificates, or insistence", async () => {
  await using server = createXdsServer();
  await expect(server.listen({ host: "0.0.0.0", port: 0 })).rejects.toThrow("would let anyone read");
  await expect(server.listen({ host: "::", port: 0 }, { tls: { cert: "", key: "" } })).rejects.toThrow("would let anyone read");
  expect(await server.listen({ host: "0.0.0.0", port: 0 }, { insecure: true })).toMatchObject({ host: "0.0.0.0" });
});

test("a port that is taken is an error, not a crash", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  await using server = createXdsServer();
  await expect(server.listen({ host: "127.0.0.1", port: (other.address() as { port: number }).port })).rejects.toThrow();
  other.close();
});

test("a server that stops ends its streams and lets its port go", async () => {
  const server = createXdsServer({ drainMs: 50 });
  server.publish("ns~proxy", { upserts: [cluster("a")], removals: [] });
  const address = await server.listen({ host: "127.0.0.1", port: await freePort() });
  await using client = new TestClient(address);
  client.subscribe(CDS);
  await client.take(CDS);
  await server[Symbol.asyncDispose]();
  expect(await client.ended).toMatchObject({ code: 14 });
  await using next = createXdsServer();
  expect(await next.listen(address)).toEqual(address);
});
