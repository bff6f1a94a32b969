// What is not executed is said, with the field's name and on the resource that it comes from; what does nothing needs no word.

import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { envoyResource, packAny } from "../envoy/encode.ts";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { SkyWalkingConfigSchema } from "../gen/envoy/envoy/config/trace/v3/skywalking_pb.js";
import { FileAccessLogSchema } from "../gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { CorsSchema } from "../gen/envoy/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../gen/envoy/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { LocalRateLimitSchema } from "../gen/envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { LuaSchema } from "../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { RouterSchema } from "../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../gen/envoy/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { RawBufferSchema } from "../gen/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { ConfigSchema as TcpStatsSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tcp_stats/v3/tcp_stats_pb.js";
import { DownstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { resourceKey } from "../model/ref.ts";
import { rawRequest, rawUpstream } from "./testing/raw.ts";
import {
  allTo,
  type ClusterInit,
  type HcmInit,
  listener,
  listenerMessage,
  type RouteInit,
  routeConfig,
  serve,
  staticCluster,
  toCluster,
} from "./testing/resources.ts";

const messages = (problems: readonly { message: string }[]) =>
  problems.map((each) => each.message.replace(/ \(Envoy's.*/, "").replace("the embedded data plane does not execute ", ""));
const filter = (name: string, schema: Parameters<typeof packAny>[0], message: object, more: object = {}) => ({
  name,
  configType: { case: "typedConfig" as const, value: packAny(schema, message as never) },
  ...more,
});

test("fields of clusters, listeners and routes that are not executed are named", async () => {
  const route: RouteInit = {
    match: {
      pathSpecifier: { case: "prefix", value: "/" },
      dynamicMetadata: [{ filter: "x", path: [{ segment: { case: "key", value: "y" } }] }],
    },
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: "a" },
        requestMirrorPolicies: [{ cluster: "b" }],
        hashPolicy: [{ policySpecifier: { case: "filterState", value: { key: "x" } } }],
      },
    },
    typedPerFilterConfig: { "envoy.filters.http.fault": packAny(HTTPFaultSchema, { maxActiveFaults: 1 }) },
    requestHeadersToAdd: [{ header: { key: "x", value: "%NO_SUCH_THING%" } }],
  } as RouteInit;
  await using plane = await serve([
    staticCluster("a", [1], {
      outlierDetection: { detectDegradedHosts: true },
      lbPolicy: 2,
      lbConfig: { case: "ringHashLbConfig", value: { hashFunction: 1 } },
      commonLbConfig: { consistentHashingLbConfig: { hashBalanceFactor: 120 } },
      healthChecks: [
        {
          timeout: { seconds: 1n },
          interval: { seconds: 1n },
          healthChecker: { case: "customHealthCheck", value: { name: "envoy.health_checkers.redis" } },
        },
      ],
    } as ClusterInit),
    routeConfig([{ name: "h", domains: ["*"], routes: [route], requestMirrorPolicies: [{ cluster: "b" }] } as never]),
    listener(0, { tracing: { provider: filter("envoy.tracers.skywalking", SkyWalkingConfigSchema, {}) }, localReplyConfig: {} } as HcmInit),
  ]);
  const found = messages(plane.plane.unsupported());
  for (const expected of [
    "health_checks[0].custom_health_check; hosts are not checked",
    "outlier_detection.detect_degraded_hosts",
    "ring_hash_lb_config.hash_function: MURMUR_HASH_2; keys are hashed with XXH64",
    "common_lb_config.consistent_hashing_lb_config.hash_balance_factor",
    'virtual_hosts["h"].request_mirror_policies',
    'virtual_hosts["h"].routes[0].match.dynamic_metadata; the route never matches',
    'virtual_hosts["h"].routes[0].route.request_mirror_policies',
    'virtual_hosts["h"].routes[0].route.hash_policy[0].filter_state',
    'virtual_hosts["h"].routes[0].typed_per_filter_config["envoy.filters.http.fault"].max_active_faults',
    "filter_chains[0].filters[0].typed_config.tracing.provider.typed_config (envoy.tracers.skywalking); requests are not traced",
    "filter_chains[0].filters[0].typed_config.local_reply_config",
  ]) {
    expect(found).toContain(expected);
  }
  expect(plane.plane.unsupported().map((each) => each.reason)).toContain("CommandOperatorNotExecuted");
  expect(plane.plane.unsupported().every((each) => each.severity === "warning")).toBe(true);
  // A matcher that is not understood matches nothing rather than everything.
  expect((await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))?.status).toBe(404);
});

test("filters that do nothing need no word; others are named", async () => {
  const httpFilters = [
    filter("envoy.filters.http.fault", HTTPFaultSchema, {}),
    filter("envoy.filters.http.cors", CorsSchema, {}),
    filter("envoy.filters.http.local_ratelimit", LocalRateLimitSchema, { statPrefix: "x" }),
    filter("envoy.filters.http.lua", LuaSchema, { defaultSourceCode: { specifier: { case: "inlineString", value: "x" } } }),
    filter(
      "envoy.filters.http.disabled",
      LuaSchema,
      { defaultSourceCode: { specifier: { case: "inlineString", value: "x" } } },
      { disabled: true },
    ),
    filter("envoy.filters.http.router", RouterSchema, {}),
  ];
  await using plane = await serve([staticCluster("a", [1]), routeConfig([allTo("a")]), listener(0, { httpFilters } as HcmInit)]);
  expect(messages(plane.plane.unsupported())).toEqual([
    "filter_chains[0].filters[0].typed_config.http_filters[3].typed_config (envoy.filters.http.lua)",
  ]);
});

test("a filter chain whose TLS cannot be served is not served in plain text", async () => {
  const message = listenerMessage(0);
  Object.assign(message.filterChains?.[0] as object, {
    transportSocket: { name: "tls", configType: { case: "typedConfig", value: packAny(DownstreamTlsContextSchema, {}) } },
  });
  await using plane = await serve([envoyResource(ListenerSchema, "listener", message, [])]);
  expect(plane.plane.listeners()).toMatchObject([{ state: "not served" }]);
  expect(plane.plane.unsupported()).toMatchObject([
    { message: expect.stringContaining("common_tls_context: there is no certificate; the filter chain is not served") },
  ]);
});

test("a filter chain with statistics of TCP is served without them", async () => {
  await using a = await rawUpstream("a");
  const message = listenerMessage(0);
  Object.assign(message.filterChains?.[0] as object, {
    transportSocket: {
      name: "tcp_stats",
      configType: {
        case: "typedConfig",
        value: packAny(TcpStatsSchema, {
          transportSocket: { name: "raw", configType: { case: "typedConfig", value: packAny(RawBufferSchema, {}) } },
        }),
      },
    },
  });
  const resource = envoyResource(ListenerSchema, "listener", message, []);
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), resource]);
  expect((await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))?.status).toBe(200);
  expect(messages(plane.plane.unsupported())).toEqual(["filter_chains[0].transport_socket (tcp_stats); connections are served without it"]);
});

