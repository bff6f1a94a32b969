// Clusters that take long to warm: Envoy withholds its answers about clusters for as long, and reads on meanwhile. What has nothing to
// do with them does not wait.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { freePort } from "../../servers/ports.ts";
import type { Answer, TestClient } from "./client.ts";
import { backend, envoyOn, get, silentBackend, until, withEnvoy } from "./envoy.ts";
import { CDS, cluster, type Fixture, LDS, listen, RDS, route, serve, serveAsShipped } from "./fixture.ts";
import { startLoad } from "./load.ts";
import { edsCluster, endpoints, healthCheckedCluster, listener, routes, staticCluster } from "./resources.ts";

const impatient = { patienceMs: 10 };

const named = (...names: string[]) => `Error adding/updating cluster(s) ${names.join(": no, ")}: no`;
const content = (answer: Answer, name: string) => Buffer.from(answer.bytes[name] ?? []).toString("latin1");

/** Has taken what there was at first. */
async function settled(xds: Fixture, variant: "delta" | "sotw", routeNames: readonly string[] = []): Promise<TestClient> {
  const client = xds.client({ variant });
  client.subscribe(CDS);
  await client.take(CDS);
  client.subscribe(LDS);
  await client.take(LDS);
  if (routeNames.length === 0) return client;
  client.subscribe(RDS, routeNames);
  await client.take(RDS);
  return client;
}

/** Publishes clusters one by one, each when the one before has been sent; their responses, none of them answered. */
async function unanswered(xds: Fixture, client: TestClient, ...clusters: ReturnType<typeof cluster>[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const each of clusters) {
    xds.publish([each]);
    answers.push(await client.next());
  }
  return answers;
}

const ofClusters = (xds: Fixture) => xds.server.clients()[0]?.types.find(({ typeUrl }) => typeUrl === CDS);

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("a response follows one whose answer is slow, and one answer to the last is an answer to all", async () => {
    await using xds = await serve([cluster("a")], impatient);
    const client = await settled(xds, variant);
    const [, , third] = (await unanswered(xds, client, cluster("b"), cluster("c"), cluster("a", 2))) as [Answer, Answer, Answer];
    expect(third.names).toContain("a");
    client.ack(third);
    await client.rest();
    expect(ofClusters(xds)).toMatchObject({ ackedVersion: third.version, resources: 3 });
    expect(ofClusters(xds)?.pendingSince).toBeUndefined();
    client.nack(third, "too late");
    expect(await client.rest()).toEqual([]);
    expect(xds.refusals).toEqual([]);
  });

  test("a client that reads and never answers is sent so many, and the last state when it does answer", async () => {
    await using xds = await serve([cluster("a")], { patienceMs: 1 });
    const client = await settled(xds, variant);
    let content = 2;
    const publish = () => xds.publish([cluster("a", content++)]);
    await until("no more are sent", async () => {
      publish();
      await delay(1);
      return content > 70;
    });
    const sent = client.answers.length;
    expect(sent).toBeGreaterThan(10);
    expect(sent).toBeLessThanOrEqual(34);
    publish();
    await delay(50);
    expect(client.answers).toHaveLength(sent);
    const last = client.answers.at(-1) as Answer;
    while ((await client.next()) !== last);
    client.ack(last);
    expect(Buffer.compare((await client.take(CDS)).bytes.a as Uint8Array, cluster("a", content - 1).bytes)).toBe(0);
  });

  test("what was refused is not in what follows it", async () => {
    await using xds = await serve([cluster("a")], impatient);
    const client = await settled(xds, variant);
    const [first, second] = (await unanswered(xds, client, cluster("bad", "broken"), cluster("b"))) as [Answer, Answer];
    // State of the world says everything again, so it is refused again, for the same reason.
    client.nack(first, named("bad"));
    if (variant === "sotw") client.nack(second, named("bad"));
    else client.ack(second);
    await client.rest();
    xds.publish([cluster("c")]);
    const next = variant === "delta" ? await client.take(CDS) : (client.answers.at(-1) as Answer);
    expect(next.names).not.toContain("bad");
    await client.rest();
    expect(xds.refusals).toMatchObject([{ resource: { name: "bad" }, keepsEarlier: false }]);
  });

  test("a route to a cluster that is new and warming waits for it, another route does not", async () => {
    await using xds = await serve([cluster("a"), listen("l"), route("r"), route("other")], impatient);
    const client = await settled(xds, variant, ["r", "other"]);
    xds.publish([cluster("fresh")]);
    const clusters = await client.next();
    xds.publish([route("r", "to fresh"), route("other", "to a")]);
    expect((await client.take(RDS)).names).toEqual(["other"]);
    await delay(50);
    expect(await client.rest()).toEqual([]);
    client.ack(clusters);
    expect(content(await client.take(RDS), "r")).toContain("to fresh");
  });

  test("a route to a cluster that changed does not wait: the one before it serves while it warms", async () => {
    await using xds = await serve([cluster("a"), listen("l"), route("r")], impatient);
    const client = await settled(xds, variant, ["r"]);
    xds.publish([cluster("a", 2)]);
    await client.next();
    xds.publish([route("r", "to a")]);
    expect((await client.take(RDS)).names).toEqual(["r"]);
  });

  test("a listener that waits for a cluster keeps the one whose place it takes, and routes behind it", async () => {
    await using xds = await serve([cluster("a"), listen("old"), route("r")], impatient);
    const client = await settled(xds, variant, ["r"]);
    xds.publish([cluster("fresh")]);
    const clusters = await client.next();
    xds.publish([listen("new", "to fresh"), route("r", "to a")], [[LDS, "old"]]);
    await delay(50);
    expect(await client.rest()).toEqual([]);
    client.ack(clusters);
    expect((await client.take(LDS)).names).toEqual(["new"]);
    expect((await client.take(RDS)).names).toEqual(["r"]);
  });

  test("a cluster that is gone is taken away only when all others are warm", async () => {
    await using xds = await serve([cluster("a"), cluster("gone"), listen("l"), route("r")], impatient);
    const client = await settled(xds, variant, ["r"]);
    xds.publish([cluster("fresh")], [[CDS, "gone"]]);
    const clusters = await client.next();
    await delay(50);
    expect(await client.rest()).toEqual([]);
    client.ack(clusters);
    const after = await client.take(CDS);
    if (variant === "delta") expect(after.removed).toEqual(["gone"]);
    else expect([...after.names].sort()).toEqual(["a", "fresh"]);
  });
});

