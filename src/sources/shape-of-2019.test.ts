import { toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type ApiKind, kinds } from "../model/resource.ts";
import { locateInText } from "./locate-text.ts";
import { readText } from "./read-text.ts";

function read(apiVersion: string, kind: ApiKind, spec: string) {
  const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a, namespace: b}\nspec:\n${spec.trim().replaceAll(/^/gm, "  ")}\n`;
  const [resource] = readText(text, "f.yaml").resources;
  const json = resource?.spec && toJson(kinds[kind].schema, resource.spec as never);
  return {
    text,
    resource: resource!,
    json,
    problems: resource!.problems.map((each) => `${each.code} ${each.at?.line}:${each.at?.column} ${each.message}`),
  };
}

test("an Upstream's upstreamSpec is what is under spec today", () => {
  const { json, problems } = read(
    "gloo.solo.io/v1",
    "Upstream",
    `
upstreamSpec:
  use_http2: true
  static:
    hosts: [{addr: a.test, port: 80}]
    useTls: true
    autoHostRewrite: true
discoveryMetadata: {}
`,
  );
  expect(json).toEqual({ useHttp2: true, static: { hosts: [{ addr: "a.test", port: 80 }], useTls: true }, discoveryMetadata: {} });
  expect(problems).toEqual([
    "HW1030 5:3 this is the shape of 2019; read: upstreamSpec.* as the same fields without it",
    'HW1031 10:7 "autoHostRewrite" of 2019 has no equal today and is left out',
  ]);
});

test("a VirtualService's plugins are options, its matcher is a list, its cors an option", () => {
  const { json, problems, text, resource } = read(
    "gateway.solo.io/v1",
    "VirtualService",
    `
virtualHost:
  name: gloo-system.default
  domains: ['*']
  corsPolicy: {allowOrigin: [a.test]}
  virtualHostPlugins:
    retries: {retryOn: 5xx}
    extensions: {configs: {rate-limit: {x: 1}, my-own: {}}}
  routes:
  - matcher: {prefix: /a}
    routePlugins:
      prefixRewrite: {prefixRewrite: /b}
      hostRewrite: {hostRewrite: h.test}
      timeout: 5s
    routeAction:
      multi:
        destinations:
        - destination: {upstream: {name: u, namespace: b}}
          weight: 1
          weighedDestinationPlugins: {headerManipulation: {}}
  - matcher: {exact: /x}
    delegateAction: {name: t, namespace: b}
`,
  );
  expect(json).toEqual({
    virtualHost: {
      domains: ["*"],
      options: {
        retries: { retryOn: "5xx" },
        cors: { allowOrigin: ["a.test"] },
        extensions: { configs: { "rate-limit": { x: 1 }, "my-own": {} } },
      },
      routes: [
        {
          matchers: [{ prefix: "/a" }],
          options: { prefixRewrite: "/b", hostRewrite: "h.test", timeout: "5s" },
          routeAction: {
            multi: {
              destinations: [{ destination: { upstream: { name: "u", namespace: "b" } }, weight: 1, options: { headerManipulation: {} } }],
            },
          },
        },
        { matchers: [{ exact: "/x" }], delegateAction: { name: "t", namespace: "b" } },
      ],
    },
  });
  expect(problems).toEqual([
    "HW1030 5:3 this is the shape of 2019; read: virtualHostPlugins as options, corsPolicy as options.cors, name as nothing (it has no meaning), routePlugins as options, matcher as matchers, prefixRewrite.prefixRewrite as prefixRewrite, hostRewrite.hostRewrite as hostRewrite, weighedDestinationPlugins as options",
    'HW1031 11:30 extensions.configs "rate-limit" of 2019 is not converted, and does nothing',
    'HW1031 11:50 extensions.configs "my-own" of 2019 is not converted, and does nothing',
  ]);
  expect(locateInText(text, "f.yaml", resource, "virtualHost.routes[0].options.timeout")).toMatchObject({ line: 17, column: 9 });
  expect(locateInText(text, "f.yaml", resource, "virtualHost.routes[1].matchers[0].exact")).toMatchObject({ line: 24, column: 17 });
});

test("mistakes in an old shape are at the place where they are written", () => {
  const { problems } = read("gateway.solo.io/v1", "RouteTable", "routes:\n- matcher: {prefx: /}\n  routePlugins: {timeot: 5s}");
  expect(problems).toEqual([
    expect.stringContaining("HW1030 5:3"),
    'HW1003 6:15 unknown field "prefx" in routes[0].matchers[0]',
    'HW1003 7:20 unknown field "timeot" in routes[0].options',
  ]);
});

test.each(["gateway.solo.io.v2/v2", "gateway.solo.io/v1"])("a Gateway of 2019 in %s", (apiVersion) => {
  const { json } = read(
    apiVersion,
    "Gateway",
    `
