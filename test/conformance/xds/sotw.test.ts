// What only the state of the world does.
import { expect, test } from "vitest";
import { assignment, CDS, cluster, EDS, LDS, listen, RDS, route, serve } from "./fixture.ts";

test("a change of one cluster sends all clusters, of one assignment that one", async () => {
  await using xds = await serve([cluster("a"), cluster("b"), assignment("a"), assignment("b")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(CDS);
  expect((await client.take(CDS)).names).toEqual(["a", "b"]);
  client.subscribe(EDS, ["a", "b"]);
  await client.take(EDS);
  xds.publish([cluster("b", 2), assignment("b", 2)]);
  expect((await client.take(CDS)).names).toEqual(["a", "b"]);
  expect((await client.take(EDS)).names).toEqual(["b"]);
});

test("a stale nonce gets no answer", async () => {
  await using xds = await serve([assignment("a"), assignment("b")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(EDS, ["a"]);
  const first = await client.take(EDS);
  xds.publish([assignment("a", 2)]);
  const second = await client.next();
  client.sotw({ typeUrl: EDS, resourceNames: ["a", "b"], responseNonce: first.nonce, versionInfo: first.version });
  expect(await client.rest()).toEqual([]);
  client.sotw({ typeUrl: EDS, resourceNames: ["a", "b"], responseNonce: second.nonce, versionInfo: second.version });
  expect((await client.take(EDS)).names).toEqual(["b"]);
});

test("repeating a request brings nothing", async () => {
  await using xds = await serve([assignment("a")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(EDS, ["a"]);
  const first = await client.take(EDS);
  for (let i = 0; i < 3; i++) client.ack(first);
  expect(await client.rest()).toEqual([]);
});

test("equal sets have equal versions, on any server; other sets have others", async () => {
  const versions: string[] = [];
  for (const set of [
    [cluster("a"), cluster("b")],
    [cluster("b"), cluster("a")],
    [cluster("a"), cluster("b", 2)],
  ]) {
    await using xds = await serve(set);
    const client = xds.client({ variant: "sotw" });
    client.subscribe(CDS);
    versions.push((await client.take(CDS)).version);
  }
  expect(versions[0]).toBe(versions[1]);
  expect(versions[0]).not.toBe(versions[2]);
});

test("a listener that is gone is left out of the set at once, a cluster when nothing can use it any more", async () => {
  await using xds = await serve([cluster("a"), cluster("b"), listen("l"), listen("m"), route("r")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(CDS);
  await client.take(CDS);
  client.subscribe(LDS);
  await client.take(LDS);
  client.subscribe(RDS, ["r"]);
  await client.take(RDS);
  xds.publish(
    [cluster("c"), route("r", 2)],
    [
      [CDS, "a"],
      [LDS, "l"],
    ],
  );
  expect((await client.take(CDS)).names).toEqual(["a", "b", "c"]);
  expect((await client.take(LDS)).names).toEqual(["m"]);
  expect((await client.take(RDS)).names).toEqual(["r"]);
  expect((await client.take(CDS)).names).toEqual(["b", "c"]);
});

test("the last cluster that goes leaves an empty set", async () => {
  await using xds = await serve([cluster("a")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(CDS);
  await client.take(CDS);
  xds.publish([], [[CDS, "a"]]);
  expect((await client.take(CDS)).names).toEqual([]);
});

test("endpoints that are gone are not mentioned", async () => {
  await using xds = await serve([assignment("a"), assignment("b")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(EDS, ["a", "b"]);
  await client.take(EDS);
  xds.publish([], [[EDS, "a"]]);
  expect(await client.rest()).toEqual([]);
  xds.publish([assignment("a")]);
  expect((await client.take(EDS)).names).toEqual(["a"]);
});

test("wildcard, then the wildcard with a name, then the name alone, then nothing", async () => {
  await using xds = await serve([cluster("a"), cluster("b")]);
  const client = xds.client({ variant: "sotw" });
  client.subscribe(CDS);
  const first = await client.next();
  const say = (answer: typeof first, names: string[]) =>
    client.sotw({ typeUrl: CDS, resourceNames: names, responseNonce: answer.nonce, versionInfo: answer.version });
  say(first, ["*", "a"]);
  const second = await client.next();
  expect(second.names).toEqual(["a", "b"]);
  say(second, ["a"]);
  expect(await client.rest()).toEqual([]);
  xds.publish([cluster("a", 2), cluster("b", 2)]);
  const third = await client.next();
  expect(third.names).toEqual(["a"]);
  say(third, []);
  xds.publish([cluster("a", 3)]);
  expect(await client.rest()).toEqual([]);
});
