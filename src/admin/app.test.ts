// The admin API over a fixed translation; the running one is tested with the CLI.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Translation } from "../control-plane.ts";
import { envoyResource, packAny } from "../envoy/encode.ts";
import { ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { RouteConfigurationSchema } from "../gen/envoy/envoy/config/route/v3/route_pb.js";
import { DownstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { SecretSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/secret_pb.js";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { problem } from "../model/problem.ts";
import { resourceKey } from "../model/ref.ts";
import type { Kind, Resource, Spec } from "../model/resource.ts";
import { type AdminOptions, adminApp } from "./app.ts";
import { eventHub } from "./events.ts";
import { metrics } from "./metrics.ts";

const canaries = ["canary-private-key-7c1f", "canary-header-value-22", "canary-consul-token", "canary-annotation"];

test("resources are listed as Kubernetes objects, with their statuses", async () => {
  const { items } = await json("/api/v1/resources?kind=Upstream");
  expect(items).toEqual([
    {
      apiVersion: "gloo.solo.io/v1",
      kind: "Upstream",
      metadata: { name: "petstore", namespace: "shop" },
      spec: { static: { hosts: [{ addr: "127.0.0.1", port: 9090 }] } },
      status: { statuses: { "gloo-system": { state: "Rejected", reason: "no", reportedBy: "gloo" } } },
      origin: { source: "files", file: "up.yaml" },
    },
  ]);
  expect((await json("/api/v1/resources?namespace=nowhere")).items).toEqual([]);
});

test("what a proxy is served is shown in Envoy's own JSON", async () => {
  expect((await json("/api/v1/proxies")).proxies).toEqual([
    { key: "gloo-system~gateway-proxy", clusters: 1, endpoints: 0, listeners: 0, routes: 1 },
  ]);
  const { resources } = await json("/api/v1/proxies/gloo-system~gateway-proxy/clusters");
  expect(resources[0]).toMatchObject({ name: "petstore_shop", resource: { name: "petstore_shop", connectTimeout: "5s" } });
  expect((await get("/api/v1/proxies/gloo-system~gateway-proxy/nonsense")).status).toBe(404);
  const unknown = await get("/api/v1/proxies/other~proxy/clusters");
  expect(unknown.status).toBe(404);
  expect(await unknown.json()).toEqual({ error: "there is no proxy other~proxy; there is gloo-system~gateway-proxy" });
});

test("findings carry their place; what repeats another one is not among them", async () => {
  const { findings } = await json("/api/v1/findings");
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({
    severity: "error",
    code: "HW9001",
    resource: { kind: "Upstream", namespace: "shop", name: "petstore" },
    place: { file: "up.yaml", line: 3, column: 5 },
  });
});

test("no page shows a secret: not of a Secret, not of Settings, not in Envoy's TLS context, not in a header, a finding or an annotation", async () => {
  const pages = [
    "resources",
    "statuses",
    "findings",
    "proxies",
    "proxies/gloo-system~gateway-proxy/clusters",
    "proxies/gloo-system~gateway-proxy/routes",
    "clients",
  ];
  const paths = [
    ...pages.map((page) => `/api/v1/${page}`),
    "/snapshots/input",
    "/snapshots/edge",
    "/snapshots/proxies",
    "/snapshots/xds",
    "/metrics",
  ];
  for (const path of paths) {
    const answer = await get(path);
    expect(answer.status, path).toBe(200);
    const text = await answer.text();
    for (const canary of canaries)
      for (const spelling of [
        canary,
        Buffer.from(canary).toString("base64"),
        Buffer.from(canary).toString("hex"),
        encodeURIComponent(canary),
      ])
        expect(text, `${path} shows ${spelling}`).not.toContain(spelling);
  }
  expect(JSON.stringify(await json("/api/v1/resources?kind=Secret"))).toContain("[redacted]");
});

test("readiness says what is missing, and probes work without anything else", async () => {
  expect((await get("/livez")).status).toBe(200);
  expect((await get("/readyz")).status).toBe(200);
  const notYet = app({ readiness: () => ({ "configuration read": false, "not draining": true }) });
  const answer = await notYet.request("http://localhost/readyz?verbose");
  expect(answer.status).toBe(503);
  expect(await answer.text()).toBe("[-] configuration read not yet\n[+] not draining ok\nnot ready\n");
});

test("metrics have the state of each resource, under our name and under Gloo's", async () => {
  const text = await (await get("/metrics")).text();
  expect(text).toContain('headworks_config_status{kind="Upstream",namespace="shop",name="petstore"} 2');
  expect(text).toContain('validation_gateway_solo_io_upstream_config_status{namespace="shop",name="petstore"} 1');
  expect(text).toContain('headworks_findings{severity="error"} 1');
  expect(text).toContain('headworks_resources{kind="Upstream"} 1');
  expect(text).not.toMatch(/^# TYPE headworks_\S*[A-Z]/m);
  expect(text).toContain('headworks_xds_pushes_total{type="Cluster"} 7');
  expect(text, "names are in snake case").not.toMatch(/^# TYPE \S*[A-Z]/m);
});

test("a page from another origin or behind another name gets nothing", async () => {
  const ask = (headers: Record<string, string>) => app().request("http://localhost/api/v1/resources", { headers });
  expect((await ask({ host: "evil.example" })).status).toBe(403);
  expect((await ask({ host: "localhost.evil.example:9091" })).status).toBe(403);
  expect((await ask({ host: "127.0.0.1:9091", origin: "https://evil.example" })).status).toBe(403);
  expect((await ask({ host: "127.0.0.1:9091", origin: "null" })).status).toBe(403);
  expect((await ask({ host: "LOCALHOST:9091", origin: "http://localhost:3000" })).status).toBe(200);
  expect((await ask({ host: "[::1]:9091" })).status).toBe(200);
});

test("with a token, whoever does not have it sees only the probes", async () => {
  const token = "0123456789abcdef0123456789abcdef";
  const ask = (path: string, authorization?: string) =>
    app({ token }).request(`http://gateway.example${path}`, { headers: authorization ? { authorization } : {} });
  for (const path of [
    "/",
    "/metrics",
    "/api/v1/resources",
    "/api/v1/proxies",
    "/api/v1/events",
    "/snapshots/xds",
    "/logging",
    "/nowhere",
  ]) {
    expect((await ask(path)).status, path).toBe(401);
    expect((await ask(path, "Bearer wrong")).status, path).toBe(401);
    expect((await ask(`${path}?token=${token}`)).status, path).toBe(401);
  }
  expect((await ask("/api/v1/resources", `Bearer ${token}`)).status).toBe(200);
  expect((await ask("/livez")).status).toBe(200);
  expect((await ask("/readyz")).status).toBe(200);
});

test("nothing can be changed except the log level, and that only to a level", async () => {
  const logging = { level: "info" };
  const put = (body: string) => app({ logging }).request("http://localhost/logging", { method: "PUT", body });
  expect((await put('{"level":"debug"}')).status).toBe(200);
  expect(logging.level).toBe("debug");
  expect((await put('{"level":"loud"}')).status).toBe(400);
  expect((await put("{")).status).toBe(400);
  for (const method of ["POST", "PUT", "DELETE", "PATCH"])
    expect((await app().request("http://localhost/api/v1/resources", { method })).status, method).toBe(404);
});

test("events begin with the present state, and a batch follows", async () => {
  const events = eventHub();
  const answer = await app({ events }).request("http://localhost/api/v1/events");
  const reader = (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toContain('"kind":"state","isReady":true,"resources":3,"errors":1,"warnings":0');
  await expect.poll(() => events.hasListeners).toBe(true);
  events.send({ kind: "batch", changed: ["Upstream a/b"], appeared: [], resolved: [], keptLastGood: [], milliseconds: 1 });
  expect((await reader.read()).value).toContain('"changed":["Upstream a/b"]');
  await reader.cancel();
  await expect.poll(() => events.hasListeners).toBe(false);
});

test("a listener that does not read is let go, the others are not", async () => {
  const events = eventHub();
  const never = events.listen(new AbortController().signal)[Symbol.asyncIterator]();
  const first = never.next();
  events.send({ kind: "state", isReady: true, resources: 0, errors: 0, warnings: 0 });
  await first;
  for (let sent = 0; sent < 300; sent++) events.send({ kind: "state", isReady: true, resources: sent, errors: 0, warnings: 0 });
  expect(events.hasListeners).toBe(false);
});

function get(path: string): Promise<Response> {
  return Promise.resolve(app().request(`http://localhost${path}`));
}

// biome-ignore lint/suspicious/noExplicitAny: answers are looked at by their fields
async function json(path: string): Promise<any> {
  return (await get(path)).json();
}

function app(overrides: Partial<AdminOptions> = {}) {
  const current = () => translation();
  const types = { "type.googleapis.com/envoy.config.cluster.v3.Cluster": { pushes: 7, resources: 9, bytes: 100, acks: 7, nacks: 0 } };
  const xds = () => ({ streams: 1, streamsTotal: 1, clients: 1, ended: {}, types });
  const counts = metrics({ current, isReady: () => true, xds, traffic: () => ({}) });
  const made = adminApp({
    current,
    readiness: () => ({ read: true }),
    clients: () => [],
    events: eventHub(),
    metrics: counts,
    ...overrides,
  });
  return {
    // A client always says which host it means; `request` of the framework does not by itself.
    request: (url: string, init: RequestInit = {}) => {
      const headers = { host: new URL(url).host, ...(init.headers as Record<string, string>) };
      return made.request(url, { ...init, headers });
    },
  };
}

function translation(): Translation {
  const key = resourceKey("Upstream", { namespace: "shop", name: "petstore" });
  const route = resourceKey("VirtualService", { namespace: "shop", name: "web" });
  const tls = packAny(DownstreamTlsContextSchema, {
    commonTlsContext: {
      tlsCertificates: [{ privateKey: { specifier: { case: "inlineString", value: "canary-private-key-7c1f" } } }],
    },
  });
  const resources = [
    resource(
      "Upstream",
      "petstore",
      create(UpstreamSchema, {
        upstreamType: { case: "static", value: { hosts: [{ addr: "127.0.0.1", port: 9090 }] } },
      }),
    ),
    resource(
      "Secret",
      "headers",
      create(SecretSchema, {
        kind: { case: "header", value: { headers: { "x-key": "canary-header-value-22" } } },
      }),
      { "kubectl.kubernetes.io/last-applied-configuration": '{"data":"canary-annotation"}' },
    ),
    resource("Settings", "default", create(SettingsSchema, { consul: { token: "canary-consul-token" } })),
  ];
  return {
    resources: new Map(resources.map((each) => [each.key, each])),
    statuses: new Map([[key, { state: "Rejected", reason: "no", reportedBy: "gloo", subresourceStatuses: {} }]]),
    findings: [
      { problem: problem("error", key, "PluginFailed", "it said canary-header-value-22"), place: { file: "up.yaml", line: 3, column: 5 } },
      { problem: problem("error", route, "PluginFailed", "of it: it said canary-header-value-22", { repeats: key }) },
    ],
    proxies: new Map([
      [
        "gloo-system~gateway-proxy",
        [
          envoyResource(
            ClusterSchema,
            "petstore_shop",
            {
              name: "petstore_shop",
              connectTimeout: { seconds: 5n },
              transportSocket: { name: "tls", configType: { case: "typedConfig", value: tls } },
            },
            [key],
          ),
          envoyResource(
            RouteConfigurationSchema,
            "routes",
            {
              name: "routes",
              requestHeadersToAdd: [{ header: { key: "x-key", value: "canary-header-value-22" } }],
            },
            [key],
          ),
        ],
      ],
    ]),
    textOf: () => undefined,
  };
}

function resource<K extends Kind>(kind: K, name: string, spec: Spec<K>, annotations = {}): Resource {
  const ref = { namespace: "shop", name };
  return {
    kind,
    key: resourceKey(kind, ref),
    ref,
    labels: {},
    annotations,
    spec,
    version: "1",
    problems: [],
    origin: { source: "files", file: "up.yaml" },
  } as Resource;
}
