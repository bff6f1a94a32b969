// What options come to where Gloo has a meaning of its own: a value that is left out, a level that it is written at, an action that it
// cannot be on. Each fact is what Gloo Edge 1.22 sends or says.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { refusalOf } from "../../src/lib/testing/envoyValidate.ts";
import { resourcesOf, worldOf } from "../../src/lib/testing/world.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { assemble } from "../corpus/assemble.ts";

const toCart = "routeAction: {single: {upstream: {name: cart, namespace: gloo-system}}}";

function served(
  routes: string,
  more: { readonly http?: string; readonly host?: string; readonly others?: string; readonly settings?: JsonObject } = {},
) {
  const input = `
kind: Upstream
metadata: {name: cart, namespace: gloo-system}
spec: {static: {hosts: [{addr: 10.20.0.5, port: 8080}]}}
---
kind: VirtualService
metadata: {name: store, namespace: gloo-system}
spec: {virtualHost: {domains: [store.test], options: ${more.host ?? "{}"}, routes: [${routes}]}}
---
kind: Gateway
metadata: {name: edge, namespace: gloo-system}
spec: {bindAddress: "::", bindPort: 8080, httpGateway: {options: ${more.http ?? "{}"}}}
---
${more.others ?? ""}`;
  const { problems, proxies } = assemble(worldOf(resourcesOf(input), more.settings), builtins);
  const all = [...proxies.values()].flat();
  const of = (typeUrl: string) => all.filter((each) => each.typeUrl === typeUrl).map(envoyJson) as JsonObject[];
  const hosts = of(typeUrls.route).flatMap((each) => (each.virtualHosts ?? []) as JsonObject[]);
  return {
    said: problems.map(({ severity, message }) => `${severity}: ${message}`),
    host: hosts[0],
    routes: hosts.flatMap((each) => each.routes as JsonObject[]),
    clusters: of(typeUrls.cluster),
    manager: at(of(typeUrls.listener)[0], "filterChains", 0, "filters", 0, "typedConfig") as JsonObject,
  };
}

function at(value: JsonValue | undefined, ...path: readonly (string | number)[]): JsonValue | undefined {
  return path.reduce<JsonValue | undefined>((found, key) => (found as Record<string | number, JsonValue> | undefined)?.[key], value);
}

test("previous priorities without a frequency are looked at with each attempt", () => {
  const { routes } = served(`{${toCart}, options: {retries: {previousPriorities: {}}}}`);
  expect(at(routes[0], "route", "retryPolicy", "retryPriority", "typedConfig")).toMatchObject({ updateFrequency: 1 });
});

test("an answer of the gateway's own has the headers of its CORS policy written out", () => {
  const { routes, said } = served(
    "{directResponseAction: {status: 200}, options: {cors: {allowOrigin: [a, b], allowOriginRegex: [b], maxAge: 1d}}}",
  );
  expect(said).toEqual([]);
  expect((at(routes[0], "responseHeadersToAdd") as JsonObject[]).map(({ header }) => header)).toEqual([
    { key: "Access-Control-Allow-Origin", value: "a,b" },
    { key: "Access-Control-Allow-Methods" },
    { key: "Access-Control-Allow-Headers" },
    { key: "Access-Control-Expose-Headers" },
    { key: "Access-Control-Max-Age", value: "1d" },
    { key: "Access-Control-Allow-Credentials", value: "false" },
  ]);
});

test("a CORS policy that is switched off keeps its origins, under Gloo's key of the runtime", () => {
  const { routes } = served(`{${toCart}, options: {cors: {allowOrigin: [a], disableForRoute: true}}}`);
  expect(at(routes[0], "typedPerFilterConfig", "envoy.filters.http.cors", "filterEnabled")).toEqual({
    defaultValue: {},
    runtimeKey: "gloo.routeplugin.cors",
  });
});

