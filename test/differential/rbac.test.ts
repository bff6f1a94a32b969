// Role-based access control in the embedded data plane and in Envoy: the same policies, the same requests let in and refused, the same counters.

import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { ConnectionOptions } from "node:tls";
import { exportJWK, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyStatsText } from "../../src/admin/envoy-stats.ts";
import { type Certificates, certificates } from "../../src/dataplane/testing/certificates.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, listenerMessage, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { askTls, tlsListener } from "../../src/dataplane/testing/tls.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { JwtAuthenticationSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACPerRouteSchema, RBACSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { differencesOf, hasNoEnvoy, type ListedFilter, managerWith, toRoute } from "./filters.ts";
import { type Planes, startListeners } from "./planes.ts";
import { request } from "./requests.ts";

const name = "envoy.filters.http.rbac";
const [allow, deny, log] = [0, 1, 2];

// — short for what policies are made of —

const is = (kind: string, value: unknown) => ({ identifier: { case: kind, value } });
const may = (kind: string, value: unknown) => ({ rule: { case: kind, value } });
const anybody = is("any", true);
const anything = may("any", true);
const exact = (value: string) => ({ matchPattern: { case: "exact", value } });
const regex = (value: string) => ({ matchPattern: { case: "safeRegex", value: { regex: value } } });
const prefix = (value: string, ignoreCase = false) => ({ matchPattern: { case: "prefix", value }, ignoreCase });
const header = (key: string, matcher: object, invertMatch = false) => ({
  name: key,
  headerMatchSpecifier: { case: "stringMatch", value: matcher },
  invertMatch,
});
const present = (key: string) => ({ name: key, headerMatchSpecifier: { case: "presentMatch", value: true } });
const path = (matcher: object) => ({ rule: { case: "path", value: matcher } });
const range = (addressPrefix: string, prefixLen: number) => ({ addressPrefix, prefixLen });
const claim = (steps: readonly string[], matchPattern: object, more: object = {}) => ({
  filter: "envoy.filters.http.jwt_authn",
  path: ["payload", ...steps].map((value) => ({ segment: { case: "key", value } })),
  value: { matchPattern },
  ...more,
});
const text = (matcher: object) => ({ case: "stringMatch", value: matcher });
const tier = (value: string, metadataSource: number) => ({
  metadataMatcher: { filter: "own", path: [{ segment: { case: "key", value: "tier" } }], value: { matchPattern: text(exact(value)) } },
  metadataSource,
});

const policy = (permissions: object[], principals: object[] = [anybody]) => ({ permissions, principals });
const rules = (policies: object, action = allow) => ({ rules: { action, policies } });
const who = (principal: object, action = allow) => rules({ who: policy([anything], [principal]) }, action);
const what = (permission: object, action = allow) => rules({ what: policy([permission]) }, action);

/** By the first part of a path. */
const cases: Readonly<Record<string, object | undefined>> = {
  off: undefined,
  empty: {},
  nobody: rules({}),
  everybody: rules({}, deny),
  "log-nobody": rules({}, log),
  "log-some": what(may("header", present("x-user")), log),
  "deny-some": what(may("header", present("x-user")), deny),
  user: what(may("header", header("x-user", exact("alice")))),
  "not-user": what(may("header", header("x-user", exact("alice"), true))),
  pseudo: what(may("header", header(":path", prefix("/pseudo/a?")))),
  method: what(may("header", header(":method", exact("GET")))),
  authority: what(may("header", header(":authority", exact("a.example")))),
  exactly: what(may("urlPath", path(exact("/exactly/a")))),
  under: what(may("urlPath", path(prefix("/UNDER/a", true)))),
  like: what(may("urlPath", path(regex("/like/[a-b]")))),
  bypath: who(is("urlPath", path(exact("/bypath/a")))),
  both: what(may("andRules", { rules: [may("header", present("x-user")), may("urlPath", path(prefix("/both/a")))] })),
  either: what(may("orRules", { rules: [may("header", present("x-user")), may("urlPath", path(prefix("/either/a")))] })),
  neither: what(may("notRule", may("orRules", { rules: [may("header", present("x-user")), may("urlPath", path(prefix("/neither/a")))] }))),
  ids: who(is("andIds", { ids: [is("notId", is("header", present("x-user"))), is("orIds", { ids: [is("any", true)] })] })),
  source: who(is("sourceIp", range("127.0.0.0", 8))),
  "source-not": who(is("sourceIp", range("10.0.0.0", 8))),
  direct: who(is("directRemoteIp", range("127.0.0.1", 32))),
  remote: who(is("remoteIp", range("10.1.0.0", 16))),
  "remote-six": who(is("remoteIp", range("2001:db8::", 32))),
  "remote-all": who(is("remoteIp", { addressPrefix: "0.0.0.0" })),
  local: what(may("destinationIp", range("127.0.0.1", 32))),
  "local-six": what(may("destinationIp", range("::", 0))),
  port: what(may("destinationPort", 1)),
  ports: what(may("destinationPortRange", { start: 1024, end: 65_536 })),
  "ports-not": what(may("destinationPortRange", { start: 1, end: 1024 })),
  sni: what(may("requestedServerName", exact("a.test"))),
  "sni-none": what(may("requestedServerName", exact(""))),
  tls: who(is("authenticated", {})),
  uri: who(is("authenticated", { principalName: exact("spiffe://test/client") })),
  dns: who(is("authenticated", { principalName: exact("client.test") })),
  subject: who(is("authenticated", { principalName: exact("CN=client") })),
  issuer: who(is("metadata", claim(["iss"], text(exact("local"))))),
  "issuer-not": who(is("metadata", claim(["iss"], text(exact("local")), { invert: true }))),
  role: who(
    is(
      "metadata",
      claim(["roles"], { case: "listMatch", value: { matchPattern: { case: "oneOf", value: { matchPattern: text(exact("b")) } } } }),
    ),
  ),
  org: who(is("metadata", claim(["org", "name"], text(prefix("ac"))))),
  level: who(is("metadata", claim(["level"], { case: "doubleMatch", value: { matchPattern: { case: "exact", value: 3 } } }))),
  "level-range": who(
    is("metadata", claim(["level"], { case: "doubleMatch", value: { matchPattern: { case: "range", value: { start: 1, end: 3 } } } })),
  ),
  admin: who(is("metadata", claim(["admin"], { case: "boolMatch", value: true }))),
  nothing: who(is("metadata", claim(["nothing"], { case: "nullMatch", value: {} }))),
  there: who(is("metadata", claim(["level"], { case: "presentMatch", value: true }))),
  absent: who(is("metadata", claim(["absent"], { case: "presentMatch", value: false }))),
  struct: who(is("metadata", claim(["org"], text(exact("acme"))))),
  orvalue: what(
    may(
      "metadata",
      claim(["level"], {
        case: "orMatch",
        value: { valueMatchers: [{ matchPattern: text(exact("3")) }, { matchPattern: { case: "boolMatch", value: true } }] },
      }),
    ),
  ),
  tier: who(is("sourcedMetadata", tier("gold", 1))),
  "tier-silver": what(may("sourcedMetadata", tier("silver", 1))),
  "tier-dynamic": what(may("sourcedMetadata", tier("gold", 0))),
  several: rules({
    "z last": policy([anything], [is("header", present("x-user"))]),
    "b second": policy([may("header", present("x-role")), may("urlPath", path(prefix("/several/a")))], [anybody]),
    "B first": policy([may("header", header("x-role", exact("first")))]),
  }),
  "several-deny": {
    ...rules({ "a b": policy([may("header", present("x-role"))]), c: policy([may("header", present("x-user"))]) }, deny),
    trackPerRuleStats: true,
  },
  shadow: {
    ...rules({ user: policy([may("header", present("x-user"))]) }),
    shadowRules: { action: deny, policies: { role: policy([may("header", present("x-role"))]) } },
    rulesStatPrefix: "own_",
    shadowRulesStatPrefix: "dark_",
    trackPerRuleStats: true,
  },
  "shadow-only": { shadowRules: { action: allow, policies: { role: policy([may("header", present("x-role"))]) } } },
};

const found = ["enforced_effective_policy_id", "enforced_engine_result", "shadow_effective_policy_id", "shadow_engine_result"].flatMap(
  (key) => ["", key.startsWith("shadow") ? "dark_" : "own_"].map((before) => `${before}${key}`),
);
const told = [
  ...found.map((key) => [`x-${key}`, `%DYNAMIC_METADATA(${name}:${key})%`]),
  ["x-hint", "%DYNAMIC_METADATA(envoy.common:access_log_hint)%"],
];
const added = told.map(([key, value]) => ({ header: { key, value }, keepEmptyValue: true }));

function manager(filters: readonly ListedFilter[], statPrefix: string, perRoute: boolean): HcmInit {
  const metadata = { filterMetadata: { own: { tier: "gold" } } };
  const routes = Object.entries(perRoute ? cases : {}).map(([first, rbac]) =>
    toRoute(`/${first}/`, { [name]: packAny(RBACPerRouteSchema, (rbac === undefined ? {} : { rbac }) as never) }, { metadata }),
  );
  return {
    ...managerWith(filters, [...routes, toRoute("/", {}, { metadata })], {
      requestHeadersToAdd: added,
      responseHeadersToAdd: [{ header: { key: "x-details", value: "%RESPONSE_CODE_DETAILS%" } }],
    } as never),
    statPrefix,
    useRemoteAddress: true,
    xffNumTrustedHops: 1,
  } as HcmInit;
}

const rbac = (config: object): ListedFilter => ({ name, config: packAny(RBACSchema, config as never) });
const own = {
  ...rules({ listed: policy([may("urlPath", path(prefix("/allowed")))]) }),
  shadowRules: { action: deny, policies: { dark: policy([may("header", present("x-user"))]) } },
  rulesStatPrefix: "front.",
  shadowRulesStatPrefix: "back",
  trackPerRuleStats: true,
};

describe.skipIf(hasNoEnvoy("RBAC"))("RBAC in the embedded data plane and in Envoy", () => {
  let made: Certificates;
  let upstream: RawUpstream;
  let planes: Planes;
  let token: string;
  let clients: Record<string, ConnectionOptions>;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = { ...(await exportJWK(createPublicKey(privateKey))), alg: "ES256" };
    const claims = { iss: "local", roles: ["a", "b"], org: { name: "acme" }, level: 3, admin: true, nothing: null };
    token = await new SignJWT(claims).setProtectedHeader({ alg: "ES256" }).sign(privateKey);
    const inlineString = JSON.stringify({ keys: [key] });
    const jwt = {
      providers: {
        local: {
          forward: true,
          payloadInMetadata: "payload",
          jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "inlineString", value: inlineString } } },
        },
      },
      rules: [
        {
          match: { pathSpecifier: { case: "prefix", value: "/" } },
          requirementType: { case: "requires", value: { requiresType: { case: "allowMissing", value: {} } } },
        },
      ],
    };
    const jwtFilter = { name: "envoy.filters.http.jwt_authn", config: packAny(JwtAuthenticationSchema, jwt as never) };
    made = certificates();
    const authority = made.selfSigned("authority.test");
    const server = made.signed("a.test", authority);
    const named = made.signed("client", authority, "URI:spiffe://test/client,URI:spiffe://test/other,DNS:client.test");
    const other = made.signed("other", authority, "DNS:other.test");
    const nameless = made.signed("client", authority, "IP:127.0.0.1");
    clients = {
      none: {},
      sni: { servername: "a.test" },
      ...Object.fromEntries(
        Object.entries({ named, other, nameless }).map(([who, pair]) => [who, { cert: pair.certificate, key: pair.key }]),
      ),
    };
    const chain = (hcm: HcmInit) => [{ certificate: server, clientsOf: authority, required: false, hcm }];
    const byRoute = (statPrefix: string) => manager([jwtFilter, rbac({})], statPrefix, true);
    planes = await startListeners(
      [
        (port) => listenerMessage(port, byRoute("routes")),
        (port) => listenerMessage(port, manager([rbac(own)], "manager", true)),
        (port) => listenerMessage(port, manager([{ ...rbac(own), disabled: true }], "off", true)),
        (port) => tlsListener(port, chain(byRoute("tls"))),
      ],
      [staticCluster("a", [upstream.port])],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    made?.[Symbol.dispose]();
  });

  test("the same requests are let in, and the same is said and counted of them", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const ways = [
      [],
      ["X-User: alice"],
      ["X-User: bob", "X-Role: first"],
      ["X-Role: second", "X-Forwarded-For: 10.1.2.3, 10.9.9.9"],
      ["X-Forwarded-For: 2001:db8::1, 10.9.9.9"],
      [`Authorization: Bearer ${token}`],
    ];
    const of = (first: string) => ways.flatMap((headers) => [request(`GET /${first}/a?q`, headers), request(`POST /${first}/b`, headers)]);
    const all = Object.keys(cases).flatMap(of);
    expect(await differencesOf(planes, 0, all)).toEqual([]);
    const few = [...of("allowed"), ...of("refused"), ...of("off"), ...of("shadow"), ...of("user"), ...of("several-deny")];
    expect(await differencesOf(planes, 1, few)).toEqual([]);
    expect(await differencesOf(planes, 2, few)).toEqual([]);
    expect(await countersOf("envoy")).toEqual(await countersOf("embedded"));
    const samples = (page: string) =>
      page
        .split("\n")
        .filter((line) => /^envoy_http_rbac_.* [1-9]\d*$/.test(line))
        .sort();
    expect(samples(envoyStatsText(planes.plane.stats()))).toEqual(samples(await planes.envoy.admin("/stats/prometheus")));
    const counted = await countersOf("embedded");
    expect(counted["http.manager.rbac.front.denied"]).toBeGreaterThan(5);
    expect(counted["http.manager.rbac.front.policy.listed.allowed"]).toBeGreaterThan(5);
  });

  test("clients are known by their certificates", async () => {
    const { envoy, embedded } = planes.ports[3] as Planes["ports"][number];
    const statuses = new Set<unknown>();
    for (const [who, options] of Object.entries(clients))
      for (const first of ["tls", "uri", "dns", "subject", "sni", "sni-none", "user"]) {
        const [a, b] = [
          await askTls(envoy, options, request(`GET /${first}/a`)),
          await askTls(embedded, options, request(`GET /${first}/a`)),
        ];
        expect([who, first, b.status]).toEqual([who, first, a.status]);
        statuses.add(a.status);
      }
    expect(statuses).toEqual(new Set([200, 403]));
  });

  /** Those that are not 0. */
  async function countersOf(plane: "envoy" | "embedded"): Promise<Record<string, number>> {
    const lines =
      plane === "envoy"
        ? (await planes.envoy.admin("/stats?filter=rbac")).split("\n").map((line) => line.split(": "))
        : Object.entries(planes.plane.stats()).filter(([key]) => key.includes("rbac"));
    const counted = lines.map(([key, value]) => [String(key), Number(value)] as const).filter(([, value]) => value > 0);
    return Object.fromEntries(counted.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
});
