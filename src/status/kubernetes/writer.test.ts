// Statuses on a real API server: on definitions with the subresource (ours) and without it (Gloo's).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type RunningKubernetes, startKubernetes } from "../../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../../test/servers/kubernetes-binaries.ts";
import { type KubeApi, kubeApi } from "../../lib/kubernetes/api.ts";
import type { ServedType } from "../../lib/kubernetes/object.ts";
import { reflect } from "../../lib/kubernetes/reflector.ts";
import { steady } from "../../lib/testing/eventually.ts";
import { problem } from "../../model/problem.ts";
import { type ResourceKey, resourceKey } from "../../model/ref.ts";
import { statusOf } from "../status.ts";
import type { Verdict } from "./status-object.ts";
import type { StoredObject, StoredObjects } from "./stored.ts";
import { StatusWriter } from "./writer.ts";

const patience = { timeout: 60_000, interval: 20 };
const upstreams = "upstreams.gloo.solo.io";

describe.skipIf(findKubernetes() === undefined)("statuses in a cluster", () => {
  let kubernetes: RunningKubernetes;
  let api: KubeApi;
  beforeAll(async () => {
    kubernetes = await startKubernetes({ users: [{ name: "headworks", token: "us", groups: ["system:masters"] }] });
    api = await kubeApi({ kubeconfig: kubernetes.kubeconfig({ token: "us" }) });
    const definition = readFileSync(join(import.meta.dirname, "../../../deploy/crds/gloo.solo.io_upstreams.yaml"), "utf8");
    await kubernetes.apply(definition, withoutSubresource("gateway.solo.io", "VirtualService", "virtualservices"));
    await kubernetes.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
  });
  afterAll(async () => {
    api?.[Symbol.dispose]();
    await kubernetes?.[Symbol.asyncDispose]();
  });

  /** Says `verdicts` about the objects that there are. */
  const writer = async (
    verdicts: Map<ResourceKey, Verdict>,
    leadership = { isLeader: true },
    namespace = "gloo-system",
    resyncMs?: number,
  ) => {
    const objects = new Mirror();
    const followed = new AbortController();
    const types = [...(await api.discover("gloo.solo.io/v1")), ...(await api.discover("gateway.solo.io/v1"))];
    const following = types.map((type) => objects.follow(api, type, followed.signal));
    await vi.waitFor(() => expect(objects.synced).toBe(types.length), patience);
    const made = new StatusWriter({
      api,
      objects,
      leadership,
      namespace,
      instance: "pod-1",
      ...(resyncMs !== undefined && { resyncMs }),
      log: pino({ level: "silent" }) as never,
      verdicts: { of: (key) => verdicts.get(key), keys: () => verdicts.keys() },
    });
    made.leads(leadership.isLeader);
    return {
      writer: made,
      objects,
      async [Symbol.asyncDispose]() {
        await made[Symbol.asyncDispose]();
        followed.abort();
        await Promise.all(following);
      },
    };
  };
  const writesTo = (name: string) => kubernetes.writes().filter((each) => each.user === "headworks" && each.name === name);

  test("a status is written once, with a condition and the columns' fields, and an event when it is bad", async () => {
    const [made] = await kubernetes.apply(upstream("web"));
    const key = resourceKey("Upstream", { namespace: "shop", name: "web" });
    const bad = { ...verdictOf(key, [problem("error", key, "UpstreamTypeMissing", "it has no type")]), generation: 1 };
    const verdicts = new Map([[key, { ...bad, type: "static" }]]);
    await using run = await writer(verdicts);
    const status = () => kubernetes.get(upstreams, "shop", "web").then((object) => object?.status);
    await vi.waitFor(async () => expect((await status())?.state).toBe("Warning"), patience);
    expect(await status()).toMatchObject({
      type: "static",
      conditions: [{ type: "Accepted", reason: "UpstreamTypeMissing", observedGeneration: 1 }],
      statuses: { "gloo-system": { state: "Warning", reportedBy: "gloo" } },
    });
    const since = (await status())?.conditions[0].lastTransitionTime;
    // What was written comes back through the watch, and says nothing new.
    await vi.waitFor(() => expect(run.objects.stored(key)?.status).toMatchObject({ state: "Warning" }), patience);
    run.writer.note([key]);
    run.writer.leads(true);
    await delay(300);
    expect(writesTo("web").filter(({ resource }) => resource === "upstreams/status")).toHaveLength(1);
    expect((await kubernetes.get(upstreams, "shop", "web"))?.metadata.generation).toBe(made?.metadata.generation);

    verdicts.set(key, { ...verdictOf(key, []), generation: 1, type: "static" });
    run.writer.note([key]);
    await vi.waitFor(async () => expect((await status())?.state).toBe("Accepted"), patience);
    expect((await status())?.conditions).toEqual([
      { type: "Accepted", status: "True", reason: "Accepted", message: "", observedGeneration: 1, lastTransitionTime: since },
    ]);
    await vi.waitFor(async () => {
      const events = await kubernetes.list("events", "shop");
      expect(events.map(({ type, reason }) => `${type} ${reason}`).sort()).toEqual(["Normal Accepted", "Warning UpstreamTypeMissing"]);
      expect(events[0]?.involvedObject).toMatchObject({ kind: "Upstream", name: "web", uid: made?.metadata.uid });
    }, patience);
  });

  test("on Gloo's definitions it is written into the object, and Gloo's own key is taken over", async () => {
    await kubernetes.apply(virtualService("pets"));
    await kubernetes.patch("virtualservices.gateway.solo.io", "shop", "pets", {
      status: {
        statuses: { "gloo-system": { state: 1, reportedBy: "gateway" }, "gloo-other": { state: "Accepted", reportedBy: "gateway" } },
      },
    });
    const key = resourceKey("VirtualService", { namespace: "shop", name: "pets" });
    await using run = await writer(
      new Map([[key, { ...verdictOf(key, [problem("error", key, "DomainConflict", "taken")]), generation: 1 }]]),
    );
    const object = () => kubernetes.get("virtualservices.gateway.solo.io", "shop", "pets");
    await vi.waitFor(async () => expect((await object())?.status.state).toBe("Rejected"), patience);
    const stored = await object();
    expect(stored?.spec).toEqual(virtualService("pets").spec);
    expect(stored?.status.statuses).toMatchObject({ "gloo-system": { state: "Rejected" }, "gloo-other": { state: "Accepted" } });
    expect(stored?.status.conditions[0]).toMatchObject({ status: "False", reason: "DomainConflict" });
    expect(stored?.status.conditions[0].observedGeneration).toBeUndefined();
    // Its own write has made a new generation. That is no reason for another.
    const { writes } = run.writer;
    await delay(500);
    expect(run.writer.writes).toBe(writes);
  });

  test("who does not lead writes nothing, and who begins to lead writes only what is missing", async () => {
    await kubernetes.apply(upstream("done"), upstream("open"));
    const done = resourceKey("Upstream", { namespace: "shop", name: "done" });
    const still = resourceKey("Upstream", { namespace: "shop", name: "open" });
    const verdicts = new Map([done, still].map((key) => [key, { ...verdictOf(key, []), type: "static" }]));
    const first = await writer(new Map([[done, { ...verdictOf(done, []), type: "static" }]]));
    await vi.waitFor(() => expect(first.writer.writes).toBe(1), patience);
    await first[Symbol.asyncDispose]();

    const leadership = { isLeader: false };
    await using follower = await writer(verdicts, leadership);
    follower.writer.note(verdicts.keys());
    await delay(200);
    expect(writesTo("open")).toEqual([]);
    leadership.isLeader = true;
    follower.writer.leads(true);
    await vi.waitFor(() => expect(writesTo("open")).toHaveLength(1), patience);
    await delay(200);
    expect(writesTo("done")).toHaveLength(1);
  });

  test("an object that was deleted meanwhile is not made again", async () => {
    await kubernetes.apply(upstream("gone"));
    const key = resourceKey("Upstream", { namespace: "shop", name: "gone" });
    const verdicts = new Map<ResourceKey, Verdict>();
    await using run = await writer(verdicts);
    const before = run.objects.stored(key);
    await kubernetes.delete(upstreams, "shop", "gone");
    await vi.waitFor(() => expect(run.objects.stored(key)).toBeUndefined(), patience);
    run.objects.pretend(key, before as StoredObject);
    verdicts.set(key, verdictOf(key, []));
    run.writer.note([key]);
    await vi.waitFor(() => expect(writesTo("gone").length).toBeGreaterThan(0), patience);
    expect(await kubernetes.get(upstreams, "shop", "gone")).toBeUndefined();
  });

  test("an object that is being deleted is left alone until it is gone", async () => {
    const { metadata, ...rest } = upstream("vanishing");
    await kubernetes.apply({ ...rest, metadata: { ...metadata, finalizers: ["example.com/slow"] } }, upstream("staying"));
    await kubernetes.delete(upstreams, "shop", "vanishing");
    const keys = ["vanishing", "staying"].map((name) => resourceKey("Upstream", { namespace: "shop", name }));
    await using _run = await writer(new Map(keys.map((key) => [key, verdictOf(key, [])])));
    await vi.waitFor(() => expect(writesTo("staying")).toHaveLength(1), patience);
    await delay(200);
    expect(writesTo("vanishing")).toEqual([]);
    await kubernetes.patch(upstreams, "shop", "vanishing", { metadata: { finalizers: null } });
  });

  test("objects that go with their owner while their statuses are written stay gone, and each is tried at most once more", async () => {
    const count = 60;
    const [owner] = await kubernetes.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "shop", name: "owner" } });
    const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner?.metadata.uid }];
    const owned = <T extends { metadata: object }>(object: T) => ({ ...object, metadata: { ...object.metadata, ownerReferences } });
    const both = Array.from({ length: count }, (_, i) => [owned(upstream(`owned-${i}`)), owned(virtualService(`owned-${i}`))]).flat();
    const made = await kubernetes.apply(...both, upstream("unowned"), virtualService("unowned"));
    const keys = made.map(({ kind, metadata: { name } }) => resourceKey(kind as "Upstream", { namespace: "shop", name }));
    const verdicts = new Map<ResourceKey, Verdict>();
    await using run = await writer(verdicts);
    // Its deletions are seen late, so that writes to what is gone are sure to be tried.
    run.objects.isDeaf = true;
    for (const key of keys) verdicts.set(key, verdictOf(key, [problem("warning", key, "OptionNotSupported", "no")]));
    run.writer.note(keys);
    await vi.waitFor(() => expect(run.writer.writes).toBeGreaterThan(4), patience);
    // As the garbage collector does, which does not run here: the owner, then what it owns, each only if it is this very object.
    await kubernetes.delete("configmaps", "shop", "owner");
    const collect = async ({ apiVersion, kind, metadata: { name, uid } }: (typeof made)[number]) => {
      const path = `/apis/${apiVersion}/namespaces/shop/${kind.toLowerCase()}s/${name}`;
      const { status, body } = await kubernetes.request("DELETE", path, { preconditions: { uid } });
      expect(status, JSON.stringify(body)).toBe(200);
    };
    // The last ones first, so that it is ahead of whoever writes.
    await Promise.all(
      made
        .toReversed()
        .filter(({ metadata }) => metadata.ownerReferences !== undefined)
        .map(collect),
    );
    const statusOf = async (plural: string) => (await kubernetes.get(plural, "shop", "unowned"))?.status?.state;
    await vi.waitFor(async () => expect(await statusOf(upstreams)).toBe("Warning"), patience);
    await vi.waitFor(async () => expect(await statusOf("virtualservices.gateway.solo.io")).toBe("Warning"), patience);

    const tried = () => kubernetes.writes().filter(({ user, name = "" }) => user === "headworks" && /^owned-\d+$/.test(name));
    const inVain = () => tried().filter(({ status }) => status >= 400);
    await vi.waitFor(() => expect(inVain().length).toBeGreaterThan(0), patience);
    expect(new Set(inVain().map(({ status }) => status)).difference(new Set([404, 409]))).toEqual(new Set());
    // The watch has caught up: nothing is tried any more, and nothing was made again.
    run.objects.isDeaf = false;
    for (const key of keys) if (key.includes("/owned-")) run.objects.forget(key);
    const { length } = await steady(() => tried().length, 7_000).then(() => tried());
    expect(length).toBeLessThanOrEqual(keys.length * 2);
    for (const plural of [upstreams, "virtualservices.gateway.solo.io"]) {
      const left = (await kubernetes.list(plural, "shop")).map(({ metadata }) => metadata.name);
      expect(left.filter((name) => name.startsWith("owned-"))).toEqual([]);
    }
  });

  test("an object that was made anew has nothing to do with the one before: its status is written whole, and at once", async () => {
    await kubernetes.apply(upstream("anew"));
    const key = resourceKey("Upstream", { namespace: "shop", name: "anew" });
    await using first = await writer(new Map([[key, verdictOf(key, [])]]));
    await vi.waitFor(() => expect(first.writer.writes).toBe(1), patience);
    const bad = verdictOf(key, [problem("error", key, "UpstreamTypeMissing", "not for us")]);
    await using second = await writer(new Map([[key, bad]]), undefined, "edge");
    await vi.waitFor(() => expect(second.writer.writes).toBe(1), patience);
    await first[Symbol.asyncDispose]();
    // A deletion that nobody has noticed: what comes next is another object of that name.
    second.objects.isDeaf = true;
    await kubernetes.delete(upstreams, "shop", "anew");
    await vi.waitFor(async () => expect(await kubernetes.get(upstreams, "shop", "anew")).toBeUndefined(), patience);
    await kubernetes.apply(upstream("anew"));
    await vi.waitFor(async () => expect((await kubernetes.get(upstreams, "shop", "anew"))?.status?.state).toBe("Warning"), patience);
  });

  test("a fault of ours costs one status, and not the process", async () => {
    await kubernetes.apply(upstream("faulty"), upstream("sound"));
    const [faulty, sound] = ["faulty", "sound"].map((name) => resourceKey("Upstream", { namespace: "shop", name })) as [
      ResourceKey,
      ResourceKey,
    ];
    const { apply } = api;
    vi.spyOn(api, "apply").mockImplementation((type, object, options) =>
      // As of a proxy that answers 200 with nothing.
      object.metadata.name === "faulty" ? Promise.resolve(undefined as never) : apply(type, object, options),
    );
    try {
      await using run = await writer(new Map([faulty, sound].map((key) => [key, verdictOf(key, [])])));
      await vi.waitFor(() => expect(run.writer.writes).toBe(1), patience);
      expect(writesTo("sound")).toHaveLength(1);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test("who may not write asks for a kind, and not for each of its objects", async () => {
    const names = Array.from({ length: 30 }, (_, i) => `denied-${i}`);
    await kubernetes.apply(...names.map(upstream));
    const keys = names.map((name) => resourceKey("Upstream", { namespace: "shop", name }));
    const asked = vi.fn();
    vi.spyOn(api, "apply").mockImplementation((type, object, options) => {
      asked(object.metadata.name);
      // Of a role without the verb: what the API server says to anybody is said here as nobody.
      return anonymous.apply(type, object, options);
    });
    const anonymous = await kubeApi({ kubeconfig: kubernetes.kubeconfig({ token: "unknown" }) });
    try {
      await using run = await writer(new Map(keys.map((key) => [key, verdictOf(key, [])])));
      await vi.waitFor(() => expect(asked).toHaveBeenCalled(), patience);
      await delay(500);
      run.writer.note(keys);
      await delay(500);
      // As many as are under way at the same time.
      expect(asked.mock.calls.length).toBeLessThanOrEqual(8);
    } finally {
      vi.restoreAllMocks();
      anonymous[Symbol.dispose]();
    }
  });

  test("a status that the API server dropped without a word is written in the end", async () => {
    await kubernetes.apply(upstream("dropped"));
    const key = resourceKey("Upstream", { namespace: "shop", name: "dropped" });
    const verdicts = new Map<ResourceKey, Verdict>();
    await using run = await writer(verdicts, undefined, undefined, 500);
    // As while the definitions of Gloo were in place of ours: status is not a subresource, to who has looked before.
    const before = run.objects.stored(key) as StoredObject;
    run.objects.pretend(key, { ...before, type: { ...before.type, hasStatus: false } });
    verdicts.set(key, verdictOf(key, []));
    run.writer.note([key]);
    await vi.waitFor(() => expect(run.writer.writes).toBe(1), patience);
    expect((await kubernetes.get(upstreams, "shop", "dropped"))?.status).toBeUndefined();
    const { resourceVersion } = (await kubernetes.get(upstreams, "shop", "dropped"))?.metadata ?? {};
    run.objects.pretend(key, { ...before, resourceVersion: resourceVersion ?? "" }, true);
    await vi.waitFor(async () => expect((await kubernetes.get(upstreams, "shop", "dropped"))?.status?.state).toBe("Accepted"), patience);
  });

  test("two installations have a key each; what is beside them is the first one's", async () => {
    await kubernetes.apply(upstream("both"));
    const key = resourceKey("Upstream", { namespace: "shop", name: "both" });
    await using first = await writer(new Map([[key, verdictOf(key, [])]]));
    await vi.waitFor(() => expect(first.writer.writes).toBe(1), patience);
    await using second = await writer(
      new Map([[key, verdictOf(key, [problem("error", key, "UpstreamTypeMissing", "not for us")])]]),
      undefined,
      "edge",
    );
    await vi.waitFor(() => expect(second.writer.writes).toBe(1), patience);
    await delay(300);
    const status = (await kubernetes.get(upstreams, "shop", "both"))?.status;
    expect(status).toMatchObject({ state: "Accepted", statuses: { "gloo-system": { state: "Accepted" }, edge: { state: "Warning" } } });
    expect([first.writer.writes, second.writer.writes]).toEqual([1, 1]);
  });

  test("a status that somebody else keeps changing is written at most once in a second, and then more seldom", async () => {
    await kubernetes.apply(upstream("fought"));
    const key = resourceKey("Upstream", { namespace: "shop", name: "fought" });
    await using _run = await writer(new Map([[key, verdictOf(key, [])]]));
    const until = performance.now() + 4_000;
    while (performance.now() < until) {
      await kubernetes.patch(upstreams, "shop", "fought", { status: { statuses: { "gloo-system": { state: "Rejected" } } } }, "status");
      await delay(100);
    }
    const went = writesTo("fought").filter(({ status }) => status === 200).length;
    expect(went).toBeGreaterThan(0);
    // After 0, 1 and 3 seconds; taking it over, the first time, takes two.
    expect(went).toBeLessThanOrEqual(4);
  });

  test("while the API server is away nothing is lost: what is to be said is said when it is back", async () => {
    await kubernetes.apply(upstream("later"));
    const key = resourceKey("Upstream", { namespace: "shop", name: "later" });
    const verdicts = new Map<ResourceKey, Verdict>();
    await using run = await writer(verdicts);
    await kubernetes.apiServer.kill();
    verdicts.set(key, verdictOf(key, [problem("warning", key, "OptionNotSupported", "no")]));
    run.writer.note([key]);
    await delay(500);
    await kubernetes.apiServer.start();
    await vi.waitFor(async () => expect((await kubernetes.get(upstreams, "shop", "later"))?.status?.state).toBe("Warning"), patience);
  });
});

/** The objects of a cluster, as a source has them. */
class Mirror implements StoredObjects {
  readonly #objects = new Map<ResourceKey, StoredObject>();
  readonly #listeners = new Set<(key: ResourceKey) => void>();
  synced = 0;
  /** Deletions are not heard of. */
  isDeaf = false;

  follow(api: KubeApi, type: ServedType, signal: AbortSignal): Promise<void> {
    const keyOf = (ref: { namespace: string; name: string }) => resourceKey(type.kind as "Upstream", ref);
    return reflect(
      api,
      type,
      {
        apply: ({ metadata, status }) => {
          const { namespace = "", name, uid = "", resourceVersion = "" } = metadata;
          const isVanishing = metadata.deletionTimestamp !== undefined;
          this.pretend(keyOf({ namespace, name }), { type, namespace, name, uid, resourceVersion, status, isVanishing });
        },
        delete: (ref) => !this.isDeaf && this.#objects.delete(keyOf(ref)),
        synced: () => this.synced++,
        fault: () => {},
      },
      { signal },
    );
  }
  pretend(key: ResourceKey, object: StoredObject, isSilent = false): void {
    this.#objects.set(key, object);
    if (isSilent) return;
    for (const listener of this.#listeners) listener(key);
  }
  forget(key: ResourceKey): void {
    this.#objects.delete(key);
  }
  stored(key: ResourceKey): StoredObject | undefined {
    return this.#objects.get(key);
  }
  onStored(listener: (key: ResourceKey) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function verdictOf(key: ResourceKey, problems: Verdict["problems"]): Verdict {
  return { status: statusOf(problems, undefined, key.startsWith("Upstream ") ? "Upstream" : "VirtualService"), problems };
}

function upstream(name: string) {
  const spec = { static: { hosts: [{ addr: "127.0.0.1", port: 80 }] } };
  return { apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: { namespace: "shop", name }, spec };
}

function virtualService(name: string) {
  const spec = { virtualHost: { domains: ["pets.example.com"] } };
  return { apiVersion: "gateway.solo.io/v1", kind: "VirtualService", metadata: { namespace: "shop", name }, spec };
}

/** As Gloo's: anything goes, and the status is a part of the object. */
function withoutSubresource(group: string, kind: string, plural: string) {
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: { group, scope: "Namespaced", names: { kind, plural }, versions: [{ name: "v1", served: true, storage: true, schema }] },
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
