// Definitions and chart on a real API server: what lies there stays valid, what kubectl shows, what Helm installs.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get as httpsGet, request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load, loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpusFolder, readCases } from "../corpus/cases.ts";
import { chartFolder, chartRbac, crdManifests, plainManifests, renderChart, valueArgs } from "../servers/chart.ts";
import { findEnvoy, startEnvoy } from "../servers/envoy.ts";
import { findHelm, helm } from "../servers/helm.ts";
import { type RunningKubernetes, startKubernetes } from "../servers/kubernetes.ts";
import { findKubernetes } from "../servers/kubernetes-binaries.ts";
import type { KubeObject } from "../servers/kubernetes-client.ts";
import { freePorts } from "../servers/ports.ts";
import { start } from "./headworks.ts";

const corpus = corpusFolder(join(import.meta.dirname, "../.."));
const isThere = findKubernetes() !== undefined && findHelm() !== undefined;
let cluster: RunningKubernetes;
const limited = { name: "headworks-test", token: "limited-token-of-the-test" };
const watching = { name: "headworks-watching", token: "another-token-of-the-test" };

const definitions = crdManifests().map((text) => JSON.parse(text));
const pathOf = ({ apiVersion, kind, metadata }: KubeObject) => {
  const crd = definitions.find(({ spec }) => spec.names.kind === kind);
  return `/apis/${apiVersion}/namespaces/${metadata.namespace}/${crd.spec.names.plural}`;
};
const put = (object: KubeObject, query = "") => cluster.request("POST", `${pathOf(object)}${query}`, object);
const stored = (kind: string, name: string, spec: unknown, more: object = {}): KubeObject => {
  const { group, versions } = definitions.find((each) => each.spec.names.kind === kind).spec;
  return { apiVersion: `${group}/${versions[0].name}`, kind, metadata: { name, namespace: "gloo-system" }, spec, ...more } as KubeObject;
};

