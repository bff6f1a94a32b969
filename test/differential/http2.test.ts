// HTTP/2 on both sides, in the embedded data plane and in Envoy: the same heads, bodies and trailers, the same outcome.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Http2TestUpstream, http2Client, http2Upstream } from "../../src/dataplane/testing/http2.ts";
import { type RawUpstream, rawRequest, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type ClusterInit, type HcmInit, type RouteInit, staticCluster, toCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { HttpProtocolOptionsSchema } from "../../src/gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { findEnvoy } from "../servers/envoy.ts";
import { freePort } from "../servers/ports.ts";
import { differences } from "./compare.ts";
import { inline, randomManager } from "./configs.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { randomRequest } from "./requests.ts";

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: HTTP/2 against Envoy: no Envoy here (set ENVOY_BIN)");

const isLong = process.env.HEADWORKS_LONG === "1";
const seed = Number(process.env.HEADWORKS_SEED ?? Date.now() % 1_000_000);
const configs = isLong ? 40 : 8;
const requestsEach = isLong ? 100 : 25;

const limit = { seconds: 8n };
const timed = (prefix: string, cluster: string, value: object): RouteInit =>
  ({
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster }, ...value } },
  }) as RouteInit;

const routes: readonly RouteInit[] = [
  {
    match: { pathSpecifier: { case: "prefix", value: "/direct" } },
    action: { case: "directResponse", value: { status: 403, body: { specifier: { case: "inlineString", value: "no % é" } } } },
  } as RouteInit,
  {
    match: { pathSpecifier: { case: "prefix", value: "/moved" } },
    action: { case: "redirect", value: { hostRedirect: "b.example" } },
  } as RouteInit,
  toCluster("dead", {}, "/dead"),
  toCluster("empty", {}, "/empty"),
  timed("/slow", "modern", { timeout: { nanos: 150_000_000 } }),
  timed("/patient", "modern", { timeout: { seconds: 9n }, maxGrpcTimeout: limit, grpcTimeoutOffset: { nanos: 10_000_000 } }),
  timed("/limited", "modern", { maxStreamDuration: { grpcTimeoutHeaderMax: limit, maxStreamDuration: { nanos: 200_000_000 } } }),
  timed("/modern/retry", "modern", {
    retryPolicy: { retryOn: "refused-stream,cancelled", numRetries: 2, retryBackOff: { baseInterval: { nanos: 1_000_000 } } },
  }),
  toCluster("modern", {}, "/modern"),
  toCluster("old", {}, "/old"),
];

interface Ask {
  readonly head: readonly string[];
  readonly body?: string;
  readonly trailers?: Record<string, string>;
}

const post = [":method", "POST"];
const grpc = [":method", "POST", "content-type", "application/grpc", "te", "trailers"];
const message = "\0\0\0\0\x02hi";