bindAddress: '::'
bindPort: 8080
gatewayProxyName: gateway-proxy
plugins: {accessLoggingService: {}}
httpGateway:
  virtualServices: [{name: v, namespace: b}]
  plugins: {httpConnectionManagerSettings: {via: x, skipXffAppend: true}}
`,
  );
  expect(json).toEqual({
    bindAddress: "::",
    bindPort: 8080,
    proxyNames: ["gateway-proxy"],
    options: { accessLoggingService: {} },
    httpGateway: {
      virtualServices: [{ name: "v", namespace: "b" }],
      options: { httpConnectionManagerSettings: { via: "x", skipXffAppend: true } },
    },
  });
});

test("the first kind of Gateway, with its virtual services at top level", () => {
  const { json } = read(
    "gateway.solo.io/v1",
    "Gateway",
    "bindPort: 80\nvirtualServices: [{name: v, namespace: b}]\nplugins: {grpcWeb: {disable: true}}",
  );
  expect(json).toEqual({
    bindPort: 80,
    httpGateway: { virtualServices: [{ name: "v", namespace: "b" }], options: { grpcWeb: { disable: true } } },
  });
});

test("a TCP Gateway, an UpstreamGroup, Settings", () => {
  expect(
    read(
      "gateway.solo.io.v2/v2",
      "Gateway",
      "tcpGateway: {destinations: [{name: x, destination: {single: {upstream: {name: u}}}}], plugins: {tcpProxySettings: {}}}",
    ).json,
  ).toEqual({
    tcpGateway: { tcpHosts: [{ name: "x", destination: { single: { upstream: { name: "u" } } } }], options: { tcpProxySettings: {} } },
  });
  expect(
    read("gloo.solo.io/v1", "UpstreamGroup", "destinations: [{weight: 1, weightedDestinationPlugins: {headerManipulation: {}}}]").json,
  ).toEqual({
    destinations: [{ weight: 1, options: { headerManipulation: {} } }],
  });
  expect(
    read("gloo.solo.io/v1", "Settings", "bindAddr: 0.0.0.0:9977\ncircuitBreakers: {maxRetries: 5}\ngloo: {disableGrpcWeb: true}").json,
  ).toEqual({
    gloo: { xdsBindAddr: "0.0.0.0:9977", circuitBreakers: { maxRetries: 5 }, disableGrpcWeb: true },
  });
});

test("where both shapes are there, today's wins", () => {
  const { json } = read(
    "gateway.solo.io/v1",
    "VirtualService",
    "virtualHost: {virtual_host_plugins: {stats: {}}, options: {stats: {virtualClusters: []}, retries: {}}}",
  );
  expect(json).toEqual({ virtualHost: { options: { stats: {}, retries: {} } } });
});

test("an object in today's shape is not touched", () => {
  const { problems } = read(
    "gateway.solo.io/v1",
    "VirtualService",
    "virtualHost: {domains: [a], routes: [{matchers: [{prefix: /}], options: {prefixRewrite: /x}}], options: {}}",
  );
  expect(problems).toEqual([]);
});
