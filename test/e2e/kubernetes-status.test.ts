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

  test("with --read-only nothing at all is written", async () => {
    await on.kubernetes.apply(virtualService("unseen", "nowhere"));
    const before = await steady(() => on.kubernetes.writes().length);
    await using _running = await replica("idle", "--xds", "127.0.0.1:0", "--read-only");
    await delay(2_000);
    expect(on.kubernetes.writes()).toHaveLength(before);
    expect(await statusOf("unseen")).toBeUndefined();
  });
});
