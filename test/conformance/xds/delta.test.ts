// What only the incremental variant does.
import { expect, test } from "vitest";
import { assignment, CDS, cluster, EDS, LDS, listen, RDS, route, serve } from "./fixture.ts";

test("only what changed is sent, with the version of its bytes", async () => {
  await using xds = await serve([cluster("a"), cluster("b")]);
  const client = xds.client();
  client.subscribe(CDS);
  const first = await client.take(CDS);
  xds.publish([cluster("a"), cluster("b", 2)]);
  const second = await client.take(CDS);
  expect(second.names).toEqual(["b"]);
  expect(second.versions.b).toBe(cluster("b", 2).version);
  expect(second.versions.b).not.toBe(first.versions.b);
});

test("what is gone is removed by name", async () => {
  await using xds = await serve([cluster("a"), cluster("b")]);
  const client = xds.client();
  client.subscribe(CDS);
  await client.take(CDS);
  xds.publish([], [[CDS, "a"]]);
  expect(await client.take(CDS)).toMatchObject({ names: [], removed: ["a"] });
});

test("a name that does not exist is said to be removed, at once and once", async () => {
  await using xds = await serve([assignment("a")]);
  const client = xds.client();
  client.subscribe(EDS, ["a", "none"]);
  expect(await client.take(EDS)).toMatchObject({ names: ["a"], removed: ["none"] });
  xds.publish([assignment("a", 2)]);
  expect(await client.take(EDS)).toMatchObject({ names: ["a"], removed: [] });
});

test("asking again for a name that one has brings it again: the client may have forgotten it", async () => {
  await using xds = await serve([assignment("a"), assignment("b")]);
  const client = xds.client();
  client.subscribe(EDS, ["a", "b"]);
  await client.take(EDS);
  client.subscribe(EDS, ["a"]);
  expect((await client.take(EDS)).names).toEqual(["a"]);
});

test("a change of subscription counts though its nonce is stale, unknown or empty", async () => {
  await using xds = await serve([assignment("a"), assignment("b"), assignment("c"), assignment("d")]);
  const client = xds.client();
  client.subscribe(EDS, ["a"]);
  const first = await client.take(EDS);
  client.delta({ typeUrl: EDS, resourceNamesSubscribe: ["b"] });
  expect((await client.take(EDS)).names).toEqual(["b"]);
  client.delta({ typeUrl: EDS, resourceNamesSubscribe: ["c"], responseNonce: first.nonce });
  expect((await client.take(EDS)).names).toEqual(["c"]);
  client.delta({ typeUrl: EDS, resourceNamesSubscribe: ["d"], responseNonce: "never sent" });
  expect((await client.take(EDS)).names).toEqual(["d"]);
});

test("a stale nonce acknowledges nothing", async () => {
  await using xds = await serve([cluster("a")]);
  const client = xds.client();
  client.subscribe(CDS);
  const first = await client.take(CDS);
  xds.publish([cluster("a", 2)]);
  const second = await client.next();
  client.ack(first);
  client.nack(first, "too late");
  xds.publish([cluster("a", 3)]);
  expect(await client.rest()).toEqual([]);
  client.ack(second);
  expect((await client.take(CDS)).versions.a).toBe(cluster("a", 3).version);
  expect(xds.refusals).toEqual([]);
});

test("unsubscribing a name that was never subscribed is let pass", async () => {
  await using xds = await serve([assignment("a")]);
  const client = xds.client();
  client.subscribe(EDS, ["a"]);
  await client.take(EDS);
  client.delta({ typeUrl: EDS, resourceNamesUnsubscribe: ["phantom"] });
  expect(await client.rest()).toEqual([]);
});

