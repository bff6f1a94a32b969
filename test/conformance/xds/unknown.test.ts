// What clients bring from before a start at which not all could be read.
import { expect, test } from "vitest";
import { eventually } from "../../../src/lib/testing/eventually.ts";
import { createXdsServer } from "../../../src/xds/server.ts";
import { TestClient } from "./client.ts";
import { LDS, listen } from "./fixture.ts";

test("what a client has from before is not taken from it while not all is known, though it came before anything was read", async () => {
  await using server = createXdsServer({ patienceMs: 60_000 });
  const address = await server.listen({ host: "127.0.0.1", port: 0 });
  await using client = new TestClient(address, { variant: "delta" });
  client.delta({ typeUrl: LDS, initialResourceVersions: { "l-80": "of before" } });
  await eventually(() => server.clients()[0]?.types.length, 1);
  const removed = () => client.answers.filter(({ typeUrl }) => typeUrl === LDS).flatMap((answer) => answer.removed);
  server.keepUnknown?.(true);
  server.publish("ns~proxy", { upserts: [listen("l-81"), listen("l-82")], removals: [] });
  server.ready();
  await client.take(LDS);
  server.publish("ns~proxy", { upserts: [], removals: [{ typeUrl: LDS, name: "l-82" }] });
  expect((await client.take(LDS)).removed).toEqual(["l-82"]);
  await client.rest();
  expect(removed()).toEqual(["l-82"]);
  server.keepUnknown?.(false);
  expect((await client.take(LDS)).removed).toEqual(["l-80"]);
});

test.each(["connected", "away"])(
  "a proxy that is gone since the start goes although not all is known, also from a client that was %s meanwhile",
  async (was) => {
    await using server = createXdsServer({ patienceMs: 60_000 });
    const address = await server.listen({ host: "127.0.0.1", port: 0 });
    server.keepUnknown?.(true);
    server.publish("ns~proxy", { upserts: [listen("l-80")], removals: [] });
    server.publish("ns~other", { upserts: [listen("l-81")], removals: [] });
    server.ready();
    const connect = () => {
      const client = new TestClient(address, { variant: "delta" });
      client.delta({ typeUrl: LDS, initialResourceVersions: { "l-80": "of before", "l-90": "of before" } });
      return client;
    };
    await using connected = was === "connected" ? connect() : undefined;
    if (connected) expect((await connected.take(LDS)).names).toEqual(["l-80"]);
    server.retire("ns~proxy");
    await using client = connected ?? connect();
    // It may have more, of which nobody knows.
    expect((await client.take(LDS)).removed).toEqual(["l-80"]);
    server.keepUnknown?.(false);
    const answer = await client.take(LDS);
    expect([answer.names, answer.removed]).toEqual([["fallback-unknown-role"], ["l-90"]]);
  },
);
