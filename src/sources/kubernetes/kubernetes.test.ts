// The source against a real API server: what it reads, and that no outage takes anything away.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { chartRbac } from "../../../test/servers/chart.ts";
import { looseDefinitions } from "../../../test/servers/definitions.ts";
import { findHelm } from "../../../test/servers/helm.ts";
import { type RunningKubernetes, startKubernetes } from "../../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../../test/servers/kubernetes-binaries.ts";
import { startKubeProxy } from "../../../test/servers/kubernetes-proxy.ts";
import { type KubeApiOptions, kubeApi } from "../../lib/kubernetes/api.ts";
import { bestOfThree } from "../../lib/testing/bestOf.ts";
import type { Resource } from "../../model/resource.ts";
import type { Remembered } from "../../plugin/source.ts";
import { Follower } from "../testing/follower.ts";
import { type KubernetesOptions, type KubernetesSource, kubernetesSource } from "./kubernetes.ts";

const upstreams = "upstreams.gloo.solo.io";

describe.skipIf(findKubernetes() === undefined)("a cluster as a source", () => {
  let kubernetes: RunningKubernetes;
  const open: (() => Promise<void> | void)[] = [];
  beforeAll(async () => {
    kubernetes = await startKubernetes({ users: ["gateway", "everywhere", "somewhere"].map((name) => ({ name, token: `${name}-token` })) });
    await kubernetes.apply(...looseDefinitions());
  });
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });
  afterAll(() => kubernetes?.[Symbol.asyncDispose]());

  const sourceOf = async (options: Partial<KubernetesOptions> & KubeApiOptions = {}): Promise<KubernetesSource> => {
    const api = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath, pingEveryMs: 500, pingTimeoutMs: 500, ...options });
    open.push(() => api[Symbol.dispose]());
    return kubernetesSource({ api, backoff: { firstMs: 50, mostMs: 500 }, discoverEveryMs: 300, ...options });
  };
  const follow = async (options: Parameters<typeof sourceOf>[0] = {}) => {
    const source = await sourceOf(options);
    const follower = new Follower(source);
    open.push(() => follower.end());
    return Object.assign(follower, { source });
  };
  const upstream = (namespace: string, name: string, port: number | string = 80) => ({
    apiVersion: "gloo.solo.io/v1",
    kind: "Upstream",
    metadata: { namespace, name },
    spec: { static: { hosts: [{ addr: "127.0.0.1", port }] } },
  });
  const several = (namespace: string, count: number) => Array.from({ length: count }, (_, i) => upstream(namespace, `u${i}`, 80 + i));

  test("all kinds that configuration is made of are read, and only their own fields are kept", async () => {
    const namespace = "kinds";
    await kubernetes.apply(
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels: { team: "a" } } },
      upstream(namespace, "web"),
      {
        apiVersion: "gateway.solo.io/v1",
        kind: "VirtualService",
        metadata: { namespace, name: "vs" },
        spec: { virtualHost: { domains: ["*"] } },
      },
      { apiVersion: "v1", kind: "Service", metadata: { namespace, name: "svc" }, spec: { ports: [{ port: 80 }], selector: { app: "x" } } },
      {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { namespace, name: "svc-1", labels: { "kubernetes.io/service-name": "svc" } },
        addressType: "IPv4",
        ports: [{ name: "", port: 8080 }],
        endpoints: [
          { addresses: ["10.1.1.1"], conditions: { ready: true }, nodeName: "n", targetRef: { kind: "Pod", name: "p", uid: "u" } },
        ],
      },
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { namespace, name: "tls" },
        type: "kubernetes.io/tls",
        stringData: { "tls.crt": "a", "tls.key": "b" },
      },
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { namespace, name: "release" },
        type: "helm.sh/release.v1",
        stringData: { release: "x" },
      },
      { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "map" }, data: { a: "b" } },
      { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "kube-root-ca.crt" }, data: { a: "b" } },
      { apiVersion: "v1", kind: "Pod", metadata: { namespace, name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } },
    );
    const { first, resources } = await follow();
    await first;
    const here = [...resources.values()].filter(({ ref }) => ref.namespace === namespace || ref.name === namespace);
    expect(here.map(({ key }) => key).sort()).toEqual([
      "Artifact kinds/map",
      "EndpointSlice kinds/svc-1",
      "Namespace /kinds",
      "Secret kinds/tls",
      "Service kinds/svc",
      "Upstream kinds/web",
      "VirtualService kinds/vs",
    ]);
    const endpoints = [{ addresses: ["10.1.1.1"], conditions: { ready: true }, targetRef: { kind: "Pod", name: "p" } }];
    expect(resources.get("EndpointSlice kinds/svc-1")?.spec).toEqual({
      addressType: "IPv4",
      ports: [{ name: "", port: 8080, protocol: "TCP" }],
      endpoints,
    });
    expect(resources.get("Upstream kinds/web")?.origin).toMatchObject({
      source: "kubernetes",
      uid: /-/,
      generation: 1,
      resourceVersion: /\d/,
    });
    expect(resources.get("Namespace /kinds")?.labels).toMatchObject({ team: "a" });
  });

  test("who leaves in the middle, or makes us fail, leaves nothing behind that runs", async () => {
    await kubernetes.apply(upstream("leaving", "a"));
    for await (const _ of (await sourceOf({ namespaces: ["leaving"] })).watch(new AbortController().signal)) break;
    const failing = await sourceOf({
      namespaces: ["leaving"],
      onObject: () => {
        throw new Error("a fault of ours");
      },
    });
    await expect(failing.watch(new AbortController().signal)[Symbol.asyncIterator]().next()).rejects.toThrow("a fault of ours");
  });

  test("statuses that somebody writes are no change, and are handed to who wants to know", async () => {
    const seen: unknown[] = [];
    await kubernetes.apply(upstream("statuses", "a"));
    const follower = await follow({ namespaces: ["statuses"], onObject: (key, object) => seen.push([key, object?.status]) });
    await follower.first;
    await kubernetes.patch(upstreams, "statuses", "a", { status: { state: 1 } }, "status");
    await kubernetes.apply(upstream("statuses", "b"));
    await follower.until(() => follower.resources.has("Upstream statuses/b"));
    expect(seen).toContainEqual(["Upstream statuses/a", { state: 1 }]);
    const versions = new Set(
      follower.batches.flatMap(({ changes }) => changes).flatMap((change) => versionOf(change, "Upstream statuses/a")),
    );
    expect(versions.size).toBe(1);
    expect(follower.source.typeOf("Upstream")?.hasStatus).toBe(true);
  });

  test("an object that cannot be understood keeps its last good content, and says where it is wrong", async () => {
    await kubernetes.apply(upstream("broken", "a"));
    const follower = await follow({ namespaces: ["broken"] });
    await follower.first;
    await kubernetes.apply(upstream("broken", "a", "eighty"), upstream("broken", "new", "eighty"));
    await follower.until(() => follower.resources.has("Upstream broken/new"));
    const kept = follower.resources.get("Upstream broken/a");
    expect([portOf(kept), kept?.isStale, kept?.problems[0]?.path]).toEqual([80, true, "static.hosts[0].port"]);
    expect(follower.resources.get("Upstream broken/new")?.spec).toBeUndefined();
  });

  test("Pods are read when something chooses by their labels", async () => {
    const namespace = "pods";
    const pod = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name, labels: { v: "1" } },
      spec: { containers: [{ name: "c", image: "i" }] },
    });
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name: "svc" },
      spec: { ports: [{ port: 80 }], selector: { app: "x" } },
    };
    const chosenBy = (name: string, selector: object) => ({
      ...upstream(namespace, name),
      spec: { kube: { serviceName: "svc", serviceNamespace: namespace, servicePort: 80, selector } },
    });
    await kubernetes.apply(pod("p1"), service, chosenBy("discovered", { app: "x" }));
    const follower = await follow({ namespaces: [namespace] });
    await follower.first;
    expect([...follower.resources.keys()].sort()).toEqual(["Service pods/svc", "Upstream pods/discovered"]);
    await kubernetes.apply(chosenBy("a", { v: "1" }));
    await follower.until(() => follower.resources.size > 2);
    // At once with who needs them: without, there would be no endpoints for a moment.
    expect([...follower.resources.keys()].sort()).toEqual([
      "Pod pods/p1",
      "Service pods/svc",
      "Upstream pods/a",
      "Upstream pods/discovered",
    ]);
    await kubernetes.patch("pods", namespace, "p1", { status: { podIP: "10.1.1.9", podIPs: [{ ip: "10.1.1.9" }] } }, "status");
    const status = { phase: "Pending", podIP: "10.1.1.9", podIPs: [{ ip: "10.1.1.9" }] };
    await follower.until(() => JSON.stringify(follower.resources.get("Pod pods/p1")?.spec).includes("10.1.1.9"));
    expect(follower.resources.get("Pod pods/p1")?.spec).toEqual({ status });
  });

  test(
    "an API server that crashes or hangs takes nothing away, and is told; what changed meanwhile comes within 5 s",
    bestOfThree,
    async () => {
      await kubernetes.apply(...several("outage", 8));
      const follower = await follow({ namespaces: ["outage"] });
      await follower.first;
      const changes = () => follower.batches.slice(1).flatMap(({ changes }) => changes);
      for (const [round, fail] of [() => kubernetes.apiServer.kill(), () => kubernetes.apiServer.pause()].entries()) {
        await fail();
        await follower.until(() => follower.findings.some((each) => each.includes("KubernetesUnreachable")));
        expect(follower.source.health()).toMatchObject({ state: "unreachable" });
        if (round === 0) await kubernetes.apiServer.start();
        else kubernetes.apiServer.resume();
        const back = performance.now();
        await kubernetes.apply(upstream("outage", "u0", 9000 + round));
        await follower.until(() => portOf(follower.resources.get("Upstream outage/u0")) === 9000 + round);
        expect(performance.now() - back).toBeLessThan(5000);
        await follower.until(() => follower.findings.length === 0);
        expect(follower.source.health().state).toBe("following");
      }
      expect(changes().map((change) => change.kind)).toEqual(["apply", "apply"]);
    },
  );

  test("etcd away: what was read stays, and changes come when it is back", async () => {
    await kubernetes.apply(...several("etcd", 6));
    const follower = await follow({ namespaces: ["etcd"] });
    await follower.first;
    await kubernetes.etcd.kill();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await kubernetes.etcd.start();
    await expect
      .poll(() =>
        kubernetes.apply(upstream("etcd", "u0", 9000)).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await follower.until(() => portOf(follower.resources.get("Upstream etcd/u0")) === 9000);
    expect(
      follower.batches
        .slice(1)
        .flatMap(({ changes }) => changes)
        .map((change) => change.kind),
    ).toEqual(["apply"]);
  });

  test("a start without an answer: what is remembered is served, or nothing is said at all", bestOfThree, async () => {
    await kubernetes.apply(...several("start", 2));
    const read = await (await sourceOf({ namespaces: ["start"] })).read();
    const all = read.changes.flatMap((change) => (change.kind === "reset" ? change.resources : []));
    const deleted = { ...(all[0] as Resource), key: "Upstream start/gone" as Resource["key"], ref: { namespace: "start", name: "gone" } };
    const remembered: Remembered[] = [...all, deleted].map((resource) => ({ key: resource.key, resource }));
    kubernetes.apiServer.pause();
    const silent = await follow({ namespaces: ["start"] });
    const knowing = await follow({ namespaces: ["start"], remembered, standInAfterMs: 500 });
    try {
      await knowing.first;
      expect([...knowing.resources.keys()].sort()).toEqual(["Upstream start/gone", "Upstream start/u0", "Upstream start/u1"]);
      await knowing.until(() => knowing.findings.some((each) => each.includes("what was in service before the start is served")));
      expect(silent.batches).toEqual([]);
      expect(silent.source.health().state).toBe("starting");
      const leaving = await follow({ namespaces: ["start"] });
      const from = performance.now();
      await leaving.end();
      expect(performance.now() - from).toBeLessThan(1000);
    } finally {
      kubernetes.apiServer.resume();
    }
    await silent.first;
    await knowing.until(() => knowing.resources.size === 2 && knowing.findings.length === 0);
    // What was remembered as it is now is no change.
    expect(
      knowing.batches
        .slice(1)
        .flatMap(({ changes }) => changes)
        .filter(({ kind }) => kind === "delete"),
    ).toHaveLength(1);
    expect(silent.resources.size).toBe(2);
  });

  test("an API server that has just started and does not know its definitions yet is asked once more", async () => {
    await kubernetes.apply(...several("young", 2));
    await using proxy = await startKubeProxy(kubernetes);
    let discoveries = 0;
    const notFound = { status: 404, body: "404 page not found" };
    proxy.behaviour = {
      answer: ({ url }) => {
        if (url === "/readyz") return discoveries > 2 ? undefined : { status: 500, body: "not ready" };
        return url === "/apis/gloo.solo.io/v1" && ++discoveries <= 3 ? notFound : undefined;
      },
    };
    const follower = await follow({ kubeconfig: proxy.kubeconfigPath, namespaces: ["young"] });
    await follower.first;
    expect(follower.resources.size).toBe(2);
    expect(discoveries).toBeGreaterThan(3);
  });

  test("most of what is remembered is missing at the start: it stays until a second look", async () => {
    await kubernetes.apply(...several("restored", 7));
    const read = await (await sourceOf({ namespaces: ["restored"] })).read();
    const all = read.changes.flatMap((change) => (change.kind === "reset" ? change.resources : []));
    const remembered: Remembered[] = all.map((resource) => ({ key: resource.key, resource }));
    for (let i = 1; i < 7; i++) await kubernetes.delete(upstreams, "restored", `u${i}`);
    const follower = await follow({ namespaces: ["restored"], remembered, holdMs: 1000 });
    await follower.first;
    expect(follower.resources.size).toBe(7);
    await follower.until(() =>
      follower.findings.some((each) => each.includes("KubernetesDeletionHeld: 6 of upstreams.gloo.solo.io in restored")),
    );
    await follower.until(() => follower.resources.size === 1 && follower.findings.length === 0);
  });

  /** Rights are believed by the server a moment after they are written. */
  const isAllowed = (token: string, path: string) =>
    expect.poll(async () => (await kubernetes.as(token).request("GET", path)).status).toBe(200);

  test("a right that is lost is named, takes nothing away, and is noticed when it is back", async () => {
    const namespace = "rights";
    const rules = (verbs: string[]) => [
      { apiGroups: ["gloo.solo.io"], resources: ["*"], verbs },
      { apiGroups: ["gateway.solo.io", "enterprise.gloo.solo.io", "ratelimit.solo.io"], resources: ["*"], verbs: ["list", "watch"] },
      { apiGroups: ["", "discovery.k8s.io"], resources: ["services", "endpointslices", "secrets", "configmaps"], verbs: ["list", "watch"] },
    ];
    const role = (verbs: string[]) => ({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { namespace, name: "r" },
      rules: rules(verbs),
    });
    await kubernetes.apply(...several(namespace, 6), role(["list", "watch"]), {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { namespace, name: "r" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
      subjects: [{ kind: "User", name: "gateway" }],
    });
    await isAllowed("gateway-token", `/apis/gloo.solo.io/v1/namespaces/${namespace}/upstreams`);
    const proxy = kubernetes.kubeconfig({ token: "gateway-token" });
    const follower = await follow({ kubeconfig: proxy, namespaces: [namespace] });
    await follower.first;
    expect(follower.resources.size).toBe(6);
    await kubernetes.apply(role(["get"]));
    // A watch that is open goes on; the next one is refused.
    await kubernetes.apiServer.kill();
    await kubernetes.apiServer.start();
    await follower.until(() =>
      follower.findings.some(
        (each) => each.includes('cannot watch resource "upstreams"') || each.includes('cannot list resource "upstreams"'),
      ),
    );
    expect(follower.findings.join()).toContain("error KubernetesDenied");
    await expect.poll(() => follower.source.health().state).toBe("partly");
    await kubernetes.apply(role(["list", "watch"]), upstream(namespace, "u0", 9000));
    await follower.until(() => portOf(follower.resources.get("Upstream rights/u0")) === 9000 && follower.findings.length === 0);
    expect(follower.resources.size).toBe(6);
  });

  test("with the rights that the chart gives, it reads all namespaces, or those it watches", async (context) => {
    const watchNamespaces = ["chart-a", "chart-b"];
    await kubernetes.apply(upstream("chart-a", "a"), upstream("chart-b", "b"), upstream("chart-c", "c"));
    const kubeconfig = kubernetes.kubeconfig({ token: "everywhere-token" });
    await kubernetes.apply(...chartRbac({ user: "everywhere" }));
    await isAllowed("everywhere-token", "/api/v1/namespaces");
    await isAllowed("everywhere-token", "/apis/gloo.solo.io/v1/upstreams");
    const everywhere = await follow({ kubeconfig });
    await everywhere.first;
    expect([...everywhere.resources.keys()]).toEqual(
      expect.arrayContaining(["Upstream chart-a/a", "Upstream chart-c/c", "Namespace /chart-c"]),
    );
    expect(everywhere.source.health()).toMatchObject({ state: "following", faults: [] });
    if (findHelm() === undefined) return context.skip("Helm is not there to render the roles of single namespaces");
    await kubernetes.apply(...chartRbac({ user: "somewhere", values: { watchNamespaces } }));
    const namespaces = [...watchNamespaces, "gloo-system"];
    for (const each of namespaces) await isAllowed("somewhere-token", `/apis/gloo.solo.io/v1/namespaces/${each}/upstreams`);
    const somewhere = await follow({ kubeconfig: kubernetes.kubeconfig({ token: "somewhere-token" }), namespaces });
    await somewhere.first;
    const upstreamKeys = [...somewhere.resources.keys()].filter((key) => key.startsWith("Upstream "));
    expect(upstreamKeys.sort()).toEqual(["Upstream chart-a/a", "Upstream chart-b/b"]);
    expect(somewhere.source.health()).toMatchObject({ state: "following", faults: [] });
  });

  test("one kind that the server cannot answer for is named; the others are followed", async () => {
    await kubernetes.apply(...several("conversion", 2));
    await using proxy = await startKubeProxy(kubernetes);
    const follower = await follow({ kubeconfig: proxy.kubeconfigPath, namespaces: ["conversion"] });
    await follower.first;
    const body = JSON.stringify({ kind: "Status", code: 500, message: "conversion webhook for gloo.solo.io/v1, Kind=Upstream failed" });
    proxy.behaviour = { answer: ({ url }) => (url?.includes("/upstreams?") ? { status: 500, body } : undefined) };
    proxy.cut();
    await follower.until(() =>
      follower.findings.some((each) => each.includes("cannot answer: watch upstreams.gloo.solo.io in conversion: conversion webhook")),
    );
    await expect.poll(() => follower.source.health().state).toBe("partly");
    await kubernetes.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "conversion", name: "map" }, data: { a: "b" } });
    await follower.until(() => follower.resources.size === 3);
    proxy.behaviour = {};
    await follower.until(() => follower.findings.length === 0 && follower.source.health().state === "following");
  });

  test("a definition that is removed takes nothing away; one that comes is noticed", async () => {
    const [definition] = looseDefinitions({ only: ["Upstream"] }) as [{ metadata: { name: string } }];
    await kubernetes.apply(...several("definitions", 8));
    const follower = await follow({ namespaces: ["definitions"], holdMs: 1000, holdAfterMissingMs: 6000 });
    await follower.first;
    await kubernetes.delete("customresourcedefinitions.apiextensions.k8s.io", "", definition.metadata.name);
    await follower.until(() => follower.findings.some((each) => each.includes(`no ${upstreams} any more`)));
    expect(follower.resources.size).toBe(8);
    const late = await follow({ namespaces: ["definitions"] });
    await late.first;
    expect(late.resources.size).toBe(0);
    await kubernetes.apply(definition, ...several("definitions", 7));
    await late.until(() => late.resources.size === 7);
    // One of eight was not brought back.
    await follower.until(() => follower.resources.size === 7 && follower.findings.length === 0);
    const deleted = follower.batches.flatMap(({ changes }) => changes).filter(({ kind }) => kind === "delete");
    expect(deleted).toHaveLength(1);
  });

  test("whoever deletes one object sees it gone at once; whoever deletes all of them, at the second look", async () => {
    await kubernetes.apply(...several("deleting", 8));
    const follower = await follow({ namespaces: ["deleting"], holdMs: 1000 });
    await follower.first;
    await kubernetes.delete(upstreams, "deleting", "u0");
    await follower.until(() => follower.resources.size === 7);
    await kubernetes.request("DELETE", "/apis/gloo.solo.io/v1/namespaces/deleting/upstreams");
    await follower.until(() => follower.findings.some((each) => each.includes("KubernetesDeletionHeld")));
    expect(follower.resources.size).toBe(7);
    await follower.until(() => follower.resources.size === 0 && follower.findings.length === 0);
  });

  test("behind a bad proxy it starts slowly, asks rarely, and misses nothing", async () => {
    await kubernetes.apply(...several("proxy", 5));
    await using proxy = await startKubeProxy(kubernetes);
    const limited = {
      status: 429,
      headers: { "retry-after": "1" },
      body: '{"kind":"Status","reason":"TooManyRequests","message":"slow down"}',
    };
    proxy.behaviour = { answer: () => limited };
    const follower = await follow({ kubeconfig: proxy.kubeconfigPath, namespaces: ["proxy"] });
    await new Promise((resolve) => setTimeout(resolve, 2200));
    // Three questions at most for each list of 4 core kinds, and for discovery, which asks with a backoff of its own.
    expect(proxy.requests.filter((each) => each.includes("/secrets")).length).toBeLessThanOrEqual(3);
    proxy.behaviour = {
      answer: () => ({ status: 502, headers: { "content-type": "text/html" }, body: "<html><h1>Bad Gateway</h1></html>" }),
    };
    await expect.poll(() => follower.source.health().faults.join()).toContain("Bad Gateway");
    proxy.behaviour = { delayMs: 200, bytesPerSecond: 20_000 };
    await follower.first;
    expect(follower.resources.size).toBe(5);
    // Each watch ends after a moment, in the middle of things.
    proxy.behaviour = { cutAfterMs: 150 };
    for (let edit = 0; edit < 40; edit++) {
      const name = `u${edit % 7}`;
      if (edit % 5 === 4) await kubernetes.delete(upstreams, "proxy", name);
      else await kubernetes.apply(upstream("proxy", name, 1000 + edit));
      if (edit === 20) await kubernetes.etcd.compact();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    proxy.behaviour = {};
    const fresh = new Map(
      (await (await sourceOf({ namespaces: ["proxy"] })).read()).changes
        .flatMap((change) => (change.kind === "reset" ? change.resources : []))
        .map((each) => [each.key, each.version]),
    );
    await follower.until(
      () =>
        follower.resources.size === fresh.size && [...fresh].every(([key, version]) => follower.resources.get(key)?.version === version),
    );
  });

  test.skipIf(process.env.HEADWORKS_LONG !== "1")("a list of 20 MB that comes slowly is read once", { timeout: 400_000 }, async () => {
    const namespace = "megabytes";
    await kubernetes.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const path = `/apis/gloo.solo.io/v1/namespaces/${namespace}/upstreams`;
    const note = "x".repeat(10_000);
    const make = async (i: number) => {
      const object = upstream(namespace, `u${i}`);
      const made = await kubernetes.request("POST", path, { ...object, metadata: { ...object.metadata, annotations: { note } } });
      expect(made.status).toBe(201);
    };
    for (let i = 0; i < 2000; i += 20) await Promise.all(Array.from({ length: 20 }, (_, j) => make(i + j)));
    await using proxy = await startKubeProxy(kubernetes);
    proxy.behaviour = { bytesPerSecond: 350_000 };
    const begun = performance.now();
    const follower = await follow({ kubeconfig: proxy.kubeconfigPath, namespaces: [namespace] });
    // It has less patience.
    follower.first.catch(() => undefined);
    const patient = AbortSignal.timeout(300_000);
    while (follower.batches.length === 0 && !patient.aborted) await new Promise((resolve) => setTimeout(resolve, 100));
    const seconds = (performance.now() - begun) / 1000;
    const pages = proxy.requests.filter((each) => each.includes("/upstreams?") && !each.includes("watch="));
    console.log(
      `${follower.resources.size} Upstreams, 20 MB at 350 KB/s: read in ${seconds.toFixed(0)} s, ${pages.length} pages asked for, faults: ${follower.findings.length}`,
    );
    expect(follower.resources.size).toBe(2000);
    expect(seconds).toBeGreaterThan(40);
    expect(pages).toHaveLength(4);
    expect(new Set(pages).size).toBe(4);
    expect(follower.findings).toEqual([]);
    // It goes on from there.
    await kubernetes.apply(upstream(namespace, "u7", 9000));
    await follower.until(() => portOf(follower.resources.get(`Upstream ${namespace}/u7` as Resource["key"])) === 9000);
  });
});

function portOf(resource: Resource | undefined): number | undefined {
  const { upstreamType } = (resource as Resource<"Upstream"> | undefined)?.spec ?? {};
  return upstreamType?.case === "static" ? upstreamType.value.hosts[0]?.port : undefined;
}

function versionOf(
  change: { readonly kind: string; readonly resource?: Resource; readonly resources?: readonly Resource[] },
  key: string,
): string[] {
  const all = change.resource ? [change.resource] : (change.resources ?? []);
  return all.flatMap((resource) => (resource.key === key ? [resource.version] : []));
}
