// Faults, CSRF, buffering, local rate limits and health checks in the embedded data plane and in Envoy.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawRequest, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { FilterConfigSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { BufferPerRouteSchema, BufferSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import { CsrfPolicySchema } from "../../src/gen/envoy/envoy/extensions/filters/http/csrf/v3/csrf_pb.js";
import { HTTPFaultSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { HealthCheckSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/health_check/v3/health_check_pb.js";
import { LocalRateLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { differencesOf, directRoute, everythingFrom, hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const faultName = "envoy.filters.http.fault";
const csrfName = "envoy.filters.http.csrf";
const bufferName = "envoy.filters.http.buffer";
const limitName = "envoy.filters.http.local_ratelimit";
const healthName = "envoy.filters.http.health_check";

const hundred = { numerator: 100, denominator: 0 };
const abort = (status: number, percentage: object = hundred, more: object = {}) => ({
  abort: { errorType: { case: "httpStatus", value: status }, percentage, ...more },
});
const delay = (nanos: number, percentage: object = hundred) => ({
  delay: { faultDelaySecifier: { case: "fixedDelay", value: { nanos } }, percentage },
});
const fault = (message: object) => ({ [faultName]: packAny(HTTPFaultSchema, message as never) });
const exactHeader = (name: string, value: string) => ({
  name,
  headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value } } },
});
const disabled = packAny(FilterConfigSchema, { disabled: true });

const faults = managerWith(
  [{ name: faultName, config: packAny(HTTPFaultSchema, {}) }],
  [
    toRoute("/abort", fault(abort(555))),
    toRoute("/words", fault(abort(503, hundred, { responseBody: "on purpose é" }))),
    toRoute("/never", fault(abort(503, { numerator: 0 }))),
    toRoute("/million", fault(abort(504, { numerator: 1_000_000, denominator: 2 }))),
    toRoute("/grpc", fault({ abort: { errorType: { case: "grpcStatus", value: 8 }, percentage: hundred } })),
    toRoute("/delay", fault(delay(30_000_000))),
    toRoute("/late", fault({ ...delay(20_000_000), ...abort(418) })),
    toRoute("/some", fault({ ...abort(500), headers: [exactHeader("x-fail", "yes")] })),
    toRoute("/cluster", fault({ ...abort(500), upstreamCluster: "a" })),
    toRoute("/other", fault({ ...abort(500), upstreamCluster: "b" })),
    toRoute("/retried", fault(abort(503)), { responseHeadersToAdd: [{ header: { key: "x-route", value: "1" } }] }),
    directRoute("/direct", "hi", fault(abort(500))),
    toRoute("/none", fault({})),
    toRoute("/off", { [faultName]: disabled }),
    toRoute("/"),
  ],
  { typedPerFilterConfig: fault(abort(507)) },
);

const faultOfListener = managerWith(
  [{ name: faultName, config: packAny(HTTPFaultSchema, abort(599) as never) }],
  [toRoute("/none", fault({})), toRoute("/off", { [faultName]: disabled }), toRoute("/x")],
);

const policy = (message: object) => packAny(CsrfPolicySchema, message as never);
const enabled = { filterEnabled: { defaultValue: hundred } };
const csrf = (message: object) => ({ [csrfName]: policy(message) });
const trusted = [
  { matchPattern: { case: "exact", value: "good.example" } },
  { matchPattern: { case: "suffix", value: ".good.example:8443" } },
  { matchPattern: { case: "safeRegex", value: { regex: "x[0-9]+" } } },
];
const csrfs = managerWith(
  [{ name: csrfName, config: policy({ filterEnabled: { defaultValue: {} } }) }],
  [
    toRoute("/on", csrf(enabled)),
    toRoute("/trust", csrf({ ...enabled, additionalOrigins: trusted })),
    toRoute("/shadow", csrf({ filterEnabled: { defaultValue: {} }, shadowEnabled: { defaultValue: hundred } })),
    toRoute("/"),
  ],
);
const csrfOfListener = managerWith([{ name: csrfName, config: policy(enabled) }], [toRoute("/x"), directRoute("/direct", "hi")]);

const buffers = managerWith(
  [{ name: bufferName, config: packAny(BufferSchema, { maxRequestBytes: 10 }) }],
  [
    toRoute("/more", {
      [bufferName]: packAny(BufferPerRouteSchema, { override: { case: "buffer", value: { maxRequestBytes: 20 } } }),
    }),
    toRoute("/off", { [bufferName]: packAny(BufferPerRouteSchema, { override: { case: "disabled", value: true } }) }),
    toRoute("/"),
  ],
);

const bucket = (maxTokens: number, seconds = 1_000, tokensPerFill = 1) => ({
  tokenBucket: { maxTokens, tokensPerFill, fillInterval: { seconds: BigInt(seconds) } },
});
const always = { filterEnabled: { defaultValue: hundred }, filterEnforced: { defaultValue: hundred } };
const limit = (message: object) => packAny(LocalRateLimitSchema, { statPrefix: "x", ...message } as never);
const limits = managerWith(
  [{ name: limitName, config: limit({}) }],
  [
    toRoute("/two", { [limitName]: limit({ ...always, ...bucket(2) }) }),
    toRoute("/told", { [limitName]: limit({ ...always, ...bucket(3, 90, 2), enableXRatelimitHeaders: 1 }) }),
    toRoute("/status", {
      [limitName]: limit({
        ...always,
        ...bucket(1),
        status: { code: 503 },
        responseHeadersToAdd: [{ header: { key: "x-limited", value: "yes" } }],
      }),
    }),
    toRoute("/low", { [limitName]: limit({ ...always, ...bucket(1), status: { code: 200 } }) }),
    toRoute("/unenforced", {
      [limitName]: limit({
        ...bucket(1),
        filterEnabled: always.filterEnabled,
        requestHeadersToAddWhenNotEnforced: [{ header: { key: "x-over", value: "limit" } }],
      }),
    }),
    toRoute("/idle", { [limitName]: limit(bucket(1)) }),
    toRoute("/off", { [limitName]: disabled }),
    directRoute("/direct", "hi", { [limitName]: limit({ ...always, ...bucket(1) }) }),
    toRoute("/"),
  ],
  { typedPerFilterConfig: { [limitName]: limit({ ...always, ...bucket(4) }) } },
);
const limitOfListener = managerWith(
  [{ name: limitName, config: limit({ ...always, ...bucket(2), localRateLimitPerDownstreamConnection: true }) }],
  [toRoute("/x")],
);

const health = managerWith(
  [
    {
      name: healthName,
      config: packAny(HealthCheckSchema, {
        passThroughMode: false,
        headers: [{ name: ":path", headerMatchSpecifier: { case: "exactMatch", value: "/healthy" } }],
      }),
    },
  ],
  [toRoute("/x")],
);

const post = (path: string, body: string, headers: readonly string[] = []) =>
  request(`POST ${path}`, [`Content-Length: ${body.length}`, ...headers], body);
const chunked = (path: string, ...chunks: string[]) =>
  request(
    `POST ${path}`,
    ["Transfer-Encoding: chunked"],
    [...chunks, ""].map((each) => `${each.length.toString(16)}\r\n${each}\r\n`).join(""),
  );
const several = (count: number, text: string) => Array.from({ length: count }, () => text);

describe.skipIf(hasNoEnvoy("filters of traffic"))("filters of traffic in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    const managers = [faults, faultOfListener, csrfs, csrfOfListener, buffers, limits, limitOfListener, health];
    planes = await startPlanes(managers, [staticCluster("a", [upstream.port])]);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test("nothing of it is reported as not executed", () => {
    expect(planes.plane.unsupported()).toEqual([]);
  });

  test("faults", async () => {
    const paths = [
      "abort",
      "words",
      "never",
      "million",
      "grpc",
      "delay",
      "late",
      "cluster",
      "other",
      "retried",
      "direct",
      "none",
      "off",
      "x",
    ];
    const found = await differencesOf(planes, 0, [
      ...paths.map((path) => request(`GET /${path}`)),
      request("HEAD /words"),
      post("/abort", "body"),
      post("/delay", "body"),
      request("GET /some"),
      request("GET /some", ["X-Fail: yes"]),
      ...["/abort", "/grpc", "/words"].map((path) => post(path, "", ["Content-Type: application/grpc"])),
    ]);
    found.push(
      ...(await differencesOf(
        planes,
        1,
        ["/none", "/off", "/x", "/nowhere"].map((path) => request(`GET ${path}`)),
      )),
    );
    expect(found).toEqual([]);
  });

  test("CSRF", async () => {
    const origins = [
      [],
      ["Origin: http://a.example"],
      ["Origin: https://a.example"],
      ["Origin: a.example"],
      ["Origin: http://evil.example"],
      ["Origin: null"],
      ["Origin: https://good.example"],
      ["Origin: https://www.good.example:8443"],
      ["Origin: https://x12"],
      ["Origin:", "Referer: http://a.example/page?x=1"],
      ["Referer: http://a.example/page"],
      ["Referer: http://evil.example/a.example"],
      ["Origin: http://a.example:80"],
      ["Origin: HTTP://A.example"],
      ["Origin: http://user@a.example"],
      ["Origin: http://user:pass@a.example/"],
      ["Origin: http://evil.example@a.example"],
      ["Origin: http://a.example@evil.example"],
      ["Origin: http://evil.example#@a.example"],
      ["Origin: http://evil.example\\@a.example"],
      ["Origin: http://evil.example/@a.example"],
      ["Origin: http://evil.example?@a.example"],
      ["Origin: http://a.example.evil.example"],
      ["Origin: http://a.example."],
      ["Origin: http://a.example/"],
      ["Origin: http://a.example?x"],
      ["Origin: http:a.example"],
      ["Origin: http:///a.example"],
      ["Origin: //a.example"],
      ["Origin: ftp://a.example"],
      ["Origin: http://"],
      ["Origin: http://a.example", "Origin: http://evil.example"],
      ["Origin: http://evil.example", "Origin: http://a.example"],
      ["Origin: http://a.example, http://evil.example"],
      ["Referer: http://evil.example/a.example"],
      ["Origin: null", "Referer: http://a.example/"],
      ["Origin: http://", "Referer: http://a.example/"],
    ];
    const requests = ["/on", "/trust", "/shadow", "/x"].flatMap((path) =>
      origins.flatMap((headers) => ["GET", "POST", "PUT", "DELETE", "PATCH"].map((method) => request(`${method} ${path}`, headers))),
    );
    const found = await differencesOf(planes, 2, requests);
    found.push(
      ...(await differencesOf(
        planes,
        3,
        ["/x", "/direct", "/nowhere"].map((path) => post(path, "")),
      )),
    );
    expect(found).toEqual([]);
  });

  test("buffering", async () => {
    const found = await differencesOf(planes, 4, [
      request("GET /x"),
      ...["/x", "/more", "/off"].flatMap((path) => [
        post(path, "0123456789"),
        post(path, "0123456789+"),
        post(path, "0123456789012345678901234"),
        post(path, ""),
        chunked(path, "01234", "56789"),
        chunked(path, "01234", "56789", "0"),
        chunked(path, "0123456789012345678901234"),
        chunked(path),
      ]),
    ]);
    expect(found).toEqual([]);
  });

  test("local rate limits", async () => {
    const paths = ["/two", "/told", "/status", "/low", "/unenforced", "/idle", "/off", "/direct"];
    const found = await differencesOf(planes, 5, [
      ...paths.flatMap((path) => several(5, request(`GET ${path}`))),
      ...several(6, request("GET /x")),
      request("GET /two", ["Content-Type: application/grpc"]),
      request("HEAD /two"),
    ]);
    expect(found).toEqual([]);
  });

  test("local rate limits of a connection", async () => {
    const texts = await Promise.all(
      Object.values(planes.ports[6] ?? {}).map(async (port) => {
        const bytes = `${request("GET /x")}${request("GET /x")}${request("GET /x", ["Connection: close"])}`;
        const text = await everythingFrom(port, bytes);
        const again = await rawRequest(port, request("GET /x"));
        return [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status).concat(String(again?.status));
      }),
    );
    expect(texts).toEqual([
      ["200", "200", "429", "200"],
      ["200", "200", "429", "200"],
    ]);
  });

  test("health checks", async () => {
    const found = await differencesOf(planes, 7, [
      ...["/healthy", "/healthy?x", "/healthy/x", "/x", "/nowhere"].map((path) => request(`GET ${path}`)),
      request("HEAD /healthy"),
      request("HEAD /nowhere"),
      post("/healthy", "hi"),
      chunked("/healthy", "hi"),
    ]);
    expect(found).toEqual([]);
  });
});