const asks: Readonly<Record<string, Ask>> = {
  get: { head: [":path", "/modern?a=b"] },
  "get from HTTP/1.1": { head: [":path", "/old?a=b"] },
  head: { head: [":method", "HEAD", ":path", "/modern"] },
  "head from HTTP/1.1": { head: [":method", "HEAD", ":path", "/old"] },
  post: { head: [...post, ":path", "/modern"], body: "hello" },
  "post to HTTP/1.1": { head: [...post, ":path", "/old"], body: "hello" },
  "post with a length": { head: [...post, ":path", "/old", "content-length", "5"], body: "hello" },
  "post of a length to HTTP/2": { head: [...post, ":path", "/modern", "content-length", "5"], body: "hello" },
  "post of nothing": { head: [...post, ":path", "/old"] },
  "post of an empty body": { head: [...post, ":path", "/modern"], body: "" },
  "get with a body": { head: [":path", "/old"], body: "hi" },
  trailers: { head: [...post, ":path", "/modern"], body: "hi", trailers: { "x-sum": "7" } },
  "trailers to HTTP/1.1": { head: [...post, ":path", "/old"], body: "hi", trailers: { "x-sum": "7" } },
  cookies: { head: [":path", "/modern", "cookie", "a=1", "cookie", "b=2"] },
  "repeated headers": { head: [":path", "/modern", "x-one", "1", "x-one", "2", "accept", "a", "accept", "b"] },
  "what a client may not say": {
    head: [":path", "/modern", "x-envoy-internal", "true", "x-envoy-max-retries", "3", "x-forwarded-for", "1.2.3.4"],
  },
  "te trailers": { head: [":path", "/modern", "te", "trailers"] },
  "no route": { head: [":path", "/none"] },
  "no route, with content": { head: [...post, ":path", "/none"], body: "hi" },
  "direct response": { head: [":path", "/direct"] },
  redirect: { head: [":path", "/moved?x"] },
  "nobody listens": { head: [":path", "/dead"] },
  "no endpoints": { head: [":path", "/empty"] },
  "too slow": { head: [":path", "/slow"] },
  "another authority": { head: [":authority", "a.example:1234", ":path", "/modern"] },
  "authority and host": { head: [":path", "/modern", "host", "b.example"] },
  "options *": { head: [":method", "OPTIONS", ":path", "*"] },
  expects: { head: [...post, ":path", "/modern", "expect", "100-continue"], body: "hi" },
  "status 204": { head: [":path", "/modern/204"] },
  "status 304": { head: [":path", "/modern/304"] },
  "status 500": { head: [":path", "/modern/500"] },
  "answer with trailers": { head: [":path", "/modern/trailers"] },
  "reset before the head": { head: [":path", "/modern/reset"] },
  "reset as no request": { head: [":path", "/modern/protocol-error"] },
  "refused stream": { head: [":path", "/modern/refuse"] },
  "refused once": { head: [":path", "/modern/retry/refuse-once"] },
  "refused for ever": { head: [":path", "/modern/retry/refuse"] },
  "reset after the head": { head: [":path", "/modern/break"] },
  "grpc unary": { head: [...grpc, ":path", "/modern/grpc"], body: message },
  "grpc status without messages": { head: [...grpc, ":path", "/modern/trailers-only"], body: message },
  "grpc status that is retried": { head: [...grpc, ":path", "/modern/retry/cancelled-once"] },
  "grpc to nowhere": { head: [...grpc, ":path", "/none"], body: message },
  "grpc to a direct response": { head: [...grpc, ":path", "/direct"], body: message },
  "grpc to a redirect": { head: [...grpc, ":path", "/moved"], body: message },
  "grpc and nobody listens": { head: [...grpc, ":path", "/dead"], body: message },
  "grpc and no endpoints": { head: [...grpc, ":path", "/empty"], body: message },
  "grpc too slow": { head: [...grpc, ":path", "/slow"], body: message },
  "grpc reset": { head: [...grpc, ":path", "/modern/reset"], body: message },
  "grpc with a timeout of its own": { head: [...grpc, ":path", "/patient/slow", "grpc-timeout", "120m"], body: message },
  "grpc without a timeout": { head: [...grpc, ":path", "/patient"], body: message },
  "grpc with a long timeout": { head: [...grpc, ":path", "/patient", "grpc-timeout", "9H"], body: message },
  "grpc with a stream limit": { head: [...grpc, ":path", "/limited/slow", "grpc-timeout", "100m"], body: message },
  "grpc with a stream limit of the route": { head: [...grpc, ":path", "/limited/slow"], body: message },
  "grpc web is another type": { head: [...post, "content-type", "application/grpc-web", ":path", "/none"], body: message },
  "grpc with a format": { head: [...post, "content-type", "application/grpc+proto", ":path", "/none"], body: message },
};

const managers: readonly HcmInit[] = [
  inline([{ name: "all", domains: ["*"], routes: [...routes] }]),
  {
    ...inline([{ name: "all", domains: ["*"], routes: [...routes], includeRequestAttemptCount: true }]),
    useRemoteAddress: true,
    normalizePath: true,
    alwaysSetRequestIdInResponse: true,
  } as HcmInit,
];

const varying = new Set(["date", "x-request-id", "x-envoy-upstream-service-time"]);

function joined(headers: readonly (readonly [string, string])[]): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, value] of [...headers].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const isLeft = name === "x-envoy-expected-rq-timeout-ms" && /^1[0-4]\d{3}$|^15000$/.test(value);
    const shown = varying.has(name) || isLeft ? "(varies)" : value;
    all[name] = Object.hasOwn(all, name) ? `${all[name]},${shown}` : shown;
  }
  return all;
}

