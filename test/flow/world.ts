// A configuration that uses what the flow has: what `realistic` gives, and beside it Gateways of several proxies, delegation, groups,
// shared options, certificates, Services with their endpoints, Settings; good and broken. A few names are used again and again,
// so that edits meet: the same domain, the same port, a table that two hosts delegate to.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type PlainResource, realistic } from "../../src/lib/testing/realistic.ts";
import type { Random } from "./random.ts";

/** One file of the folder: what stands in it is made anew at each edit. */
export interface FilePlan {
  readonly file: string;
  readonly make: (random: Random) => unknown;
}

const namespaces = ["gloo-system", "shop", "depot"] as const;
const labels = ["web", "api", "none"] as const;
const pem = (name: string) => readFileSync(join(import.meta.dirname, "../../src/plugin/testdata", name), "utf8");
const certificate = pem("till.crt");
const privateKey = pem("till.key");
const otherKey = pem("other.key");

const upstreams = realistic({ upstreams: 10, routes: 0 }).map(({ metadata }) => ({ name: metadata.name, namespace: metadata.namespace }));

/** What there is at the beginning, a file each. */
export const initial: ReadonlyMap<string, PlainResource> = new Map(
  realistic({ upstreams: 10, routes: 24, routesPerTable: 3 }).map((each) => [fileOf(each.kind, each.metadata.name), each]),
);

function many(count: number, kind: string, make: (i: number) => FilePlan["make"]): FilePlan[] {
  return Array.from({ length: count }, (_, i) => {
    const own = make(i);
    const name = (own(fixed) as PlainResource | undefined)?.metadata.name ?? `${kind}-${i}`;
    return { file: fileOf(kind, name), make: own };
  });
}

/** Only to learn the name that a plan uses. */
const fixed: Random = { below: () => 0, chance: () => false, one: (of) => of[0] as never };

function fileOf(kind: string, name: string): string {
  return `${kind}-${name}.json`;
}

function object(group: string, kind: string, random: Random, name: string, spec: object, namespace?: string) {
  return {
    apiVersion: `${group}.solo.io/v1`,
    kind,
    metadata: { name, namespace: namespace ?? spaceOf(name, random), labels: { app: random.one(labels), team: `team-${random.below(3)}` } },
    spec,
  };
}

/** Mostly its own, so that references hit. */
function spaceOf(name: string, random: Random): string {
  if (random.chance(0.06)) return random.one(namespaces);
  return namespaces[(name.charCodeAt(name.length - 1) + name.length) % namespaces.length] as string;
}

function refTo(random: Random, names: readonly string[]) {
  const name = random.chance(0.08) ? "missing" : random.one(names);
  return { name, namespace: spaceOf(name, random) };
}

const named = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

function upstreamRef(random: Random) {
  if (random.chance(0.1)) return discovered(random);
  return random.chance(0.08) ? { name: "missing", namespace: "shop" } : random.one(upstreams);
}

/** As discovery names what it finds behind a Service. */
function discovered(random: Random) {
  const service = `kube-${random.below(3)}`;
  return { name: `${spaceOf(service, random)}-${service}-${random.one([80, 81])}`, namespace: "gloo-system" };
}

// ---- Upstreams

function upstreamAt(i: number): FilePlan["make"] {
  const { name, namespace } = upstreams[i] as (typeof upstreams)[number];
  return (random) => object("gloo", "Upstream", random, name, upstream(random), namespace);
}

function upstream(random: Random): object {
  const options = {
    ...(random.chance(0.2) && { circuitBreakers: { maxConnections: random.below(100) + 1 } }),
    ...(random.chance(0.1) && { connectionConfig: { connectTimeout: random.one(["1s", "2s", "soon"]) } }),
    ...(random.chance(0.1) && { sslConfig: { secretRef: refTo(random, named("cert", 3)) } }),
    ...(random.chance(0.1) && { healthChecks: [{ timeout: "1s", interval: "2s", httpHealthCheck: { path: "/health" } }] }),
  };
  const addr = random.one(["10.0.0.1", "10.0.0.2", "10.0.0.3", "backend.example.com"]);
  switch (random.below(12)) {
    case 0:
      return { pipe: { path: random.one(["/run/a.sock", "/run/b.sock", ""]) }, ...options };
    case 1:
    case 2:
      return {
        kube: { serviceName: `kube-${random.below(4)}`, serviceNamespace: random.one(namespaces), servicePort: random.one([80, 81]) },
        ...options,
      };
    case 3:
      return random.one<object>([
        { static: { hosts: [] } },
        {},
        { consul: { serviceName: "x" } },
        { static: { hosts: [{ addr, port: 99_999 }] } },
      ]);
    case 4:
      return random.one<object>([{ statik: {} }, { static: { hosts: 5 } }, { static: { hosts: [{ addr, port: 1 }], useTls: "maybe" } }]);
    default:
      return { static: { hosts: [{ addr, port: 8000 + random.below(4) }] }, ...options };
  }
}