describe.skipIf(!isThere)("in a cluster", () => {
  beforeAll(async () => {
    cluster = await startKubernetes({ users: [limited, watching] });
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "gloo-system" } });
  });
  afterAll(async () => cluster?.[Symbol.asyncDispose]());

  test("objects that lie there stay as they are, and can be applied again", async () => {
    await cluster.apply(...definitions.map(permissive));
    for (const object of earlier) expect((await put(object)).status, object.metadata.name).toBe(201);
    const before = await Promise.all(earlier.map(read));
    await cluster.apply(...definitions);
    for (const { metadata } of definitions)
      await expect.poll(() => conditionsOf(metadata.name)).toEqual({ Established: "True", NamesAccepted: "True" });
    for (const [index, object] of earlier.entries()) {
      const was = before[index] as KubeObject;
      await expect.poll(async () => contentOf(await read(object))).toEqual(contentOf(was));
      const { status, body } = await cluster.request("PUT", `${pathOf(object)}/${object.metadata.name}`, await read(object));
      expect(status, JSON.stringify(body)).toBe(200);
      const applied = await cluster.request("PATCH", `${pathOf(object)}/${object.metadata.name}?fieldManager=user&force=true`, object, {
        contentType: "application/apply-patch+yaml",
      });
      expect(applied.status, JSON.stringify(applied.body)).toBe(200);
    }
  });

  test.skipIf(corpus === undefined)(
    "every recorded object that Gloo's definitions admit is admitted",
    async () => {
      const refused = new Set<string>();
      const wanted = new Set<string>();
      const all = readCases(corpus as string).flatMap(({ id, input, expected }) => {
        // A number where text belongs, in plain YAML; how it was recorded, it was text.
        const isNumber = id === "upstreams/opt-healthcheck-tcp";
        if (isNumber || (expected as { apiServerRejected?: object }).apiServerRejected) wanted.add(id);
        return (loadAll(input) as KubeObject[]).map((object) => ({ id, object }));
      });
      const ours = all.filter(({ object }) => definitions.some(({ spec }) => spec.names.kind === object?.kind));
      expect(ours.length).toBeGreaterThan(500);
      const next = ours.values();
      const worker = async () => {
        for (const { id, object } of next) {
          const copy = { ...object, metadata: { ...object.metadata, namespace: "gloo-system", name: "tried" } };
          const answer = await put(copy, "?dryRun=All");
          if (answer.status !== 201) refused.add(id);
        }
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
      expect([...refused].sort()).toEqual([...wanted].sort());
    },
    180_000,
  );

  test("a typo is kept, whoever writes it, so that it can be reported", async () => {
    const spec = { static: { hosts: [{ addr: "a", prot: 80 }] }, conectTimeout: "5s" };
    const object = stored("Upstream", "typo", spec, { spce: {} });
    const { status, body } = await put(object, "?fieldValidation=Strict");
    expect(status).toBe(201);
    expect(body).toMatchObject({ spec, spce: {} });
  });

  test("a value of the wrong type is refused, with its path", async () => {
    const { status, body } = await put(stored("Upstream", "wrong", { static: { hosts: [{ addr: "a", port: -1 }] } }));
    expect(status).toBe(422);
    expect((body as { message: string }).message).toContain("spec.static.hosts[0].port");
    expect((await put(stored("VirtualService", "wrong", { virtualHost: { domains: "a.example" } }))).status).toBe(422);
  });

  test("kubectl get shows type, state and reason; domains; ports", async () => {
    const upstream = stored("Upstream", "shown", { static: { hosts: [{ addr: "a", port: 80 }] } });
    const virtualService = stored("VirtualService", "shown", { virtualHost: { domains: ["a.example", "b.example"] } });
    const gateway = stored("Gateway", "shown", { bindAddress: "::", bindPort: 8080, ssl: true });
    for (const object of [upstream, virtualService, gateway]) expect((await put(object)).status).toBe(201);
    expect(await row(upstream)).toMatchObject({ Name: "shown", Type: null, State: null, Reason: null });
    const written = await writeStatus(upstream, { ...rejected, type: "static" });
    expect(written.metadata.generation).toBe(1);
    await writeStatus(virtualService, rejected);
    expect(await row(upstream)).toEqual({
      ...{ Name: "shown", Type: "static", State: "Rejected", Reason: "HostMissing" },
      ...{ Message: "HW3001 a host is missing", Age: expect.any(String) },
    });
    expect(await row(virtualService)).toMatchObject({ Domains: '["a.example","b.example"]', State: "Rejected", Reason: "HostMissing" });
    expect(await row(gateway)).toMatchObject({ Port: 8080, TLS: true, State: null });
  });

  test("a status is written beside that of others, and changes no generation", async () => {
    const object = stored("RouteTable", "status", { routes: [] });
    await put(object);
    const theirs = { statuses: { "other-ns": { state: "Accepted", reportedBy: "gloo" } } };
    await writeStatus(object, theirs, "other");
    const { status, metadata } = await writeStatus(object, rejected);
    expect(status).toMatchObject({ ...rejected, statuses: { ...rejected.statuses, ...theirs.statuses } });
    expect(metadata.generation).toBe(1);
  });

  test("the roles of the chart let it read, write statuses and lead, and nothing else", async () => {
    await cluster.apply(...chartRbac({ user: limited.name }));
    const headworks = cluster.as(limited.token);
    const may = async (method: string, path: string, body?: object) => {
      const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
      return (await headworks.request(method, path, body, { contentType })).status !== 403;
    };
    for (const { spec } of definitions) {
      const path = `/apis/${spec.group}/${spec.versions[0].name}`;
      await expect.poll(() => may("GET", `${path}/${spec.names.plural}?limit=1`)).toBe(true);
      const isWritten = spec.names.kind !== "Proxy";
      expect(await may("PATCH", `${path}/namespaces/shop/${spec.names.plural}/x/status`, { status: {} }), spec.names.kind).toBe(isWritten);
      expect(await may("PATCH", `${path}/namespaces/shop/${spec.names.plural}/x`, { spec: {} }), spec.names.kind).toBe(false);
    }
    for (const core of ["services", "secrets", "configmaps", "pods", "endpoints", "namespaces"]) {
      await expect.poll(() => may("GET", `/api/v1/${core}?limit=1`), { message: core }).toBe(true);
      const namespaced = core === "namespaces" ? core : `namespaces/shop/${core}`;
      expect(await may("PATCH", `/api/v1/${namespaced}/x`, {}), core).toBe(false);
    }
    const upstream = (namespace: string) => `/apis/gloo.solo.io/v1/namespaces/${namespace}/upstreams`;
    await expect.poll(() => may("POST", upstream("gloo-system"), {})).toBe(true);
    expect(await may("POST", upstream("shop"), {})).toBe(false);
    const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    await expect.poll(() => may("POST", leases("gloo-system"), {})).toBe(true);
    await expect.poll(() => may("GET", `${leases("gloo-system")}/headworks`)).toBe(true);
    expect(await may("GET", `${leases("gloo-system")}/other`)).toBe(false);
    expect(await may("POST", leases("shop"), {})).toBe(false);
    const webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    await expect.poll(() => may("PATCH", `${webhooks}/headworks-gloo-system`, {})).toBe(true);
    expect(await may("PATCH", `${webhooks}/someone-elses`, {})).toBe(false);
  });

  test.skipIf(findEnvoy() === undefined)(
    "what the chart starts, with the rights that it gives, answers a request",
    async () => {
      const [xds, admin, envoyAdmin, metrics, webhook, gateway] = (await freePorts(6)) as [number, number, number, number, number, number];
      const route = { matchers: [{ prefix: "/" }], directResponseAction: { status: 200, body: "hello" } };
      const upstream = stored("Upstream", "judged", { static: { hosts: [{ addr: "127.0.0.1", port: 80 }] }, conectTimeout: "5s" });
      const stray = stored("RouteTable", "stray", { routes: [] }, { weight: 1 });
      for (const object of [
        upstream,
        stray,
        stored("Gateway", "here", { bindAddress: "127.0.0.1", bindPort: gateway, httpGateway: {}, proxyNames: ["gateway-proxy"] }),
        stored("VirtualService", "hello", { virtualHost: { domains: ["*"], routes: [route] } }),
      ])
        expect((await put(object)).status).toBe(201);
      const folder = mkdtempSync(join(tmpdir(), "headworks-chart-"));
      try {
        const pods = renderPods(folder, { xds, admin, envoyAdmin, metrics, webhook });
        pods.runInitContainer();
        const rights = `--kubeconfig=${cluster.kubeconfig({ token: limited.token })}`;
        await using headworks = start([...pods.headworks.args, rights], { env: pods.headworks.env });
        await headworks.said(/"ready"/);
        const probe = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined))?.status;
        expect(await probe(admin, pods.headworks.readiness)).toBe(200);
        expect(await probe(admin, "/metrics")).toBe(401);
        // Its webhook: the certificate is made and trusted with these rights.
        await cluster.apply(...plainManifests().filter(({ kind }) => kind === "ValidatingWebhookConfiguration"));
        const caBundle = async () =>
          (await cluster.get("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "headworks-gloo-system"))?.webhooks[0]
            .clientConfig.caBundle as string | undefined;
        await expect.poll(caBundle).toBeTypeOf("string");
        const answer = await review(
          webhook,
          Buffer.from((await caBundle()) as string, "base64"),
          stored("Upstream", "next", upstream.spec),
        );
        expect(answer).toMatchObject({ allowed: true, warnings: [expect.stringContaining("HW1003")] });
        await cluster.delete("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "headworks-gloo-system");
        await using _envoy = await startEnvoy(pods.envoy.bootstrap, envoyAdmin, pods.envoy.args);
        await expect.poll(() => probe(metrics, pods.envoy.readiness)).toBe(200);
        expect(await (await fetch(`http://127.0.0.1:${gateway}/`)).text()).toBe("hello");
        await expect.poll(() => row(upstream)).toMatchObject({ Type: "static", State: "Warning", Reason: "UnknownField" });
        await expect
          .poll(() => row(stray))
          .toMatchObject({ State: "Warning", Message: expect.stringContaining("beside kind and metadata") });
        expect(await probe(metrics, "/metrics")).toBe(200);
        expect(await probe(metrics, "/quitquitquit")).toBe(404);
        // The end of a Pod: not ready any more, while requests are still answered.
        pods.envoy.preStop();
        expect(await probe(metrics, pods.envoy.readiness)).toBe(503);
        expect(await probe(gateway, "/")).toBe(200);
        expect(headworks.stderr()).not.toContain("orbidden");
        // It gives the Lease back.
        headworks.process.kill("SIGTERM");
        expect((await headworks.ended).code).toBe(0);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
    90_000,
  );

  test("with watched namespaces, the roles of those are enough", async () => {
    const values = { watchNamespaces: ["shop"], webhook: { enabled: false } };
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } }, ...chartRbac({ user: watching.name, values }));
    const there = { ...stored("Upstream", "there", { static: { hosts: [{ addr: "127.0.0.1", port: 80 }] } }) };
    const upstream = { ...there, metadata: { ...there.metadata, namespace: "shop" } };
    expect((await put(upstream)).status).toBe(201);
    const [xds, admin] = (await freePorts(2)) as [number, number];
    const folder = mkdtempSync(join(tmpdir(), "headworks-chart-"));
    try {
      const pods = renderPods(folder, { xds, admin, envoyAdmin: 0, metrics: 0, webhook: 0 }, values);
      pods.runInitContainer();
      const rights = `--kubeconfig=${cluster.kubeconfig({ token: watching.token })}`;
      await using headworks = start([...pods.headworks.args, rights], { env: pods.headworks.env });
      await headworks.said(/"ready"/);
      await expect.poll(() => row(upstream)).toMatchObject({ Type: "static", State: "Accepted", Reason: "Accepted" });
      expect(headworks.stderr()).not.toContain("orbidden");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("its Pods meet the restricted standard of pod security", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "restricted", labels } });
    const objects = renderChart({ namespace: "restricted" });
    const deployments = objects.filter(({ kind }) => kind === "Deployment");
    expect(deployments.map(({ metadata }) => metadata.name).sort()).toEqual(["gateway-proxy", "headworks"]);
    for (const { metadata, spec } of deployments) {
      const pod = { apiVersion: "v1", kind: "Pod", ...spec.template, metadata: { ...spec.template.metadata, name: metadata.name } };
      const make = (each: object) => cluster.request("POST", "/api/v1/namespaces/restricted/pods?dryRun=All", each);
      const { status, body } = await make(pod);
      expect(status, JSON.stringify(body)).toBe(201);
      const open = { ...pod, spec: { ...pod.spec, securityContext: {} } };
      expect(await make(open)).toMatchObject({ status: 403 });
    }
  });

  test("the plain manifests are taken by the API server as they are", async () => {
    for (const object of plainManifests()) expect((await cluster.apply(object))[0]?.metadata.name).toBe(object.metadata.name);
  });

  test("Helm installs it into an empty cluster, and an upgrade makes the first objects; then it leaves alone what is the user's", async () => {
    await cluster.delete("clusterroles.rbac.authorization.k8s.io", "", "headworks-gloo-system");
    for (const { metadata } of definitions) await cluster.delete("customresourcedefinitions.apiextensions.k8s.io", "", metadata.name);
    await expect.poll(() => cluster.list("customresourcedefinitions.apiextensions.k8s.io")).toEqual([]);
    cluster.forget();
    const run = (command: string, ...args: string[]) =>
      helm(command, "edge", ...args, "--kubeconfig", cluster.kubeconfigPath, "--namespace", "edge");
    // Nobody answers at the webhook here.
    const values = valueArgs({ crds: { install: true }, webhook: { timeoutSeconds: 1 } });
    expect(run("install", chartFolder, "--create-namespace", ...values)).toContain("helm upgrade edge");
    await expect.poll(() => cluster.request("GET", "/apis/gateway.solo.io/v1")).toMatchObject({ status: 200 });
    await expect.poll(() => run("upgrade", chartFolder, ...values), { interval: 500 }).not.toContain("helm upgrade edge");
    const settings = await cluster.get("settings.gloo.solo.io", "edge", "default");
    expect(settings?.spec).toEqual({ discoveryNamespace: "edge" });
    expect((await cluster.list("gateways.gateway.solo.io", "edge")).map(({ spec }) => spec.bindPort)).toEqual([8080, 8443]);

    await cluster.patch("gateways.gateway.solo.io", "edge", "gateway-proxy", { spec: { bindPort: 9080 } });
    const certificate = await cluster.get("secrets", "edge", "edge-xds");
    const webhook = () => cluster.get("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "edge-edge");
    const { webhooks } = (await webhook()) as KubeObject;
    const caBundle = certificate?.data["ca.crt"];
    await cluster.patch("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "edge-edge", {
      webhooks: [{ ...webhooks[0], clientConfig: { ...webhooks[0].clientConfig, caBundle } }],
    });
    // Without the definitions, which stay all the same.
    const withoutDefinitions = valueArgs({ webhook: { timeoutSeconds: 1 } });
    run("upgrade", chartFolder, ...withoutDefinitions, "--set", "replicas=3");
    expect((await cluster.get("deployments.apps", "edge", "edge"))?.spec.replicas).toBe(3);
    expect((await cluster.get("gateways.gateway.solo.io", "edge", "gateway-proxy"))?.spec.bindPort).toBe(9080);
    expect((await cluster.get("secrets", "edge", "edge-xds"))?.data).toEqual(certificate?.data);
    expect((await webhook())?.webhooks[0].clientConfig.caBundle).toBe(caBundle);

    run("uninstall");
    expect(await cluster.get("deployments.apps", "edge", "edge")).toBeUndefined();
    expect((await cluster.get("gateways.gateway.solo.io", "edge", "gateway-proxy"))?.spec.bindPort).toBe(9080);
    // And again, over what is left.
    run("install", chartFolder, ...withoutDefinitions);
    expect((await cluster.get("gateways.gateway.solo.io", "edge", "gateway-proxy"))?.spec.bindPort).toBe(9080);
  }, 180_000);
});

