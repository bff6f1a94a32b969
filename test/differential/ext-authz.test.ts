// Authorization servers of HTTP and gRPC, asked by the embedded data plane and by Envoy: the same questions, and the same done with the answers.

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Server as NetServer } from "node:net";
import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type ClusterInit, type HcmInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import {
  CheckRequestSchema,
  type CheckResponseSchema,
  CheckResponseSchema as ResponseSchema,
} from "../../src/gen/envoy/envoy/service/auth/v3/external_auth_pb.js";
import { differences, outcomeOf } from "./compare.ts";
import { hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type GrpcTestService, grpcService } from "./grpc-service.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const name = "envoy.filters.http.ext_authz";
const perRoute = (init: object) => ({ [name]: packAny(ExtAuthzPerRouteSchema, init as never) });
const disabled = perRoute({ override: { case: "disabled", value: true } });
const extended = (contextExtensions: object, more: object = {}) =>
  perRoute({ override: { case: "checkSettings", value: { contextExtensions, ...more } } });
const exact = (...names: string[]) => ({ patterns: names.map((value) => ({ matchPattern: { case: "exact", value } })) });

const routes = [
  toRoute("/open", disabled),
  toRoute("/extended", extended({ own: "route", both: "route" })),
  toRoute("/bodiless", extended({}, { disableRequestBodyBuffering: true })),
  toRoute("/", {}, { responseHeadersToAdd: [{ header: { key: "x-route", value: "yes" } }] }),
];
const manager = (config: object): HcmInit =>
  managerWith([{ name, config: packAny(ExtAuthzSchema, config as never) }], routes, {
    typedPerFilterConfig: extended({ host: "host", both: "host" }),
  } as never);

const seconds = (value: number) => ({ seconds: BigInt(Math.floor(value)), nanos: Math.round((value % 1) * 1e9) });
const http = (cluster: string, more: object = {}, timeout = 5) => ({
  case: "httpService",
  value: { serverUri: { uri: "http://auth/", httpUpstreamType: { case: "cluster", value: cluster }, timeout: seconds(timeout) }, ...more },
});
const grpc = (clusterName: string, timeout = 5, authority = "") => ({
  case: "grpcService",
  value: { timeout: seconds(timeout), targetSpecifier: { case: "envoyGrpc", value: { clusterName, authority } } },
});
const v3 = { transportApiVersion: 2 };

const off = { filterEnabled: { defaultValue: { numerator: 0 }, runtimeKey: "y" } };

const managers: readonly HcmInit[] = [
  manager({ ...v3, services: http("auth", { pathPrefix: "/check" }) }),
  manager({
    ...v3,
    clearRouteCache: true,
    failureModeAllow: true,
    failureModeAllowHeaderAdd: true,
    withRequestBody: { maxRequestBytes: 8, allowPartialMessage: true },
    services: http("auth", {
      authorizationRequest: { allowedHeaders: exact("x-user", "cookie"), headersToAdd: [{ key: "x-from", value: "gateway" }] },
      authorizationResponse: {
        allowedUpstreamHeaders: exact("x-user", "x-new"),
        allowedUpstreamHeadersToAppend: exact("x-list"),
        allowedClientHeaders: exact("x-reason"),
        allowedClientHeadersOnSuccess: exact("x-granted"),
      },
    }),
  }),
  manager({ ...v3, services: grpc("grpc-auth"), withRequestBody: { maxRequestBytes: 8 } }),
  manager({ ...v3, services: grpc("grpc-auth", 5, "authority.example"), failureModeAllow: true, allowedHeaders: exact("x-user") }),
  manager({ ...v3, services: grpc("nobody"), statusOnError: { code: 503 } }),
  manager({ ...v3, services: http("nobody") }),
  manager({ ...v3, services: http("auth"), withRequestBody: { maxRequestBytes: 8 } }),
  manager({ ...v3, services: http("silent", {}, 0.05) }),
  manager({ ...v3, services: grpc("silent-grpc", 0.05), failureModeAllow: true }),
  manager({ ...v3, services: http("auth", { pathOverride: "/check/denied?always" }) }),
  manager({ ...v3, services: http("auth"), ...off, denyAtDisable: { defaultValue: { value: true }, runtimeKey: "x" } }),
  manager({ ...v3, services: http("auth"), ...off, statusOnError: { code: 503 } }),
  // There is nobody to ask once the body is there, and that is known at once.
  manager({ ...v3, services: grpc("nobody"), failureModeAllow: true, withRequestBody: { maxRequestBytes: 8 } }),
  manager({ ...v3, services: http("nobody"), failureModeAllow: true, withRequestBody: { maxRequestBytes: 8, allowPartialMessage: true } }),
];

