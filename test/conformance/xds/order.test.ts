// Make before break, and who waits for whom: both variants.
import { describe, expect, test } from "vitest";
import type { TestClient } from "./client.ts";
import { assignment, CDS, cluster, EDS, LDS, listen, RDS, resource, route, SDS, serve } from "./fixture.ts";
import { edsCluster } from "./resources.ts";

/** Subscribes to all that Envoy would, and takes the first answers. */
async function settle(client: TestClient, endpointNames: readonly string[], routeNames: readonly string[]): Promise<void> {
  client.subscribe(CDS);
  await client.take(CDS);
  client.subscribe(EDS, endpointNames);
  await client.take(EDS);
  client.subscribe(LDS);
  await client.take(LDS);
  client.subscribe(RDS, routeNames);
  await client.take(RDS);
}

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("listeners wait for clusters and endpoints, routes for listeners", async () => {
    await using xds = await serve([cluster("a"), assignment("a"), listen("l"), route("r")]);
    const client = xds.client({ variant });
    await settle(client, ["a"], ["r"]);
    xds.publish([route("r", 2), listen("l", 2), assignment("a", 2), cluster("a", 2)]);
    const clusters = await client.next();
    const endpoints = await client.next();
    expect([clusters.typeUrl, endpoints.typeUrl]).toEqual([CDS, EDS]);
    expect(await client.rest()).toEqual([]);
    client.ack(clusters);
    expect(await client.rest()).toEqual([]);
    client.ack(endpoints);
    const listeners = await client.next();
    expect(listeners.typeUrl).toBe(LDS);
    expect(await client.rest()).toEqual([]);
    client.ack(listeners);
    expect((await client.take(RDS)).names).toEqual(["r"]);
    expect(await client.rest()).toEqual([]);
  });

  test("a changed cluster's endpoints are sent after it, though they did not change", async () => {
    await using xds = await serve([edsCluster("a"), edsCluster("b"), assignment("a"), assignment("b")]);
    const client = xds.client({ variant });
    await settle(client, ["a", "b"], ["r"]);
    xds.publish([edsCluster("a", 2000)]);
    const clusters = await client.next();
    expect(clusters.typeUrl).toBe(CDS);
    // Envoy acknowledges clusters when they are warm, so their endpoints must not wait for that.
    const endpoints = await client.next();
    expect(endpoints).toMatchObject({ typeUrl: EDS, names: ["a"] });
    client.ack(endpoints);
    client.ack(clusters);
    expect(await client.rest()).toEqual([]);
  });

  test("a new route waits until the endpoints of a new cluster have been asked for and acknowledged", async () => {
    await using xds = await serve([edsCluster("a"), assignment("a"), listen("l"), route("r")]);
    const client = xds.client({ variant, userAgent: "envoy" });
    await settle(client, ["a"], ["r"]);
    xds.publish([edsCluster("b"), assignment("b"), route("r", 2)]);
    await client.take(CDS);
    expect(await client.rest()).toEqual([]);
    client.subscribe(EDS, ["b"]);
    const endpoints = await client.next();
    expect(endpoints).toMatchObject({ typeUrl: EDS, names: ["b"] });
    expect(await client.rest()).toEqual([]);
    client.ack(endpoints);
    expect((await client.take(RDS)).names).toEqual(["r"]);
  });

  test("a client that acknowledges nothing gets its routes after a while", async () => {
    await using xds = await serve([cluster("a"), route("r")], { holdMs: 50 });
    const client = xds.client({ variant });
    const before = performance.now();
    client.subscribe(CDS);
    client.subscribe(RDS, ["r"]);
    expect((await client.next()).typeUrl).toBe(CDS);
    expect((await client.next()).typeUrl).toBe(RDS);
    expect(performance.now() - before).toBeGreaterThan(20);
  });

  test("a new cluster whose endpoints nobody asks for holds routes only for a while", async () => {
    await using xds = await serve([edsCluster("a"), assignment("a"), route("r")], { holdMs: 50 });
    const client = xds.client({ variant, userAgent: "envoy" });
    client.subscribe(CDS);
    client.subscribe(RDS, ["r"]);
    await client.take(CDS);
    expect((await client.take(RDS)).names).toEqual(["r"]);
  });

  test("another client's silence holds up nobody", async () => {
    await using xds = await serve([cluster("a"), route("r")]);
    const silent = xds.client({ variant });
    silent.subscribe(CDS);
    silent.subscribe(RDS, ["r"]);
    await silent.next();
    const client = xds.client({ variant });
    client.subscribe(CDS);
    client.subscribe(RDS, ["r"]);
    await client.take(CDS);
    await client.take(RDS);
  });

  test("secrets wait for nothing", async () => {
    await using xds = await serve([cluster("a"), resource(SDS, "key")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.next();
    client.subscribe(SDS, ["key"]);
    expect((await client.next()).names).toEqual(["key"]);
  });

  test("one response of a type is outstanding, and what happens meanwhile becomes one more", async () => {
    await using xds = await serve([cluster("a"), cluster("b")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    const first = await client.next();
    for (let content = 2; content < 500; content++) xds.publish([cluster("a", content), cluster("b", content)]);
    expect(await client.rest()).toEqual([]);
    client.ack(first);
    const second = await client.take(CDS);
    expect(Buffer.compare(second.bytes.a ?? Buffer.of(), cluster("a", 499).bytes)).toBe(0);
    expect(await client.rest()).toEqual([]);
  });

  test("what changes and changes back before it is sent is not sent", async () => {
    await using xds = await serve([assignment("a"), assignment("b")]);
    const client = xds.client({ variant });
    client.subscribe(EDS, ["a", "b"]);
    const first = await client.next();
    xds.publish([assignment("a", 2)]);
    xds.publish([assignment("a", 1)]);
    client.ack(first);
    expect(await client.rest()).toEqual([]);
  });
});

test("a cluster that is gone is removed after the routes are acknowledged, its endpoints after it", async () => {
  await using xds = await serve([edsCluster("a"), edsCluster("b"), assignment("a"), assignment("b"), listen("l"), route("r")]);
  const client = xds.client();
  await settle(client, ["a", "b"], ["r"]);
  xds.publish(
    [route("r", 2)],
    [
      [CDS, "a"],
      [EDS, "a"],
    ],
  );
  const routes = await client.next();
  expect(routes.typeUrl).toBe(RDS);
  expect(await client.rest()).toEqual([]);
  client.ack(routes);
  const clusters = await client.next();
  expect(clusters).toMatchObject({ typeUrl: CDS, names: [], removed: ["a"] });
  expect(await client.rest()).toEqual([]);
  client.ack(clusters);
  expect(await client.take(EDS)).toMatchObject({ names: [], removed: ["a"] });
});

test("a cluster that comes back before it was taken away is not touched", async () => {
  await using xds = await serve([cluster("a"), cluster("b"), listen("l"), route("r")]);
  const client = xds.client();
  await settle(client, ["a"], ["r"]);
  xds.publish([route("r", 2)], [[CDS, "a"]]);
  const routes = await client.next();
  xds.publish([cluster("a")]);
  client.ack(routes);
  expect(await client.rest()).toEqual([]);
});

test("a listener and the one that takes its place go in one response", async () => {
  await using xds = await serve([listen("old")]);
  const client = xds.client();
  client.subscribe(LDS);
  await client.take(LDS);
  xds.publish([listen("new")], [[LDS, "old"]]);
  expect(await client.take(LDS)).toMatchObject({ names: ["new"], removed: ["old"] });
});

test("a cluster that only a listener used whose place is taken goes after it, though that stays for a moment", async () => {
  await using xds = await serve([cluster("a"), listen("l-80"), route("r")]);
  const client = xds.client();
  await settle(client, [], ["r"]);
  xds.publish(
    [listen("l-81"), route("r", 2)],
    [
      [LDS, "l-80"],
      [CDS, "a"],
    ],
  );
  expect(await client.take(LDS)).toMatchObject({ names: ["l-81"], removed: [] });
  expect((await client.take(RDS)).names).toEqual(["r"]);
  const listeners = await client.next();
  expect(listeners).toMatchObject({ typeUrl: LDS, removed: ["l-80"] });
  expect(await client.rest()).toEqual([]);
  client.ack(listeners);
  expect(await client.take(CDS)).toMatchObject({ removed: ["a"] });
});

test("a retired proxy loses its listeners first and its clusters last", async () => {
  await using xds = await serve([cluster("a"), listen("l"), route("r")], { unknownRole: "refuse" });
  const client = xds.client();
  client.subscribe(CDS);
  await client.take(CDS);
  client.subscribe(LDS);
  await client.take(LDS);
  client.subscribe(RDS, ["r"]);
  await client.take(RDS);
  xds.server.retire("ns~proxy");
  expect(await client.take(LDS)).toMatchObject({ removed: ["l"] });
  expect(await client.take(RDS)).toMatchObject({ removed: ["r"] });
  expect(await client.take(CDS)).toMatchObject({ removed: ["a"] });
  expect(xds.server.served("ns~proxy")).toEqual({});
});

describe.each(["delta", "sotw"] as const)("endpoints that are not there, %s", (variant) => {
  test("a cluster is withheld until its endpoints are known", async () => {
    await using xds = await serve([edsCluster("ready"), assignment("ready"), edsCluster("waiting")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    expect((await client.take(CDS)).names).toEqual(["ready"]);
    expect(xds.server.withheld("ns~proxy")).toEqual(["waiting"]);
    xds.publish([assignment("waiting")]);
    expect((await client.take(CDS)).names).toContain("waiting");
    expect(xds.server.withheld("ns~proxy")).toEqual([]);
  });

  test("a changed cluster whose endpoints are not known (yet, or again) stays as it was", async () => {
    await using xds = await serve([edsCluster("a"), assignment("a"), cluster("b")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    const first = await client.take(CDS);
    xds.publish([edsCluster("a", 2000)], [[EDS, "a"]]);
    expect(await client.rest()).toEqual([]);
    xds.publish([cluster("b", 2)]);
    const second = await client.take(CDS);
    if (variant === "sotw") expect(second.bytes.a).toEqual(first.bytes.a);
    else expect(second.names).toEqual(["b"]);
    xds.publish([assignment("a")]);
    expect((await client.take(CDS)).names).toContain("a");
  });

  test("endpoints that went while their cluster was on its way are still given, so that it can warm up and go", async () => {
    await using xds = await serve([cluster("b")]);
    const client = xds.client({ variant, userAgent: "envoy" });
    client.subscribe(CDS);
    await client.take(CDS);
    xds.publish([edsCluster("a"), assignment("a")]);
    const clusters = await client.next();
    xds.publish(
      [],
      [
        [CDS, "a"],
        [EDS, "a"],
      ],
    );
    client.subscribe(EDS, ["a"]);
    expect((await client.take(EDS)).names).toEqual(["a"]);
    client.ack(clusters);
    const gone = await client.take(CDS);
    expect(variant === "delta" ? gone.removed : gone.names).toEqual(variant === "delta" ? ["a"] : ["b"]);
  });
});

test("a server that restarts before it knows the endpoints takes no cluster away", async () => {
  await using xds = await serve([edsCluster("a")]);
  const client = xds.client();
  client.delta({ typeUrl: CDS, initialResourceVersions: { a: edsCluster("a").version } });
  expect(await client.take(CDS)).toMatchObject({ names: [], removed: [] });
  client.delta({ typeUrl: EDS, resourceNamesSubscribe: ["a"], initialResourceVersions: { a: assignment("a").version } });
  await client.take(EDS);
  expect(await client.rest()).toEqual([]);
});