/** What an API server would ask at the Service of the chart. */
function review(port: number, ca: Buffer, object: KubeObject): Promise<unknown> {
  const { apiVersion, kind, metadata } = object;
  const [group, version] = apiVersion.split("/");
  const request = {
    ...{ uid: "1", kind: { group, version, kind }, resource: { group, version, resource: "upstreams" }, operation: "CREATE" },
    ...{ name: metadata.name, namespace: metadata.namespace, object, oldObject: null, userInfo: {}, options: null },
  };
  const asked = JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request });
  return new Promise((resolve, reject) => {
    const options = { port, path: "/validation", method: "POST", ca, servername: "headworks.gloo-system.svc" };
    httpsRequest(options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve((load(body) as { response: unknown }).response));
    })
      .setHeader("content-type", "application/json")
      .on("error", reject)
      .end(asked);
  });
}

interface Ports {
  readonly xds: number;
  readonly admin: number;
  readonly envoyAdmin: number;
  readonly metrics: number;
  readonly webhook: number;
}

/** What a kubelet would start, with files in a folder and ports of this machine. */
function renderPods(folder: string, ports: Ports, values: object = {}) {
  const objects = renderChart({ values: { ...values } });
  const find = (kind: string, name: string) => objects.find((each) => each.kind === kind && each.metadata.name === name) as KubeObject;
  for (const [name, mount] of [
    ["headworks-xds", "etc/headworks/xds"],
    ["gateway-proxy-xds", "etc/xds"],
  ] as const) {
    mkdirSync(join(folder, mount), { recursive: true });
    for (const [key, value] of Object.entries(find("Secret", name).data as Record<string, string>))
      writeFileSync(join(folder, mount, key), Buffer.from(value, "base64"));
  }
  for (const path of ["run/headworks", "var/lib/headworks"]) mkdirSync(join(folder, path), { recursive: true });
  const here = (text: string) =>
    text
      .replace("$(POD_NAMESPACE)", "gloo-system")
      .replace(/\/(etc|run|var)\/(headworks|xds|lib)/g, `${folder}/$1/$2`)
      .replace("=:9977", `=127.0.0.1:${ports.xds}`)
      // As in the Pod, where it needs the token.
      .replace("=:9091", `=0.0.0.0:${ports.admin}`);
  const podOf = (name: string) => find("Deployment", name).spec.template.spec;
  const [init] = podOf("headworks").initContainers;
  const [headworks] = podOf("headworks").containers;
  const [envoy] = podOf("gateway-proxy").containers;
  const config = find("ConfigMap", "gateway-proxy-envoy-config").data["envoy.yaml"] as string;
  const bootstrap = here(config)
    .replace(/address: headworks\.gloo-system\.svc, port_value: 9977/, `address: 127.0.0.1, port_value: ${ports.xds}`)
    .replaceAll("port_value: 19000", `port_value: ${ports.envoyAdmin}`)
    .replace('address: "::", port_value: 8081, ipv4_compat: true', `address: 127.0.0.1, port_value: ${ports.metrics}`);
  return {
    runInitContainer() {
      const [, ...args] = (init.command as string[]).map(here);
      execFileSync(process.execPath, args);
    },
    headworks: {
      args: (headworks.args as string[]).map(here),
      env: Object.fromEntries(
        (headworks.env as { name: string; value?: string }[]).flatMap(({ name, value }) =>
          value === undefined ? [] : [[name, value.replace(":8443", `127.0.0.1:${ports.webhook}`)]],
        ),
      ),
      readiness: headworks.readinessProbe.httpGet.path as string,
    },
    envoy: {
      bootstrap: load(bootstrap) as object,
      args: ["--service-cluster", "gateway-proxy", "--service-node", "a.b", "--drain-time-s", "1"],
      readiness: envoy.readinessProbe.httpGet.path as string,
      preStop() {
        const [shell, ...args] = (envoy.lifecycle.preStop.exec.command as string[]).map((each) =>
          each.replace("/19000", `/${ports.envoyAdmin}`).replace(/sleep \d+/, "true"),
        );
        execFileSync(shell as string, args);
      },
    },
  };
}

