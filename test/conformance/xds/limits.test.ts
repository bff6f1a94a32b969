// Clients that are broken, slow, greedy or hostile: they lose their stream, and nobody else anything.
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { assignment, CDS, cluster, EDS, type Fixture, serve } from "./fixture.ts";

const invalidArgument = { code: 3 };
const deadlineExceeded = { code: 4 };
const resourceExhausted = { code: 8 };

/** A client that comes now is served. */
async function expectAlive(xds: Fixture): Promise<void> {
  const client = xds.client();
  client.subscribe(CDS);
  expect((await client.take(CDS)).names).toContain("a");
}

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test.each([
    ["garbage", Buffer.from("this is not a protobuf message at all")],
    ["a length that goes past the end", Buffer.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ["a group that never ends", Buffer.alloc(1000, 0x0b)],
  ])("%s ends the stream", async (_, bytes) => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant });
    client.raw(bytes);
    expect(await client.ended).toMatchObject(invalidArgument);
    await expectAlive(xds);
  });

  test("garbage after a good start ends the stream", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    client.raw(Buffer.from([0xff, 0xff, 0xff]));
    expect(await client.ended).toMatchObject(invalidArgument);
    await expectAlive(xds);
  });

  test("a request without a type ends the stream", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant });
    client.subscribe("");
    expect(await client.ended).toMatchObject(invalidArgument);
  });

  test("a stream that says nothing is ended", async () => {
    await using xds = await serve([cluster("a")], { firstMessageMs: 40 });
    const client = xds.client({ variant });
    expect(await client.ended).toMatchObject(deadlineExceeded);
    await expect.poll(() => xds.server.metrics.streams).toBe(0);
  });

  test("a request that is too large ends the stream", async () => {
    await using xds = await serve([cluster("a")], { maxRequestBytes: 100_000 });
    const client = xds.client({ variant });
    client.subscribe(EDS, ["x".repeat(200_000)]);
    expect(await client.ended).toMatchObject(resourceExhausted);
    await expectAlive(xds);
  });

  test("names beyond what exists are counted, the same name is one", async () => {
    await using xds = await serve([assignment("real"), cluster("a")], { maxNames: 100 });
    const client = xds.client({ variant });
    client.subscribe(EDS, ["real", ...Array.from({ length: 100 }, (_, i) => `n${i}`)]);
    expect((await client.take(EDS)).names).toEqual(["real"]);
    if (variant === "delta") client.delta({ typeUrl: EDS, resourceNamesSubscribe: Array.from({ length: 10_000 }, () => "n1") });
    await client.rest();
    client.subscribe(EDS, ["one more"]);
    expect(await client.ended).toMatchObject(resourceExhausted);
  });

  test("types are counted", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant });
    for (let i = 0; i < 70; i++) client.subscribe(`type.googleapis.com/test.T${i}`, ["x"]);
    expect(await client.ended).toMatchObject(resourceExhausted);
    expect(xds.log.length).toBeLessThan(80);
    await expectAlive(xds);
  });

  test("a flood of requests is slowed down, and others are served meanwhile", async () => {
    await using xds = await serve([cluster("a")], { requestsPerSecond: 50 });
    const client = xds.client({ variant });
    client.subscribe(CDS);
    const first = await client.take(CDS);
    for (let i = 0; i < 10_000; i++) client.ack(first);
    await expectAlive(xds);
    expect(await Promise.race([client.ended, expectAlive(xds)])).toBeUndefined();
  });

  test("nonces that were never sent acknowledge nothing", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    const first = await client.next();
    for (const nonce of ["999", "-1", "", "x".repeat(10_000)]) client.ack({ ...first, nonce });
    xds.publish([cluster("a", 2)]);
    expect((await client.rest()).filter(({ typeUrl }) => typeUrl === CDS)).toEqual([]);
    client.ack(first);
    await client.take(CDS);
  });

  test("a client that ends its half of the stream gets the end of the other", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    client.halfClose();
    expect(await client.ended).toMatchObject({ code: 0 });
    await expect.poll(() => xds.server.clients()).toEqual([]);
  });

  test("a client that stops reading costs one response, however much changes", async () => {
    const many = (content: number) => Array.from({ length: 200 }, (_, i) => cluster(`c${i}`, `${content}`.padEnd(5000, "x")));
    await using xds = await serve([cluster("a"), ...many(0)], { stalledMs: 100 });
    const client = xds.client({ variant });
    client.pause();
    client.subscribe(CDS);
    await expect.poll(() => xds.server.metrics.types[CDS]?.pushes).toBe(1);
    for (let content = 1; content < 50; content++) xds.publish(many(content));
    await expectAlive(xds);
    expect(xds.server.metrics.types[CDS]?.pushes).toBe(2);
  });
});

test("initial versions of a hundred thousand resources that never were are removed", async () => {
  await using xds = await serve([cluster("a")]);
  const client = xds.client();
  client.delta({ typeUrl: CDS, initialResourceVersions: Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`n${i}`, "1"])) });
  expect((await client.take(CDS)).names).toEqual(["a"]);
  expect((await client.take(CDS)).removed).toHaveLength(100_000);
});

test("bytes that are no HTTP/2 do no harm", async () => {
  await using xds = await serve([cluster("a")]);
  const { host, port } = xds.address as { host: string; port: number };
  for (const bytes of [
    "GET /v3/discovery:clusters HTTP/1.1\r\nhost: x\r\n\r\n",
    "\x16\x03\x01\x02\x00",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage",
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(port, host, () => socket.end(bytes));
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
    });
  }
  await expectAlive(xds);
});

test("both variants on one server, hundreds of clients that come at once, and go", async () => {
  await using xds = await serve([cluster("a"), cluster("b")]);
  const clients = Array.from({ length: 200 }, (_, i) => xds.client({ variant: i % 2 === 0 ? "delta" : "sotw", id: `n${i}` }));
  for (const client of clients) client.subscribe(CDS);
  for (const client of clients) expect((await client.take(CDS)).names).toHaveLength(2);
  xds.publish([cluster("c")]);
  for (const client of clients) expect((await client.take(CDS)).names).toContain("c");
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  await expect.poll(() => xds.server.metrics).toMatchObject({ streams: 0, clients: 0 });
});