test.each([
  ["cors", "{allowOrigin: [a]}", "cannot use cors plugin on non-Route_Route route actions"],
  ["shadowing", "{upstream: {name: cart, namespace: gloo-system}}", "cannot use shadowing plugin on non-Route_Route route actions"],
  [
    "lbHash",
    "{hashPolicies: [{header: x}]}",
    "cannot use lbhash plugin on non-Route_Route route actions: cannot use this plugin on non-Route_Route route actions",
  ],
  ["ratelimit", "{}", "cannot apply rate limits without a route action"],
])("%s is refused where nothing is forwarded", (option, value, message) => {
  const { said, routes } = served(`{redirectAction: {hostRedirect: a.test}, options: {${option}: ${value}}}`);
  expect(said).toEqual([`error: ${message}`]);
  expect(routes[0]).toHaveProperty("redirect");
});

test("faults are written with each of several destinations, and act on nothing that is not forwarded", () => {
  const faults = "options: {faults: {abort: {percentage: 12.34, httpStatus: 503}}}";
  const destination = "{destination: {upstream: {name: cart, namespace: gloo-system}}, weight: 1}";
  const { routes } = served(
    `{routeAction: {multi: {destinations: [${destination}, ${destination}]}}, ${faults}}, {matchers: [{prefix: /b}], directResponseAction: {status: 200}, ${faults}}`,
  );
  const config = { abort: { httpStatus: 503, percentage: { numerator: 123_400, denominator: "MILLION" } } };
  for (const i of [0, 1])
    expect(at(routes[0], "route", "weightedClusters", "clusters", i, "typedPerFilterConfig", "envoy.filters.http.fault")).toMatchObject(
      config,
    );
  expect(routes[0]).not.toHaveProperty("typedPerFilterConfig");
  expect(routes[1]).not.toHaveProperty("typedPerFilterConfig");
});

test("a CSRF policy may enforce and shadow at once", () => {
  const half = "{defaultValue: {numerator: 50}}";
  const { host } = served(`{${toCart}}`, { host: `{csrf: {filterEnabled: ${half}, shadowEnabled: ${half}}}` });
  expect(at(host, "typedPerFilterConfig", "envoy.filters.http.csrf")).toMatchObject({
    filterEnabled: { defaultValue: { numerator: 50 } },
    shadowEnabled: { defaultValue: { numerator: 50 } },
  });
});

test("the name of a virtual cluster has no dots", () => {
  const { host } = served(`{${toCart}}`, { host: "{stats: {virtualClusters: [{name: a.b, pattern: /a}]}}" });
  expect(at(host, "virtualClusters", 0, "name")).toBe("a_b");
});

test("the host cannot be taken from a header that is none", () => {
  const { said } = served(`{${toCart}, options: {hostRewriteHeader: ":path"}}`);
  expect(said).toEqual(["error: ':path' is an invalid HTTP header key"]);
});

test("Linkerd is told of each Kubernetes destination, also of those that no Upstream was written for", () => {
  const till = "kube: {ref: {name: till, namespace: shop}, port: 80}";
  const { routes } = served(
    `{routeAction: {single: {${till}}}}, {matchers: [{prefix: /b}], routeAction: {multi: {destinations: [{destination: {${till}}, weight: 1}]}}}`,
    {
      settings: { linkerd: true },
      others: "kind: Service\nmetadata: {name: till, namespace: shop}\nspec: {ports: [{port: 80}]}",
    },
  );
  const header = { header: { key: "l5d-dst-override", value: "till.shop.svc.cluster.local:80" }, append: false };
  expect(at(routes[0], "requestHeadersToAdd")).toEqual([header]);
  expect(at(routes[1], "route", "weightedClusters", "clusters", 0, "requestHeadersToAdd")).toEqual([header]);
});

