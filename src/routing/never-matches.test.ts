import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MatcherSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import { RouteSchema, VirtualHostSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import type { ResourceKey } from "../model/ref.ts";
import { neverMatching } from "./never-matches.ts";

const resource = "VirtualService ns/a" as ResourceKey;

function told(matcher: JsonObject, domains: readonly string[] = []) {
  const route = create(RouteSchema, { matchers: [fromJson(MatcherSchema, matcher)] });
  const at = { resource, path: "virtualHost.routes[0]" };
  const routes = [{ route, at, optionsAt: new Map(), via: at.path }];
  return neverMatching({ resource, host: create(VirtualHostSchema, { domains: [...domains] }), routes });
}

test.each<[JsonObject, string, string]>([
  [{ prefix: "/", methods: ["get"] }, "methods", "write GET"],
  [{ prefix: "/", methods: ["Post "] }, "methods", "write POST"],
  [{ prefix: "/", methods: ["GTE"] }, "methods", "did you mean GET?"],
  [{ prefix: "api" }, "prefix", "write /api"],
  [{ exact: "api/x" }, "exact", "write /api/x"],
  [{ prefix: "https://a.test/x" }, "prefix", "write the path alone; hosts are domains of the VirtualService"],
  [{ regex: "^api/.*" }, "regex", "write /api/.*"],
  [{ prefix: "/", headers: [{ name: "x-a:" }] }, "headers[0].name", "write x-a"],
  [{ prefix: "/", headers: [{ name: ":host" }] }, "headers[0].name", "write host"],
  [{ prefix: "/", headers: [{ name: "x a" }] }, "headers[0].name", "write the name of one header; its value has a field of its own"],
  [{ prefix: "/", headers: [{ name: "x-a", value: "b " }] }, "headers[0].value", 'write "b"'],
  [
    { prefix: "/", queryParameters: [{ name: "a=b" }] },
    "queryParameters[0].name",
    "write the name alone; the value has a field of its own",
  ],
])("%j matches nothing", (matcher, field, hint) => {
  expect(told(matcher)).toMatchObject([{ code: "HW2023", severity: "warning", path: `virtualHost.routes[0].matchers[0].${field}`, hint }]);
});

test.each<[JsonObject]>([
  [{ prefix: "/", methods: ["GET", "GET|POST", "PROPFIND", "FLY", ".*"] }],
  [{ prefix: "" }],
  [{ exact: "*" }],
  [{ regex: "(api|/x)" }],
  [{ regex: "\\/api" }],
  [{ regex: "[^?]*/x" }],
  [{ prefix: "/", headers: [{ name: "X-Upper" }, { name: ":authority", value: "a" }, { name: "x a", invertMatch: true }] }],
  [{ prefix: "/", queryParameters: [{ name: "a" }] }],
])("%j may match", (matcher) => {
  expect(told(matcher)).toEqual([]);
});

test.each([
  ["a.test,b.test", "write each as an item of its own: [a.test, b.test]"],
  ["“a.test”", 'write "'],
  ["bücher.test", "write the form that begins with xn--"],
  ["a.test?x", "write the host name alone"],
])("the domain %s matches nothing", (domain, hint) => {
  expect(told({ prefix: "/" }, [domain])).toMatchObject([{ path: "virtualHost.domains[0]", hint }]);
});

test("hosts, wildcards, addresses and ports may be asked for", () => {
  const domains = [
    "a.test",
    "A.test",
    "*.a.test",
    "a.*",
    "*",
    "a.test:8080",
    "127.0.0.1",
    "[::1]:8080",
    "a_b.test",
    "xn--bcher-kva.test",
    "",
  ];
  expect(told({ prefix: "/" }, domains)).toEqual([]);
});
