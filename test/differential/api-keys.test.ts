// API keys in the embedded data plane and in Envoy: the same requests let in, the same answers and counters, the same told to upstreams.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyStatsText } from "../../src/admin/envoy-stats.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { FilterConfigSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_components_pb.js";
import {
  ApiKeyAuthPerRouteSchema,
  ApiKeyAuthSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import {
  FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { differencesOf, hasNoEnvoy, type ListedFilter, managerWith, type Packed, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const name = "envoy.filters.http.api_key_auth";
const chainName = "envoy.filters.http.filter_chain";

const credentials = [
  { key: "key-of-ann", client: "ann" },
  { key: "key of bob", client: "bob" },
  { key: "schlüssel", client: "jürgen" },
];
const header = { header: "X-Key" };
const everywhere = [header, { query: "key" }, { cookie: "key" }];
const telling = { header: "X-Client", hideCredentials: true };

const perRoute = (config: object) => ({ [name]: packAny(ApiKeyAuthPerRouteSchema, config as never) });
const chained = packAny(FilterChainConfigPerRouteSchema, {
  filterChain: { filters: [{ name: "check 1", typedConfig: packAny(ApiKeyAuthSchema, { credentials, keySources: [header] }) }] },
});

/** By the first part of a path. */
const said: Readonly<Record<string, Readonly<Record<string, Packed>>>> = {
  plain: {},
  off: { [name]: packAny(FilterConfigSchema, { disabled: true }) },
  on: { [name]: packAny(FilterConfigSchema, { config: packAny(ApiKeyAuthPerRouteSchema, {}) }) },
  empty: perRoute({}),
  some: perRoute({ allowedClients: ["ann", "carl"] }),
  others: perRoute({ credentials: [{ key: "other", client: "carl" }] }),
  "by-query": perRoute({ keySources: [{ query: "key" }] }),
  "by-cookie": perRoute({ keySources: [{ cookie: "key" }] }),
  "by-authorization": perRoute({ keySources: [{ header: "Authorization" }] }),
  telling: perRoute({ forwarding: telling }),
  hiding: perRoute({ keySources: everywhere, forwarding: { hideCredentials: true } }),
  silent: perRoute({ forwarding: {} }),
  whole: perRoute({ credentials, keySources: everywhere, forwarding: { header: "x-client" } }),
  chained: { [chainName]: chained },
};
const routes = Object.entries(said).map(([first, perFilter]) => toRoute(`/${first}/`, perFilter));

const added = [{ header: { key: "x-details", value: "%RESPONSE_CODE_DETAILS%" } }];

function manager(statPrefix: string, config: object, more: Partial<ListedFilter> = {}): HcmInit {
  const filters = [
    { name, config: packAny(ApiKeyAuthSchema, config as never), ...more },
    { name: chainName, config: packAny(FilterChainConfigSchema, {}), disabled: true },
  ];
  return { ...managerWith(filters, [...routes, toRoute("/")], { responseHeadersToAdd: added } as never), statPrefix } as HcmInit;
}

const ways: readonly (readonly [query: string, headers: readonly string[]])[] = [
  ["", []],
  ["", ["X-Key: key-of-ann"]],
  ["", ["X-Key: key of bob", "X-Client: root"]],
  ["", ["X-Key: Bearer key-of-ann"]],
  ["", ["X-Key: bearer key-of-ann"]],
  ["", ["X-Key: key-of-eve"]],
  ["", ["X-Key:", "X-Key: key-of-ann"]],
  ["", ["X-Key: key-of-ann", "X-Key: key of bob"]],
  ["", ["X-Key: KEY-OF-ANN"]],
  ["", ["X-Key: other"]],
  ["", ["X-Key: schl\u00c3\u00bcssel"]],
  ["", ["Authorization: Bearer key-of-ann"]],
  ["", ["Authorization: key-of-ann", "Authorization: key of bob"]],
  ["?z=1&key=key-of-ann&a=2&a=1&b", []],
  ["?key=key%20of%20bob", []],
  ["?key=key+of+bob", []],
  ["?k%65y=key-of-ann&key=key-of-eve", []],
  ["?key=&key=key-of-ann", ["Cookie: key=key-of-ann"]],
  ["?key", ["X-Key: key-of-ann"]],
  ["?a=1&", ["X-Key: key-of-ann"]],
  ["?&&=b&a", ["X-Key: key-of-ann"]],
  ["?KEY=key-of-ann", []],
  ["?b=%20x&a=%26&key=key-of-ann&c=+1", []],
  ["?key=key-of-ann&key=2", []],
  ["", ["Cookie: a=1; key=key-of-ann; b=2"]],
  ["", ['Cookie: key="key of bob"']],
  ["", ["Cookie: a=1", "Cookie: key=key-of-ann;b=2"]],
  ["", ["Cookie: key=; key=key-of-ann"]],
  ["", ["Cookie: key; a = 1;  key=key-of-ann;; b"]],
  ["", ['Cookie: a="x y"; key=key-of-ann;b = 2 ; =3; key=2']],
  ["", ["Cookie: a=1; b=2", "X-Key: key-of-ann"]],
];

/** What is left when a key is hidden, stays as it was: Envoy writes other parameters unescaped, also blanks, and other cookies without their quotes. */
const explained = [
  /forwarded\.path: Envoy "[^"]*\?a=&&b=", embedded "[^"]*\?a=%26&b=%20x&c=\+1"/,
  /forwarded\.headers\.cookie: Envoy "a=x y; b = 2 ; =3", embedded "a=\\"x y\\"; b = 2 ; =3"/,
];

describe.skipIf(hasNoEnvoy("API keys"))("API keys in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    planes = await startPlanes(
      [
        manager("own", { credentials, keySources: [header] }),
        manager("everywhere", { credentials, keySources: everywhere, forwarding: telling }),
        manager("nothing", {}),
        manager("nobody", { keySources: [header] }),
        manager("disabled", { credentials, keySources: [header] }, { disabled: true }),
      ],
      [staticCluster("a", [upstream.port])],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test("the same requests are let in, and the same is said and counted of them", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    await ask(Object.keys(said).filter((first) => first !== "chained"));
    const posts = ["plain", "some"].map((first) => request(`POST /${first}/a`, ["X-Key: key of bob", "Content-Length: 2"], "hi"));
    const grpc = request("POST /plain/a", ["Content-Type: application/grpc", "Content-Length: 0"]);
    expect(await differencesOf(planes, 0, [...posts, grpc])).toEqual([]);
    expect(await countersOf("envoy")).toEqual(await countersOf("embedded"));
    const samples = (page: string) =>
      page
        .split("\n")
        .filter((line) => /^envoy_.*api_key_auth.* [1-9]\d*$/.test(line))
        .sort();
    expect(samples(envoyStatsText(planes.plane.stats()))).toEqual(samples(await planes.envoy.admin("/stats/prometheus")));
    const counted = await countersOf("embedded");
    for (const each of ["allowed", "unauthorized", "forbidden"]) expect(counted[`http.own.api_key_auth.${each}`]).toBeGreaterThan(1);
  });

  test("in a chain of filters, too", async () => {
    await ask(["chained"]);
  });

  async function ask(firsts: readonly string[]): Promise<void> {
    const asked = firsts.flatMap((first) => ways.map(([query, headers]) => request(`GET /${first}/a${query}`, headers)));
    for (const at of planes.ports.keys()) {
      const lines = await differencesOf(planes, at, asked);
      expect(lines.filter((line) => !explained.some((each) => each.test(line)))).toEqual([]);
    }
  }

  /** Those that are not 0. */
  async function countersOf(plane: "envoy" | "embedded"): Promise<Record<string, number>> {
    const lines =
      plane === "envoy"
        ? (await planes.envoy.admin("/stats?filter=api_key")).split("\n").map((line) => line.split(": "))
        : Object.entries(planes.plane.stats()).filter(([key]) => key.includes("api_key"));
    const counted = lines.map(([key, value]) => [String(key), Number(value)] as const).filter(([, value]) => value > 0);
    return Object.fromEntries(counted.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
});
