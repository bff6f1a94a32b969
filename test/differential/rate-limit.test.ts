// A rate limit server, asked by the embedded data plane and by Envoy: the same descriptors, and the same done with the answers.

import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type ClusterInit, type HcmInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { RateLimitPerRouteSchema, RateLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { RateLimitRequestSchema, RateLimitResponseSchema } from "../../src/gen/envoy/envoy/service/ratelimit/v3/rls_pb.js";
import { differences, outcomeOf } from "./compare.ts";
import { hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type GrpcTestService, grpcService } from "./grpc-service.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const name = "envoy.filters.http.ratelimit";
const limits = (...all: object[][]) => all.map((actions) => ({ actions: actions.map((value) => ({ actionSpecifier: value })) }));
const key = (descriptorValue: string, more: object = {}) => ({ case: "genericKey", value: { descriptorValue, ...more } });
const header = (headerName: string, more: object = {}) => ({ case: "requestHeaders", value: { headerName, descriptorKey: "h", ...more } });
const matched = (more: object = {}) => ({
  case: "headerValueMatch",
  value: {
    descriptorValue: "matched",
    headers: [
      { name: "x-user", headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value: "alice" } } } },
    ],
    ...more,
  },
});
const metadata = (more: object = {}) => ({
  case: "metadata",
  value: { descriptorKey: "m", source: 1, metadataKey: { key: "own", path: [{ segment: { case: "key", value: "tier" } }] }, ...more },
});
const action = (prefix: string, rateLimits: object[], more: object = {}, route: object = {}) =>
  toRoute(
    prefix,
    {},
    {
      action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "a" }, rateLimits, ...more } },
      ...route,
    },
  );
const perRoute = (init: object) => ({ [name]: packAny(RateLimitPerRouteSchema, init as never) });

const routes = [
  action("/route", limits([key("route")], [key("other", { descriptorKey: "own" })])),
  action("/both", limits([key("route")]), { includeVhRateLimits: true }),
  action("/never", limits([key("route"), header("x-absent")])),
  action("/skipped", limits([key("route"), header("x-absent", { skipIfAbsent: true })])),
  action("/header", limits([header("x-user"), { case: "remoteAddress", value: {} }])),
  action("/pseudo", limits([header(":path"), header(":authority"), header(":method")])),
  action("/cluster", limits([{ case: "destinationCluster", value: {} }])),
  action("/matched", limits([matched()], [matched({ expectMatch: false, descriptorKey: "not" })])),
  action("/format", limits([key("%REQ(x-user)%", { defaultValue: "nobody" })])),
  action(
    "/metadata",
    limits(
      [metadata()],
      [metadata({ metadataKey: { key: "no", path: [{ segment: { case: "key", value: "x" } }] }, defaultValue: "none" })],
    ),
    {},
    {
      metadata: { filterMetadata: { own: { tier: "gold" } } },
    },
  ),
  action("/stage", [{ stage: 1, actions: [{ actionSpecifier: key("later") }] }]),
  action("/limit", [
    {
      actions: [{ actionSpecifier: key("limited") }],
      limit: { overrideSpecifier: { case: "rateLimit", value: { requestsPerUnit: 7, unit: 2 } } },
    },
  ]),
  action("/include", limits([key("route")]), {}, { typedPerFilterConfig: perRoute({ vhRateLimits: 1, domain: "elsewhere" }) }),
  action("/ignore", [], {}, { typedPerFilterConfig: perRoute({ vhRateLimits: 2 }) }),
  action("/query", limits([{ case: "queryParameters", value: { queryParameterName: "q", descriptorKey: "query" } }])),
  toRoute("/"),
];
const service = (clusterName: string) => ({
  transportApiVersion: 2,
  grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName } } },
});
const manager = (config: object): HcmInit =>
  managerWith([{ name, config: packAny(RateLimitSchema, { domain: "custom", timeout: { seconds: 5n }, ...config } as never) }], routes, {
    rateLimits: limits([key("host")]),
    responseHeadersToAdd: [{ header: { key: "x-route", value: "yes" } }],
  } as never);

const managers: readonly HcmInit[] = [
  manager({ rateLimitService: service("limits") }),
  manager({
    rateLimitService: service("limits"),
    enableXRatelimitHeaders: 1,
    disableXEnvoyRatelimitedHeader: true,
    failureModeDeny: true,
    rateLimitedStatus: { code: 503 },
    rateLimitedAsResourceExhausted: true,
    responseHeadersToAdd: [{ header: { key: "x-limited-by", value: "gateway" } }],
  }),
  manager({ rateLimitService: service("nobody") }),
  manager({ rateLimitService: service("nobody"), failureModeDeny: true, statusOnError: { code: 504 } }),
  manager({ rateLimitService: service("limits"), stage: 1 }),
  manager({ rateLimitService: service("limits"), requestType: "internal" }),
];

