import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { Findings } from "./compile/findings.ts";
import { compileRouteMatch } from "./compile/route-match.ts";
import { DomainTable, type Matchable, type RequestView, virtualHostEntry } from "./match.ts";
import { traceDomains, traceRoutes } from "./match-trace.ts";

type MatchInit = Parameters<typeof create<typeof RouteMatchSchema>>[1];

const route = (name: string, match: MatchInit): Matchable => ({
  name,
  match: compileRouteMatch(create(RouteMatchSchema, match), new Findings()),
});
const prefix = (value: string): MatchInit => ({ pathSpecifier: { case: "prefix", value } });
const exactly = (name: string, value: string) =>
  create(HeaderMatcherSchema, { name, headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value } } } });
const domains = (all: Record<string, readonly string[]>, ignorePort = false) => {
  const hosts = Object.entries(all).map(([name, its]) => virtualHostEntry(name, its, []));
  return { hosts, table: new DomainTable(hosts, ignorePort) };
};

test("a trace says of each route which tests did not hold, and what the request has instead", () => {
  const routes = [
    route("byPath", { ...prefix("/admin"), headers: [exactly("X-User", "root")] }),
    route("byHeader", { ...prefix("/"), headers: [exactly("X-User", "root"), exactly("x-none", "1")] }),
    route("byMethod", { ...prefix("/"), headers: [exactly(":method", "POST")] }),
    route("byQuery", {
      ...prefix("/"),
      queryParameters: [
        create(QueryParameterMatcherSchema, { name: "debug", queryParameterMatchSpecifier: { case: "presentMatch", value: true } }),
      ],
    }),
    route("rest", prefix("/")),
    route("later", prefix("/x")),
  ];
  const request: RequestView = { method: "GET", path: "/x", authority: "a", scheme: "http", headers: ["x-user", "al"], random: 0 };
  const traced = traceRoutes(virtualHostEntry("h", ["a"], routes), request, "/x");
  expect(traced.map(({ route, failed }) => [route.name, failed])).toEqual([
    ["byPath", [{ kind: "path", wanted: 'prefix "/admin"' }]],
    [
      "byHeader",
      [
        { kind: "header", wanted: 'header x-user exact "root"', found: "al" },
        { kind: "header", wanted: 'header x-none exact "1"' },
      ],
    ],
    ["byMethod", [{ kind: "method", wanted: 'method exact "POST"', found: "GET" }]],
    ["byQuery", [{ kind: "query", wanted: "query parameter debug present" }]],
    ["rest", []],
    ["later", []],
  ]);
});

test("the domain that a trace names is one of the host that is found, and the best of them", () => {
  const some = ["*", "a.example", "A.Example:80", "*.example", "*.a.example", "a.*", "a.ex*", "*example", "b", "x.a.example"];
  const names = ["a.example", "a.example:80", "x.a.example", "A.EXAMPLE", "b", "b:1", "c", "a.", "a.test"];
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.constantFrom(...some), { maxLength: 8 }),
      fc.constantFrom(...names),
      fc.boolean(),
      (chosen, name, ignore) => {
        const all = domains(Object.fromEntries(chosen.map((domain, i) => [`h${i}`, [domain]])), ignore);
        const { found } = traceDomains(all.hosts, all.table, name);
        expect(found?.host).toBe(all.table.find(name));
        if (found !== undefined) expect(found.host.domains).toEqual([found.domain]);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("ports, stars and www. are what domains miss by", () => {
  const all = domains({ plain: ["shop.local"], port: ["api.local:81"], star: ["*.wild.local"], www: ["www.site.local"], every: ["*"] });
  const near = (name: string) => traceDomains(all.hosts, all.table, name).near.map(({ domain, because }) => `${domain}: ${because}`);
  expect(near("shop.local:8080")).toEqual(['shop.local: has no port, and the request says "shop.local:8080"']);
  expect(near("api.local")).toEqual(['api.local:81: has a port, and the request says "api.local"']);
  expect(near("api.local:80")).toEqual(["api.local:81: has another port"]);
  expect(near("wild.local")).toEqual(["*.wild.local: the star stands for at least one character"]);
  expect(near("site.local")).toEqual(["www.site.local: differs by www."]);
  expect(near("shop.local")).toEqual(["*: matches too, and is less specific"]);
  expect(traceDomains(all.hosts, all.table, "shop.local:8080").found).toMatchObject({ domain: "*", kind: "every" });
});
