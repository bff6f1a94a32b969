import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RouteMatchSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { bestOfThree, cpuMs } from "../lib/testing/bestOf.ts";
import { Findings } from "./compile/findings.ts";
import { compileRouteMatch } from "./compile/route-match.ts";
import { DomainTable, type Matchable, matchRoute, type RequestView, virtualHostEntry, withoutPort } from "./match.ts";
import { traceRoutes } from "./match-trace.ts";
import { literalPrefixOf, regex } from "./regex.ts";

type MatchInit = Parameters<typeof create<typeof RouteMatchSchema>>[1];

const route = (name: string, match: MatchInit): Matchable => ({
  name,
  match: compileRouteMatch(create(RouteMatchSchema, match), new Findings()),
});
const view = (path: string, more: Partial<RequestView> = {}): RequestView => ({
  method: "GET",
  path,
  authority: "a",
  scheme: "http",
  headers: [],
  random: 0,
  ...more,
});
const prefix = (value: string): MatchInit => ({ pathSpecifier: { case: "prefix", value } });

const table = (domains: Record<string, readonly string[]>, ignorePort = false) =>
  new DomainTable(
    Object.entries(domains).map(([name, each]) => virtualHostEntry(name, each, [])),
    ignorePort,
  );

test("a virtual host is found by its exact domain, then the longest suffix, then the longest prefix, then *", () => {
  const hosts = table({
    exact: ["www.a.example"],
    long: ["*.x.a.example"],
    short: ["*.a.example"],
    front: ["www.*"],
    frontLong: ["www.b.*"],
    all: ["*"],
  });
  const found = (host: string) => hosts.find(host)?.name;
  expect(found("www.a.example")).toBe("exact");
  expect(found("WWW.A.Example")).toBe("exact");
  expect(found("y.x.a.example")).toBe("long");
  expect(found("y.a.example")).toBe("short");
  expect(found("www.b.example")).toBe("frontLong");
  expect(found("www.c.example")).toBe("front");
  expect(found(".a.example")).toBe("all");
  expect(found("a.example")).toBe("all");
  expect(found("www.a.example:80")).toBe("front");
  expect(table({ exact: ["a"] }, true).find("a:80")?.name).toBe("exact");
  expect(table({ exact: ["a"] }).find("b")).toBeUndefined();
});

test("a port is taken off hosts and bracketed addresses", () => {
  expect(["a:80", "a", "[::1]:80", "[::1]", "a:b"].map(withoutPort)).toEqual(["a", "a", "[::1]", "[::1]", "a:b"]);
});

const matchInit: fc.Arbitrary<MatchInit> = fc
  .record({
    kind: fc.constantFrom("prefix", "path", "pathSeparatedPrefix", "safeRegex"),
    value: fc.constantFrom("/", "/a", "/a/", "/a/b", "/A", "/ab", "/a/b/c"),
    source: fc.constantFrom("/a/.*", "/[ab]+", "/a|/b", "/a/b?", "/a\\.b", ".*"),
    caseSensitive: fc.boolean(),
    header: fc.boolean(),
  })
  .map(({ kind, value, source, caseSensitive, header }) => ({
    pathSpecifier:
      kind === "safeRegex"
        ? { case: "safeRegex", value: { regex: source } }
        : { case: kind as "prefix", value: kind === "pathSeparatedPrefix" ? value.replace(/\/$/, "") || "/a" : value },
    caseSensitive,
    headers: header ? [{ name: "x", headerMatchSpecifier: { case: "presentMatch", value: true } }] : [],
  }));

test("the index of many routes names the same route as trying them in order, and so does the trace", () => {
  fc.assert(
    fc.property(
      fc.array(matchInit, { minLength: 16, maxLength: 40 }),
      fc.constantFrom("/", "/a", "/a/", "/a/b", "/A/b", "/ab", "/a/b/c/d", "/a.b", "*", "/b"),
      fc.boolean(),
      (matches, path, hasHeader) => {
        const routes = matches.map((each, index) => route(`r${index}`, each));
        const indexed = virtualHostEntry("h", ["*"], routes);
        expect(indexed.index).toBeDefined();
        const plain = { ...indexed, index: undefined };
        const request = view(path, { headers: hasHeader ? ["x", "1"] : [] });
        const found = matchRoute(plain, request, path)?.name;
        expect(matchRoute(indexed, request, path)?.name).toBe(found);
        const traced = traceRoutes(indexed, request, path);
        expect(traced.find(({ failed }) => failed.length === 0)?.route.name).toBe(found);
      },
    ),
    { numRuns: 500 },
  );
});

test("10,000 routes of one host are no slower to search than a few", bestOfThree, () => {
  const routes = Array.from({ length: 10_000 }, (_, index) => route(`r${index}`, prefix(`/api/v${index}/`)));
  const host = virtualHostEntry("h", ["*"], routes);
  const start = cpuMs();
  for (let i = 0; i < 10_000; i++) expect(matchRoute(host, view("/"), `/api/v${i}/x`)).toBe(routes[i]);
  expect(cpuMs() - start).toBeLessThan(2_000);
});

test("the literal beginning of a regular expression is only taken where every match has it", () => {
  expect(
    ["/api/.*", "/api/v\\d+", "/a|/b", "/ab?", "/ab*c", "/a\\.b", "(?i)/a", "/a+", "/a{2}", "[/]a", "^/a", "/é"].map(literalPrefixOf),
  ).toEqual(["/api/", "/api/v", "", "/a", "/a", "/a.b", "", "/a", "/", "", "", "/"]);
  fc.assert(
    fc.property(
      fc.constantFrom("/api/.*", "/ab?c", "/a+b*", "/a\\.b.*", "/a{2}"),
      fc.stringMatching(/^\/[abc./p]{0,6}$/),
      (source, text) => {
        const compiled = regex(source);
        if (compiled.matches(text)) expect(text.startsWith(compiled.literalPrefix)).toBe(true);
      },
    ),
  );
});

test("a regular expression that explodes elsewhere is linear here", bestOfThree, () => {
  const start = cpuMs();
  expect(regex("(a+)+b").matches("a".repeat(10_000))).toBe(false);
  expect(cpuMs() - start).toBeLessThan(1_000);
});
