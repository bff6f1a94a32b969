import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { builtins } from "../../builtins.ts";
import { translateOnce } from "../../control-plane.ts";
import { certificates } from "../../dataplane/testing/certificates.ts";
import type { ProxyKey } from "../../model/envoy-resource.ts";
import { filesSource } from "../../sources/files/files.ts";
import { type AskedRequest, explain } from "./explain.ts";
import type { Explanation, Written } from "./explanation.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const proxy: ProxyKey = "gloo-system~gateway-proxy";

/** Explains requests of a folder with these files. */
async function explaining(files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "headworks-explain-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text.trimStart());
  const translated = await translateOnce({ source: filesSource(folder), plugins: builtins });
  return (path: string, more: Partial<AskedRequest> = {}): Explanation =>
    explain(translated, proxy, { method: "GET", scheme: "http", host: "shop.local", port: undefined, path, headers: [], ...more });
}

/** `RouteTable shop/api: prefixRewrite: /pets`, with the line that the place is. */
function place(written: Written | undefined): string {
  if (written?.file === undefined) return "";
  const line = readFileSync(written.file, "utf8").split("\n")[(written.line ?? 0) - 1] as string;
  return `${written.kind} ${written.namespace}/${written.name}: ${line.trim()}`;
}

const upstreams = `
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: pets, namespace: shop}
spec: {static: {hosts: [{addr: 127.0.0.1, port: 9090}]}}
---
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: canary, namespace: shop}
spec: {static: {hosts: [{addr: canary.test, port: 9091}]}}
---
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: catalog, namespace: shop}
spec: {consul: {serviceName: catalog}}
`;

const routes = `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  virtualHost:
    domains: [shop.local]
    optionsConfigRefs: {delegateOptions: [{name: base, namespace: shop}]}
    options:
      headerManipulation: {responseHeadersToRemove: [x-secret]}
    routes:
    - matchers: [{prefix: /admin, methods: [POST, PUT]}]
      directResponseAction: {status: 403, body: no}
    - matchers:
      - exact: /api/pets
        headers: [{name: x-user, value: root}]
      - exact: /api/pets
        queryParameters: [{name: debug, value: "1"}]
      directResponseAction: {status: 200}
    - matchers: [{prefix: /api}]
      options:
        timeout: 9s
      delegateAction: {ref: {name: api, namespace: shop}}
    - matchers: [{prefix: /old}]
      redirectAction: {hostRedirect: new.local, pathRedirect: /}
    - matchers: [{prefix: /nope}]
      routeAction: {single: {upstream: {name: nope, namespace: shop}}}
    - matchers: [{prefix: /catalog}]
      routeAction: {single: {upstream: {name: catalog, namespace: shop}}}
    - matchers: [{regex: "/(unclosed"}]
      directResponseAction: {status: 200}
    - matchers: [{prefix: /api/pets}]
      directResponseAction: {status: 200}
---
apiVersion: gateway.solo.io/v1
kind: RouteTable
metadata: {name: api, namespace: shop}
spec:
  routes:
  - matchers: [{prefix: /api/split}]
    routeAction:
      multi:
        destinations:
        - {destination: {upstream: {name: pets, namespace: shop}}, weight: 10}
        - destination: {upstream: {name: canary, namespace: shop}}
          weight: 90
          options: {headerManipulation: {requestHeadersToAdd: [{header: {key: x-canary, value: "yes"}}]}}
  - matchers: [{prefix: /api/pets}]
    optionsConfigRefs: {delegateOptions: [{name: retrying, namespace: shop}]}
    options:
      prefixRewrite: /pets
      hostRewrite: pets.internal
      headerManipulation:
        requestHeadersToRemove: [x-user]
        requestHeadersToAdd: [{header: {key: x-shop, value: "é"}}]
    routeAction: {single: {upstream: {name: pets, namespace: shop}}}
`;

