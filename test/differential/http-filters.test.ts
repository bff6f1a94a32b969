// HTTP filters in the embedded data plane and in Envoy: the same list, the same route configuration, the same answers.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, type RouteInit, staticCluster, type VirtualHostInit } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { FilterConfigSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { CorsPolicySchema, CorsSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { RouterSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { findEnvoy } from "../servers/envoy.ts";
import { differences, outcomeOf } from "./compare.ts";
import { inline } from "./configs.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: HTTP filters against Envoy: no Envoy here (set ENVOY_BIN)");

const cors = (policy: object) => packAny(CorsPolicySchema, policy as never);
const exact = (value: string) => ({ matchPattern: { case: "exact", value } });
const corsName = "envoy.filters.http.cors";

const route = (prefix: string, more: object = {}, cluster = "a"): RouteInit =>
  ({
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
    ...more,
  }) as RouteInit;
const filtered = (config: ReturnType<typeof packAny>) => ({ typedPerFilterConfig: { [corsName]: config } });

const virtualHost = {
  name: "all",
  domains: ["*"],
  ...filtered(
    cors({
      allowOriginStringMatch: [exact("https://good.example"), { matchPattern: { case: "suffix", value: ".good.example" } }],
      allowMethods: "GET, PUT",
      allowHeaders: "x-token",
      exposeHeaders: "x-count",
      maxAge: "600",
      allowCredentials: true,
    }),
  ),
  responseHeadersToAdd: [{ header: { key: "x-level", value: "host" } }],
  routes: [
    route("/own", filtered(cors({ allowMethods: "DELETE", allowCredentials: false }))),
    route("/strict", filtered(cors({ forwardNotMatchingPreflights: false }))),
    route("/private", filtered(cors({ allowPrivateNetworkAccess: true }))),
    route("/off", filtered(cors({ filterEnabled: { defaultValue: { numerator: 0 } } }))),
    route("/disabled", filtered(packAny(FilterConfigSchema, { disabled: true }))),
    route("/dead", {}, "dead"),
    {
      match: { pathSpecifier: { case: "prefix", value: "/direct" } },
      action: { case: "directResponse", value: { status: 200, body: { specifier: { case: "inlineString", value: "hi" } } } },
    },
    {
      match: { pathSpecifier: { case: "prefix", value: "/weighted" } },
      action: {
        case: "route",
        value: {
          clusterSpecifier: {
            case: "weightedClusters",
            value: { clusters: [{ name: "a", weight: 1, typedPerFilterConfig: { [corsName]: cors({ exposeHeaders: "x-weighted" }) } }] },
          },
        },
      },
    },
    route("/"),
  ],
} as unknown as VirtualHostInit;

const filters = (disabled: boolean) =>
  ({
    httpFilters: [
      { name: corsName, disabled, configType: { case: "typedConfig", value: packAny(CorsSchema, {}) } },
      { name: "envoy.filters.http.router", configType: { case: "typedConfig", value: packAny(RouterSchema, {}) } },
    ],
  }) as unknown as HcmInit;

const managers: readonly HcmInit[] = [
  { ...inline([virtualHost]), ...filters(false) } as HcmInit,
  { ...inline([{ ...virtualHost, typedPerFilterConfig: {} }]), ...filters(true) } as HcmInit,
];

const origins = [undefined, "https://good.example", "https://x.good.example", "https://evil.example", ""];
const paths = ["/x", "/own", "/strict", "/private", "/off", "/disabled", "/dead", "/direct", "/weighted"];

describe.skipIf(findEnvoy() === undefined && !isRequired)("HTTP filters in the embedded data plane and in Envoy", () => {
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

  test("CORS: agree on every origin, path and method", async () => {
    expect(planes.plane.unsupported()).toEqual([]);
    const found: string[] = [];
    for (const [index, { envoy, embedded }] of planes.ports.entries())
      for (const path of paths)
        for (const origin of origins)
          for (const [method, ...more] of [
            ["GET"],
            ["OPTIONS"],
            ["OPTIONS", "Access-Control-Request-Method: PUT"],
            ["OPTIONS", "Access-Control-Request-Method: PUT", "Access-Control-Request-Private-Network: true"],
          ] as const) {
            const text = request(`${method} ${path}`, [...(origin === undefined ? [] : [`Origin: ${origin}`]), ...more]);
            for (const line of differences(await outcomeOf(envoy, text), await outcomeOf(embedded, text)))
              found.push(`[${index}] ${method} ${path} ${origin} ${more.join()} ${line}`);
          }
    expect(found).toEqual([]);
  });
});
