import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MatcherSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import { RouteSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { bestOfThree, cpuMs } from "../lib/testing/bestOf.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { ModelRoute } from "../model/virtual-host.ts";
import { unreachableRoutes } from "./unreachable.ts";

const host = "VirtualService ns/a" as ResourceKey;

function route(matchers: readonly JsonObject[], path: string, resource = host): ModelRoute {
  return {
    route: create(RouteSchema, { matchers: matchers.map((each) => fromJson(MatcherSchema, each)) }),
    at: { resource, path },
    optionsAt: new Map(),
    via: path,
  };
}

const places = (...routes: readonly (readonly JsonObject[])[]) =>
  unreachableRoutes({ resource: host, routes: routes.map((matchers, i) => route(matchers, `routes[${i}]`)) }).map(({ path }) => path);

test.each<[string, JsonObject, JsonObject]>([
  ["a longer prefix behind a shorter one", { prefix: "/a" }, { prefix: "/a/b" }],
  ["an exact path behind a prefix", { prefix: "/a" }, { exact: "/a" }],
  ["the same exact path", { exact: "/a" }, { exact: "/a" }],
  ["anything behind everything", { prefix: "/" }, { regex: "/a/.*" }],
  ["the same expression", { regex: "/a/.*" }, { regex: "/a/.*" }],
  ["one that asks for more: methods", { prefix: "/", methods: ["GET", "POST"] }, { prefix: "/a", methods: ["GET"] }],
  [
    "one that asks for more: headers",
    { prefix: "/", headers: [{ name: "x-a" }] },
    { prefix: "/", headers: [{ name: "X-A", value: "1" }, { name: "x-b" }] },
  ],
  [
    "one that asks for more: query",
    { prefix: "/", queryParameters: [{ name: "q", value: "1" }] },
    { prefix: "/", queryParameters: [{ name: "q", value: "1" }, { name: "r" }] },
  ],
  ["letters of one case behind letters of both", { prefix: "/A", caseSensitive: false }, { prefix: "/a" }],
])("%s is never reached", (_, first, second) => {
  expect(places([first], [second])).toEqual(["routes[1]"]);
});

test.each<[string, JsonObject, JsonObject]>([
  ["a shorter prefix", { prefix: "/a/b" }, { prefix: "/a" }],
  ["a prefix behind an exact path", { exact: "/a" }, { prefix: "/a" }],
  ["another path", { prefix: "/a" }, { prefix: "/b" }],
  ["other methods", { prefix: "/", methods: ["GET"] }, { prefix: "/", methods: ["POST"] }],
  ["any method behind one", { prefix: "/", methods: ["GET"] }, { prefix: "/" }],
  ["other headers", { prefix: "/", headers: [{ name: "x-a", value: "1" }] }, { prefix: "/", headers: [{ name: "x-a", value: "2" }] }],
  ["the opposite of a header", { prefix: "/", headers: [{ name: "x-a" }] }, { prefix: "/", headers: [{ name: "x-a", invertMatch: true }] }],
  [
    "an absent header",
    { prefix: "/", headers: [{ name: "x-a" }] },
    { prefix: "/", headers: [{ name: "x-a", value: "1", invertMatch: true }] },
  ],
  ["other query parameters", { prefix: "/", queryParameters: [{ name: "q" }] }, { prefix: "/" }],
  ["letters of both cases", { prefix: "/a" }, { prefix: "/a", caseSensitive: false }],
  ["another case", { prefix: "/a" }, { prefix: "/A" }],
  ["an expression with another beginning", { prefix: "/" }, { regex: "/a|.*" }],
  ["CONNECT", { prefix: "/" }, { connectMatcher: {} }],
])("%s is reached", (_, first, second) => {
  expect(places([first], [second])).toEqual([]);
});

test("a route with several matchers is unreachable when all of them are", () => {
  expect(places([{ prefix: "/a" }], [{ prefix: "/b" }], [{ prefix: "/a/1" }, { exact: "/b" }])).toEqual(["routes[2]"]);
  expect(places([{ prefix: "/a" }], [{ prefix: "/a/1" }, { exact: "/b" }])).toEqual([]);
  expect(places([{ prefix: "/a" }, { prefix: "/a/b" }])).toEqual([]);
});

test("a RouteTable that is delegated to twice is reached when one way is open; what is said names both places", () => {
  const table = "RouteTable ns/t" as ResourceKey;
  const routes = [route([{ prefix: "/a" }], "virtualHost.routes[0]"), route([{ prefix: "/a/b" }], "routes[0]", table)];
  expect(unreachableRoutes({ resource: host, routes })).toMatchObject([
    {
      code: "HW2104",
      resource: table,
      path: "routes[0]",
      message: "no request of VirtualService ns.a gets here: virtualHost.routes[0] of VirtualService ns.a comes first and takes them all",
    },
  ]);
  expect(unreachableRoutes({ resource: host, routes: [...routes, route([{ prefix: "/c" }], "routes[0]", table)] })).toEqual([]);
  expect(unreachableRoutes({ resource: host, routes: [route([{ prefix: "/c" }], "routes[0]", table), ...routes] })).toEqual([]);
});

test("what one route hides is one finding, on that route, with the places of all", () => {
  const routes = [{ prefix: "/" }, { prefix: "/a" }, { prefix: "/b" }, { prefix: "/c" }].map((each, i) => route([each], `routes[${i}]`));
  expect(unreachableRoutes({ resource: host, routes })).toMatchObject([
    {
      resource: host,
      path: "routes[0]",
      message: "no request gets to 3 routes behind this one, as it takes them all",
      others: ["routes[1]", "routes[2]", "routes[3]"].map((path) => ({ resource: host, path })),
    },
  ]);
});

test("what is hidden in another resource is told there, once", () => {
  const table = "RouteTable ns/t" as ResourceKey;
  const own = route([{ prefix: "/a" }], "virtualHost.routes[0]");
  const routes = [own, ...["/a/b", "/a/c"].map((prefix, i) => route([{ prefix }], `routes[${i}]`, table))];
  expect(unreachableRoutes({ resource: host, routes })).toMatchObject([
    {
      resource: table,
      path: "routes[0]",
      message: expect.stringMatching(/^no request of VirtualService ns.a gets to 2 of these routes, as /),
    },
  ]);
});

test("thousands of routes are looked through in no time", bestOfThree, () => {
  const many = Array.from({ length: 10_000 }, (_, i) => [{ prefix: `/service-${i}/`, headers: [{ name: "x-tenant", value: `${i}` }] }]);
  const started = cpuMs();
  expect(places(...many, [{ prefix: "/service-5/x", headers: [{ name: "x-tenant", value: "5" }] }])).toEqual(["routes[10000]"]);
  expect(cpuMs() - started).toBeLessThan(1000);
});