const rejected = {
  state: "Rejected",
  conditions: [
    {
      ...{ type: "Accepted", status: "False", reason: "HostMissing", message: "HW3001 a host is missing" },
      ...{ observedGeneration: 1, lastTransitionTime: "2026-11-23T10:00:00Z" },
    },
  ],
  statuses: { "gloo-system": { state: "Rejected", reason: "1 error occurred", reportedBy: "gloo", subresourceStatuses: {} } },
};

const odd = { weight: 1, options: { odd: 1 }, destination: { upstream: { name: "status-of-gloo", namespace: "gloo-system" } } };

/** What a cluster may hold under Gloo's definitions, the odd things that they let in among it. */
const earlier: readonly KubeObject[] = [
  stored("Upstream", "enum-of-another-name", { static: { hosts: [] }, loadBalancerConfig: {}, protocolSelection: "use_downstream" }),
  stored("Upstream", "enum-as-number", { static: { hosts: [] }, protocolSelection: 1 }),
  stored("Upstream", "bad-duration", { static: { hosts: [] }, connectTimeout: "1d" }),
  stored("Upstream", "null-wrapper", { static: { hosts: [], useTls: null } }),
  stored("Upstream", "status-of-gloo", { pipe: { path: "/a" } }, { status: { statuses: { "gloo-system": { state: "Accepted" } } } }),
  stored("Upstream", "status-of-2019", { pipe: { path: "/a" } }, { status: { state: 1, reported_by: "gloo" } }),
  stored("VirtualService", "of-everything", {
    virtualHost: {
      domains: ["odd.example"],
      routes: [{ matchers: [{ prefix: "/" }], routeAction: { multi: { destinations: [odd] } } }],
      options: { extensions: { configs: { a: { b: [1] } } } },
    },
  }),
  stored("Proxy", "computed", { listeners: [{ name: "l", bindPort: 80, httpListener: { virtualHosts: [{ anything: true }] } }] }),
  stored("RateLimitConfig", "of-any-shape", { raw: { descriptors: "not a list" } }),
  stored("AuthConfig", "without-what-is-required", { configs: [{ opaAuth: {} }] }),
];

