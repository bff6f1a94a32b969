// What a cluster's users see of their objects, and who writes it where there are several replicas.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { steady } from "../../src/lib/testing/eventually.ts";
import { freePorts } from "../servers/ports.ts";
import { type Cluster, cluster, hasKubernetes, startOn } from "./cluster.ts";
import { backend, object, until, untilAnswers, upstream, virtualService } from "./gateway.ts";
import type { Running } from "./headworks.ts";

const services = "virtualservices.gateway.solo.io";

describe.skipIf(!hasKubernetes)("statuses of a cluster", () => {
  let on: Cluster;
  beforeAll(async () => {
    on = await cluster({ users: ["one", "two", "idle"].map((name) => ({ name, token: `${name}-token`, groups: ["system:masters"] })) });
  });
  afterAll(() => on?.[Symbol.asyncDispose]());

  /** A replica that is known by its user, on ports of its own. */
  const replica = async (user: string, ...args: string[]): Promise<Running> => {
    const [admin = 0] = await freePorts(1);
    const kubeconfig = on.kubernetes.kubeconfig({ token: `${user}-token` });
    const running = startOn(on, "--kubeconfig", kubeconfig, "--proxy", "none", "--admin", `127.0.0.1:${admin}`, ...args);
    await running.said(/ ready {2}/);
    return running;
  };
  const statusOf = (name: string) => on.kubernetes.get(services, "gloo-system", name).then((found) => found?.status);
  const writesOf = (user: string) => on.kubernetes.writes().filter((each) => each.user === user && each.resource !== "leases");

  test("a typo and a missing Upstream are seen on the object, and what mends them too; an idle cluster is left in peace", async () => {
    const { kubernetes } = on;
    await using web = await backend("web");
    await kubernetes.apply(
      upstream("web", web.port),
      virtualService("good", "web"),
      virtualService("lost", "nowhere"),
      object("VirtualService", "typo", {
        virtualHost: { domains: ["typo.test"], routes: [{ directResponseAction: { status: 200 }, options: { timeout: "soon" } }] },
      }),
    );
    await using running = await replica("one", "--xds", "127.0.0.1:0");
    const states = () => Promise.all(["good", "lost", "typo"].map(async (name) => (await statusOf(name))?.state));
    await until("statuses", async () => (await states()).join() === "Accepted,Warning,Rejected");
    expect(await statusOf("good")).toMatchObject({
      state: "Accepted",
      conditions: [{ type: "Accepted", status: "True", reason: "Accepted", observedGeneration: 1 }],
      statuses: { "gloo-system": { state: "Accepted", reportedBy: "gloo" } },
    });
    expect((await statusOf("lost")).conditions[0].message).toMatch(/^HW\d{4} .*nowhere/);
    await kubernetes.apply(virtualService("lost", "web"));
    await until("mended", async () => (await statusOf("lost"))?.state === "Accepted");
    expect((await statusOf("lost")).conditions[0].observedGeneration).toBe(2);
    const reasons = async () =>
      (await kubernetes.list("events", "gloo-system")).map(({ involvedObject, type }) => `${involvedObject.name} ${type}`);
    await until("events", async () => (await reasons()).includes("lost Normal"));
    expect(await reasons()).toEqual(expect.arrayContaining(["lost Warning", "typo Warning", "lost Normal"]));

    // What is written is logged a moment later.
    const before = await steady(() => writesOf("one").length, 1_000);
    await delay(3_000);
    expect(writesOf("one")).toHaveLength(before);

    running.process.kill("SIGTERM");
    await running.ended;
    const lease = await kubernetes.get("leases.coordination.k8s.io", "gloo-system", "headworks");
    expect(lease?.spec.holderIdentity ?? "").toBe("");
  });

  test("in a namespace that is deleted, and of an object of a megabyte, statuses are written as everywhere, and nothing is made anew", async () => {
    const { kubernetes, port } = on;
    await using web = await backend("web");
    const namespace = "leaving";
    const place = (name: string) => ({ metadata: { name, namespace } });
    // As much as etcd takes in one object, or nearly.
    const route = { routeAction: { single: { upstream: { name: "web", namespace: "gloo-system" } } } };
    const routes = Array.from({ length: 6_000 }, (_, i) => ({ matchers: [{ prefix: `/${i}/${"x".repeat(20)}` }], ...route }));
    const large = object("VirtualService", "large", { virtualHost: { domains: ["large.test"], routes } });
    expect(JSON.stringify(large).length).toBeGreaterThan(700_000);
    await kubernetes.apply(
      upstream("web", web.port),
      { ...virtualService("stays", "web"), ...place("stays") },
      { ...virtualService("goes", "web"), ...place("goes") },
    );
    // managedFields would be as large as the object once more: made, and not applied.
    const made = await kubernetes.request("POST", "/apis/gateway.solo.io/v1/namespaces/gloo-system/virtualservices?fieldManager=t", large);
    expect(made.status, JSON.stringify(made.body).slice(0, 300)).toBe(201);
    const [admin = 0] = await freePorts(1);
    const kubeconfig = on.kubernetes.kubeconfig({ token: "one-token" });
    await using running = startOn(on, "--kubeconfig", kubeconfig, "--proxy", "embedded", "--admin", `127.0.0.1:${admin}`);
    await running.said(/ ready {2}/);
    const stateIn = async (name: string) => (await kubernetes.get(services, namespace, name))?.status?.state;
    await until("statuses", async () => (await stateIn("stays")) === "Accepted" && (await stateIn("goes")) === "Accepted", 40_000);
    await until("the status of the large one", async () => (await statusOf("large"))?.state === "Accepted");
    await untilAnswers(port, "large.test", `web /5999/${"x".repeat(20)}`, `/5999/${"x".repeat(20)}`);

    // Nobody empties it here: it stays as it is, and nothing new may be made in it.
    await kubernetes.delete("namespaces", "", namespace);
    const before = kubernetes.writes().length;
    await kubernetes.delete(services, namespace, "goes");
    await kubernetes.delete("upstreams.gloo.solo.io", "gloo-system", "web");
    await until("it is said all the same", async () => (await stateIn("stays")) === "Warning");
    await delay(1_500);
    const writes = kubernetes.writes().slice(before);
    expect(writes.filter(({ name }) => name === "goes")).toEqual([]);
    expect(writes.filter((each) => each.resource === "virtualservices/status" && each.name === "stays")).toHaveLength(1);
    expect(writes.filter((each) => each.resource === "events" && each.namespace === namespace).length).toBeLessThanOrEqual(1);
    expect(running.stderr()).not.toMatch(/fault of ours|cannot be written/);
    await kubernetes.delete(services, "gloo-system", "large");
    // The Lease is free for the next one.
    running.process.kill("SIGTERM");
    await running.ended;
  }, 120_000);

  test("after a restart nothing is written that is there already", async () => {
    await using _running = await replica("idle", "--xds", "127.0.0.1:0");
    await until("a leader", () => on.kubernetes.writes().some(({ user, resource }) => user === "idle" && resource === "leases"));
    await delay(1_500);
    expect(writesOf("idle")).toEqual([]);
  });

  test("of two replicas one writes; when it is killed the other takes over, and goes on serving all the while", async () => {
    const { kubernetes, port } = on;
    await using web = await backend("web");
    await kubernetes.apply(upstream("web", web.port), virtualService("good", "web"));
    await using one = await replica("one", "--xds", "127.0.0.1:0");
    const leads = async (user: string) => {
      const lease = await kubernetes.get("leases.coordination.k8s.io", "gloo-system", "headworks");
      const last = kubernetes.writes().findLast(({ resource }) => resource === "leases");
      return lease?.spec.holderIdentity !== "" && last?.user === user;
    };
    await until("one leads", () => leads("one"));
    const [admin = 0] = await freePorts(1);
    const kubeconfig = kubernetes.kubeconfig({ token: "two-token" });
    await using two = startOn(on, "--kubeconfig", kubeconfig, "--proxy", "embedded", "--admin", `127.0.0.1:${admin}`);
    await two.said(/ ready {2}/);
    await untilAnswers(port, "good.test", "web /");
    await kubernetes.apply(virtualService("good", "nowhere"));
    await until("a status", async () => (await statusOf("good"))?.state === "Warning");
    expect(writesOf("two")).toEqual([]);
    one.process.kill("SIGKILL");
    await kubernetes.apply(virtualService("good", "web"));
    await untilAnswers(port, "good.test", "web /");
    await until("the other one writes", async () => (await statusOf("good"))?.state === "Accepted");
    await until("it is logged", () => writesOf("two").length > 0);
  });

  test.skipIf(process.env.HEADWORKS_LONG !== "1")(
    "a leader that is stopped for a minute follows when it wakes, and has written nothing meanwhile",
    async () => {
      const { kubernetes } = on;
      await using web = await backend("web");
      await kubernetes.apply(upstream("web", web.port), virtualService("good", "web"));
      await using one = await replica("one", "--xds", "127.0.0.1:0");
      const lastLease = () => kubernetes.writes().findLast(({ resource, status }) => resource === "leases" && status < 300)?.user;
      await until("one leads", () => lastLease() === "one", 30_000);
      await using two = await replica("two", "--xds", "127.0.0.1:0");
      await until("statuses", async () => (await statusOf("good"))?.state === "Accepted", 30_000);
      one.process.kill("SIGSTOP");
      const stopped = performance.now();
      const before = kubernetes.writes().filter(({ user }) => user === "one").length;
      await until("two leads", () => lastLease() === "two", 40_000);
      expect(performance.now() - stopped).toBeLessThan(20_000);
      await kubernetes.apply(virtualService("good", "nowhere"));
      await until("two writes", async () => (await statusOf("good"))?.state === "Warning", 30_000);
      await delay(60_000 - (performance.now() - stopped));
      one.process.kill("SIGCONT");
      await until("one follows", () => one.stderr().includes("another replica writes statuses, or none can"), 30_000);
      await delay(5_000);
      expect(writesOf("one").slice(before)).toEqual([]);
      expect([one.process.exitCode, two.process.exitCode]).toEqual([null, null]);
      expect(lastLease()).toBe("two");
    },
    180_000,
  );

  test("with --read-only nothing at all is written", async () => {
    await on.kubernetes.apply(virtualService("unseen", "nowhere"));
    const before = await steady(() => on.kubernetes.writes().length);
    await using _running = await replica("idle", "--xds", "127.0.0.1:0", "--read-only");
    await delay(2_000);
    expect(on.kubernetes.writes()).toHaveLength(before);
    expect(await statusOf("unseen")).toBeUndefined();
  });
});