test("headers are added before a route is chosen, also those of a secret", () => {
  const { manager } = served(`{${toCart}}`, {
    http: "{httpConnectionManagerSettings: {earlyHeaderManipulation: {headersToAdd: [{headerSecretRef: {name: s, namespace: gloo-system}, append: false}]}}}",
    others: "kind: Secret\nmetadata: {name: s, namespace: gloo-system}\nheader: {headers: {x-key: k}}",
  });
  expect(at(manager, "earlyHeaderMutationExtensions", 0)).toMatchObject({
    name: "http.early_header_mutation.header_mutation",
    typedConfig: { mutations: [{ append: { header: { key: "x-key", value: "k" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" } }] },
  });
});

const traced = (provider: string) => `{httpConnectionManagerSettings: {tracing: {${provider}}}}`;
const tracing = (manager: JsonObject, ...path: readonly (string | number)[]) => at(manager, "tracing", ...path);

test("spans are of the Gateway where no service is named", () => {
  const { manager } = served(`{${toCart}}`, { http: traced("openTelemetryConfig: {clusterName: collector}") });
  expect(tracing(manager, "provider", "typedConfig", "serviceName")).toBe("edge");
});

test("the remote configuration of Datadog is on unless it is switched off", () => {
  const config = (more: string) =>
    tracing(
      served(`{${toCart}}`, { http: traced(`datadogConfig: {clusterName: c, serviceName: s${more}}`) }).manager,
      "provider",
      "typedConfig",
    );
  expect(config("")).toHaveProperty("remoteConfig");
  expect(config(", remoteConfig: {pollingInterval: 30s}")).toMatchObject({ remoteConfig: { pollingInterval: "30s" } });
  expect(config(", remoteConfig: {disabled: true}")).not.toHaveProperty("remoteConfig");
});

test("the key of a tag from metadata is parted at dots", () => {
  const { manager } = served(`{${toCart}}`, { http: traced("metadataForTags: [{tag: t, value: {namespace: n, key: a.b}}]") });
  expect(tracing(manager, "customTags", 0, "metadata", "metadataKey", "path")).toEqual([{ key: "a" }, { key: "b" }]);
});

test("where the collector is missing, nothing of tracing is sent", () => {
  const { manager, said } = served(`{${toCart}}`, {
    http: traced("openTelemetryConfig: {collectorUpstreamRef: {name: none, namespace: gloo-system}}"),
  });
  expect(said).toEqual(["warning: *v1.Upstream { gloo-system.none } not found"]);
  expect(manager).not.toHaveProperty("tracing");
});

test.each(["zipkinConfig", "datadogConfig", "openTelemetryConfig"])("a tracer that names no collector is refused: %s", (tracer) => {
  const { said } = served(`{${toCart}}`, { http: traced(`${tracer}: {}`) });
  expect(said).toEqual(["error: Unsupported Tracing.ProviderConfiguration: <nil>: no collector is named"]);
});

test("TLS by default has the versions of the Settings", () => {
  const { clusters } = served(`{${toCart}}`, {
    settings: { upstreamOptions: { sslParameters: { minimumProtocolVersion: "TLSv1_2" } } },
    others: "kind: Upstream\nmetadata: {name: pay, namespace: gloo-system}\nspec: {static: {hosts: [{addr: pay.test, port: 443}]}}",
  });
  const pay = clusters.find(({ name }) => name === "pay_gloo-system");
  expect(at(pay, "transportSocket", "typedConfig", "commonTlsContext", "tlsParams")).toMatchObject({
    tlsMinimumProtocolVersion: "TLSv1_2",
  });
});

test("headers of health checks are added, or take the place of others, as those of routes", () => {
  const { clusters } = served(`{${toCart}}`, {
    others: `kind: Upstream
metadata: {name: pay, namespace: gloo-system}
spec:
  static: {hosts: [{addr: 10.0.0.1, port: 80}]}
  healthChecks:
  - {timeout: 1s, interval: 1s, healthyThreshold: 1, unhealthyThreshold: 1, httpHealthCheck: {path: /, requestHeadersToAdd: [{header: {key: a, value: b}, append: false}]}}`,
  });
  const pay = clusters.find(({ name }) => name === "pay_gloo-system");
  expect(at(pay, "healthChecks", 0, "httpHealthCheck", "requestHeadersToAdd")).toEqual([
    { header: { key: "a", value: "b" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" },
  ]);
});

const list = (routes: string) => `kind: RouteTable\nmetadata: {name: leaf, namespace: gloo-system}\nspec: {routes: [${routes}]}`;
const toLeaf = "delegateAction: {ref: {name: leaf, namespace: gloo-system}}";

test("methods that parent and child both ask for stand in the matcher twice", () => {
  const { routes } = served(`{matchers: [{prefix: /a, methods: [GET]}], inheritableMatchers: true, ${toLeaf}}`, {
    others: list("{matchers: [{prefix: /a, methods: [GET, PUT]}], directResponseAction: {status: 200}}"),
  });
  expect(at(routes[0], "match", "headers", 0, "safeRegexMatch", "regex")).toBe("GET|GET|PUT");
});

test("what a child says with false or an empty text wins over its parent", () => {
  const { routes } = served(`{options: {prefixRewrite: /parent}, matchers: [{prefix: /a}], ${toLeaf}}`, {
    others: list(`{matchers: [{prefix: /a}], options: {prefixRewrite: ""}, ${toCart}}`),
  });
  expect(at(routes[0], "route")).toEqual({ cluster: "cart_gloo-system" });
});

const unusedLeftOut = { gloo: { removeUnusedFilters: true } };
const filtersOf = (manager: JsonObject) =>
  (manager.httpFilters as JsonObject[]).map(({ name }) => String(name)).filter((name) => !name.startsWith("io.solo."));

test("where unused filters are left out, those that a virtual host or route configures stay", () => {
  const { manager: plain } = served(`{${toCart}}`, { settings: unusedLeftOut });
  expect(filtersOf(plain)).toEqual(["envoy.filters.http.router"]);
  const destination = "{destination: {upstream: {name: cart, namespace: gloo-system}}, weight: 1, options: {csrf: {}}}";
  const { manager } = served(
    `{${toCart}, options: {cors: {allowOrigin: [a]}}}, {matchers: [{prefix: /b}], routeAction: {multi: {destinations: [${destination}]}}}`,
    { settings: unusedLeftOut, host: "{ratelimit: {localRatelimit: {maxTokens: 1}}}" },
  );
  expect(filtersOf(manager)).toEqual([
    "envoy.filters.http.cors",
    "envoy.filters.http.local_ratelimit",
    "envoy.filters.http.csrf",
    "envoy.filters.http.router",
  ]);
});

test("disableGrpcWeb: false keeps the filter, also where unused ones are left out", () => {
  const { manager } = served(`{${toCart}}`, { settings: { gloo: { removeUnusedFilters: true, disableGrpcWeb: false } } });
  expect(filtersOf(manager)).toEqual(["envoy.filters.http.grpc_web", "envoy.filters.http.router"]);
});

test("an Upstream that a group names without namespace is in that of the group", () => {
  const { routes, said } = served("{routeAction: {upstreamGroup: {name: g, namespace: gloo-system}}}", {
    others:
      "kind: UpstreamGroup\nmetadata: {name: g, namespace: gloo-system}\nspec: {destinations: [{destination: {upstream: {name: cart}}, weight: 1}]}",
  });
  expect(said).toEqual([]);
  expect(at(routes[0], "route", "weightedClusters", "clusters", 0, "name")).toBe("cart_gloo-system");
});

test("a group that leads to a Service that is not there says so", () => {
  const { said } = served(`{${toCart}}`, {
    others:
      "kind: UpstreamGroup\nmetadata: {name: g, namespace: gloo-system}\nspec: {destinations: [{destination: {kube: {ref: {name: x, namespace: shop}, port: 80}}, weight: 1}, {destination: {}, weight: 1}]}",
  });
  expect(said).toEqual([
    "error: destination # 1: upstream not found: list did not find upstream shop.kube-svc:shop-x-80",
    "error: no destination type specified",
  ]);
});

const collected = (collector: string) =>
  `{bindAddress: "::", bindPort: 8081, options: {accessLoggingService: {accessLog: [{openTelemetryService: {logName: store, collector: ${collector}}}]}}, httpGateway: {}}`;

test("logs go to a collector by TLS unless that is switched off, under the name that is dialled", () => {
  const log = (collector: string) =>
    served(`{${toCart}}`, { others: `kind: Gateway\nmetadata: {name: logged, namespace: gloo-system}\nspec: ${collected(collector)}` });
  const cluster = (collector: string) => log(collector).clusters.find(({ name }) => name === "solo_io_generated_otel_logs_store");
  const secure = cluster("{endpoint: otel.test:4317}");
  expect(at(secure, "transportSocket", "typedConfig")).toMatchObject({ sni: "otel.test" });
  expect(secure).not.toHaveProperty("connectTimeout");
  expect(cluster("{endpoint: otel.test:4317, insecure: true, timeout: 2s}")).toMatchObject({ connectTimeout: "2s" });
  expect(cluster("{endpoint: otel.test:4317, insecure: true}")).not.toHaveProperty("transportSocket");
  expect(cluster('{endpoint: "[::1]:4317", insecure: true}')).toMatchObject({ type: "STATIC" });
  expect(log("{endpoint: otel.test:4317, sslConfig: {secretRef: {name: none, namespace: gloo-system}}}").said).toContain(
    "error: SSL secret not found: list did not find secret gloo-system.none",
  );
});

test("dynamic hosts are spoken to by TLS, within the limits of the Settings", () => {
  const { clusters, said } = served("{routeAction: {dynamicForwardProxy: {autoHostRewriteHeader: x-host}}}", {
    http: "{dynamicForwardProxy: {sslConfig: {}}}",
    settings: { gloo: { circuitBreakers: { maxConnections: 7 } } },
  });
  const cluster = clusters.find(({ name }) => String(name).startsWith("solo_io_generated_dfp:"));
  expect(said).toEqual([]);
  expect(at(cluster, "circuitBreakers", "thresholds", 0)).toEqual({ maxConnections: 7 });
  expect(at(cluster, "transportSocket", "name")).toBe("envoy.transport_sockets.tls");
  expect(refusalOf(clusters)).toBeUndefined();
});

test("where invalid routes are replaced, one with an unusable option leads to the fallback, and all else of it stays", () => {
  const bad = "options: {cors: {}, headerManipulation: {requestHeadersToAdd: [{header: {key: x, value: y}}]}}";
  const destination = "{destination: {upstream: {name: cart, namespace: gloo-system}}, weight: 1}";
  const { routes, said } = served(
    `{${toCart}, ${bad}},
     {matchers: [{prefix: /b}], routeAction: {multi: {destinations: [${destination}, ${destination}]}}, ${bad}},
     {matchers: [{prefix: /c}], routeAction: {clusterHeader: x-to}, ${bad}},
     {matchers: [{prefix: /d}], redirectAction: {hostRedirect: a.test}, ${bad}}`,
    { settings: { gloo: { invalidConfigPolicy: { replaceInvalidRoutes: true } } } },
  );
  const fallback = "fallback_cluster_for_invalid_routes";
  expect(routes.map(({ route }) => route)).toEqual([
    { cluster: fallback },
    {
      weightedClusters: {
        clusters: [
          { name: fallback, weight: 1 },
          { name: fallback, weight: 1 },
        ],
        totalWeight: 2,
      },
    },
    { clusterHeader: "x-to" },
    undefined,
  ]);
  expect(routes.every((each) => at(each, "requestHeadersToAdd", 0, "header", "key") === "x")).toBe(true);
  expect(said.map((each) => each.split(":")[0])).toEqual(["warning", "warning", "warning", "warning"]);
});

test("a subset that the Upstream does not have replaces the route, where invalid ones are", () => {
  const { routes, said } = served("{routeAction: {single: {upstream: {name: k, namespace: gloo-system}, subset: {values: {v: '1'}}}}}", {
    others: `kind: Service
metadata: {name: till, namespace: shop}
spec: {ports: [{port: 80}]}
---
kind: Upstream
metadata: {name: k, namespace: gloo-system}
spec: {kube: {serviceName: till, serviceNamespace: shop, servicePort: 80, subsetSpec: {selectors: [{keys: [x]}]}}}`,
    settings: { gloo: { invalidConfigPolicy: { replaceInvalidRoutes: true } } },
  });
  expect(at(routes[0], "route", "cluster")).toBe("fallback_cluster_for_invalid_routes");
  expect(said).toEqual(["warning: route has a subset config, but none of the subsets in the upstream match it"]);
});

test("what the Settings say of Istio's sidecar is not about host rewrites of routes", () => {
  const { routes } = served(`{${toCart}, options: {hostRewrite: inner.test}}`, {
    settings: { gloo: { istioOptions: { appendXForwardedHost: true } } },
  });
  expect(at(routes[0], "route")).toEqual({ cluster: "cart_gloo-system", hostRewriteLiteral: "inner.test" });
});

test.each([
  ["retries", "{retryBackOff: {maxInterval: 1s}}"],
  ["upgrades", "[{}]"],
  ["faults", "{abort: {httpStatus: 700}}"],
  ["regexRewrite", "{pattern: {regex: '('}, substitution: x}"],
])("%s is not looked at where nothing is forwarded", (option, value) => {
  const { said } = served(`{redirectAction: {hostRedirect: a.test}, options: {${option}: ${value}}}`);
  expect(said).toEqual([]);
});

test("an upgrade that is none is refused, on routes and listeners", () => {
  expect(served(`{${toCart}, options: {upgrades: [{}]}}`).said).toEqual(["error: unimplemented upgrade type: <nil>"]);
  const http = "{httpConnectionManagerSettings: {upgrades: [{}]}}";
  expect(served(`{${toCart}}`, { http }).said).toEqual(["error: unimplemented upgrade type: <nil>"]);
});

test("of additional origins those that say nothing are passed over, and expressions know no ignoreCase", () => {
  const { routes, said } = served(
    `{${toCart}, options: {csrf: {additionalOrigins: [{ignoreCase: true}, {safeRegex: {regex: 'a.*'}, ignoreCase: true}, {exact: b, ignoreCase: true}]}}}`,
  );
  expect(said).toEqual(["warning: no origin is written here, so it is passed over"]);
  expect(at(routes[0], "typedPerFilterConfig", "envoy.filters.http.csrf", "additionalOrigins")).toEqual([
    { safeRegex: { googleRe2: {}, regex: "a.*" } },
    { exact: "b", ignoreCase: true },
  ]);
});

const loggedIf = (filter: string) =>
  served(`{${toCart}}`, {
    others: `kind: Gateway
metadata: {name: logged, namespace: gloo-system}
spec: {bindAddress: "::", bindPort: 8081, options: {accessLoggingService: {accessLog: [{fileSink: {path: /dev/stdout}, filter: ${filter}}]}}, httpGateway: {}}`,
  }).said;

test.each([
  ["{runtimeFilter: {percentSampled: {numerator: 5}}}", "No value found for field FractionalPercent.RuntimeKey of RuntimeFilter"],
  [
    "{statusCodeFilter: {comparison: {op: GE, value: {defaultValue: 400}}}}",
    "No value found for field ComparisonFilter.Value.RuntimeKey of StatusCodeFilter",
  ],
  [
    "{orFilter: {filters: [{traceableFilter: {}}, {durationFilter: {comparison: {op: GE}}}]}}",
    "Invalid subfilter in OrFilter: No value found for field ComparisonFilter.Value of DurationFilter",
  ],
])("a filter of access logs that compares names its key of the runtime: %s", (filter, message) => {
  expect(loggedIf(filter)).toEqual([`error: ${message}`]);
});

test("descriptors are descriptors, also where no service is named", () => {
  const of = (bytes: string) => served(`{${toCart}}`, { http: `{grpcJsonTranscoder: {protoDescriptorBin: ${bytes}}}` }).said;
  expect(of("Z2FyYmFnZQ==")).toEqual(["error: protoDescriptorBin is not a valid FileDescriptorSet"]);
  expect(of("CgA=")).toEqual([]);
});

test("a transformation that is none is refused, as is a name of spans for a response; an extractor may have an empty replacement", () => {
  const template = (more: string) => `{transformationTemplate: {passthrough: {}, ${more}}}`;
  const said = (request: string) =>
    served(`{${toCart}, options: {stagedTransformations: {regular: {requestTransforms: [{${request}}]}}}}`).said;
  expect(said("requestTransformation: {}")).toEqual([expect.stringMatching(/^error: unknown transformation type <nil>/)]);
  expect(said(`responseTransformation: ${template("spanTransformer: {name: {text: a}}")}`)).toEqual([
    "error: unable to create span transformer: spanTransformer cannot be set on a responseTransformation",
  ]);
  expect(said(`requestTransformation: ${template("extractors: {a: {header: x, regex: '.*', replacementText: ''}}")}`)).toEqual([]);
});

test("a header of a limit that is only named has to be there", () => {
  const { routes } = served(
    `{${toCart}, options: {ratelimit: {rateLimits: [{actions: [{headerValueMatch: {descriptorValue: v, headers: [{name: x}]}}]}]}}}`,
  );
  expect(at(routes[0], "route", "rateLimits", 0, "actions", 0, "headerValueMatch", "headers")).toEqual([{ name: "x" }]);
});

test("addresses of dynamic forwarding are those that are written, with a port", () => {
  const proxying = (address: string) =>
    served("{routeAction: {dynamicForwardProxy: {autoHostRewriteHeader: x-host}}}", {
      http: `{dynamicForwardProxy: {dnsCacheConfig: {preresolveHostnames: [${address}]}}}`,
    });
  const { clusters, said } = proxying("{address: a.test, portValue: 53, protocol: UDP}");
  expect(said).toEqual([]);
  const cluster = clusters.find(({ name }) => String(name).startsWith("solo_io_generated_dfp:"));
  expect(at(cluster, "clusterType", "typedConfig", "dnsCacheConfig", "preresolveHostnames")).toEqual([
    { protocol: "UDP", address: "a.test", portValue: 53 },
  ]);
  expect(proxying("{address: a.test}").said).toContain("error: unsupported type for socket address port specifier <nil>");
});

test("a resolver that stock Envoy does not have is left out, which is said", () => {
  const { said } = served(`{${toCart}}`, { http: "{dynamicForwardProxy: {dnsCacheConfig: {appleDns: {}}}}" });
  expect(said).toEqual(["warning: Envoy has that resolver on macOS only: names are looked up as on any machine"]);
});

test("what a named authorization server is to let in is not served: there is one without a name", () => {
  const { said, host } = served(`{${toCart}}`, {
    host: "{extauth: {customAuth: {name: mine}}}",
    settings: {
      extauth: { extauthzServerRef: { name: "cart", namespace: "gloo-system" } },
      namedExtauth: { mine: { extauthzServerRef: { name: "cart", namespace: "gloo-system" } } },
    },
  });
  expect(said).toEqual(['error: the server "mine" of namedExtauth is not asked here, so nobody can be let in']);
  expect(host).toBeUndefined();
});