function upstreamGroup(random: Random, name: string) {
  const destinations = Array.from({ length: random.below(3) + 1 }, () => ({
    destination: { upstream: upstreamRef(random) },
    weight: random.below(5),
  }));
  return object("gloo", "UpstreamGroup", random, name, { destinations });
}

// ---- routes

function virtualService(random: Random, name: string) {
  const count = random.below(3) + (random.chance(0.1) ? 0 : 1);
  const domains = Array.from({ length: count }, () =>
    random.one([
      "a.example.com",
      "b.example.com",
      "*.example.com",
      `${name}.example.com`,
      `${name}.test`,
      `${name}.org`,
      random.chance(0.1) ? "" : "c.example.com",
    ]),
  );
  const spec = {
    ...(random.chance(0.3) && {
      sslConfig: {
        secretRef: refTo(random, named("cert", 3)),
        ...(random.chance(0.5) && { sniDomains: [random.one(["a.example.com", "b.example.com"])] }),
      },
    }),
    virtualHost: {
      domains,
      routes: routes(random, "", 3),
      ...(random.chance(0.4) && { options: hostOptions(random) }),
      ...(random.chance(0.2) && { optionsConfigRefs: { delegateOptions: [refTo(random, named("options", 2))] } }),
    },
    ...(random.chance(0.03) && { virtualHots: {} }),
  };
  return object("gateway", "VirtualService", random, name, spec);
}

const tables = [...named("table", 6), "routes-3", "routes-7"];

function routeTable(random: Random, name: string) {
  const spec = { routes: routes(random, `/${random.one(["t", "u"])}`, 3), ...(random.chance(0.3) && { weight: random.below(3) }) };
  return object("gateway", "RouteTable", random, name, random.chance(0.03) ? { rutes: [] } : spec);
}

function routes(random: Random, prefix: string, most: number): object[] {
  return Array.from({ length: random.below(most + 1) }, () => route(random, prefix));
}

function route(random: Random, prefix: string): object {
  const action = actionOf(random);
  const delegates = "delegateAction" in action;
  return {
    ...(random.chance(0.3) && { name: `route-${random.below(4)}` }),
    matchers: [
      matcher(random, delegates ? random.one(["/t", "/u", "/"]) : `${prefix}/r${random.below(9)}`, delegates && !random.chance(0.1)),
    ],
    ...(delegates && random.chance(0.2) && { inheritableMatchers: true }),
    ...action,
    ...(random.chance(0.4) && { options: routeOptions(random) }),
    ...(random.chance(0.2) && { optionsConfigRefs: { delegateOptions: [refTo(random, named("options", 3))] } }),
  };
}

function matcher(random: Random, path: string, isPlain: boolean): object {
  if (isPlain) return { prefix: path };
  const by = random.below(12);
  const place = by === 0 ? { regex: random.one(["/a.*", "/(", "/(?=x)", "/b[0-9]+"]) } : by < 4 ? { exact: path } : { prefix: path };
  return {
    ...place,
    ...(random.chance(0.2) && { methods: [random.one(["GET", "POST"])] }),
    ...(random.chance(0.2) && { headers: [{ name: "x-tenant", value: random.one(["a", "b", "("]), regex: random.chance(0.4) }] }),
    ...(random.chance(0.1) && { queryParameters: [{ name: "q", value: "1" }] }),
  };
}

function actionOf(random: Random): object {
  switch (random.below(12)) {
    case 0:
      return { redirectAction: { hostRedirect: "elsewhere.example.com", responseCode: "FOUND" } };
    case 1:
      return { directResponseAction: { status: random.one([200, 404, 7]), body: "no" } };
    case 2:
      return { routeAction: { upstreamGroup: refTo(random, named("group", 3)) } };
    case 3:
      return {
        routeAction: {
          multi: {
            destinations: [
              { destination: { upstream: upstreamRef(random) }, weight: random.below(9) },
              { destination: { upstream: upstreamRef(random) }, weight: random.below(9) },
            ],
          },
        },
      };
    case 4:
      return { routeAction: { single: { kube: { ref: refTo(random, named("kube", 3)), port: random.one([80, 81]) } } } };
    case 5:
      return { delegateAction: { ref: refTo(random, tables) } };
    case 6:
    case 7:
      return { delegateAction: { selector: { labels: { app: random.one(labels) }, ...(random.chance(0.5) && { namespaces: ["*"] }) } } };
    case 8:
      return random.chance(0.3) ? {} : { delegateAction: refTo(random, tables) };
    default:
      return { routeAction: { single: { upstream: upstreamRef(random) } } };
  }
}

