// Discovery of Upstreams from Services, on a real API server: what is found is written, what users say of it is kept, and the recorded
// cases come to what Gloo makes of them, step by step.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { loadAll } from "js-yaml";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { upstreamWriterOn } from "../../src/discovery/kubernetes-api.ts";
import { Flow } from "../../src/flow/flow.ts";
import { writeDiscovered } from "../../src/flow/written.ts";
import { SettingsSchema } from "../../src/gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { type KubeApi, kubeApi } from "../../src/lib/kubernetes/api.ts";
import type { ResourceType } from "../../src/lib/kubernetes/object.ts";
import { reflect } from "../../src/lib/kubernetes/reflector.ts";
import { steady } from "../../src/lib/testing/eventually.ts";
import { resourceKey } from "../../src/model/ref.ts";
import { readText } from "../../src/sources/read-text.ts";
import { corpusFolder, readCases } from "../corpus/cases.ts";
import { type RunningKubernetes, startKubernetes } from "../servers/kubernetes.ts";
import { findKubernetes } from "../servers/kubernetes-binaries.ts";
import type { KubeObject } from "../servers/kubernetes-client.ts";

const isMissing = findKubernetes() === undefined;
if (isMissing && process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("these tests need a kube-apiserver and etcd");
if (isMissing) console.warn("SKIPPED: discovery in Kubernetes needs a kube-apiserver and etcd");

const services: ResourceType = { group: "", version: "v1", plural: "services", kind: "Service", isNamespaced: true };
const upstreams: ResourceType = { group: "gloo.solo.io", version: "v1", plural: "upstreams", kind: "Upstream", isNamespaced: true };

/** As Gloo's own: anything goes, and `status` is no subresource. */
const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "upstreams.gloo.solo.io" },
  spec: {
    group: "gloo.solo.io",
    scope: "Namespaced",
    names: { kind: "Upstream", listKind: "UpstreamList", plural: "upstreams", singular: "upstream" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};

const folder = corpusFolder(join(import.meta.dirname, "../.."));
const cases = folder === undefined ? [] : readCases(folder, ["discovery/uds-"]);

describe.skipIf(isMissing)("Upstreams of Services in a cluster", () => {
  let kubernetes: RunningKubernetes;
  let api: KubeApi;
  const ended: AbortController[] = [];
  const namespaces = ["shop", "billing", "gloo-system", "kube-system", "kube-public"];

  beforeAll(async () => {
    kubernetes = await startKubernetes({ users: [{ name: "limited", token: "limited-token" }] });
    await kubernetes.apply(definition, ...namespaces.map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })));
    api = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath });
  });

  afterEach(async () => {
    for (const each of ended.splice(0)) each.abort();
    for (const kind of ["services", "upstreams.gloo.solo.io"])
      for (const { metadata } of await kubernetes.list(kind))
        if (metadata.namespace !== "default") await kubernetes.delete(kind, metadata.namespace ?? "", metadata.name);
  });

  afterAll(async () => {
    api?.[Symbol.dispose]();
    await kubernetes?.[Symbol.asyncDispose]();
  });

  /** A control plane's flow that follows the cluster and writes to it. */
  async function follow(settings: JsonObject = {}, options: { readonly holdMs?: number } = {}, writer = api) {
    const run = new AbortController();
    ended.push(run);
    const flow = new Flow(builtins);
    const log: string[] = [];
    const note = (fields: object, message: string) => log.push(`${message} ${JSON.stringify(fields)}`);
    const ref = { namespace: "gloo-system", name: "default" };
    const applySettings = (json: JsonObject) =>
      flow.graph.batch(() =>
        flow.apply("test", {
          kind: "Settings",
          key: resourceKey("Settings", ref),
          ref,
          labels: {},
          annotations: {},
          spec: fromJson(SettingsSchema, json),
          version: JSON.stringify(json),
          problems: [],
          origin: { source: "kubernetes" },
        }),
      );
    applySettings(settings);
    const synced = [services, upstreams].map((type) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const sink = {
        apply(object: object) {
          flow.graph.batch(() => {
            for (const each of readText(JSON.stringify(object), "object").resources) flow.apply("kubernetes", each);
          });
        },
        delete: (gone: { namespace: string; name: string }) =>
          void flow.graph.batch(() => flow.delete("kubernetes", resourceKey(type.kind, gone))),
        synced: resolve,
        fault: () => undefined,
      };
      void reflect(api, type, sink, { signal: run.signal });
      return promise;
    });
    await Promise.all(synced);
    const write = () =>
      writeDiscovered({
        flow,
        writer: upstreamWriterOn(writer, { isLeader: true }),
        signal: run.signal,
        log: { debug: note, info: note, warn: note, error: note },
        byDefault: true,
        ...options,
      });
    return { flow, log, run, write, applySettings };
  }

  /** Of the tests' own Services, as the recordings show them. */
  async function written(): Promise<JsonObject[]> {
    const all = await kubernetes.list("upstreams.gloo.solo.io");
    return all
      .filter(({ metadata }) => !metadata.name.startsWith("default-"))
      .map(({ metadata: { name, namespace, labels, annotations }, spec }) => ({
        metadata: { name, namespace, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) } as unknown as JsonObject,
        spec,
      }))
      .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  /** Waits for it, and looks again a moment later. */
  async function become(expected: readonly unknown[]) {
    for (let tries = 0; tries < 2_000 && JSON.stringify(sorted(await written())) !== JSON.stringify(sorted(expected)); tries++)
      await delay(25);
    expect(await written()).toEqual(expected);
    await delay(150);
    expect(await written()).toEqual(expected);
  }

  const till = (more: JsonObject = {}): JsonObject => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "till", namespace: "shop", ...((more.metadata as JsonObject) ?? {}) },
    spec: { ports: [{ name: "web", port: 80 }] },
  });
  const upstreamOf = async (name: string) => (await written()).find((each) => nameOf(each) === name);
  const eventually = async (check: () => Promise<void>) => {
    for (let tries = 0; ; tries++) {
      try {
        return await check();
      } catch (error) {
        if (tries > 2_000) throw error;
        await delay(25);
      }
    }
  };

  test.each(cases.map((each) => [each.id, each] as const))("%s", async (id, each) => {
    const file = join(folder ?? "", "cases", id, "steps.yaml");
    const steps = existsSync(file) ? (loadAll(readFileSync(file, "utf8")) as { verb: string; object: KubeObject }[]) : [];
    const expected = each.expected as unknown as Record<string, { upstreams: JsonObject[] } | undefined>;
    await kubernetes.apply(each.input);
    const running = await follow(each.settings.spec as JsonObject);
    running.write();
    await become(expected.afterApply?.upstreams ?? []);
    for (const [i, { verb, object }] of steps.entries()) {
      const { kind, metadata, ...rest } = object;
      const [resource, namespace] = [kind === "Upstream" ? "upstreams.gloo.solo.io" : "services", metadata.namespace ?? ""];
      if (verb === "DELETE") await kubernetes.delete(resource, namespace, metadata.name);
      else await kubernetes.patch(resource, namespace, metadata.name, { ...rest, metadata });
      await become(expected[`afterStep${i + 1}`]?.upstreams ?? []);
    }
    expect(running.log.filter((line) => /a fault of ours|refuses/.test(line))).toEqual([]);
  });

  test("there are recorded cases", () => {
    if (folder !== undefined) expect(cases.length).toBeGreaterThan(5);
  });

  test("what a user writes of a discovered Upstream stays, also when the Service changes; an Upstream of their own is left alone", async () => {
    const own = { apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: { name: "shop-till-81", namespace: "gloo-system" } };
    await kubernetes.apply({ ...own, spec: { static: { hosts: [{ addr: "192.0.2.1", port: 80 }] } } }, till());
    (await follow()).write();
    await eventually(async () => expect(await upstreamOf("shop-till-80")).toBeDefined());
    await kubernetes.patch("upstreams.gloo.solo.io", "gloo-system", "shop-till-80", {
      metadata: { annotations: { owner: "me" } },
      spec: { circuitBreakers: { maxConnections: 7 } },
    });
    const ports = [
      { name: "http2", port: 80 },
      { name: "b", port: 81 },
    ];
    await kubernetes.patch("services", "shop", "till", { metadata: { labels: { team: "x" } }, spec: { ports } });
    await eventually(async () => {
      expect(await upstreamOf("shop-till-80")).toMatchObject({
        metadata: { annotations: { owner: "me" } },
        spec: {
          useHttp2: true,
          discoveryMetadata: { labels: { team: "x" } },
          circuitBreakers: { maxConnections: 7 },
        },
      });
    });
    await kubernetes.delete("services", "shop", "till");
    await eventually(async () => expect(await upstreamOf("shop-till-80")).toBeUndefined());
    expect(await upstreamOf("shop-till-81")).toMatchObject({ spec: { static: {} } });
  });

  test("a right to write that is missing is said once, and all is made good when it is given", async () => {
    await kubernetes.apply(...[1, 2, 3].map((i) => ({ ...till(), metadata: { name: `s${i}`, namespace: "shop" } })));
    using limited = await kubeApi({ kubeconfig: kubernetes.kubeconfig({ token: "limited-token" }) });
    const running = await follow({}, {}, limited);
    running.write();
    await eventually(async () => expect(running.log.join()).toContain("may not write Upstreams"));
    const metadata = { name: "limited" };
    const rules = [{ apiGroups: ["gloo.solo.io"], resources: ["upstreams"], verbs: ["create", "get", "patch", "delete"] }];
    const [apiGroup, apiVersion] = ["rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1"];
    const roleRef = { apiGroup, kind: "ClusterRole", name: "limited" };
    await kubernetes.apply(
      { apiVersion, kind: "ClusterRole", metadata, rules },
      { apiVersion, kind: "ClusterRoleBinding", metadata, roleRef, subjects: [{ apiGroup, kind: "User", name: "limited" }] },
    );
    await eventually(async () => expect(await written()).toHaveLength(3));
    expect(running.log.filter((line) => line.includes("may not write"))).toHaveLength(1);
  });

  test("a restart without anything new writes nothing", async () => {
    await kubernetes.apply(till());
    const first = await follow();
    first.write();
    await eventually(async () => expect(await upstreamOf("shop-till-80")).toBeDefined());
    await eventually(async () => expect(first.flow.inputs.given.Upstream.get("Upstream gloo-system/shop-till-80")).toBeDefined());
    first.run.abort();
    const before = await steady(() => kubernetes.writes({ withAdmin: true }).length);
    const second = await follow();
    second.write();
    await delay(300);
    expect(kubernetes.writes({ withAdmin: true }).length).toBe(before);
    expect(second.log).toEqual([]);
  });

  test("most objects without a Service, right after a start, stay for a while; then they go", async () => {
    await kubernetes.apply(...Array.from({ length: 8 }, (_, i) => ({ ...till(), metadata: { name: `s${i}`, namespace: "shop" } })));
    const first = await follow();
    first.write();
    await eventually(async () => expect(await written()).toHaveLength(8));
    first.run.abort();
    for (let i = 0; i < 8; i++) await kubernetes.delete("services", "shop", `s${i}`);
    const second = await follow({}, { holdMs: 5000 });
    second.write();
    await eventually(async () => expect(second.log.join()).toContain("have no Service now"));
    expect(await written()).toHaveLength(8);
    await eventually(async () => expect(await written()).toHaveLength(0));
  });

  test("discovery that Settings turn off stops writing and removes nothing; turned on, it catches up", async () => {
    await kubernetes.apply(till());
    const running = await follow();
    running.write();
    await eventually(async () => expect(await upstreamOf("shop-till-80")).toBeDefined());
    running.applySettings({ discovery: { udsOptions: { enabled: false } } });
    await kubernetes.delete("services", "shop", "till");
    await eventually(async () => expect(running.flow.inputs.given.Service.get("Service shop/till")).toBeUndefined());
    await delay(200);
    expect(await upstreamOf("shop-till-80")).toBeDefined();
    running.applySettings({ discovery: { udsOptions: { enabled: true } } });
    await eventually(async () => expect(await upstreamOf("shop-till-80")).toBeUndefined());
  });
});

function nameOf(object: JsonObject): string {
  return String((object.metadata as JsonObject).name);
}

/** With the keys of objects in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