test("a filter chain with a network filter that is not executed lets nobody in", async () => {
  await using a = await rawUpstream("a");
  const message = listenerMessage(0) as { filterChains: { filters: object[] }[] };
  message.filterChains[0]?.filters.unshift(filter("network.rbac", NetworkRbacSchema, { statPrefix: "x", rules: {} }));
  const resource = envoyResource(ListenerSchema, "listener", message as never, []);
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), resource]);
  expect(await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).toBeUndefined();
  expect(messages(plane.plane.unsupported())).toEqual([
    "filter_chains[0].filters[0].typed_config (network.rbac); connections of the filter chain are closed",
  ]);
});

test("no other filter chain gets the connections of one that is not executed", async () => {
  await using a = await rawUpstream("a");
  const message = listenerMessage(0) as { filterChains: object[] };
  const [served] = message.filterChains;
  const none = { filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: "127.0.0.1", prefixLen: 32 }] } };
  message.filterChains.push({ ...none, filters: [filter("unknown", NetworkRbacSchema, { statPrefix: "x", rules: {} })] });
  const publish = () => envoyResource(ListenerSchema, "listener", { ...message } as never, []);
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), publish()]);
  const answer = () => rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await answer()).toBeUndefined();
  message.filterChains = [{ ...message.filterChains[1], filterChainMatch: { transportProtocol: "raw_buffer" } }];
  Object.assign(message, { defaultFilterChain: served });
  plane.publish(publish());
  expect(await answer()).toBeUndefined();
  expect(messages(plane.plane.unsupported())).toEqual([
    "filter_chains[0].filters[0].typed_config (unknown); connections of the filter chain are closed",
  ]);
  message.filterChains = [];
  plane.publish(publish());
  expect((await answer())?.status).toBe(200);
});