const options = `
apiVersion: gateway.solo.io/v1
kind: VirtualHostOption
metadata: {name: base, namespace: shop}
spec:
  options:
    retries: {retryOn: 5xx, numRetries: 3}
---
apiVersion: gateway.solo.io/v1
kind: RouteOption
metadata: {name: retrying, namespace: shop}
spec:
  options:
    retries: {retryOn: connect-failure}
    timeout: 1s
`;

const gateway = `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: http, namespace: gloo-system}
spec: {bindAddress: 127.0.0.1, bindPort: 8080, httpGateway: {}}
`;

const settings = (spec: string) => `
apiVersion: gloo.solo.io/v1
kind: Settings
metadata: {name: default, namespace: gloo-system}
spec: ${spec}
`;

const shop = {
  "settings.yaml": settings("{consul: {serviceDiscovery: {}}}"),
  "gateway.yaml": gateway,
  "options.yaml": options,
  "routes.yaml": routes,
  "upstreams.yaml": upstreams,
};

describe("an explanation", () => {
  const asking = explaining(shop);
  const ask = async (...request: Parameters<Awaited<typeof asking>>) => (await asking)(...request);

  test("names the route that takes a request, the ones before it with what failed, and the one behind it", async () => {
    const { routes, virtualHost, listener, answers } = await ask("/api/pets", { headers: [["X-User", "al"]] });
    expect(answers).toBe(true);
    expect(listener).toMatchObject({ address: "127.0.0.1", port: 8080 });
    expect(place(listener?.from)).toBe("Gateway gloo-system/http: kind: Gateway");
    expect(virtualHost).toMatchObject({ domain: "shop.local", matchedAs: "exact" });
    expect(place(virtualHost?.from)).toBe("VirtualService shop/web: domains: [shop.local]");
    expect(
      routes.map(({ index, matcher, verdict, matches, failed, from }) => [
        `${index}.${matcher} ${verdict}`,
        matches,
        failed.map(({ kind, found }) => `${kind} ${found}`).join(),
        place(from),
      ]),
    ).toEqual([
      [
        "0.0 failed",
        "prefix /admin, method POST|PUT",
        "path undefined",
        "VirtualService shop/web: - matchers: [{prefix: /admin, methods: [POST, PUT]}]",
      ],
      ["1.0 failed", 'exact /api/pets, header x-user exact "root"', "header al", "VirtualService shop/web: - exact: /api/pets"],
      ["1.1 failed", 'exact /api/pets, query parameter debug exact "1"', "query undefined", "VirtualService shop/web: - exact: /api/pets"],
      ["2.0 failed", "prefix /api/split", "path undefined", "RouteTable shop/api: - matchers: [{prefix: /api/split}]"],
      ["3.0 taken", "prefix /api/pets", "", "RouteTable shop/api: - matchers: [{prefix: /api/pets}]"],
      ["4.0 behindFailed", "prefix /old", "path undefined", "VirtualService shop/web: - matchers: [{prefix: /old}]"],
      ["5.0 behindFailed", "prefix /nope", "path undefined", "VirtualService shop/web: - matchers: [{prefix: /nope}]"],
      ["6.0 behindFailed", "prefix /catalog", "path undefined", "VirtualService shop/web: - matchers: [{prefix: /catalog}]"],
      ["7.0 leftOut", "", "", 'VirtualService shop/web: - matchers: [{regex: "/(unclosed"}]'],
      ["8.0 behind", "prefix /api/pets", "", "VirtualService shop/web: - matchers: [{prefix: /api/pets}]"],
    ]);
    expect(place(routes[4]?.via)).toBe("VirtualService shop/web: - matchers: [{prefix: /api}]");
  });

  test("merges options, each from where it is written: route, RouteOption, delegating route, virtual host, VirtualHostOption", async () => {
    const { options } = await ask("/api/pets");
    expect(
      options.map(({ field, level, value, from, alsoOnRoute }) => [
        level,
        field,
        JSON.stringify(value).slice(0, 40),
        place(from),
        alsoOnRoute,
      ]),
    ).toEqual([
      ["route", "prefixRewrite", '"/pets"', "RouteTable shop/api: prefixRewrite: /pets", undefined],
      ["route", "timeout", '"1s"', "RouteOption shop/retrying: timeout: 1s", undefined],
      ["route", "retries", '{"retryOn":"connect-failure"}', "RouteOption shop/retrying: retries: {retryOn: connect-failure}", undefined],
      ["route", "headerManipulation", '{"requestHeadersToAdd":[{"header":{"key"', "RouteTable shop/api: headerManipulation:", undefined],
      ["route", "hostRewrite", '"pets.internal"', "RouteTable shop/api: hostRewrite: pets.internal", undefined],
      [
        "virtualHost",
        "retries",
        '{"retryOn":"5xx","numRetries":3}',
        "VirtualHostOption shop/base: retries: {retryOn: 5xx, numRetries: 3}",
        true,
      ],
      [
        "virtualHost",
        "headerManipulation",
        '{"responseHeadersToRemove":["x-secret"]}',
        "VirtualService shop/web: headerManipulation: {responseHeadersToRemove: [x-secret]}",
        true,
      ],
    ]);
    const inherited = await ask("/api/split");
    expect(inherited.options.map(({ level, field, from }) => `${level} ${field} ${place(from)}`)).toEqual([
      'destination headerManipulation RouteTable shop/api: options: {headerManipulation: {requestHeadersToAdd: [{header: {key: x-canary, value: "yes"}}]}}',
      "route timeout VirtualService shop/web: timeout: 9s",
      "virtualHost retries VirtualHostOption shop/base: retries: {retryOn: 5xx, numRetries: 3}",
      "virtualHost headerManipulation VirtualService shop/web: headerManipulation: {responseHeadersToRemove: [x-secret]}",
    ]);
  });

  test("says what is sent, with headers added, changed and removed", async () => {
    const { sends, answer, destinations } = await ask("/api/pets/../pets/2?a=b", {
      headers: [
        ["X-User", "al"],
        ["X-Envoy-Max-Retries", "3"],
        ["Accept", "text/plain"],
      ],
    });
    expect(answer).toEqual({ by: "upstream" });
    expect(sends).toMatchObject({ method: "GET", path: "/pets/2?a=b", host: "pets.internal" });
    expect(sends?.headers.removed).toEqual(["x-user", "x-envoy-max-retries"]);
    expect(sends?.headers.changed).toEqual([]);
    const added = new Map(sends?.headers.added.map(({ name, value }) => [name, value]));
    expect(added.get("x-shop")).toBe("é");
    expect(added.get("x-request-id")).toBe("(made for each request)");
    expect(added.get("x-envoy-expected-rq-timeout-ms")).toBe("1000");
    expect(destinations).toMatchObject([
      {
        cluster: "pets_shop",
        share: 100,
        isFollowed: true,
        upstream: { kind: "Upstream", namespace: "shop", name: "pets", type: "static", line: 2 },
        endpoints: [{ address: "127.0.0.1:9090", health: "healthy" }],
        areEndpointsKnown: true,
      },
    ]);
  });

  test("of several destinations it follows the heaviest, and lists all", async () => {
    const { destinations, sends } = await ask("/api/split");
    expect(destinations.map(({ cluster, share, isFollowed }) => [cluster, share, isFollowed])).toEqual([
      ["pets_shop", 10, false],
      ["canary_shop", 90, true],
    ]);
    expect(sends?.headers.added).toContainEqual({ name: "x-canary", value: "yes" });
  });

  test("tells answers of the configuration from answers of nobody", async () => {
    expect(await ask("/old/x?y")).toMatchObject({
      answers: true,
      answer: { by: "redirect", status: 301, location: "http://new.local/?y" },
    });
    expect(await ask("/admin", { method: "POST" })).toMatchObject({
      answers: true,
      answer: { by: "directResponse", status: 403, body: "no" },
    });
    expect(await ask("/nope")).toMatchObject({
      answers: false,
      answer: { by: "proxy", status: 503, because: 'there is no cluster "nope_shop"' },
    });
    expect(await ask("/")).toMatchObject({
      answers: false,
      answer: { by: "proxy", status: 404, because: "no route of the virtual host takes it" },
    });
    const catalog = await ask("/catalog");
    expect(catalog).toMatchObject({
      answers: true,
      destinations: [{ upstream: { type: "consul" }, endpoints: [], areEndpointsKnown: false }],
    });
    expect((await ask("/", { host: "other.local" })).answer).toEqual({
      by: "proxy",
      status: 404,
      because: "no virtual host has this host",
    });
  });

  test("clients of gRPC are told with 200 that there is no route, and that is no answer", async () => {
    const told = await ask("/", { method: "POST", headers: [["Content-Type", "application/grpc"]] });
    expect(told).toMatchObject({ answers: false, answer: { by: "proxy", status: 200, because: "no route of the virtual host takes it" } });
    expect(told.answer.headers).toContainEqual({ name: "grpc-status", value: "12" });
  });

  test("a host that misses by its port is told", async () => {
    const { near, answers, virtualHost } = await ask("/api/pets", { host: "shop.local:8080", port: 8080 });
    expect([answers, virtualHost]).toEqual([false, undefined]);
    expect(near.map(({ domain, because, from }) => [domain, because, place(from)])).toEqual([
      ["shop.local", 'has no port, and the request says "shop.local:8080"', "VirtualService shop/web: domains: [shop.local]"],
    ]);
    expect((await ask("/api/pets", { host: "shop.local:8080", port: 8080, headers: [["Host", "shop.local"]] })).answers).toBe(true);
  });

  test("says where nobody listens", async () => {
    const elsewhere = await ask("/", { host: "shop.local:81", port: 81 });
    expect(elsewhere).toMatchObject({ answers: false, answer: { by: "nobody" }, routes: [] });
    expect(elsewhere.listener).toBeUndefined();
    expect(elsewhere.notes).toEqual(["nobody listens on port 81; this proxy listens on 8080"]);
    expect((await ask("/api/pets")).notes).toEqual(["the URL names no port; it is taken for what listens on 8080"]);
    const tls = await ask("/", { scheme: "https", host: "shop.local:8080", port: 8080 });
    expect(tls.answer).toEqual({ by: "nobody", because: "the filter chain does not speak TLS" });
  });
});