/** As Gloo's: no subresource, statuses of any content; more permissive in the rest. */
function permissive(crd: { readonly spec: { readonly versions: readonly object[] } }): object {
  const anyObject = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const schema = { openAPIV3Schema: { type: "object", properties: { spec: anyObject, status: anyObject } } };
  const [{ subresources: _, additionalPrinterColumns: __, ...version }] = crd.spec.versions as [Record<string, unknown>];
  return { ...crd, spec: { ...crd.spec, versions: [{ ...version, schema }] } };
}

async function read(object: KubeObject): Promise<KubeObject> {
  return (await cluster.request("GET", `${pathOf(object)}/${object.metadata.name}`)).body as KubeObject;
}

function contentOf({ spec, status, metadata }: KubeObject) {
  return { spec, status, generation: metadata.generation };
}

async function conditionsOf(crd: string): Promise<Record<string, string>> {
  const object = await cluster.get("customresourcedefinitions.apiextensions.k8s.io", "", crd);
  return Object.fromEntries(object?.status.conditions.map(({ type, status }: { type: string; status: string }) => [type, status]));
}

async function writeStatus(
  { apiVersion, kind, metadata, ...rest }: KubeObject,
  status: object,
  manager = "headworks",
): Promise<KubeObject> {
  const path = `${pathOf({ apiVersion, kind, metadata, ...rest })}/${metadata.name}/status?fieldManager=${manager}&force=true`;
  const body = { apiVersion, kind, metadata: { name: metadata.name }, status };
  const answer = await cluster.request("PATCH", path, body, { contentType: "application/apply-patch+yaml" });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body as KubeObject;
}

/** What kubectl asks for when it prints a table: cells by the name of their column. */
async function row(object: KubeObject): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${cluster.adminToken}`, accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
  const text = await new Promise<string>((resolve, reject) => {
    const url = `${cluster.url}${pathOf(object)}/${object.metadata.name}`;
    httpsGet(url, { ca: readFileSync(cluster.caFile), headers }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(body));
    }).on("error", reject);
  });
  const table = load(text) as { columnDefinitions: { name: string }[]; rows: { cells: unknown[] }[] };
  return Object.fromEntries(table.columnDefinitions.map(({ name }, index) => [name, table.rows[0]?.cells[index]]));
}