test("a regular expression that RE2 refuses costs its route, not its neighbours", async () => {
  await using a = await rawUpstream("a");
  const bad = {
    ...(allTo("a").routes?.[0] as RouteInit),
    match: { pathSpecifier: { case: "safeRegex", value: { regex: "(" } } },
  } as RouteInit;
  const host = { name: "h", domains: ["*"], routes: [bad, ...(allTo("a").routes ?? [])] };
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([host as never]), listener(0)]);
  expect(plane.plane.unsupported()).toMatchObject([
    { reason: "EnvoyValueRefused", message: expect.stringContaining('virtual_hosts["h"].routes[0].match.safe_regex') },
  ]);
  expect((await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))?.status).toBe(200);
});

test("a Problem is on the owner that its virtual host is named after", async () => {
  const [one, two] = ["one", "two"].map((name) => resourceKey("VirtualService", { namespace: "apps", name }));
  const resource = routeConfig([
    { name: "apps_one", domains: ["one"], routes: [], requestMirrorPolicies: [{ cluster: "b" }] } as never,
    { name: "apps_two", domains: ["two"], routes: [] },
  ]);
  const seen: unknown[] = [];
  await using plane = await serve([{ ...resource, owners: [one, two] as never }, listener(0)], {
    onProblems: (problems) => seen.push(problems.length),
  });
  expect(plane.plane.unsupported().map((each) => each.resource)).toEqual([one]);
  expect(seen).toEqual([1]);
});

test("no owner is blamed for one whose name holds his", async () => {
  const host = (name: string) => resourceKey("VirtualService", { namespace: "shop", name });
  const table = (name: string) => resourceKey("RouteTable", { namespace: "shop", name });
  const mirrored = (name: string) => ({
    ...toCluster("a"),
    name,
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "a" }, requestMirrorPolicies: [{ cluster: "b" }] } },
  });
  const blamed = async (name: string, route: string, owners: readonly string[]) => {
    const resource = routeConfig([{ name, domains: ["*"], routes: [mirrored(route) as never] }]);
    await using plane = await serve([{ ...resource, owners: owners as never }, listener(0)]);
    return plane.plane.unsupported().map((each) => each.resource);
  };
  const gateway = resourceKey("Gateway", { namespace: "shop", name: "shop" });
  const hosts = [gateway, host("a"), host("shop-a"), host("a.b")];
  expect(await blamed("shop_shop-a", "", hosts)).toEqual([host("shop-a")]);
  expect(await blamed("shop_a", "", hosts)).toEqual([host("a")]);
  expect(await blamed("shop_a_b", "", hosts)).toEqual([host("a.b")]);
  const tables = [host("web"), table("cart"), table("cart-old"), table("art")];
  expect(await blamed("shop_web", "vs:p_p_shop_web_rt:shop_cart-old_cheap-matcher-0", tables)).toEqual([host("web"), table("cart-old")]);
  expect(await blamed("elsewhere_web", "0-matcher-0", tables)).toEqual(tables);
});

test("an access log has a line for each request, with Envoy's flags", async () => {
  const path = join(tmpdir(), `access-${process.pid}.log`);
  await using a = await rawUpstream("a");
  const accessLog = [
    filter("file", FileAccessLogSchema, {
      path,
      accessLogFormat: {
        case: "format",
        value: "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %REQ(nope)% %BYTES_SENT%\n",
      },
    }),
  ];
  {
    await using plane = await serve([
      staticCluster("a", [a.port]),
      staticCluster("empty", []),
      routeConfig([
        { name: "h", domains: ["a"], routes: allTo("a").routes },
        { name: "e", domains: ["e"], routes: allTo("empty").routes },
      ] as never),
      listener(0, { accessLog } as HcmInit),
    ]);
    for (const host of ["a", "e", "none"]) await rawRequest(plane.port, `GET /p?q HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  }
  expect(readFileSync(path, "utf8").replace(/ \d+\n/, " N\n")).toBe(
    "GET /p?q 200 - a - N\nGET /p?q 503 UH empty - 19\nGET /p?q 404 NR - - 0\n",
  );
  rmSync(path);
});