test("each refusal belongs to its own response, though it names nobody (delta)", async () => {
  await using xds = await serve([cluster("a")], impatient);
  const client = await settled(xds, "delta");
  const [first, second, third] = await unanswered(xds, client, cluster("b"), cluster("bad", "broken"), cluster("c"));
  client.ack(first as Answer);
  client.nack(second as Answer, "Invalid duration");
  client.ack(third as Answer);
  await client.rest();
  expect(xds.refusals.map(({ resource }) => resource.name)).toEqual(["bad"]);
  expect(ofClusters(xds)).toMatchObject({ resources: 3, nacks: 1 });
});

test("a version refused, mended before the refusal is read: the client has the one before both when that is refused too (delta)", async () => {
  await using xds = await serve([cluster("a", "fine")], impatient);
  const client = await settled(xds, "delta");
  const [first, second] = await unanswered(xds, client, cluster("a", "broken"), cluster("a", "still broken"));
  client.nack(first as Answer, named("a"));
  client.nack(second as Answer, named("a"));
  expect(await client.rest()).toEqual([]);
  expect(xds.refusals).toMatchObject([{ isSuperseded: true, keepsEarlier: true }, { keepsEarlier: true }]);
  xds.publish([cluster("a", "fine")]);
  expect(await client.rest()).toEqual([]);
});

