// Who gets how much: priorities, panic, localities, subsets, and hashes that stay where they are.

import { expect, test } from "vitest";
import { Balancer } from "./balancer.ts";
import type { Candidate } from "./candidate.ts";
import type { PolicyConfig } from "./policies.ts";
import { Positions } from "./positions.ts";
import { SubsetBalancer, type SubsetConfig } from "./subsets.ts";
import { xxHash64 } from "./xxhash64.ts";

type Options = Partial<Omit<Candidate["spec"], "locality">> & {
  readonly health?: "bad" | "degraded";
  readonly zone?: string;
  readonly zoneWeight?: number;
};

function host(label: string, options: Options = {}): Candidate {
  const { health, zone = "", zoneWeight = 0, ...spec } = options;
  return {
    label,
    isHealthy: health === undefined,
    isDegraded: health === "degraded",
    activeRequests: 0,
    spec: {
      weight: 1,
      priority: 0,
      hostname: "",
      hashKey: undefined,
      lbMetadata: undefined,
      locality: { key: zone, weight: zoneWeight },
      ...spec,
    },
  };
}

const config = (policy: PolicyConfig, more: object = {}) => ({
  policy,
  overprovisioning: 1.4,
  panicThreshold: 50,
  byLocality: false,
  ...more,
});
const roundRobin = config({ kind: "roundRobin" });
const picks = 2_000;

function shares(balancer: { pick(): Candidate | undefined }): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < picks; i++) {
    const label = balancer.pick()?.label ?? "none";
    counts[label] = (counts[label] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).map(([label, count]) => [label, Math.round((100 * count) / picks)]));
}

test("XXH64 is the published one", () => {
  expect(xxHash64("")).toBe(0xef46db3751d8e999n);
  expect(xxHash64("a")).toBe(0xd24ec4f1a98c6e5bn);
  expect(xxHash64("abc")).toBe(0x44bc2cf5ad770999n);
  expect(xxHash64("Nobody inspects the spammish repetition")).toBe(0xfbcea83c8a378bf1n);
});

test("weights are shares, to the request", () => {
  expect(shares(new Balancer([host("a", { weight: 3 }), host("b")], roundRobin))).toEqual({ a: 75, b: 25 });
  const random = shares(new Balancer([host("a", { weight: 3 }), host("b")], config({ kind: "random" })));
  expect(random.a).toBeGreaterThan(68);
  expect(random.b).toBeGreaterThan(18);
});

test("the least busy of two is taken", () => {
  const [a, b] = [host("a"), host("b")];
  a.activeRequests = 10;
  expect(shares(new Balancer([a, b], config({ kind: "leastRequest", choices: 2 }))).b).toBeGreaterThan(65);
});

test("the next priority takes what the first cannot", () => {
  const hosts = (bad: number) => [
    ...Array.from({ length: 10 }, (_, i) => host("p0", { ...(i < bad && { health: "bad" as const }) })),
    host("p1", { priority: 1 }),
  ];
  expect(shares(new Balancer(hosts(0), roundRobin))).toEqual({ p0: 100 });
  // 8 of 10 times 1.4 is more than all.
  expect(shares(new Balancer(hosts(2), roundRobin))).toEqual({ p0: 100 });
  const half = shares(new Balancer(hosts(5), roundRobin));
  expect(half.p0).toBeGreaterThan(64);
  expect(half.p0).toBeLessThan(76);
  expect(shares(new Balancer(hosts(10), roundRobin))).toEqual({ p1: 100 });
});

test("when too few are well, all are used; unless the threshold is 0", () => {
  const hosts = [host("a"), host("b", { health: "bad" }), host("c", { health: "bad" })];
  expect(Object.keys(shares(new Balancer(hosts, roundRobin))).sort()).toEqual(["a", "b", "c"]);
  expect(shares(new Balancer(hosts, { ...roundRobin, panicThreshold: 0 }))).toEqual({ a: 100 });
  const dead = hosts.slice(1);
  expect(shares(new Balancer(dead, roundRobin))).toEqual({ b: 50, c: 50 });
  expect(shares(new Balancer(dead, { ...roundRobin, panicThreshold: 0 }))).toEqual({ none: 100 });
  expect(shares(new Balancer([], roundRobin))).toEqual({ none: 100 });
});