test("a replaced route is answered by the fallback, as its own", async () => {
  const replaced = settings(
    "{gloo: {invalidConfigPolicy: {replaceInvalidRoutes: true, invalidRouteResponseCode: 418, invalidRouteResponseBody: teapot}}}",
  );
  const ask = await explaining({ ...shop, "settings.yaml": replaced });
  expect(ask("/nope")).toMatchObject({ answers: true, answer: { by: "fallback", status: 418, body: "teapot" } });
  expect(ask("/nope").sends).toBeUndefined();
});

test("where the request itself says where to, endpoints are not known, and somebody answers", async () => {
  const proxying = gateway.replace("httpGateway: {}", "httpGateway: {options: {dynamicForwardProxy: {}}}");
  const route = `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: any, namespace: shop}
spec: {virtualHost: {domains: ["*"], routes: [{matchers: [{prefix: /}], routeAction: {dynamicForwardProxy: {}}}]}}
`;
  const ask = await explaining({ "g.yaml": proxying, "r.yaml": route });
  expect(ask("/")).toMatchObject({
    answers: true,
    answer: { by: "upstream" },
    destinations: [{ endpoints: [], areEndpointsKnown: false }],
  });
});

test("what is done to few requests is not done to the one that is explained, and the same is said twice", async () => {
  const faulty = (percentage: number) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: any, namespace: shop}
spec:
  virtualHost:
    domains: ["*"]
    routes:
    - matchers: [{prefix: /}]
      options: {faults: {abort: {percentage: ${percentage}, httpStatus: 418}}}
      routeAction: {single: {upstream: {name: pets, namespace: shop}}}
`;
  const few = await explaining({ ...shop, "routes.yaml": faulty(20) });
  for (let i = 0; i < 20; i++) expect(few("/").answer).toEqual({ by: "upstream" });
  const most = await explaining({ ...shop, "routes.yaml": faulty(80) });
  for (let i = 0; i < 20; i++) expect(most("/")).toMatchObject({ answers: true, answer: { by: "filter", status: 418 } });
  expect(most("/").filters).toEqual([{ name: "envoy.filters.http.fault", did: "answered" }]);
});

test("a filter that the embedded data plane does not execute is taken to let a request pass, and is named", async () => {
  const processor = "{grpcService: {extProcServerRef: {name: pets, namespace: shop}}, requestAttributes: [filter_state]}";
  const processing = gateway.replace("httpGateway: {}", `httpGateway: {options: {extProc: ${processor}}}`);
  const host = `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  virtualHost:
    domains: [shop.local]
    routes: [{matchers: [{prefix: /}], routeAction: {single: {upstream: {name: pets, namespace: shop}}}}]
`;
  const ask = await explaining({ "gateway.yaml": processing, "host.yaml": host, "upstreams.yaml": upstreams });
  const explanation = ask("/pets");
  expect(explanation.filters).toContainEqual({ name: "envoy.filters.http.ext_proc", did: "waits" });
  expect(explanation.answer).toEqual({ by: "upstream" });
  expect(explanation.notes.join()).toMatch(/not tried here: .*request_attributes\[0\]; requests that it is about are answered with 500/);
});

test("the filter chain is found by the server name, and says who wrote its TLS", async () => {
  using made = certificates();
  const { certificate, key } = made.selfSigned("a.test");
  const indented = (pem: string) => pem.trim().replaceAll("\n", "\n    ");
  const secret = `
apiVersion: v1
kind: Secret
metadata: {name: tls, namespace: shop}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    ${indented(certificate)}
  tls.key: |
    ${indented(key)}
`;
  const secure = (name: string) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: shop}
spec:
  sslConfig:
    secretRef: {name: tls, namespace: shop}
    sniDomains: [${name}.test]
    parameters: {minimumProtocolVersion: ${name === "a" ? "TLSv1_2" : "TLSv1_3"}}
  virtualHost:
    domains: ["*.test", ${name}.test]
    routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ${name}}}]
`;
  const listening = gateway
    .replace("name: http", "name: https")
    .replace("8080", "8443")
    .replace("httpGateway: {}", "ssl: true, httpGateway: {}");
  const ask = await explaining({
    "g.yaml": gateway,
    "s.yaml": listening,
    "secret.yaml": secret,
    "a.yaml": secure("a"),
    "b.yaml": secure("b").replace('"*.test", ', ""),
  });
  const found = ask("/", { scheme: "https", host: "b.test" });
  expect(found).toMatchObject({
    answers: true,
    listener: { port: 8443 },
    answer: { status: 200, body: "b" },
    virtualHost: { domain: "b.test" },
  });
  expect(found.filterChains.map(({ serverNames, tls, takes, from }) => [serverNames.join(), tls, takes, from.map(place).join()])).toEqual([
    ["a.test", true, false, "VirtualService shop/a: sslConfig:"],
    ["b.test", true, true, "VirtualService shop/b: sslConfig:"],
  ]);
  expect(found.near.map(({ domain, because }) => [domain, because])).toEqual([["*.test", "matches too, and is less specific"]]);
  const unknown = ask("/", { scheme: "https", host: "c.test" });
  expect(unknown.answer).toEqual({ by: "nobody", because: "no filter chain takes connections for c.test" });
});
