import { expect, test } from "vitest";
import { resourcesOf } from "../lib/testing/world.ts";
import { rejects } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import { claimedDomains, judgeDomains, keeperOf, sharedDomains } from "./domains.ts";

const of = (...hosts: readonly (readonly [name: string, domains: readonly string[] | undefined])[]): Resource<"VirtualService">[] =>
  hosts.flatMap(([name, domains]) =>
    resourcesOf(JSON.stringify({ kind: "VirtualService", metadata: { name, namespace: "shop" }, spec: { virtualHost: { domains } } })),
  ) as Resource<"VirtualService">[];

const judge = (all: readonly Resource<"VirtualService">[], i: number, incumbent?: number) =>
  judgeDomains(
    all[i]!,
    (domain) => all.filter((each) => claimedDomains(each).includes(domain)),
    () => (incumbent === undefined ? undefined : all[incumbent]?.key),
  );

test("a virtual service without a rival keeps its domains", () => {
  expect(judge(of(["a", ["x.test"]], ["b", ["y.test"]]), 0)).toEqual({ lost: new Set(), problems: [] });
});

test("the loser of a domain is told who has it, and is served under its others", () => {
  const { lost, problems } = judge(of(["a", ["x.test"]], ["b", ["x.test", "b.test"]]), 1);
  expect([...lost]).toEqual(["x.test"]);
  expect(problems[0]).toMatchObject({ severity: "error", path: "virtualHost.domains[0]", costs: "domain", elsewhere: true });
  expect(problems[0]?.hint).toContain("shop.a serves it");
});

test("the keeper is told too, at no cost, and its newest version stays in service", () => {
  const { lost, problems } = judge(of(["a", ["x.test"]], ["b", ["x.test"]]), 0);
  expect(lost.size).toBe(0);
  expect(problems[0]).toMatchObject({ severity: "error", costs: "nothing" });
  expect(rejects(problems)).toBe(false);
});

test("whoever has a domain keeps it from a newcomer with an earlier name", () => {
  const all = of(["a", ["x.test"]], ["b", ["x.test"]]);
  expect([...judge(all, 0, 1).lost]).toEqual(["x.test"]);
  expect(judge(all, 1, 1).lost.size).toBe(0);
});

test("the older of two keeps a domain", () => {
  const [a, b] = of(["a", ["x"]], ["b", ["x"]]);
  const aged = [
    { ...a!, createdAt: "2026-02-01T00:00:00Z" },
    { ...b!, createdAt: "2026-01-01T00:00:00Z" },
  ];
  expect(keeperOf(aged)?.ref.name).toBe("b");
});

test("a domain named twice in one virtual service is an error of that one alone", () => {
  const all = of(["a", ["x.test", "x.test"]]);
  expect(judge(all, 0).problems.map(({ path, elsewhere }) => [path, elsewhere])).toEqual([["virtualHost.domains[1]", undefined]]);
  expect(sharedDomains(all)).toEqual(["x.test"]);
});

test("no domains and a star are one claim; the Gateway calls only equal spellings shared, as Gloo does", () => {
  const all = of(["a", undefined], ["b", ["*"]]);
  expect(judge(all, 1).problems).toHaveLength(1);
  expect(sharedDomains(all)).toEqual([]);
  expect(sharedDomains(of(["a", undefined], ["b", undefined]))).toEqual(["EMPTY_DOMAIN"]);
});

test("spellings that differ in case are one domain, as they are for Envoy", () => {
  const all = of(["a", ["Shop.test"]], ["b", ["shop.TEST", "b.test"]]);
  const { lost, problems } = judge(all, 1);
  expect([...lost]).toEqual(["shop.test"]);
  expect(problems[0]?.message).toContain("[shop.TEST]");
  expect(sharedDomains(all)).toEqual(["Shop.test"]);
  expect(judge(of(["c", ["C.test", "c.test"]]), 0).problems[0]).toMatchObject({ path: "virtualHost.domains[1]", costs: "nothing" });
});

test("a virtual service without a virtual host has every name that nobody else has, and one of them only", () => {
  const without = (name: string) =>
    resourcesOf(JSON.stringify({ kind: "VirtualService", metadata: { name, namespace: "shop" }, spec: {} }));
  const two = [...without("b"), ...without("a"), ...of(["c", ["x.test"]])] as Resource<"VirtualService">[];
  expect([0, 1, 2].map((i) => [...judge(two, i).lost])).toEqual([["*"], [], []]);
  const taken = [...without("a"), ...of(["c", undefined])] as Resource<"VirtualService">[];
  expect([0, 1].map((i) => judge(taken, i))).toEqual([
    { lost: new Set(["*"]), problems: [] },
    { lost: new Set(), problems: [] },
  ]);
  expect(sharedDomains(two)).toEqual([]);
});
