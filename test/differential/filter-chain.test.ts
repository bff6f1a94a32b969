// Chains of filters that come with virtual hosts and routes, in the embedded data plane and in Envoy.

import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { FilterConfigSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { BufferSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import {
  FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { JwtAuthenticationSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACPerRouteSchema, RBACSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { differencesOf, hasNoEnvoy, managerWith, type Packed, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const name = "chain";
const secret = Buffer.from("thirty-two bytes of a secret text");

const jwks = JSON.stringify({ keys: [{ kty: "oct", k: secret.toString("base64url") }] });

type Filters = Readonly<Record<string, Packed>>;

const chain = (filters: Filters) => ({
  filters: Object.entries(filters).map(([filter, typedConfig]) => ({ name: filter, typedConfig })),
});
const perRoute = (filters: Filters) => ({ [name]: packAny(FilterChainConfigPerRouteSchema, { filterChain: chain(filters) }) });
const off = { [name]: packAny(FilterConfigSchema, { disabled: true }) };
const reroute = packAny(SetFilterStateSchema, { clearRouteCache: true });
const buffer = packAny(BufferSchema, { maxRequestBytes: 10 });

/** Tokens of this issuer, its claim `org` in `x-org`. */
function tokensOf(issuer: string, header = ""): Packed {
  const provider = {
    issuer,
    ...(header !== "" && { fromHeaders: [{ name: header }] }),
    claimToHeaders: [
      { headerName: "x-org", claimName: "org" },
      { headerName: "x-tier", claimPath: [{ key: "https://tiers.test/of" }] },
      { headerName: "x-deep", claimPath: [{ key: "a" }, { key: "b.c" }] },
    ],
    jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "inlineString", value: jwks } } },
  };
  const match = { pathSpecifier: { case: "prefix", value: "" } };
  const requires = { requiresType: { case: "providerName", value: "only" } };
  const config = { providers: { only: provider }, rules: [{ match, requirementType: { case: "requires", value: requires } }] };
  return packAny(JwtAuthenticationSchema, config as never);
}

/** Takes the header away that only it may set. */
const withoutRules = packAny(JwtAuthenticationSchema, {
  providers: {
    only: {
      claimToHeaders: [{ headerName: "x-org", claimName: "org" }],
      jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "inlineString", value: jwks } } },
    },
  },
} as never);

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

describe.skipIf(hasNoEnvoy("filter chains"))("filter chains in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let other: RawUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    other = await rawUpstream("b");
    const ofHeader = {
      headers: [
        { name: "x-org", headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value: "acme" } } } },
      ],
    };
    const routes = [
      toRoute("/off", off),
      toRoute("/other", perRoute({ tokens: tokensOf("two") })),
      toRoute("/beside", perRoute({ more: tokensOf("two", "x-token") })),
      toRoute("/buffer", perRoute({ tokens: buffer })),
      toRoute("/org", {}, { match: { pathSpecifier: { case: "prefix", value: "/org" }, ...ofHeader } }, "b"),
      toRoute("/"),
    ];
    const dormant = { name, config: packAny(FilterChainConfigSchema, {}), disabled: true };
    const always = { name, config: packAny(FilterChainConfigSchema, { defaultFilterChain: chain({ tokens: tokensOf("one") }) }) };
    planes = await startPlanes(
      [
        managerWith([dormant], routes, { typedPerFilterConfig: perRoute({ tokens: tokensOf("one"), reroute }) }),
        managerWith([always], routes),
        managerWith([dormant], routes),
      ],
      [staticCluster("a", [upstream.port]), staticCluster("b", [other.port])],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
  });

  test("the same filters run for each route, and the route is chosen by what they have changed", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const one = token({ iss: "one", org: "acme", "https://tiers.test/of": "gold", a: { "b.c": 1 } });
    const two = token({ iss: "two" });
    const ways = [
      [],
      ["X-Org: acme"],
      ...[one, two, token({ iss: "one" }), "no.token"].map((each) => [`Authorization: Bearer ${each}`]),
      [`Authorization: Bearer ${token({ iss: "one" })}`, "X-Org: acme", "X-Deep: forged"],
      [`Authorization: Bearer ${one}`, `X-Token: ${two}`],
      [`Authorization: Bearer ${two}`, `X-Token: ${one}`],
    ];
    const paths = ["/x", "/off", "/other", "/beside", "/buffer", "/org"];
    const all = paths.flatMap((path) => ways.map((headers) => request(`GET ${path}`, headers)));
    const body = request("POST /buffer", [`Authorization: Bearer ${one}`, "Content-Length: 20"], "a".repeat(20));
    const found = await Promise.all([0, 1, 2].map((manager) => differencesOf(planes, manager, [...all, body])));
    expect(found.flat()).toEqual([]);
  });
});

describe.skipIf(hasNoEnvoy("routes that are chosen again"))("a route that is chosen again in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let planes: Planes;
  const nobody = { rules: { action: 0, policies: {} } };
  const closed = packAny(RBACPerRouteSchema, { rbac: nobody } as never);
  const turnedOff = packAny(FilterConfigSchema, { disabled: true });
  /** What RBAC is in the connection manager, whether it is off there, and what the first and the second route say of it. */
  const all = [{}, nobody].flatMap((rbac) =>
    [false, true].flatMap((disabled) =>
      [undefined, closed, turnedOff].flatMap((first) =>
        [undefined, closed, turnedOff].map((second) => ({ rbac, disabled, first, second })),
      ),
    ),
  );

  const isOn = (said: Packed | undefined, disabled: boolean) => (said === undefined ? !disabled : said === closed);
  // Envoy leaves a filter out that is off for the first route alone. On purpose we do not: it may be what protects the second.
  const cases = all.filter(({ disabled, first, second }) => isOn(first, disabled) || !isOn(second, disabled));

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    const perFilter = (value: Packed | undefined): Filters => (value === undefined ? {} : { rbac: value });
    const ofHeader = {
      match: {
        pathSpecifier: { case: "prefix", value: "/" },
        headers: [{ name: "x-org", headerMatchSpecifier: { case: "presentMatch", value: true } }],
      },
    };
    planes = await startPlanes(
      cases.map(({ rbac, disabled, first, second }) =>
        managerWith(
          [
            { name: "tokens", config: withoutRules },
            { name: "reroute", config: reroute },
            { name: "rbac", config: packAny(RBACSchema, rbac as never), disabled },
          ],
          [toRoute("/", perFilter(first), ofHeader), toRoute("/", perFilter(second))],
        ),
      ),
      [staticCluster("a", [upstream.port])],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test("the same filters run, whatever either route says of them", async () => {
    const requests = [request("GET /", ["X-Org: acme"]), request("GET /")];
    const found = await Promise.all(cases.map((_, manager) => differencesOf(planes, manager, requests)));
    expect(found.flat()).toEqual([]);
  });
});