function routeOptions(random: Random): object {
  return {
    ...(random.chance(0.4) && { timeout: `${random.below(20)}s` }),
    ...(random.chance(0.3) && { prefixRewrite: random.one(["/", "/x"]) }),
    ...(random.chance(0.1) && { regexRewrite: { pattern: { regex: random.one(["/a", "/("]) }, substitution: "b" } }),
    ...(random.chance(0.3) && { retries: { retryOn: "5xx", numRetries: random.below(4) } }),
    ...(random.chance(0.2) && { headerManipulation: { responseHeadersToRemove: [`x-${random.below(3)}`] } }),
    ...(random.chance(0.1) && { cors: { allowOriginRegex: [random.one(["https://.*", "("])] } }),
    ...(random.chance(0.05) && { tmeout: "1s" }),
  };
}

function hostOptions(random: Random): object {
  return {
    ...(random.chance(0.4) && { retries: { retryOn: "connect-failure", numRetries: random.below(3) } }),
    ...(random.chance(0.4) && { headerManipulation: { requestHeadersToRemove: [`x-${random.below(3)}`] } }),
    ...(random.chance(0.2) && { cors: { allowOrigin: ["https://example.com"], allowOriginRegex: random.chance(0.3) ? ["("] : [] } }),
    ...(random.chance(0.05) && { nonsense: 1 }),
  };
}

// ---- Gateways

function gateway(random: Random, name: string) {
  const proxyNames = random.one([undefined, ["gateway-proxy"], ["internal"], ["gateway-proxy", "internal"]]);
  const ssl = random.chance(0.3);
  const spec = {
    bindAddress: random.one(["::", "::", "127.0.0.1", ""]),
    bindPort: random.one([8080, 8080, 8443, 8081, 0]),
    ssl,
    ...(proxyNames && { proxyNames }),
    ...gatewayType(random),
    ...(random.chance(0.2) && {
      options: { accessLoggingService: { accessLog: [{ fileSink: { path: "/dev/null", stringFormat: "%REQ(:path)%\n" } }] } },
    }),
    ...(random.chance(0.1) && { routeOptions: { maxDirectResponseBodySizeBytes: random.one([1, 4096]) } }),
    ...(random.chance(0.05) && { bindProt: 1 }),
  };
  return object("gateway", "Gateway", random, name, spec, random.chance(0.9) ? "gloo-system" : "shop");
}

function gatewayType(random: Random): object {
  switch (random.below(10)) {
    case 0:
      return {};
    case 1:
      return { tcpGateway: { tcpHosts: [{ name: "tcp", destination: { single: { upstream: upstreamRef(random) } } }] } };
    case 2:
      return {
        hybridGateway: {
          matchedGateways: [
            { httpGateway: httpGateway(random) },
            { matcher: { sslConfig: { secretRef: refTo(random, named("cert", 3)) } }, httpGateway: httpGateway(random) },
          ],
        },
      };
    default:
      return { httpGateway: httpGateway(random) };
  }
}

function httpGateway(random: Random): object {
  return {
    ...(random.chance(0.3) && { virtualServiceSelector: { app: random.one(labels) } }),
    ...(random.chance(0.2) && { virtualServices: [refTo(random, ["site-0", "site-1", "own-0"])] }),
    ...(random.chance(0.2) && { virtualServiceNamespaces: [random.one(namespaces)] }),
    ...(random.chance(0.2) && {
      options: { httpConnectionManagerSettings: { useRemoteAddress: random.chance(0.5), xffNumTrustedHops: random.below(3) } },
    }),
  };
}

function listenerOption(random: Random, name: string) {
  return object("gateway", "ListenerOption", random, name, { targetRefs: [], options: { perConnectionBufferLimitBytes: random.below(9) } });
}

function httpListenerOption(random: Random, name: string) {
  return object("gateway", "HttpListenerOption", random, name, {
    options: { httpConnectionManagerSettings: { serverName: `s${random.below(3)}` } },
  });
}