const paths = routes.slice(0, -1).map((each) => (each as { match: { pathSpecifier: { value: string } } }).match.pathSpecifier.value);
const requests = [
  ...[...paths, "/", "/query?q=one%20two"].flatMap((path) => [
    request(`GET ${path}`),
    request(`GET ${path}`, ["X-User: alice", "X-Decide: ok"]),
  ]),
  ...["over", "over-body", "error", "unknown", "headers", "statuses", "statuses-over"].map((decision) =>
    request("GET /header", [`X-User: ${decision}`]),
  ),
  request("POST /header", ["X-User: over", "Content-Type: application/grpc", "Content-Length: 0"]),
  request("HEAD /header", ["X-User: over-body"]),
  request("GET /header", ["X-User: \u00c3\u00bc"]),
];

const ok = { overallCode: 1 };
const over = { overallCode: 2 };
const statuses = [
  { code: 1, currentLimit: { requestsPerUnit: 10, unit: 2, name: "minute" }, limitRemaining: 3, durationUntilReset: { seconds: 40n } },
  { code: 1, limitRemaining: 0 },
  { code: 1, currentLimit: { requestsPerUnit: 100, unit: 3 }, limitRemaining: 2, durationUntilReset: { seconds: 1000n } },
];
const answers: Readonly<Record<string, MessageInitShape<typeof RateLimitResponseSchema> | number>> = {
  over,
  "over-body": { ...over, rawBody: Buffer.from("too many"), responseHeadersToAdd: [{ key: "x-why", value: "because" }] },
  error: 13,
  unknown: { overallCode: 0 },
  headers: { ...ok, responseHeadersToAdd: [{ key: "X-Left", value: "3" }], requestHeadersToAdd: [{ key: "x-counted", value: "yes" }] },
  structure: {
    ...ok,
    requestHeadersToAdd: ["Host", "te", "upgrade", "expect", "trailer", "keep-alive", "connection", "transfer-encoding", "x-counted"].map(
      (key) => ({ key, value: "yes" }),
    ),
  },
  statuses: { ...ok, statuses },
  "statuses-over": { ...over, statuses },
} as never;

describe.skipIf(hasNoEnvoy("rate limits"))("rate limits by the embedded data plane and by Envoy", () => {
  let upstream: RawUpstream;
  let server: GrpcTestService<typeof RateLimitRequestSchema>;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    server = await grpcService(RateLimitRequestSchema, RateLimitResponseSchema, ({ descriptors }) => {
      const said = descriptors.flatMap(({ entries }) => entries.map(({ value }) => answers[value])).find((each) => each !== undefined);
      return said ?? ok;
    });
    const http2 = { http2ProtocolOptions: {} } as ClusterInit;
    planes = await startPlanes(managers, [
      staticCluster("a", [upstream.port]),
      staticCluster("limits", [server.port], http2),
      staticCluster("nobody", [], http2),
    ]);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  test("the same descriptors are counted, and the same comes of the answers", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const found: string[] = [];
    let asked = 0;
    for (const [index, { envoy, embedded }] of planes.ports.entries())
      for (const text of requests) {
        const line = `[${index}] ${JSON.stringify(text.split("\r\n\r\n", 1)[0])}`;
        const [a, first] = [await outcomeOf(envoy, text), questions()];
        const [b, second] = [await outcomeOf(embedded, text), questions()];
        asked += second.length;
        found.push(
          ...[...differences(a, b), ...differences({ first } as never, { first: second } as never)].map((each) => `${line} ${each}`),
        );
      }
    expect(found).toEqual([]);
    expect(asked).toBeGreaterThan(50);
  });

  // Envoy lets it say all of that, and joins the two hosts with a comma.
  test("what the server says cannot change where a request ends or goes", async () => {
    const { embedded } = planes.ports[0] as Planes["ports"][number];
    const before = upstream.requests.length;
    expect((await outcomeOf(embedded, request("GET /header", ["X-User: structure"]))).status).toBe(200);
    const [head] = upstream.requests.slice(before);
    expect(head).toContain("x-counted: yes\r\n");
    expect(head?.toLowerCase().match(/^(host|te|upgrade|expect|trailer|keep-alive|connection|transfer-encoding):.*$/gm)).toEqual([
      "host: a.example",
    ]);
  });

  function questions(): object[] {
    return server.take().map(({ headers, message }) => {
      // Envoy puts an address of its own machine there.
      const { "x-request-id": _, "x-forwarded-for": __, ...rest } = headers;
      return { headers: { ...rest }, message: toJson(RateLimitRequestSchema, message) };
    });
  }
});