test("giving up a name under the wildcard is answered with the resource, or with its removal", async () => {
  await using xds = await serve([cluster("a")]);
  const client = xds.client();
  client.subscribe(CDS, ["*", "a", "none"]);
  expect(await client.take(CDS)).toMatchObject({ names: ["a"], removed: ["none"] });
  client.unsubscribe(CDS, ["a"]);
  expect(await client.take(CDS)).toMatchObject({ names: ["a"] });
  client.unsubscribe(CDS, ["none"]);
  expect(await client.take(CDS)).toMatchObject({ names: [], removed: ["none"] });
});

test("a legacy wildcard goes on beside names that are added, until it is given up itself", async () => {
  await using xds = await serve([cluster("a"), cluster("b")]);
  const client = xds.client();
  client.subscribe(CDS);
  await client.take(CDS);
  client.subscribe(CDS, ["a"]);
  await client.take(CDS);
  xds.publish([cluster("b", 2)]);
  expect((await client.take(CDS)).names).toEqual(["b"]);
  client.unsubscribe(CDS, ["*"]);
  await client.rest();
  xds.publish([cluster("a", 3), cluster("b", 3)]);
  expect((await client.take(CDS)).names).toEqual(["a"]);
});

test("subscribing and unsubscribing the wildcard in one first request asks for nothing", async () => {
  await using xds = await serve([cluster("a")]);
  const client = xds.client();
  client.delta({ typeUrl: CDS, resourceNamesSubscribe: ["*"], resourceNamesUnsubscribe: ["*"] });
  expect(await client.take(CDS)).toMatchObject({ names: [], removed: [] });
  xds.publish([cluster("b")]);
  expect(await client.rest()).toEqual([]);
});

test("a reconnecting client gets exactly what differs, and every type an answer", async () => {
  await using xds = await serve([cluster("same"), cluster("changed", 2), cluster("new"), assignment("same"), listen("l"), route("r")]);
  const client = xds.client();
  client.delta({
    typeUrl: CDS,
    initialResourceVersions: { same: cluster("same").version, changed: cluster("changed", 1).version, gone: "1" },
  });
  const clusters = await client.take(CDS);
  expect([...clusters.names].sort()).toEqual(["changed", "new"]);
  expect(clusters.removed).toEqual([]); // what is gone goes last
  client.delta({ typeUrl: EDS, resourceNamesSubscribe: ["same"], initialResourceVersions: { same: assignment("same").version } });
  client.delta({ typeUrl: LDS, initialResourceVersions: { l: listen("l").version } });
  client.delta({ typeUrl: RDS, resourceNamesSubscribe: ["r"], initialResourceVersions: { r: route("r").version } });
  for (const type of [EDS, LDS, RDS]) expect(await client.take(type)).toMatchObject({ names: [], removed: [] });
  expect(await client.take(CDS)).toMatchObject({ names: [], removed: ["gone"] });
  expect(await client.rest()).toEqual([]);
});

test("a server that restarts with the same configuration has nothing to send", async () => {
  const resources = [cluster("a"), listen("l")];
  const versions: Record<string, string> = {};
  {
    await using xds = await serve(resources);
    const client = xds.client();
    client.subscribe(CDS);
    Object.assign(versions, (await client.take(CDS)).versions);
  }
  await using xds = await serve(resources);
  const client = xds.client();
  client.delta({ typeUrl: CDS, initialResourceVersions: versions });
  expect(await client.take(CDS)).toMatchObject({ names: [], removed: [] });
});

test("initial versions of what was not asked for, or with odd names, are ignored", async () => {
  await using xds = await serve([assignment("a")]);
  const client = xds.client();
  client.delta({
    typeUrl: EDS,
    resourceNamesSubscribe: ["a", "__proto__", "constructor"],
    initialResourceVersions: { other: "1", constructor: "1", toString: "2" },
  });
  const answer = await client.take(EDS);
  expect(answer.names).toEqual(["a"]);
  expect([...answer.removed].sort()).toEqual(["__proto__"]);
  expect(await client.take(EDS)).toMatchObject({ names: [], removed: ["constructor"] });
});
