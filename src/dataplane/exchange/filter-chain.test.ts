// Which filters run when one of them makes the request be routed again.

import { afterAll, beforeAll, expect, test } from "vitest";
import { packAny } from "../../envoy/encode.ts";
import { FilterConfigSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { JwtAuthenticationSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACPerRouteSchema, RBACSchema } from "../../gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RouterSchema } from "../../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../../gen/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import { type HcmInit, listener, type RouteInit, routeConfig, serve, staticCluster, toCluster } from "../testing/resources.ts";

type Packed = ReturnType<typeof packAny>;

let upstream: RawUpstream;
beforeAll(async () => {
  upstream = await rawUpstream("a");
});
afterAll(() => upstream[Symbol.asyncDispose]());

const provider = { claimToHeaders: [{ headerName: "x-org", claimName: "org" }] };
const nobody = { rules: { action: 0, policies: {} } };
const off = packAny(FilterConfigSchema, { disabled: true });
const closed = packAny(RBACPerRouteSchema, { rbac: nobody } as never);

/** The status of a request with `x-org`, which takes the first route until the header is taken away, and then the second. */
async function statusOf(rbac: object, disabled: boolean, first: Packed | undefined, second: Packed | undefined) {
  const filter = (name: string, value: Packed, more: object = {}) => ({ name, configType: { case: "typedConfig", value }, ...more });
  const httpFilters = [
    filter("jwt", packAny(JwtAuthenticationSchema, { providers: { p: provider } })),
    filter("reroute", packAny(SetFilterStateSchema, { clearRouteCache: true })),
    filter("rbac", packAny(RBACSchema, rbac as never), { disabled }),
    filter("envoy.filters.http.router", packAny(RouterSchema, {})),
  ];
  const perFilter = (value: Packed | undefined): object => (value === undefined ? {} : { typedPerFilterConfig: { rbac: value } });
  const headers = [{ name: "x-org", headerMatchSpecifier: { case: "presentMatch", value: true } }];
  const ofHeader = { ...toCluster("a", perFilter(first)), match: { pathSpecifier: { case: "prefix", value: "/" }, headers } };
  await using plane = await serve([
    staticCluster("a", [upstream.port]),
    routeConfig([{ name: "h", domains: ["*"], routes: [ofHeader as RouteInit, toCluster("a", perFilter(second))] }]),
    listener(0, { httpFilters } as unknown as HcmInit),
  ]);
  return (await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\nX-Org: acme\r\n\r\n"))?.status;
}

test("a filter that has something to do only on the second route runs", async () => {
  expect(await statusOf({}, false, undefined, undefined)).toBe(200);
  expect(await statusOf({}, false, undefined, closed)).toBe(403);
  expect(await statusOf({}, false, closed, undefined)).toBe(200);
});

test("a filter is off when both routes say so", async () => {
  expect(await statusOf(nobody, false, off, undefined)).toBe(403);
  expect(await statusOf(nobody, false, undefined, off)).toBe(403);
  expect(await statusOf({}, true, undefined, closed)).toBe(403);
  expect(await statusOf(nobody, true, closed, undefined)).toBe(403);
  expect(await statusOf(nobody, false, off, off)).toBe(200);
  expect(await statusOf(nobody, true, undefined, undefined)).toBe(200);
});
