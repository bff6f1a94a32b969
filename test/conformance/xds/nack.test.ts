// A refused resource costs itself: who is to blame is found, the rest is delivered, and the refused version is not sent again.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { TestClient } from "./client.ts";
import { CDS, cluster, LDS, listen, RDS, route, serve } from "./fixture.ts";

const named = (name: string) => `Error adding/updating cluster(s) ${name}: it is no good`;
const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("latin1");

/** Answers like an Envoy that refuses every response in which one of the bad resources is, without saying which. */
async function refuseSilently(client: TestClient, isBad: (content: string) => boolean, until: () => boolean): Promise<number> {
  let responses = 0;
  while (!until()) {
    const answer = await client.next();
    responses++;
    if (Object.values(answer.bytes).some((bytes) => isBad(text(bytes) ?? ""))) client.nack(answer, "Invalid duration");
    else client.ack(answer);
  }
  return responses;
}

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("the named resource is refused, those beside it are sent again", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    xds.publish([cluster("bad", "broken"), cluster("good")]);
    client.nack(await client.next(), named("bad"));
    const again = await client.take(CDS);
    expect(again.names).toContain("good");
    expect(again.names).not.toContain("bad");
    expect(xds.refusals).toMatchObject([{ proxy: "ns~proxy", node: "test", resource: { name: "bad" }, message: named("bad") }]);
    expect(await client.rest()).toEqual([]);
  });

  test("a refused version is not sent to anybody until its content changes", async () => {
    await using xds = await serve([cluster("a"), cluster("bad", "broken")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    client.nack(await client.next(), named("bad"));
    await client.take(CDS);
    const other = xds.client({ variant });
    other.subscribe(CDS);
    expect((await other.take(CDS)).names).toEqual(["a"]);
    xds.publish([cluster("bad", "broken")]);
    expect(await other.rest()).toEqual([]);
    xds.publish([cluster("bad", "mended")]);
    expect((await other.take(CDS)).names).toContain("bad");
    expect((await client.take(CDS)).names).toContain("bad");
    expect(xds.refusals).toHaveLength(1);
  });

  test("the last accepted version stays in force, and is what a new client gets", async () => {
    await using xds = await serve([cluster("a", "fine")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    xds.publish([cluster("a", "broken")]);
    client.nack(await client.next(), "whatever");
    expect(await client.rest()).toEqual([]);
    const fresh = xds.client({ variant });
    fresh.subscribe(CDS);
    expect(text((await fresh.take(CDS)).bytes.a)).toContain("fine");
    expect(xds.server.served("ns~proxy")[CDS]?.map(({ version }) => version)).toEqual([cluster("a", "fine").version]);
  });

  test("a client that runs a version keeps it when another refuses it", async () => {
    await using xds = await serve([cluster("a", "one")]);
    const [happy, unhappy] = [xds.client({ variant }), xds.client({ variant })];
    for (const client of [happy, unhappy]) {
      client.subscribe(CDS);
      await client.take(CDS);
    }
    xds.publish([cluster("a", "two")]);
    await happy.take(CDS);
    unhappy.nack(await unhappy.next(), "not here");
    expect(await happy.rest()).toEqual([]);
    expect(await unhappy.rest()).toEqual([]);
    expect(xds.refusals).toMatchObject([{ resource: { name: "a" }, isTaken: true, keepsEarlier: true }]);
    const fresh = xds.client({ variant });
    fresh.subscribe(CDS);
    expect(text((await fresh.take(CDS)).bytes.a)).toContain("two");
  });

  test("a client that refuses even what others accepted is not asked over and over", async () => {
    await using xds = await serve([cluster("a", "one")]);
    const happy = xds.client({ variant });
    happy.subscribe(CDS);
    await happy.take(CDS);
    xds.publish([cluster("a", "two")]);
    happy.nack(await happy.next(), "bad");
    const grumpy = xds.client({ variant });
    grumpy.subscribe(CDS);
    grumpy.nack(await grumpy.next(), "bad");
    expect((await grumpy.rest()).length).toBeLessThanOrEqual(1);
    expect(await happy.rest()).toEqual([]);
  });

  test("when nobody is named, the culprits are found by trying, and all others delivered", async () => {
    const bad = new Set([3, 17]);
    const content = (i: number) => (bad.has(i) ? "broken" : "fine");
    await using xds = await serve([cluster("base")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    xds.publish(Array.from({ length: 32 }, (_, i) => cluster(`c${i}`, content(i))));
    const delivered = () => xds.server.clients()[0]?.types[0]?.resources === 31 && xds.refusals.length === 2;
    const responses = await refuseSilently(client, (bytes) => bytes.includes("broken"), delivered);
    expect(xds.refusals.map(({ resource }) => resource.name).sort()).toEqual(["c17", "c3"]);
    expect(responses).toBeLessThanOrEqual(24);
    expect(await client.rest()).toEqual([]);
  });

  test("a fix that is published while the refusal is on its way is sent, and the refusal is known to be of an older version", async () => {
    await using xds = await serve([]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    xds.publish([cluster("a", "broken")]);
    const refused = await client.next();
    xds.publish([cluster("a", "mended")]);
    client.nack(refused, named("a"));
    expect(text((await client.take(CDS)).bytes.a)).toContain("mended");
    expect(xds.refusals).toMatchObject([{ resource: { name: "a" }, isSuperseded: true }]);
  });

  test("other types on the stream go on", async () => {
    await using xds = await serve([cluster("a"), listen("l"), route("r")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    client.subscribe(LDS);
    await client.take(LDS);
    client.subscribe(RDS, ["r"]);
    await client.take(RDS);
    xds.publish([listen("l", "broken"), route("r", 2)]);
    client.nack(await client.next(), "Error adding/updating listener(s) l: no");
    expect((await client.take(RDS)).names).toEqual(["r"]);
    xds.publish([listen("l", "mended")]);
    expect((await client.take(LDS)).names).toEqual(["l"]);
  });

  test("a refused answer that held nothing is not repeated", async () => {
    await using xds = await serve([]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    client.nack(await client.next(), "odd");
    expect(await client.rest()).toEqual([]);
  });

  test("what a client runs, refused and waits for can be seen", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant, id: "envoy-1" });
    client.subscribe(CDS);
    const first = await client.take(CDS);
    await client.rest();
    const seen = () => xds.server.clients()[0]?.types.find(({ typeUrl }) => typeUrl === CDS);
    expect(xds.server.clients()).toMatchObject([{ node: "envoy-1", proxy: "ns~proxy", variant, service: "ads" }]);
    expect(seen()).toMatchObject({ sentVersion: first.version, ackedVersion: first.version, resources: 1, nacks: 0 });
    expect(seen()?.pendingSince).toBeUndefined();
    xds.publish([cluster("a", 2)]);
    const second = await client.next();
    expect(seen()?.pendingSince).toBeGreaterThan(0);
    client.nack(second, "no");
    await client.rest();
    expect(seen()).toMatchObject({ ackedVersion: first.version, resources: 1, nacks: 1 });
    expect(xds.server.metrics.types[CDS]).toMatchObject({ pushes: 2, acks: 1, nacks: 1 });
  });
});

test("after a refusal the same set comes with another version (state of the world)", async () => {
  await using xds = await serve([listen("a"), listen("b")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(LDS);
  const first = await client.take(LDS);
  xds.publish([listen("a", "broken")], [[LDS, "b"]]);
  client.nack(await client.next(), "Error adding/updating listener(s) a: no");
  // Envoy has removed b and kept a, and still says it is at the first version.
  const repaired = await client.take(LDS);
  expect(repaired.names).toEqual(["a"]);
  xds.publish([listen("a"), listen("b")]);
  const last = await client.take(LDS);
  expect([...last.names].sort()).toEqual(["a", "b"]);
  expect(last.version).not.toBe(first.version);
});

test("a client that comes back with an older version keeps it when it refuses the newest: we do not know what else to give it", async () => {
  await using xds = await serve([cluster("a", "broken")]);
  const client = xds.client({ variant: "delta" });
  client.delta({ typeUrl: CDS, initialResourceVersions: { a: "older" } });
  client.nack(await client.next(), named("a"));
  expect(await client.rest()).toEqual([]);
  expect(xds.refusals).toMatchObject([{ keepsEarlier: true, isTaken: false }]);
});

describe("a listener on another port takes the place of one (delta)", () => {
  const moved = async () => {
    const xds = await serve([listen("l-80")]);
    const client = xds.client({ variant: "delta" });
    client.subscribe(LDS);
    await client.take(LDS);
    xds.publish([listen("l-81")], [[LDS, "l-80"]]);
    const first = await client.next();
    expect([first.names, first.removed]).toEqual([["l-81"], []]);
    return { xds, client, first };
  };

  test("which goes when that is taken", async () => {
    const { xds: fixture, client, first } = await moved();
    await using _xds = fixture;
    client.ack(first);
    expect((await client.take(LDS)).removed).toEqual(["l-80"]);
  });

  test("which goes though others change all the time", async () => {
    const { xds: fixture, client, first } = await moved();
    await using xds = fixture;
    client.ack(first);
    for (let change = 0; change < 6 && !client.answers.some(({ removed }) => removed.includes("l-80")); change++) {
      await delay(500);
      xds.publish([listen("l-81", `r${change}`)]);
      client.ack(await client.next());
    }
    expect(client.answers.flatMap(({ removed }) => removed)).toContain("l-80");
  });

  test("which stays when that is refused, and whoever hears of it wants the old one again", async () => {
    const { xds: fixture, client, first } = await moved();
    await using xds = fixture;
    client.nack(first, "Error adding/updating listener(s) l-81: cannot bind '0.0.0.0:81': Address already in use");
    await client.rest();
    expect(xds.refusals).toHaveLength(1);
    xds.publish([listen("l-80")], [[LDS, "l-81"]]);
    await client.rest();
    expect(client.answers.flatMap(({ removed }) => removed)).not.toContain("l-80");
  });

  test("which goes in the end when that is refused and nobody wants it again", async () => {
    const { xds: fixture, client, first } = await moved();
    await using _xds = fixture;
    client.nack(first, "Error adding/updating listener(s) l-81: cannot bind '0.0.0.0:81': Address already in use");
    expect((await client.take(LDS)).removed).toEqual(["l-80"]);
  });

  test("which keeps its clusters when that is refused, as long as it may be wanted again", async () => {
    await using xds = await serve([cluster("a"), listen("l-80")]);
    const client = xds.client({ variant: "delta" });
    client.subscribe(CDS);
    await client.take(CDS);
    client.subscribe(LDS);
    await client.take(LDS);
    xds.publish(
      [listen("l-81")],
      [
        [LDS, "l-80"],
        [CDS, "a"],
      ],
    );
    client.nack(await client.next(), "Error adding/updating listener(s) l-81: cannot bind '0.0.0.0:81': Address already in use");
    expect(await client.take(LDS)).toMatchObject({ removed: ["l-80"] });
    expect(await client.take(CDS)).toMatchObject({ removed: ["a"] });
  });

  test("in one step on the same port, where two would be in each other's way", async () => {
    await using xds = await serve([listen("l-::-80")]);
    const client = xds.client({ variant: "delta" });
    client.subscribe(LDS);
    await client.take(LDS);
    xds.publish([listen("l-0.0.0.0-80")], [[LDS, "l-::-80"]]);
    const answer = await client.take(LDS);
    expect([answer.names, answer.removed]).toEqual([["l-0.0.0.0-80"], ["l-::-80"]]);
  });

  test("and one that only changed holds nothing back", async () => {
    await using xds = await serve([listen("l-80"), listen("l-81")]);
    const client = xds.client({ variant: "delta" });
    client.subscribe(LDS);
    await client.take(LDS);
    xds.publish([listen("l-81", "other")], [[LDS, "l-80"]]);
    const answer = await client.take(LDS);
    expect([answer.names, answer.removed]).toEqual([["l-81"], ["l-80"]]);
  });

  test("each by itself: what moves to another port waits, what stays on its port does not", async () => {
    await using xds = await serve([listen("l-::-80"), listen("l-81")]);
    const client = xds.client({ variant: "delta" });
    client.subscribe(LDS);
    await client.take(LDS);
    xds.publish(
      [listen("l-0.0.0.0-80"), listen("l-82")],
      [
        [LDS, "l-::-80"],
        [LDS, "l-81"],
      ],
    );
    const first = await client.take(LDS);
    expect([[...first.names].sort(), first.removed]).toEqual([["l-0.0.0.0-80", "l-82"], ["l-::-80"]]);
    expect((await client.take(LDS)).removed).toEqual(["l-81"]);
  });
});
