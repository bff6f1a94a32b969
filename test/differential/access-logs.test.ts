// Access logs of the embedded data plane and of Envoy: the same requests, the same lines.

import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, type RouteInit, staticCluster, type VirtualHostInit } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import type { AccessLogFilterSchema } from "../../src/gen/envoy/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../../src/gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { HealthCheckSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/health_check/v3/health_check_pb.js";
import { RouterSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { MetadataSchema } from "../../src/gen/envoy/envoy/extensions/formatter/metadata/v3/metadata_pb.js";
import { ReqWithoutQuerySchema } from "../../src/gen/envoy/envoy/extensions/formatter/req_without_query/v3/req_without_query_pb.js";
import { findEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { differences, outcomeOf } from "./compare.ts";
import { inline } from "./configs.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: access logs against Envoy: no Envoy here (set ENVOY_BIN)");

/** What is the same in both, whatever the clock and the ports are. */
const operators = [
  "%REQ(:METHOD)%",
  "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  "%REQ(:path)%",
  "%REQ(:AUTHORITY)%",
  "%REQ(:SCHEME)%",
  "%REQ(HOST)%",
  "%REQ(x-user):3%",
  "%REQ(x-multi)%",
  "%REQ(absent?x-user)%",
  "%REQ(absent)%",
  "%RESP(content-type)%",
  "%RESP(x-level):2%",
  "%RESP(absent?server)%",
  "%TRAILER(absent)%",
  "%PROTOCOL%",
  "%RESPONSE_CODE%",
  "%RESPONSE_CODE_DETAILS%",
  "%RESPONSE_FLAGS%",
  "%RESPONSE_FLAGS_LONG%",
  "%CONNECTION_TERMINATION_DETAILS%",
  "%BYTES_RECEIVED%",
  "%UPSTREAM_CLUSTER%",
  "%UPSTREAM_CLUSTER_RAW%",
  "%UPSTREAM_HOST%",
  "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
  "%UPSTREAM_REMOTE_PORT%",
  "%UPSTREAM_PROTOCOL%",
  "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
  "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
  "%REQUESTED_SERVER_NAME%",
  "%ROUTE_NAME%",
  "%START_TIME(%Y)%",
  "%GRPC_STATUS%",
  "%GRPC_STATUS_NUMBER%",
  "%GRPC_STATUS(SNAKE_STRING)%",
  "%REQ_WITHOUT_QUERY(:PATH)%",
  "%METADATA(ROUTE:own:tier)%",
  "%METADATA(ROUTE:own:deep:list)%",
  "%METADATA(ROUTE:own)%",
  "%DYNAMIC_METADATA(none:key)%",
  "%QUERY_PARAM(q)%",
  "%PATH(NQ)%",
  "%PATH(WQ:PATH)%",
  "%PATH(NQ:ORIG)%",
  "%LOCAL_REPLY_BODY%",
  "%ACCESS_LOG_TYPE%",
  "%HOSTNAME%",
  "%DOWNSTREAM_TLS_VERSION%",
  "%DOWNSTREAM_PEER_SUBJECT%",
  "100%%",
];
const jsonFormat = {
  ...Object.fromEntries(operators.map((operator, index) => [`k${index}`, operator])),
  mixed: "%REQ(:METHOD)% %REQ(absent)% %RESPONSE_CODE%",
  fixed: { number: 3, yes: true, none: null, list: ["%RESPONSE_CODE%", "ü %REQ(x-user)%"] },
  ключ: "%PROTOCOL%",
};

type FilterInit = MessageInitShape<typeof AccessLogFilterSchema>;
const formatters = [
  { name: "envoy.formatter.req_without_query", typedConfig: packAny(ReqWithoutQuerySchema, {}) },
  { name: "envoy.formatter.metadata", typedConfig: packAny(MetadataSchema, {}) },
];
const of = (filterSpecifier: object) => ({ filterSpecifier }) as unknown as FilterInit;
const status = (op: number, defaultValue: number) =>
  of({ case: "statusCodeFilter", value: { comparison: { op, value: { defaultValue, runtimeKey: "none" } } } });
const header = (name: string, match: object = {}) => of({ case: "headerFilter", value: { header: { name, ...match } } });
const flags = (...names: string[]) => of({ case: "responseFlagFilter", value: { flags: names } });
const share = (numerator: number) => of({ case: "runtimeFilter", value: { runtimeKey: "none", percentSampled: { numerator } } });

const filters: readonly FilterInit[] = [
  status(0, 200),
  status(1, 500),
  status(2, 404),
  status(3, 200),
  of({ case: "durationFilter", value: { comparison: { op: 1, value: { defaultValue: 0, runtimeKey: "none" } } } }),
  of({ case: "durationFilter", value: { comparison: { op: 1, value: { defaultValue: 60_000, runtimeKey: "none" } } } }),
  of({ case: "notHealthCheckFilter", value: {} }),
  header("x-user", { headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "prefix", value: "al" } } } }),
  header("x-user", { headerMatchSpecifier: { case: "presentMatch", value: true }, invertMatch: true }),
  flags(),
  flags("UH", "NR"),
  flags("UF", "URX"),
  share(0),
  share(100),
  of({ case: "andFilter", value: { filters: [status(1, 400), header("x-user")] } }),
  of({ case: "orFilter", value: { filters: [status(1, 500), header("x-user")] } }),
  of({ case: "grpcStatusFilter", value: { statuses: [0, 14] } }),
  of({ case: "grpcStatusFilter", value: { statuses: [0], exclude: true } }),
  of({ case: "logTypeFilter", value: { types: [3] } }),
  of({ case: "logTypeFilter", value: { types: [3], exclude: true } }),
];

