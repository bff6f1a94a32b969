// Who serves a request, in the embedded data plane and in Envoy: for policies that hash, the same key has the same host in both.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type ClusterInit, loadAssignment, type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { differences, type Outcome, outcomeOf } from "./compare.ts";
import { inline } from "./configs.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: balancing against Envoy: no Envoy here (set ENVOY_BIN)");

const ringHash = 2;
const maglev = 5;

const header = (name: string, more: object = {}) => ({ policySpecifier: { case: "header", value: { headerName: name } }, ...more });
const cookie = (value: object) => ({ policySpecifier: { case: "cookie", value } });
const query = { policySpecifier: { case: "queryParameter", value: { name: "k" } } };
const sourceIp = { policySpecifier: { case: "connectionProperties", value: { sourceIp: true } } };

const to = (prefix: string, cluster: string, hashPolicy: readonly object[], more: object = {}): RouteInit =>
  ({
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster }, hashPolicy: [...hashPolicy], ...more } },
  }) as RouteInit;
const lb = (values: object) => ({ metadataMatch: { filterMetadata: { "envoy.lb": values } } });

const clusters = ["ring", "small-ring", "weighted-ring", "maglev", "weighted-maglev", "zones", "keyed"];
const routes: readonly RouteInit[] = [
  ...clusters.map((name) => to(`/${name}/`, name, [header("x-key")])),
  to("/query/", "ring", [query]),
  to("/source/", "maglev", [sourceIp]),
  to("/cookie/", "ring", [cookie({ name: "session" })]),
  to("/made-cookie/", "ring", [cookie({ name: "session", ttl: { seconds: 60n }, path: "/p" })]),
  to("/session-cookie/", "ring", [
    cookie({
      name: "session",
      ttl: {},
      attributes: [
        { name: "Secure", value: "" },
        { name: "SameSite", value: "Lax" },
      ],
    }),
  ]),
  to("/several/", "ring", [header("x-key", { terminal: true }), header("x-other"), query]),
  to("/mixed/", "ring", [header("x-other"), query]),
  to("/rewritten/", "ring", [
    {
      policySpecifier: {
        case: "header",
        value: { headerName: "x-key", regexRewrite: { pattern: { regex: "^k(\\d).*" }, substitution: "\\1" } },
      },
    },
  ]),
  to("/pseudo/", "ring", [header(":path")]),
  to("/subset-a/", "subsets", [], lb({ version: "a" })),
  to("/subset-bc/", "subsets", [], lb({ version: "bc" })),
  to("/subset-none/", "subsets", [], lb({ version: "none" })),
  to("/subset-two/", "subsets", [], lb({ version: "bc", stage: "test" })),
  to("/subset-odd/", "subsets", [], lb({ color: "red" })),
  to("/no-subset/", "subsets", []),
  to("/failover/", "failover", []),
  to("/unwell/", "unwell", []),
];

