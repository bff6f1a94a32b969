// A filter that keeps requests out and is not executed lets nobody pass, where it would have been asked and nowhere else; and it is said.

import { afterAll, beforeAll, expect, test } from "vitest";
import { packAny } from "../../envoy/encode.ts";
import { FilterConfigSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { ExtensionWithMatcherSchema } from "../../gen/envoy/envoy/extensions/common/matching/v3/extension_matcher_pb.js";
import { BasicAuthPerRouteSchema, BasicAuthSchema } from "../../gen/envoy/envoy/extensions/filters/http/basic_auth/v3/basic_auth_pb.js";
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from "../../gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ExternalProcessorSchema, ExtProcPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import { JwtAuthenticationSchema, PerRouteConfigSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACPerRouteSchema, RBACSchema } from "../../gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RouterSchema } from "../../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import { type HcmInit, listener, type RouteInit, routeConfig, serve, staticCluster, toCluster } from "../testing/resources.ts";

let upstream: RawUpstream;
beforeAll(async () => {
  upstream = await rawUpstream("a");
});
afterAll(() => upstream[Symbol.asyncDispose]());

type Packed = ReturnType<typeof packAny>;

interface Case {
  readonly config: Packed;
  readonly disabled?: boolean;
  /** What routes say, by prefix. */
  readonly routes?: Readonly<Record<string, Packed>>;
  readonly host?: Packed;
}