const folder = mkdtempSync(join(tmpdir(), "access-logs-"));
const file = (name: string, format: object, filter?: FilterInit) => ({
  name: "envoy.access_loggers.file",
  ...(filter && { filter }),
  configType: {
    case: "typedConfig",
    value: packAny(FileAccessLogSchema, { path: join(folder, name), accessLogFormat: { case: "logFormat", value: format } } as never),
  },
});
const text = (value: string, more: object = {}) => ({ format: { case: "textFormat", value }, formatters, ...more });
const json = (value: object, more: object = {}) => ({ format: { case: "jsonFormat", value }, formatters, ...more });
const names = ["text", "json", "sparse-text", "sparse-json", ...filters.map((_, index) => `filter-${index}`)];
const logsOf = (prefix: string) => [
  file(`${prefix}text`, text(`${operators.join(" | ")}\n`)),
  file(`${prefix}json`, json(jsonFormat)),
  file(`${prefix}sparse-text`, text("%REQ(x-user)%,%REQ(absent)%,%RESPONSE_CODE%\n", { omitEmptyValues: true })),
  file(
    `${prefix}sparse-json`,
    json({ user: "%REQ(x-user)%", absent: "%REQ(absent)%", both: "%REQ(absent)%-%PROTOCOL%" }, { omitEmptyValues: true }),
  ),
  ...filters.map((filter, index) => file(`${prefix}filter-${index}`, text("%REQ(:METHOD)% %REQ(:PATH)% %REQ(x-user)%\n"), filter)),
];

const to = (prefix: string, cluster: string, more: object = {}, action: object = {}): RouteInit =>
  ({
    name: `to ${cluster}`,
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster }, ...action } },
    ...more,
  }) as RouteInit;
const direct = (prefix: string, code: number, body: string): RouteInit =>
  ({
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "directResponse", value: { status: code, body: { specifier: { case: "inlineString", value: body } } } },
  }) as RouteInit;

const virtualHost = {
  name: "all of it",
  domains: ["a.example"],
  responseHeadersToAdd: [{ header: { key: "x-level", value: "host" } }],
  routes: [
    to("/empty", "empty"),
    to("/gone", "gone"),
    to(
      "/retried",
      "gone",
      {},
      { retryPolicy: { retryOn: "connect-failure", numRetries: 1, retryBackOff: { baseInterval: { nanos: 1_000_000 } } } },
    ),
    to("/missing", "", {}, { clusterSpecifier: { case: "clusterHeader", value: "x-cluster" } }),
    to("/rewritten", "a", {}, { prefixRewrite: "/new" }),
    to("/slow", "a", {}, { timeout: { nanos: 50_000_000 } }),
    to("/tagged", "a", { metadata: { filterMetadata: { own: { tier: "gold", deep: { list: [1, "two"] } } } } }),
    direct("/direct", 503, "line one\nline two"),
    {
      match: { pathSpecifier: { case: "prefix", value: "/moved" } },
      action: { case: "redirect", value: { pathRewriteSpecifier: { case: "pathRedirect", value: "/there" } } },
    },
    to("/", "a"),
  ],
} as unknown as VirtualHostInit;