test("degraded hosts take what healthy ones cannot", () => {
  expect(shares(new Balancer([host("a"), host("b", { health: "degraded" })], { ...roundRobin, overprovisioning: 2 }))).toEqual({ a: 100 });
  expect(
    shares(new Balancer([host("a", { health: "bad" }), host("b", { health: "degraded" })], { ...roundRobin, panicThreshold: 0 })),
  ).toEqual({
    b: 100,
  });
});

test("localities take their weight, less when they are not well", () => {
  const zone = (name: string, weight: number, bad = 0) =>
    Array.from({ length: 4 }, (_, i) => host(name, { zone: name, zoneWeight: weight, ...(i < bad && { health: "bad" as const }) }));
  const byLocality = { ...roundRobin, byLocality: true };
  expect(shares(new Balancer([...zone("near", 3), ...zone("far", 1)], byLocality))).toEqual({ near: 75, far: 25 });
  expect(shares(new Balancer([...zone("near", 3), ...zone("far", 1)], roundRobin))).toEqual({ near: 50, far: 50 });
  // A quarter of near is well: 3 × 0.25 × 1.4 against 1.
  const ill = shares(new Balancer([...zone("near", 3, 3), ...zone("far", 1)], byLocality));
  expect(ill.near).toBe(51);
  expect(shares(new Balancer([...zone("near", 3), ...zone("none", 0)], byLocality))).toEqual({ near: 100 });
});

test("each host of a locality gets its turn, whatever the other localities get", () => {
  const zone = (name: string) => [1, 2].map((i) => host(`${name}${i}`, { zone: name, zoneWeight: 1 }));
  const hosts = [...zone("a"), ...zone("b")];
  expect(shares(new Balancer(hosts, { ...roundRobin, byLocality: true }))).toEqual({ a1: 25, a2: 25, b1: 25, b2: 25 });
});

test("weights count in each subset on their own, and over changes", () => {
  const weights: Record<string, [number, string[]]> = { a: [1, ["x", "y"]], b: [2, ["x", "y"]], c: [3, ["y"]], d: [6, ["z"]] };
  const hosts = Object.entries(weights).map(([label, [weight, groups]]) => host(label, { weight, lbMetadata: { groups } }));
  const selectors = [{ keys: ["groups"], fallback: undefined, fallbackKeys: [] }];
  const subsets: SubsetConfig = { fallback: "any", defaultSubset: {}, selectors, listAsAny: true, panicModeAny: false };
  const positions = new Positions();
  const counts: Record<string, number> = {};
  for (let i = 0; i < 1_200; i++) {
    const balancer = new SubsetBalancer(hosts, subsets, roundRobin, positions);
    for (const groups of ["x", "y", undefined]) {
      const subset = groups === undefined ? undefined : { keys: ["groups"], values: { groups } };
      const key = `${groups} ${balancer.pick({ hash: undefined, subset }, 0)?.label}`;
      counts[key] = (counts[key] ?? 0) + 1;
    }
  }
  const all = { "undefined a": 100, "undefined b": 200, "undefined c": 300, "undefined d": 600 };
  expect(counts).toEqual({ "x a": 400, "x b": 800, "y a": 200, "y b": 400, "y c": 600, ...all });
});