interface Outcome {
  readonly status: number | "reset";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string>>;
  readonly isReset: boolean;
  readonly forwarded: unknown;
}

async function outcomeOf(port: number, { head, body, trailers }: Ask): Promise<Outcome> {
  await using client = http2Client(port);
  const answer = await client.ask(head.includes(":authority") ? head : [":authority", "a.example", ...head], body, trailers);
  const isEcho = answer.body.startsWith('{"upstream"');
  const echoed = isEcho ? JSON.parse(answer.body) : undefined;
  const headers = joined(answer.headers);
  if (isEcho) headers["content-length"] = "of the echo";
  return {
    status: answer.status,
    headers,
    body: isEcho ? "" : answer.body,
    trailers: joined(answer.trailers),
    isReset: answer.code !== 0,
    forwarded: echoed && { ...echoed, headers: joined(echoed.headers), trailers: joined(echoed.trailers ?? []) },
  };
}

/** Where the two differ on purpose. */
const explained: readonly { readonly reason: string; readonly ask: RegExp; readonly lines: RegExp }[] = [];

describe.skipIf(findEnvoy() === undefined && !isRequired)("HTTP/2 in the embedded data plane and in Envoy", () => {
  let old: RawUpstream;
  let modern: Http2TestUpstream;
  let planes: Planes;
  const once = new Set<string>();

  beforeAll(async () => {
    old = await rawUpstream("old");
    modern = await http2Upstream("modern");
    const echo = modern.onStream;
    modern.onStream = (stream, head, request) => {
      const path = head[head.indexOf(":path") + 1] ?? "";
      const action = path.slice(path.lastIndexOf("/") + 1);
      const isFirst = !once.has(path);
      once.add(path);
      switch (action) {
        case "slow":
          return;
        case "204":
        case "304":
        case "500":
          stream.respond([":status", action] as never, { endStream: true });
          return;
        case "trailers":
        case "grpc":
          stream.respond([":status", "200", ...(action === "grpc" ? ["content-type", "application/grpc"] : [])] as never, {
            waitForTrailers: true,
          });
          stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-sum": "7" }));
          void request().then(({ body }) => stream.end(body));
          return;
        case "trailers-only":
          stream.respond(
            [":status", "200", "content-type", "application/grpc", "grpc-status", "5", "grpc-message", "not%20here"] as never,
            {
              endStream: true,
            },
          );
          return;
        case "cancelled-once":
          if (isFirst)
            stream.respond([":status", "200", "content-type", "application/grpc", "grpc-status", "1"] as never, { endStream: true });
          else echo(stream, head, request);
          return;
        case "reset":
          stream.close(2);
          return;
        case "protocol-error":
          stream.close(1);
          return;
        case "refuse":
          stream.close(7);
          return;
        case "refuse-once":
          if (isFirst) stream.close(7);
          else echo(stream, head, request);
          return;
        case "break":
          stream.respond([":status", "200"] as never, { waitForTrailers: true });
          stream.write("half", () => setTimeout(() => stream.close(2), 400));
          return;
        default:
          echo(stream, head, request);
      }
    };
    const http2 = { http2ProtocolOptions: {} };
    planes = await startPlanes(managers, [
      staticCluster("old", [old.port]),
      staticCluster("modern", [modern.port], http2),
      staticCluster("dead", [await freePort()], http2),
      staticCluster("empty", [], http2),
    ]);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await old?.[Symbol.asyncDispose]();
    await modern?.[Symbol.asyncDispose]();
  });

  test(`agree on ${configs} random configurations over HTTP/2, ${requestsEach} requests each (seed ${seed})`, async () => {
    const randomManagers = fc.sample(randomManager, { numRuns: configs, seed });
    const requests = fc.sample(randomRequest, { numRuns: configs * requestsEach, seed: seed + 1 }).map(asHttp2);
    const followsClient = {
      typedExtensionProtocolOptions: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packAny(HttpProtocolOptionsSchema, {
          upstreamProtocolOptions: { case: "useDownstreamProtocolConfig", value: { httpProtocolOptions: {}, http2ProtocolOptions: {} } },
        }),
      },
    } as ClusterInit;
    await using three = await startPlanes(randomManagers, [
      staticCluster("a", [old.port]),
      staticCluster("b", [modern.port], { http2ProtocolOptions: {} }),
      staticCluster("c", [modern.port], followsClient),
      staticCluster("dead", [await freePort()]),
    ]);
    const found: string[] = [];
    for (const [index, { envoy, embedded }] of three.ports.entries())
      for (const ask of requests.slice(index * requestsEach, (index + 1) * requestsEach)) {
        const lines = differences((await outcomeOf(envoy, ask)) as never, (await outcomeOf(embedded, ask)) as never);
        if (lines.length > 0 && found.length < 20)
          found.push(`seed ${seed}, configuration ${index}: ${JSON.stringify(ask)}\n  ${lines.join("\n  ")}`);
      }
    expect(found).toEqual([]);
  }, 600_000);

  async function compare(name: string, ask: (port: number) => Promise<unknown>, index: number): Promise<string[]> {
    const ports = planes.ports[index] as { envoy: number; embedded: number };
    once.clear();
    const envoy = await ask(ports.envoy);
    once.clear();
    const embedded = await ask(ports.embedded);
    return differences(envoy as never, embedded as never)
      .filter((line) => !explained.some((each) => each.ask.test(name) && each.lines.test(line)))
      .map((line) => `${name} [${index}] ${line}`);
  }

  test("agree on clients of HTTP/2", async () => {
    expect(planes.plane.unsupported()).toEqual([]);
    const found: string[] = [];
    for (const [name, ask] of Object.entries(asks))
      for (let index = 0; index < managers.length; index++) found.push(...(await compare(name, (port) => outcomeOf(port, ask), index)));
    expect(found).toEqual([]);
  });

  test("agree on clients of HTTP/1.1 and upstreams of HTTP/2", async () => {
    const found: string[] = [];
    for (const [name, { head, body, trailers }] of Object.entries(asks)) {
      const get = (key: string) => (head.includes(key) ? head[head.indexOf(key) + 1] : undefined);
      if (trailers !== undefined || (get("te") === undefined) === false || get(":path") === "*" || get("host") !== undefined) continue;
      const plain = Array.from({ length: head.length / 2 }, (_, i) => [head[2 * i], head[2 * i + 1]] as const)
        .filter(([key]) => !key?.startsWith(":") && key !== "content-length" && key !== "expect" && key !== "cookie")
        .map(([key, value]) => `${key}: ${value}\r\n`);
      const length = body === undefined ? "" : `content-length: ${body.length}\r\n`;
      const text = `${get(":method") ?? "GET"} ${get(":path")} HTTP/1.1\r\nHost: a.example\r\n${plain.join("")}${length}\r\n${body ?? ""}`;
      for (let index = 0; index < managers.length; index++)
        found.push(...(await compare(`${name} over HTTP/1.1`, (port) => rawOutcome(port, text), index)));
    }
    expect(found).toEqual([]);
  });
});

