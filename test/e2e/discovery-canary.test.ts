// Nobody leads discovery astray: whatever a service, a name or a catalog says, a listener that no Upstream names sees no connection,
// while the services that are meant are asked.
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { ControlPlane } from "../../src/control-plane.ts";
import type { ResourceKey } from "../../src/model/ref.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { readText } from "../../src/sources/read-text.ts";
import { aws } from "../../src/upstreams/aws/aws.ts";
import { findConsul, startConsul } from "../servers/consul.ts";
import { object, until } from "./gateway.ts";

let canary: Server;
let port: number;
let hits: number;
const servers: (Server | HttpServer)[] = [];
const environment = { ...process.env };

beforeEach(async () => {
  hits = 0;
  canary = createServer((socket) => {
    hits++;
    socket.on("error", () => {}).end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
  });
  port = await listen(canary);
  // Proxies of the environment are not for what is inside.
  for (const name of ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "grpc_proxy"]) process.env[name] = at("");
});
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
  for (const each of servers.splice(0)) {
    if ("closeAllConnections" in each) each.closeAllConnections();
    each.close();
  }
});

/** An URL of the canary. */
const at = (path: string, scheme = "http") => `${scheme}://127.0.0.1:${port}${path}`;

async function listen(server: Server | HttpServer, host = "127.0.0.1"): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}

interface Service {
  readonly port: number;
  readonly asked: string[];
}

async function service(answer: (request: IncomingMessage, response: ServerResponse) => void, host?: string): Promise<Service> {
  const asked: string[] = [];
  const server = createHttpServer((request, response) => {
    asked.push(request.url ?? "");
    answer(request, response);
  });
  return { port: await listen(server, host), asked };
}

const labels = { "discovery.solo.io/function_discovery": "enabled" };

function upstream(name: string, spec: object, annotations: object = {}) {
  const plain = object("Upstream", name, spec);
  return { ...plain, metadata: { ...plain.metadata, labels, annotations } };
}

const hosts = (port: number, serviceSpec?: object) => ({
  static: { hosts: [{ addr: "127.0.0.1", port }], ...(serviceSpec && { serviceSpec }) },
});