/** The status of each path, and what is said of the configuration. */
async function served({ config, disabled = false, routes = {}, host }: Case): Promise<{ statuses: object; said: readonly string[] }> {
  const httpFilters = [
    { name: "guard", disabled, configType: { case: "typedConfig", value: config } },
    { name: "envoy.filters.http.router", configType: { case: "typedConfig", value: packAny(RouterSchema, {}) } },
  ];
  const perFilter = (value: Packed | undefined) => (value === undefined ? {} : { typedPerFilterConfig: { guard: value } });
  const list = Object.entries(routes).map(([prefix, value]) => toCluster("a", perFilter(value) as RouteInit, prefix));
  await using plane = await serve([
    staticCluster("a", [upstream.port]),
    routeConfig([{ name: "h", domains: ["*"], routes: [...list, toCluster("a")], ...perFilter(host) } as never]),
    listener(0, { httpFilters } as unknown as HcmInit),
  ]);
  const statuses: Record<string, number | undefined> = {};
  for (const path of [...Object.keys(routes), "/"])
    statuses[path] = (await rawRequest(plane.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`))?.status;
  const said = plane.plane
    .unsupported()
    .map(({ message, severity, hint }) => `${severity}: ${message.replace(/ \(Envoy's.*/, "")} (${hint})`);
  return { statuses, said };
}

const filterConfig = (init: object) => packAny(FilterConfigSchema, init as never);
const place = "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config";
const cure = "run with --proxy envoy to have it executed";

const google = { grpcService: { targetSpecifier: { case: "googleGrpc", value: { targetUri: "a:1", statPrefix: "a" } } } } as const;

test("external processing: 500 but for routes that turn it off, or let requests pass without", async () => {
  const perRoute = (override: object) => packAny(ExtProcPerRouteSchema, { override } as never);
  const { statuses, said } = await served({
    config: packAny(ExternalProcessorSchema, google),
    routes: {
      "/off": perRoute({ case: "disabled", value: true }),
      "/filter-off": filterConfig({ disabled: true }),
      "/lenient": perRoute({ case: "overrides", value: { failureModeAllow: true } }),
      "/idle": perRoute({ case: "overrides", value: { processingMode: { requestHeaderMode: 2, responseHeaderMode: 2 } } }),
      "/body": perRoute({
        case: "overrides",
        value: { processingMode: { requestHeaderMode: 2, responseHeaderMode: 2, requestBodyMode: 2 } },
      }),
    },
  });
  expect(statuses).toEqual({ "/off": 200, "/filter-off": 200, "/lenient": 200, "/idle": 200, "/body": 500, "/": 500 });
  expect(said).toEqual([
    `warning: the embedded data plane does not execute ${place}.grpc_service.google_grpc; requests that it is about are answered with 500 (${cure})`,
  ]);
});

test("external processing that may fail lets requests pass, and says so", async () => {
  const { statuses, said } = await served({ config: packAny(ExternalProcessorSchema, { ...google, failureModeAllow: true }) });
  expect(statuses).toEqual({ "/": 200 });
  expect(said).toEqual([
    `warning: the embedded data plane does not execute ${place}.grpc_service.google_grpc; requests pass unprocessed, as failure_mode_allow has it (${cure})`,
  ]);
});

test("what external processing is told of in ways that are not executed closes it, and is named", async () => {
  const closed: readonly (readonly [string, object])[] = [
    ["request_attributes[1]", { requestAttributes: ["request.path", "filter_state"] }],
    ["processing_mode.request_body_mode", { processingMode: { requestBodyMode: 5 } }],
    [
      "metadata_options.cluster_metadata_forwarding_namespaces",
      { metadataOptions: { clusterMetadataForwardingNamespaces: { untyped: ["a"] } } },
    ],
    ["on_processing_response", { onProcessingResponse: { name: "a" } }],
  ];
  for (const [field, more] of closed) {
    const grpcService = { targetSpecifier: { case: "envoyGrpc", value: { clusterName: "a" } } };
    const { statuses, said } = await served({ config: packAny(ExternalProcessorSchema, { grpcService, ...more } as never) });
    expect({ statuses, said }).toEqual({
      statuses: { "/": 500 },
      said: [
        `warning: the embedded data plane does not execute ${place}.${field}; requests that it is about are answered with 500 (${cure})`,
      ],
    });
  }
});

test("rules for an external processor that cannot be read close it", async () => {
  const { statuses, said } = await served({
    config: packAny(ExternalProcessorSchema, {
      ...google,
      failureModeAllow: true,
      mutationRules: { disallowExpression: { regex: "(" } },
    } as never),
  });
  expect(statuses).toEqual({ "/": 403 });
  expect(said.join()).toContain("missing closing )");
});

test("a status of the user's own for when processing fails", async () => {
  const { statuses } = await served({ config: packAny(ExternalProcessorSchema, { ...google, statusOnError: { code: 503 } }) });
  expect(statuses).toEqual({ "/": 503 });
});

test("what is off in the connection manager closes only the routes that turn it on", async () => {
  const { statuses } = await served({
    config: packAny(BasicAuthSchema, {}),
    disabled: true,
    routes: {
      "/on": filterConfig({ disabled: false }),
      "/own": packAny(BasicAuthPerRouteSchema, {}),
    },
  });
  expect(statuses).toEqual({ "/on": 403, "/own": 403, "/": 200 });
});

test("what a virtual host says closes that virtual host", async () => {
  const { statuses, said } = await served({
    config: packAny(BasicAuthSchema, {}),
    disabled: true,
    routes: { "/off": filterConfig({ disabled: true }) },
    host: packAny(BasicAuthPerRouteSchema, {}),
  });
  expect(statuses).toEqual({ "/off": 200, "/": 403 });
  expect(said).toEqual([
    `warning: the embedded data plane does not execute virtual_hosts["h"].typed_per_filter_config["guard"]; requests that it is about are answered with 403 (${cure})`,
  ]);
});

test("JWT rules that would be chosen by filter state close the filter chain", async () => {
  const { statuses, said } = await served({
    config: packAny(JwtAuthenticationSchema, { filterStateRules: { name: "x" } }),
    routes: { "/off": packAny(PerRouteConfigSchema, { requirementSpecifier: { case: "disabled", value: true } }) },
  });
  expect(statuses).toEqual({ "/off": 200, "/": 403 });
  expect(said).toEqual([
    `warning: the embedded data plane does not execute ${place}.filter_state_rules; requests that it is about are answered with 403 (${cure})`,
  ]);
});

test("a JWT rule about requests that cannot be told apart is about all that come to it", async () => {
  const rule = (match: object) => ({
    match,
    requirementType: { case: "requires", value: { requiresType: { case: "allowMissing", value: {} } } },
  });
  const { statuses } = await served({
    config: packAny(JwtAuthenticationSchema, {
      rules: [
        rule({ pathSpecifier: { case: "prefix", value: "/open" } }),
        rule({ pathSpecifier: { case: "safeRegex", value: { regex: "(" } } }),
        rule({ pathSpecifier: { case: "prefix", value: "/" } }),
      ],
    } as never),
    routes: { "/open": filterConfig({ disabled: false }) },
  });
  expect(statuses).toEqual({ "/open": 200, "/": 401 });
});

test("a provider whose keys cannot be had has no good tokens, and nobody else sets its headers", async () => {
  const provider = {
    issuer: "i",
    fromHeaders: [{ name: "x-token" }],
    claimToHeaders: [{ headerName: "x-user", claimName: "sub" }],
    forwardPayloadHeader: "x-payload",
    jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "filename", value: "/no/such/file" } } },
  };
  const type = (each: string, value: unknown = {}) => ({ requiresType: { case: each, value } });
  const rule = (prefix: string, requires: object) => ({
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    requirementType: { case: "requires", value: requires },
  });
  const config = {
    providers: { p: provider },
    rules: [
      rule("/must", type("providerName", "p")),
      rule("/optional", type("requiresAny", { requirements: [type("providerName", "p"), type("allowMissing")] })),
      rule("/", type("allowMissingOrFailed")),
    ],
  };
  const httpFilters = [
    { name: "guard", configType: { case: "typedConfig", value: packAny(JwtAuthenticationSchema, config as never) } },
    { name: "envoy.filters.http.router", configType: { case: "typedConfig", value: packAny(RouterSchema, {}) } },
  ];
  await using plane = await serve([
    staticCluster("a", [upstream.port]),
    routeConfig([{ name: "h", domains: ["*"], routes: [toCluster("a")] }]),
    listener(0, { httpFilters } as unknown as HcmInit),
  ]);
  expect(plane.plane.unsupported().map(({ message }) => message)).toEqual([
    expect.stringMatching(/providers\["p"\].local_jwks: cannot read \/no\/such\/file: ENOENT; no token of the provider is good/),
  ]);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = `X-Token: ${part({ alg: "HS256" })}.${part({ iss: "i", sub: "admin" })}.eA\r\n`;
  const ask = (path: string, headers: string) => rawRequest(plane.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
  for (const path of ["/must", "/optional"]) expect((await ask(path, token))?.status).toBe(401);
  expect((await ask("/must", ""))?.status).toBe(401);
  for (const path of ["/optional", "/"]) {
    const answer = await ask(path, "X-User: admin\r\nX-Payload: admin\r\n");
    expect(answer?.status).toBe(200);
    expect(answer?.body).not.toContain("admin");
  }
});

test("a route with an authorization server of its own is closed", async () => {
  const own = { contextExtensions: {}, serviceOverride: { case: "grpcService", value: {} } };
  const { statuses } = await served({
    config: packAny(ExtAuthzSchema, {}),
    routes: { "/own": packAny(ExtAuthzPerRouteSchema, { override: { case: "checkSettings", value: own } } as never) },
  });
  expect(statuses).toEqual({ "/own": 403, "/": 200 });
});

test("a filter that keeps requests out of some is closed for all", async () => {
  const { statuses, said } = await served({
    config: packAny(ExtensionWithMatcherSchema, {
      extensionConfig: { name: "guard", typedConfig: packAny(JwtAuthenticationSchema, {}) },
    } as never),
  });
  expect(statuses).toEqual({ "/": 403 });
  expect(said.join()).toContain(`${place} (guard); requests that it is about are answered with 403`);
});

test("a policy of RBAC that is not executed lets nobody in, and denies where it would deny", async () => {
  const condition = { exprKind: { case: "constExpr", value: { constantKind: { case: "boolValue", value: true } } } };
  const anybody = { permissions: [{ rule: { case: "any", value: true } }], principals: [{ identifier: { case: "any", value: true } }] };
  const own = (action: number) =>
    packAny(RBACPerRouteSchema, { rbac: { rules: { action, policies: { p: { ...anybody, condition } } } } } as never);
  const { statuses, said } = await served({
    config: packAny(RBACSchema, { matcher: { onNoMatch: {} } } as never),
    routes: { "/none": packAny(RBACPerRouteSchema, {}), "/allow": own(0), "/deny": own(1), "/log": own(2) },
  });
  expect(statuses).toEqual({ "/none": 200, "/allow": 403, "/deny": 403, "/log": 200, "/": 403 });
  expect(said.map((each) => each.replace("warning: the embedded data plane does not execute ", ""))).toEqual([
    ...["allows nothing", "denies everything", "is about nothing"].map(
      (what, index) =>
        `virtual_hosts["h"].routes[${index + 1}].typed_per_filter_config["guard"].rbac.rules.policies["p"].condition; it ${what} (${cure})`,
    ),
    `${place}.matcher; requests that it is about are answered with 403 (${cure})`,
  ]);
});