/** A request of HTTP/1.1, in HTTP/2. */
function asHttp2(text: string): Ask {
  const [head = "", body = ""] = text.split("\r\n\r\n");
  const [line = "", ...lines] = head.split("\r\n");
  const [method = "", path = ""] = line.split(" ");
  const headers = lines.map((each) => [each.slice(0, each.indexOf(":")).toLowerCase(), each.slice(each.indexOf(":") + 1).trim()] as const);
  const authority = headers.find(([name]) => name === "host")?.[1] ?? "";
  const rest = headers.filter(([name]) => name !== "host").flat();
  return { head: [":method", method, ":path", path, ":authority", authority, ...rest], ...(body !== "" && { body }) };
}

async function rawOutcome(port: number, text: string): Promise<unknown> {
  const response = await rawRequest(port, text, { isHead: text.startsWith("HEAD ") });
  if (response === undefined) return { status: "closed" };
  const isEcho = response.body.startsWith('{"upstream"');
  const echoed = isEcho ? JSON.parse(response.body) : undefined;
  const headers = joined(response.headers);
  if (isEcho) headers["content-length"] = "of the echo";
  return {
    status: response.status,
    headers,
    body: isEcho ? "" : response.body,
    isWhole: response.isWhole,
    forwarded: echoed && { ...echoed, headers: joined(echoed.headers) },
  };
}