async function discover(objects: readonly object[], options: { readonly ownPorts?: readonly number[]; readonly awsUrl?: string } = {}) {
  const { ownPorts = [], awsUrl = "" } = options;
  const text = objects.map((each) => JSON.stringify(each)).join("\n---\n");
  const nothing = () => undefined;
  const types = {
    ...builtins.upstreamTypes,
    aws: aws({ AWS_ENDPOINT_URL: awsUrl, AWS_EC2_METADATA_SERVICE_ENDPOINT: at("") }, { firstMs: 0, retryMs: 50, everyMs: 50 }),
  };
  const plane = new ControlPlane({
    sources: [memorySource(readText(text, "input.yaml").resources)],
    consumers: [],
    plugins: { ...builtins, upstreamTypes: types },
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    looksOutside: true,
    functionPace: { firstMs: 0, retryMs: 50, maxRetryMs: 200, gapMs: 0, parallel: 8, refreshMs: 50 },
    ownPorts,
  });
  await plane.start().ready;
  return {
    refused: (name: string) =>
      plane.current.statuses.get(`Upstream gloo-system/${name}` as ResourceKey)?.reason.includes("it is not asked for functions") ?? false,
    warns: (name: string, text: string) =>
      plane.current.statuses.get(`Upstream gloo-system/${name}` as ResourceKey)?.reason.includes(text) ?? false,
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}

test("the canary sings when somebody comes", async () => {
  await fetch(at("/"));
  expect(hits).toBe(1);
});

const places = [
  ["the canary", () => at("/swagger.json")],
  ["its name", () => `http://localhost:${port}/swagger.json`],
  ["another scheme", () => at("/swagger.json", "https")],
  ["no scheme", () => `//127.0.0.1:${port}/swagger.json`],
  ["somebody with a name", () => at("/swagger.json").replace("://", "://user:password@")],
  ["a file", () => "file:///etc/hostname"],
  ["nonsense", () => "http://[::1"],
] as const;

test.each(places)("a redirect to %s is not followed", async (_, place) => {
  const led = await service((request, response) =>
    // First within the service, where redirects are followed.
    response
      .writeHead(request.url === "/swagger.json" ? 307 : 302, { location: request.url === "/swagger.json" ? "/elsewhere" : place() })
      .end(),
  );
  await using _plane = await discover([upstream("led", hosts(led.port))]);
  await until("both paths were asked", () => led.asked.includes("/elsewhere") && led.asked.includes("/v2/swagger"));
  expect(hits).toBe(0);
});

test("what a document refers to elsewhere is not fetched", async () => {
  const away = { $ref: at("/ref") };
  const old = {
    swagger: "2.0",
    host: `127.0.0.1:${port}`,
    schemes: ["http"],
    externalDocs: { url: at("/docs") },
    paths: {
      "/a": { get: { operationId: "a", parameters: [away, { in: "body", name: "b", schema: away }] } },
      "/b": away,
      "/c": { $ref: `//127.0.0.1:${port}/x#/y` },
    },
    definitions: { A: away },
  };
  const young = {
    openapi: "3.1.0",
    servers: [{ url: at("/base") }],
    paths: { "/a": { post: { operationId: "a", requestBody: { content: { "application/json": { schema: away } } } } }, "/b": away },
    components: { schemas: { A: { allOf: [away] } } },
  };
  const [first, second] = await Promise.all([old, young].map((each) => service((_, response) => void response.end(JSON.stringify(each)))));
  if (!first || !second) throw new Error("two services");
  const yaml = `swagger: "2.0"\npaths: {/a: {$ref: ${JSON.stringify(at("/yaml"))}}}\nx: !!js/require ${JSON.stringify(at("/tag"))}\n`;
  const third = await service((_, response) => void response.end(yaml));
  await using _ = await discover([
    upstream("old", hosts(first.port)),
    upstream("young", hosts(second.port)),
    upstream("yaml", hosts(third.port)),
  ]);
  await until("all were asked again", () => first.asked.length > 2 && second.asked.length > 2 && third.asked.length > 2);
  expect(hits).toBe(0);
});

test("neither swaggerInfo nor an annotation leads away from the Upstream", async () => {
  const own = await service((_, response) => void response.writeHead(404).end());
  await using plane = await discover([
    upstream("info", hosts(own.port, { rest: { swaggerInfo: { url: at("/swagger.json") } } })),
    upstream("places", hosts(own.port), { "discovery.solo.io/openapi_paths": `//127.0.0.1:${port}/a, ${at("/b")}, /own` }),
  ]);
  await until("its own path was asked", () => own.asked.includes("/own"));
  await until("the user is told", () => plane.warns("info", "is not at"));
  expect(hits).toBe(0);
});

test.each(["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])("%s is this machine by another name, and is not asked", async (addr) => {
  await using plane = await discover([upstream("hidden", { static: { hosts: [{ addr, port }] } })]);
  await until("it was judged", () => plane.refused("hidden"));
  expect(hits).toBe(0);
});

test("Headworks does not ask itself", async () => {
  await using plane = await discover([upstream("itself", hosts(port))], { ownPorts: [port] });
  await until("it was judged", () => plane.refused("itself"));
  expect(hits).toBe(0);
});

test("AWS leads nowhere, and credentials of the machine are not looked for unless the Settings say so", async () => {
  const cloud = await service((_, response) => void response.writeHead(301, { location: at("/") }).end());
  const secret = object("Secret", "keys", { aws: { accessKey: "AKIAEXAMPLE", secretKey: "s" } });
  const of = (name: string, spec: object) => object("Upstream", name, { aws: { region: "eu-west-1", ...spec } });
  await using plane = await discover([secret, of("led", { secretRef: { name: "keys", namespace: "gloo-system" } }), of("bare", {})], {
    awsUrl: `http://127.0.0.1:${cloud.port}`,
  });
  await until("AWS was asked again", () => cloud.asked.length > 1 && plane.warns("led", "were not listed"));
  expect(hits).toBe(0);
});

describe.skipIf(findConsul() === undefined)("a catalog", () => {
  test("does not lead discovery to this machine or to link-local addresses", async () => {
    await using consul = await startConsul();
    for (const [name, address] of Object.entries({
      loop: "127.0.0.1",
      mapped: "::ffff:127.0.0.1",
      metadata: "169.254.169.254",
      name: "localhost",
    }))
      await consul.register({ ID: name, Name: name, Address: address, Port: port });
    // Not on loopback: asked.
    const outside = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
    const fine = outside === undefined ? undefined : await service((_, response) => void response.writeHead(404).end(), outside);
    if (fine) await consul.register({ ID: "fine", Name: "fine", Address: outside, Port: fine.port });
    const settings = object("Settings", "default", {
      discovery: { fdsMode: "BLACKLIST" },
      consul: { httpAddress: consul.url, dnsAddress: `127.0.0.1:${consul.dnsPort}`, serviceDiscovery: {} },
    });
    await using plane = await discover([settings]);
    for (const name of ["loop", "mapped", "metadata"]) await until(`${name} was judged`, () => plane.refused(name));
    if (fine) await until("the service outside was asked", () => fine.asked.includes("/swagger.json"));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(hits).toBe(0);
  });
});