function settings(random: Random) {
  const spec = {
    ...(random.chance(0.5) && { gateway: { readGatewaysFromAllNamespaces: random.chance(0.5) } }),
    ...(random.chance(0.1) && { discoveryNamespace: "shop" }),
    ...(random.chance(0.5) && {
      gloo: {
        invalidConfigPolicy: { replaceInvalidRoutes: random.chance(0.7), invalidRouteResponseCode: 404, invalidRouteResponseBody: "gone" },
      },
    }),
  };
  return object("gloo", "Settings", random, "default", spec, "gloo-system");
}

// ---- objects of Kubernetes

function secret(random: Random, name: string) {
  const data = {
    "tls.crt": base64(certificate),
    "tls.key": base64(random.chance(0.2) ? otherKey : privateKey),
    ...(random.chance(0.3) && { "ca.crt": base64(certificate) }),
  };
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name, namespace: spaceOf(name, random) },
    data: random.chance(0.1) ? {} : data,
  };
}

function service(random: Random, name: string) {
  const ports = [{ name: random.one(["http", "grpc"]), port: 80 }, ...(random.chance(0.4) ? [{ name: "more", port: 81 }] : [])];
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: spaceOf(name, random) },
    spec: { selector: { app: name }, ports },
  };
}

function endpoints(random: Random, name: string) {
  const addresses = Array.from({ length: random.below(4) }, () => ({ ip: `10.1.0.${random.below(5) + 1}` }));
  const subsets = [{ addresses, ports: [{ name: random.one(["http", "grpc"]), port: 8080 + random.below(2) }] }];
  return { apiVersion: "v1", kind: "Endpoints", metadata: { name, namespace: spaceOf(name, random) }, subsets };
}

function endpointSlice(random: Random, name: string) {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    addressType: "IPv4",
    metadata: { name: `${name}-x`, namespace: spaceOf(name, random), labels: { "kubernetes.io/service-name": name } },
    endpoints: Array.from({ length: random.below(3) }, () => ({
      addresses: [`10.2.0.${random.below(5) + 1}`],
      conditions: { ready: random.chance(0.8) },
      ...(random.chance(0.5) && { targetRef: { kind: "Pod", name: `pod-${random.below(2)}` }, zone: random.one(["a", "b"]) }),
    })),
    ports: [{ name: "http", port: 8080 }],
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

// ---- the files

/** All files that there ever are, by weight: routing is edited more often than Settings. */
export const plans: readonly FilePlan[] = [
  ...many(10, "Upstream", (i) => upstreamAt(i)),
  // Somebody writes what discovery finds, too.
  ...many(1, "Upstream", () => (random) => {
    const { name, namespace } = discovered(fixed);
    return object("gloo", "Upstream", random, name, upstream(random), namespace);
  }),
  ...many(8, "VirtualService", (i) => (random) => virtualService(random, `site-${i}`)),
  ...many(4, "VirtualService", (i) => (random) => virtualService(random, `own-${i}`)),
  ...many(6, "RouteTable", (i) => (random) => routeTable(random, `table-${i}`)),
  ...many(2, "RouteTable", (i) => (random) => routeTable(random, `routes-${i * 4 + 3}`)),
  ...many(5, "Gateway", (i) => (random) => gateway(random, `gateway-${i}`)),
  ...many(3, "UpstreamGroup", (i) => (random) => upstreamGroup(random, `group-${i}`)),
  ...many(3, "RouteOption", (i) => (random) => object("gateway", "RouteOption", random, `options-${i}`, { options: routeOptions(random) })),
  ...many(
    2,
    "VirtualHostOption",
    (i) => (random) => object("gateway", "VirtualHostOption", random, `options-${i}`, { options: hostOptions(random) }),
  ),
  ...many(2, "ListenerOption", (i) => (random) => listenerOption(random, `listener-${i}`)),
  ...many(2, "HttpListenerOption", (i) => (random) => httpListenerOption(random, `http-${i}`)),
  ...many(3, "Secret", (i) => (random) => secret(random, `cert-${i}`)),
  ...many(3, "Service", (i) => (random) => service(random, `kube-${i}`)),
  ...many(3, "Endpoints", (i) => (random) => endpoints(random, `kube-${i}`)),
  ...many(2, "EndpointSlice", (i) => (random) => endpointSlice(random, `kube-${i}`)),
  { file: "settings.json", make: settings },
];