describe("one answer of Envoy to several responses (state of the world)", () => {
  const say = (client: TestClient, answer: Answer, version: string, error: string) =>
    client.sotw({ typeUrl: CDS, responseNonce: answer.nonce, versionInfo: version, errorDetail: { code: 13, message: error } });

  test("at the last version: the error is of one before, and the last is in force", async () => {
    await using xds = await serve([cluster("a")], impatient);
    const client = await settled(xds, "sotw");
    const [first] = await unanswered(xds, client, cluster("b", "broken"));
    xds.publish([cluster("b", "mended")]);
    const second = await client.next();
    expect(second.version).not.toBe(first?.version);
    say(client, second, second.version, named("b"));
    expect(await client.rest()).toEqual([]);
    expect(xds.refusals).toMatchObject([{ resource: cluster("b", "broken"), isSuperseded: true }]);
    expect(ofClusters(xds)).toMatchObject({ ackedVersion: second.version, resources: 2 });
  });

  test("at an earlier version: the one that is named is to blame, in whichever it was", async () => {
    await using xds = await serve([cluster("a")], impatient);
    const client = await settled(xds, "sotw");
    const first = client.answers.find(({ typeUrl }) => typeUrl === CDS) as Answer;
    const [, , last] = await unanswered(xds, client, cluster("b"), cluster("bad", "broken"), cluster("c"));
    say(client, last as Answer, first.version, named("bad"));
    const again = await client.take(CDS);
    expect([...again.names].sort()).toEqual(["a", "b", "c"]);
    expect(await client.rest()).toEqual([]);
    expect(xds.refusals.map(({ resource }) => resource.name)).toEqual(["bad"]);
  });

  test("at an earlier version and naming nobody: the culprit is found by trying", async () => {
    await using xds = await serve([cluster("a")], impatient);
    const client = await settled(xds, "sotw");
    const first = client.answers.find(({ typeUrl }) => typeUrl === CDS) as Answer;
    const [, , last] = await unanswered(xds, client, cluster("b"), cluster("bad", "broken"), cluster("c"));
    say(client, last as Answer, first.version, "Invalid duration");
    let newest = last as Answer;
    for (let i = 0; i < 10 && (xds.refusals.length === 0 || !newest.names.includes("c") || newest.names.includes("bad")); i++) {
      newest = await client.next();
      if (newest.names.includes("bad")) client.nack(newest, "Invalid duration");
      else client.ack(newest);
    }
    expect([...newest.names].sort()).toEqual(["a", "b", "c"]);
    expect(await client.rest()).toEqual([]);
    expect(xds.refusals.map(({ resource }) => resource.name)).toEqual(["bad"]);
  });
});

withEnvoy("Envoy", () => {
  const name = "%s: an Upstream that warms for long freezes no other, and each refusal meanwhile finds its cause";
  test.concurrent.each(["delta", "sotw"] as const)(name, async (variant) => {
    using one = await backend("one");
    using silent = await silentBackend();
    const port = await freePort();
    await using xds = await serveAsShipped([
      edsCluster("a"),
      endpoints("a", [one.port]),
      routes("r", { "/": "a" }),
      listener("l", port, "r"),
    ]);
    await using envoy = await envoyOn(xds.address, { variant });
    await until("first answer", async () => (await get(port))?.body === "one");
    const active = async (text: string) => (await envoy.admin("/config_dump?resource=dynamic_active_clusters")).includes(text);
    const routed = async (text: string) => (await envoy.admin("/config_dump?resource=dynamic_route_configs")).includes(text);
    const load = startLoad(port, ["/"], 2, (_, status) => (status === 200 ? undefined : `${status}`));

    // It warms until its only host is gone.
    xds.publish([healthCheckedCluster("slow", silent.port, 300_000)]);
    await until("it warms", async () => (await envoy.admin("/config_dump?resource=dynamic_warming_clusters")).includes('"slow"'));
    const before = performance.now();
    xds.publish([edsCluster("a", 2000)]);
    await until("another Upstream's edit", () => active('"2s"'), 10_000);
    const cluster = performance.now() - before;
    xds.publish([routes("r", { "/x": "a", "/": "a" })]);
    await until("another route", () => routed('"/x"'), 10_000);
    console.log(
      `${variant}: live after ${cluster.toFixed(0)} ms, a route after ${(performance.now() - before - cluster).toFixed(0)} ms more`,
    );

    xds.publish([staticCluster("bad", 80, "foo.bar")]);
    const pushes = xds.server.metrics.types[CDS]?.pushes ?? 0;
    await until("it is sent", () => (xds.server.metrics.types[CDS]?.pushes ?? 0) > pushes);
    xds.publish([staticCluster("good", one.port), routes("r", { "/s": "slow", "/x": "a", "/": "a" })]);
    await until("what came after what is bad", () => active('"good"'));
    expect(await routed('"/s"')).toBe(false);
    expect(await active('"slow"')).toBe(false);

    silent[Symbol.dispose]();
    await until("warm", () => active('"slow"'));
    await until("its route", () => routed('"/s"'));
    await until("all is answered", () => xds.server.clients()[0]?.types.every(({ pendingSince }) => pendingSince === undefined) ?? false);
    expect(xds.refusals.map(({ resource }) => resource.name)).toEqual(["bad"]);
    expect(await active('"good"')).toBe(true);
    expect((await load.stop()).failures).toEqual([]);
  });
});