describe.skipIf(findEnvoy() === undefined && !isRequired)("balancing in the embedded data plane and in Envoy", () => {
  const upstreams: RawUpstream[] = [];
  let planes: Planes;

  beforeAll(async () => {
    for (const name of ["a", "b", "c", "d", "e"]) upstreams.push(await rawUpstream(name));
    const ports = upstreams.map(({ port }) => port);
    const weights = [1, 5, 2, 9, 3];
    /** Endpoints with something said of each; `groups` are localities. */
    const assigned = (
      name: string,
      more: (index: number) => object,
      groups: readonly (readonly number[])[] = [[0, 1, 2, 3, 4]],
      of: (group: number) => object = () => ({}),
    ) => ({
      loadAssignment: {
        clusterName: name,
        endpoints: groups.map((indexes, group) => ({
          ...of(group),
          lbEndpoints: indexes.map((index) => ({
            ...loadAssignment(name, [ports[index] as number]).endpoints?.[0]?.lbEndpoints?.[0],
            ...more(index),
          })),
        })),
      },
    });
    const cluster = (name: string, more: object = {}) => staticCluster(name, ports, more as ClusterInit);
    const versions = ["a", "bc", "bc", "d", "e"];
    const stages = ["test", "prod", "test", "prod", "test"];
    planes = await startPlanes(
      [inline([{ name: "all", domains: ["*"], routes: [...routes] }])],
      [
        cluster("ring", { lbPolicy: ringHash }),
        cluster("small-ring", {
          lbPolicy: ringHash,
          lbConfig: { case: "ringHashLbConfig", value: { minimumRingSize: 7n, maximumRingSize: 13n } },
        }),
        cluster("weighted-ring", { lbPolicy: ringHash, ...assigned("weighted-ring", (i) => ({ loadBalancingWeight: weights[i] })) }),
        cluster("maglev", { lbPolicy: maglev }),
        cluster("weighted-maglev", {
          lbPolicy: maglev,
          lbConfig: { case: "maglevLbConfig", value: { tableSize: 1_009n } },
          ...assigned("weighted-maglev", (i) => ({ loadBalancingWeight: weights[i] })),
        }),
        cluster("zones", {
          lbPolicy: ringHash,
          commonLbConfig: { localityConfigSpecifier: { case: "localityWeightedLbConfig", value: {} } },
          ...assigned(
            "zones",
            () => ({}),
            [
              [0, 1],
              [2, 3, 4],
            ],
            (group) => ({ locality: { zone: `z${group}` }, loadBalancingWeight: group === 0 ? 3 : 1 }),
          ),
        }),
        cluster("keyed", {
          lbPolicy: maglev,
          ...assigned("keyed", (i) => ({ metadata: { filterMetadata: { "envoy.lb": { hash_key: `node-${i}` } } } })),
        }),
        cluster("subsets", {
          lbSubsetConfig: {
            fallbackPolicy: 2,
            defaultSubset: { version: "e" },
            subsetSelectors: [{ keys: ["version"] }, { keys: ["version", "stage"], fallbackPolicy: 1 }],
          },
          ...assigned("subsets", (i) => ({ metadata: { filterMetadata: { "envoy.lb": { version: versions[i], stage: stages[i] } } } })),
        }),
        cluster(
          "failover",
          assigned(
            "failover",
            (i) => ({ healthStatus: i < 2 ? 2 : 1 }),
            [[0, 1], [2]],
            (group) => ({ priority: group }),
          ),
        ),
        cluster("unwell", {
          commonLbConfig: { healthyPanicThreshold: { value: 0 } },
          ...assigned("unwell", () => ({ healthStatus: 2 })),
        }),
      ],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
  });

  async function both(text: string, compared: (outcome: Outcome) => Outcome = (outcome) => outcome): Promise<string[]> {
    const [ports] = planes.ports as [{ envoy: number; embedded: number }];
    const [envoy, embedded] = [await outcomeOf(ports.envoy, text), await outcomeOf(ports.embedded, text)];
    return differences(compared(envoy), compared(embedded)).map((line) => `${text.split("\r\n", 1)[0]} ${line}`);
  }

  test("keys have the same hosts", async () => {
    expect(planes.plane.unsupported()).toEqual([]);
    const found: string[] = [];
    for (const name of clusters) for (let i = 0; i < 40; i++) found.push(...(await both(request(`GET /${name}/`, [`X-Key: k${i}`]))));
    for (let i = 0; i < 15; i++) {
      for (const [path, ...headers] of [
        [`/query/?k=v${i}`],
        [`/query/?a=b&k=v%20${i}&k=2`],
        ["/source/"],
        ["/cookie/", `Cookie: a=b; session=s${i}`],
        ["/cookie/", `Cookie: session="s${i}"`],
        ["/made-cookie/", `Cookie: session=s${i}; other=1`],
        [`/several/?k=${i}`, `X-Key: k${i}`, "X-Other: 1"],
        [`/several/?k=${i}`, "X-Other: 1"],
        [`/mixed/?k=${i}`, "X-Other: 1"],
        ["/rewritten/", `X-Key: k${i}abc`],
        [`/pseudo/${i}`],
        ["/ring/", `X-Key: b${i}`, `X-Key: a${i}`],
        ["/ring/", `X-Key: ${"long ".repeat(i)}`],
      ] as const)
        found.push(...(await both(request(`GET ${path}`, headers))));
    }
    expect(found).toEqual([]);
  });

  test("clients without a cookie get one, of the same form", async () => {
    // Its value is made of the addresses of the connection, which are never the same twice.
    const masked = (outcome: Outcome): Outcome => ({
      ...outcome,
      headers: { ...outcome.headers, "set-cookie": String(outcome.headers["set-cookie"]).replace(/"[0-9a-f]{16}"/, '"…"') },
      forwarded: undefined,
    });
    expect([...(await both(request("GET /made-cookie/"), masked)), ...(await both(request("GET /session-cookie/"), masked))]).toEqual([]);
  });

  test("subsets, priorities and health choose the same hosts", async () => {
    const found: string[] = [];
    const [ports] = planes.ports as [{ envoy: number; embedded: number }];
    for (const path of ["subset-a", "subset-bc", "subset-none", "subset-two", "subset-odd", "no-subset", "failover", "unwell"]) {
      const seen = { envoy: new Set<string>(), embedded: new Set<string>() };
      for (const plane of ["envoy", "embedded"] as const)
        for (let i = 0; i < 25; i++) {
          const outcome = await outcomeOf(ports[plane], request(`GET /${path}/`));
          seen[plane].add(outcome.forwarded?.upstream ?? `${outcome.status} ${outcome.body}`);
        }
      const [envoy, embedded] = [[...seen.envoy].sort().join(), [...seen.embedded].sort().join()];
      if (envoy !== embedded) found.push(`${path}: Envoy ${envoy}, embedded ${embedded}`);
    }
    expect(found).toEqual([]);
  });
});