/** Answers health checks, which a log may leave out. */
const healthz = {
  name: ":path",
  headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value: "/healthz" } } },
};
const httpFilters = [
  { name: "envoy.filters.http.health_check", value: packAny(HealthCheckSchema, { passThroughMode: false, headers: [healthz] } as never) },
  { name: "envoy.filters.http.router", value: packAny(RouterSchema, {}) },
].map(({ name, value }) => ({ name, configType: { case: "typedConfig", value } }));

const requests = [
  request("GET /x?q=1&r=2"),
  request("GET /tagged?q", ["X-User: alice", "X-Multi: one", "X-Multi: two"]),
  request("HEAD /x", ["X-User: bob"]),
  request("POST /x", ["X-User: al", "Content-Length: 5"], "hello"),
  request("GET /quote%22%0a", ['X-User: a"b\\c\td']),
  request("GET /x", ["X-User: \u00c3\u00bc"]),
  request("GET /x", ["X-User: \u00fc"]),
  request("GET /empty", ["X-User: alice"]),
  request("GET /gone"),
  request("GET /retried"),
  request("GET /missing", ["X-Cluster: nowhere"]),
  request("GET /rewritten/a?q=3"),
  request("GET /direct"),
  request("GET /healthz", ["X-User: alice"]),
  request("GET /moved"),
  "GET / HTTP/1.1\r\nHost: nobody\r\nConnection: close\r\n\r\n",
  request("POST /empty", ["Content-Type: application/grpc", "Content-Length: 0"]),
];

describe.skipIf(findEnvoy() === undefined && !isRequired)("access logs of the embedded data plane and of Envoy", () => {
  let upstream: RawUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    const [gone] = await freePorts(1);
    const clusters = [staticCluster("a", [upstream.port]), staticCluster("empty", []), staticCluster("gone", [gone as number])];
    const managers = ["0-", "1-"].map(
      (prefix) => ({ ...inline([virtualHost]), httpFilters, accessLog: logsOf(prefix) }) as unknown as HcmInit,
    );
    planes = await startPlanes(managers, clusters);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("a line says the same in both, in every format, for the same requests", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const [first, second] = planes.ports;
    const answers: string[] = [];
    for (const bytes of requests) {
      const [envoy, embedded] = [await outcomeOf(first?.envoy as number, bytes), await outcomeOf(second?.embedded as number, bytes)];
      answers.push(...differences(envoy, embedded).map((line) => `${bytes.split("\r\n", 1)[0]}: ${line}`));
    }
    expect(answers).toEqual([]);
    await planes.plane.drain(1_000);
    const ended = once(planes.envoy.process, "exit");
    await fetch(`http://127.0.0.1:${planes.envoy.adminPort}/quitquitquit`, { method: "POST" });
    await ended;
    const differing: string[] = [];
    for (const name of names) {
      const [envoy, embedded] = [`0-${name}`, `1-${name}`].map((each) => linesOf(join(folder, each)));
      for (let at = 0; at < Math.max(envoy?.length ?? 0, embedded?.length ?? 0); at++)
        differing.push(...differencesOf(`${name}[${at}]`, envoy?.[at] ?? "", embedded?.[at] ?? ""));
    }
    expect(differing).toEqual([]);
  });
});

function linesOf(path: string): string[] {
  return readFileSync(path, "latin1").split("\n");
}

function differencesOf(place: string, envoy: string, embedded: string): string[] {
  if (envoy === embedded) return [];
  const [a, b] = [envoy.split(" | "), embedded.split(" | ")];
  if (envoy.startsWith("{") && embedded.startsWith("{")) {
    const [c, d] = [JSON.parse(envoy), JSON.parse(embedded)] as Record<string, unknown>[];
    const keys = [...new Set([...Object.keys(c ?? {}), ...Object.keys(d ?? {})])];
    const found = keys.filter((key) => JSON.stringify(c?.[key]) !== JSON.stringify(d?.[key]));
    const shown = found.map(
      (key) => `${place} ${(jsonFormat as Record<string, unknown>)[key]}: ${JSON.stringify(c?.[key])} ${JSON.stringify(d?.[key])}`,
    );
    return shown.length > 0 ? shown : [`${place}: ${envoy} ${embedded}`];
  }
  if (a.length !== operators.length || b.length !== operators.length) return [`${place}: ${envoy}, embedded ${embedded}`];
  return operators.flatMap((operator, at) =>
    a[at] === b[at] ? [] : [`${place} ${operator}: Envoy ${JSON.stringify(a[at])}, embedded ${JSON.stringify(b[at])}`],
  );
}