const requests = [
  request("GET /ok?a=b", ["X-User: alice", "Authorization: Basic eA==", "Cookie: a=1", "Cookie: b=2", "X-List: one"]),
  request("POST /ok", ["Content-Length: 5", "X-User: alice"], "hello"),
  request("POST /ok", ["Content-Length: 12"], "hello, world"),
  request("POST /bodiless", ["Content-Length: 12"], "hello, world"),
  request("POST /ok", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n"),
  request("HEAD /ok"),
  request("GET /denied", ["X-User: bob"]),
  request("HEAD /denied"),
  request("GET /denied-plain"),
  request("GET /login"),
  request("GET /headers", ["X-User: alice", "X-List: one", "X-Gone: yes", "X-Absent-Not: x"]),
  request("GET /query?keep=1&drop=2&change=3"),
  request("GET /error"),
  request("GET /open"),
  request("GET /extended"),
  request("GET /ok", ["X-User: \u00fc"]),
  request("POST /denied", ["Content-Type: application/grpc", "Content-Length: 0"]),
];

/** Answers by path. */
function httpServer(): Server {
  return createServer((asked, answer) => {
    let body = "";
    asked.setEncoding("latin1");
    asked.on("data", (data: string) => {
      body += data;
    });
    asked.on("end", () => {
      const { "x-request-id": _, ...headers } = asked.headers;
      questions.push({ method: asked.method, path: asked.url, headers, body });
      const path = asked.url?.replace("/check", "") ?? "";
      answer.sendDate = false;
      const headersOf: Record<string, string | string[]> = {
        "x-user": "checked",
        "x-new": "yes",
        "x-list": "two",
        "x-granted": "true",
        "x-reason": "why",
      };
      if (path.startsWith("/denied")) answer.writeHead(401, { ...headersOf, "www-authenticate": "Basic", "content-type": "text/html" });
      else if (path.startsWith("/login")) answer.writeHead(302, { location: "/there", "set-cookie": ["a=1", "b=2"] });
      else if (path.startsWith("/error")) answer.writeHead(500, headersOf);
      else answer.writeHead(200, { ...headersOf, "x-envoy-auth-headers-to-remove": "x-gone, x-absent" });
      answer.end(path.startsWith("/denied-plain") || path.startsWith("/login") ? "" : "from the server");
    });
  });
}

let questions: object[] = [];

const option = (key: string, value: string, more: object = {}) => ({ header: { key, value }, ...more });

function answerOf(path: string): MessageInitShape<typeof CheckResponseSchema> | number {
  const denied = (value: object) => ({ status: { code: 7 }, httpResponse: { case: "deniedResponse", value } }) as never;
  const ok = (value: object) => ({ status: { code: 0 }, httpResponse: { case: "okResponse", value } }) as never;
  if (path.startsWith("/denied-plain")) return { status: { code: 16 } } as never;
  if (path.startsWith("/denied"))
    return denied({
      status: { code: 401 },
      headers: [
        option("x-reason", "why"),
        option("set-cookie", "a=1"),
        option("set-cookie", "b=2"),
        option("x-more", "x", { append: true }),
      ],
      body: "not you",
    });
  if (path.startsWith("/login")) return denied({ status: { code: 302 }, headers: [option("location", "/there")] });
  if (path.startsWith("/error")) return 13;
  if (path.startsWith("/headers"))
    return ok({
      headers: [
        option("x-user", "set"),
        option("x-list", "two", { append: true }),
        option("x-absent", "never", { append: true }),
        option("x-new", "new", { append: false }),
        option("x-acted", "action", { appendAction: 1 }),
      ],
      headersToRemove: ["x-gone", ":path", "host"],
      responseHeadersToAdd: [
        option("x-added", "1"),
        option("x-route", "replaced", { append: false }),
        option("x-if-absent", "there", { appendAction: 1 }),
        option("x-over", "never", { appendAction: 3 }),
      ],
    });
  if (path.startsWith("/query"))
    return ok({
      queryParametersToSet: [
        { key: "change", value: "4" },
        { key: "new", value: "a%20b&c=d" },
      ],
      queryParametersToRemove: ["drop"],
    });
  return ok({});
}

const varying = new Set(["x-request-id"]);

function shown(service: GrpcTestService<typeof CheckRequestSchema>): object[] {
  return service.take().map(({ headers, message }) => {
    const json = toJson(CheckRequestSchema, message) as Record<string, never>;
    const text = JSON.stringify(json, (key, value) =>
      varying.has(key) || key === "time" || key === "portValue" || key === "id" ? "(varies)" : value,
    );
    // Envoy puts an address of its own machine there.
    const { "x-request-id": _, "x-forwarded-for": __, ...rest } = headers;
    return { headers: { ...rest }, message: JSON.parse(text) };
  });
}

describe.skipIf(hasNoEnvoy("authorization"))("authorization by the embedded data plane and by Envoy", () => {
  let upstream: RawUpstream;
  let server: Server;
  let silent: NetServer;
  let service: GrpcTestService<typeof CheckRequestSchema>;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    server = httpServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    silent = createNetServer((socket) => void socket.on("error", () => undefined)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    service = await grpcService(CheckRequestSchema, ResponseSchema, ({ attributes }) => answerOf(attributes?.request?.http?.path ?? ""));
    const http2 = { http2ProtocolOptions: {} } as ClusterInit;
    planes = await startPlanes(managers, [
      staticCluster("a", [upstream.port]),
      staticCluster("auth", [(server.address() as AddressInfo).port]),
      staticCluster("grpc-auth", [service.port], http2),
      staticCluster("nobody", [], http2),
      staticCluster("silent", [(silent.address() as AddressInfo).port]),
      staticCluster("silent-grpc", [(silent.address() as AddressInfo).port], http2),
    ]);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await service?.[Symbol.asyncDispose]();
    server?.closeAllConnections();
    server?.close();
    silent?.close();
  });

  test("the same questions are asked, and the same comes of the answers", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const found: string[] = [];
    for (const [index, { envoy, embedded }] of planes.ports.entries())
      for (const text of requests) {
        const line = `[${index}] ${text.split("\r\n", 1)[0]}`;
        const asked: object[][] = [];
        const outcomes = [];
        for (const port of [envoy, embedded]) {
          outcomes.push(await outcomeOf(port, text));
          asked.push([...questions, ...shown(service)]);
          questions = [];
        }
        const [a, b] = outcomes as [(typeof outcomes)[0], (typeof outcomes)[0]];
        found.push(...differences(a as never, b as never).map((each) => `${line} ${each}`));
        found.push(...differences({ asked: asked[0] } as never, { asked: asked[1] } as never).map((each) => `${line} ${each}`));
      }
    expect(found).toEqual([]);
    // Nothing is left of what was asked.
    const stats = planes.plane.stats();
    for (const cluster of ["auth", "grpc-auth", "silent", "silent-grpc"]) expect(stats[`cluster.${cluster}.upstream_rq_active`]).toBe(0);
  });
});