test("each host of a subset gets its turn, whatever the other subsets get; and over changes", () => {
  const hosts = ["a1", "a2", "b1", "b2"].map((label) => host(label, { lbMetadata: { version: label[0] } }));
  const selectors = [{ keys: ["version"], fallback: undefined, fallbackKeys: [] }];
  const subsets: SubsetConfig = { fallback: "none", defaultSubset: {}, selectors, listAsAny: false, panicModeAny: false };
  const positions = new Positions();
  let turn = 0;
  const pick = () => {
    const values = { version: turn++ % 2 === 0 ? "a" : "b" };
    const balancer = new SubsetBalancer(hosts, subsets, roundRobin, positions);
    return balancer.pick({ hash: undefined, subset: { keys: ["version"], values } }, 0);
  };
  expect(shares({ pick })).toEqual({ a1: 25, a2: 25, b1: 25, b2: 25 });
});

const hashing: readonly PolicyConfig[] = [
  { kind: "ringHash", minSize: 1_024, maxSize: 8_388_608, byHostname: false },
  { kind: "maglev", size: 65_537, byHostname: false },
];

test.each(hashing)("$kind: a key stays with its host, and most do when a host leaves", (policy) => {
  const hosts = Array.from({ length: 10 }, (_, i) => host(`10.0.0.${i}:80`));
  const of = (all: readonly Candidate[]) => new Balancer(all, config(policy));
  const keys = Array.from({ length: 500 }, (_, i) => ({ hash: xxHash64(`key ${i}`), subset: undefined }));
  const all = of(hosts);
  const before = keys.map((key) => all.pick(key)?.label);
  expect(keys.map((key) => all.pick(key)?.label)).toEqual(before);
  expect(new Set(before).size).toBe(10);
  const fewer = of(hosts.slice(0, 9));
  const moved = keys.filter((key, i) => before[i] !== "10.0.0.9:80" && fewer.pick(key)?.label !== before[i]);
  expect(moved.length).toBeLessThan(75);
  // Another host where the first was not liked.
  expect(keys.some((key) => all.pick(key, 1)?.label !== all.pick(key, 0)?.label)).toBe(true);
  // Without anything to hash by, everybody gets some.
  expect(Object.keys(shares(all)).length).toBe(10);
});

test("a request goes to the hosts that have its metadata, or where the selector says", () => {
  const hosts = [
    host("v1", { lbMetadata: { version: "1", stage: "prod" } }),
    host("v2", { lbMetadata: { version: "2", stage: "prod" } }),
    host("dev", { lbMetadata: { version: "2", stage: ["dev", "test"] } }),
  ];
  const subsets: SubsetConfig = {
    fallback: "default",
    defaultSubset: { version: "1" },
    selectors: [
      { keys: ["version"], fallback: undefined, fallbackKeys: [] },
      { keys: ["stage", "version"], fallback: "keys", fallbackKeys: ["version"] },
      { keys: ["stage"], fallback: "none", fallbackKeys: [] },
      { keys: ["color"], fallback: "any", fallbackKeys: [] },
    ],
    listAsAny: true,
    panicModeAny: false,
  };
  const balancer = new SubsetBalancer(hosts, subsets, roundRobin, new Positions());
  const asked = (values: Record<string, unknown> | undefined) =>
    Object.keys(
      shares({
        pick: () => balancer.pick({ hash: undefined, subset: values && { keys: Object.keys(values).sort(), values } }, 0),
      }),
    ).sort();
  expect(asked(undefined)).toEqual(["v1"]);
  expect(asked({ version: "2" })).toEqual(["dev", "v2"]);
  expect(asked({ version: "3" })).toEqual(["v1"]);
  expect(asked({ version: "2", stage: "prod" })).toEqual(["v2"]);
  expect(asked({ version: "2", stage: "nowhere" })).toEqual(["dev", "v2"]);
  expect(asked({ stage: "test" })).toEqual(["dev"]);
  expect(asked({ stage: "nowhere" })).toEqual(["none"]);
  expect(asked({ color: "red" })).toEqual(["dev", "v1", "v2"]);
  expect(asked({ unheard: "of" })).toEqual(["v1"]);
});
