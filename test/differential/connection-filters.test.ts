// Who may connect: limits of open and of new connections, in the embedded data plane and in Envoy.

import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HcmInit, listenerMessage } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import type { ListenerSchema } from "../../src/gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { ConnectionLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js";
import { LocalRateLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit_pb.js";
import { directRoute, hasNoEnvoy, managerWith, type Packed } from "./filters.ts";
import { type Planes, startListeners } from "./planes.ts";
import { request } from "./requests.ts";

const manager = managerWith([], [directRoute("/", "in")]) as HcmInit;
const listenerWith = (filters: readonly { name: string; value: Packed }[]) => (port: number) => {
  const message = listenerMessage(port, manager);
  const [chain] = message.filterChains as { filters: unknown[] }[];
  chain?.filters.unshift(...filters.map(({ name, value }) => ({ name, configType: { case: "typedConfig", value } })));
  return message as MessageInitShape<typeof ListenerSchema>;
};
const limit = (maxConnections: bigint, nanos = 0) => ({
  name: "limit",
  value: packAny(ConnectionLimitSchema, { statPrefix: "x", maxConnections, ...(nanos > 0 && { delay: { nanos } }) }),
});
const rate = (maxTokens: number) => ({
  name: "rate",
  value: packAny(LocalRateLimitSchema, { statPrefix: "x", tokenBucket: { maxTokens, fillInterval: { seconds: 1_000n } } }),
});

interface Client {
  readonly socket: Socket;
  /** The status of a request, or that the connection was closed. */
  readonly outcome: Promise<string>;
}

function client(port: number): Client {
  const socket = connect(port, "127.0.0.1");
  socket.write(request("GET /"));
  const outcome = new Promise<string>((resolve) => {
    socket.on("data", (data) => resolve(data.toString("latin1").slice(9, 12)));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve("closed"));
  });
  return { socket, outcome };
}

function isServed(session: ClientHttp2Session): Promise<boolean> {
  return new Promise((resolve) => {
    session.on("error", () => resolve(false));
    session.on("close", () => resolve(false));
    const stream = session.request({ ":path": "/" });
    stream.on("response", () => resolve(true));
    stream.on("error", () => undefined);
    stream.resume();
  });
}

describe.skipIf(hasNoEnvoy("limits of connections"))("limits of connections in the embedded data plane and in Envoy", () => {
  let planes: Planes;

  beforeAll(async () => {
    planes = await startListeners(
      [listenerWith([limit(2n)]), listenerWith([limit(1n, 200_000_000)]), listenerWith([rate(3)]), listenerWith([rate(2), limit(1n)])],
      [],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
  });

  test("nothing of it is reported as not executed", () => {
    expect(planes.plane.unsupported()).toEqual([]);
  });

  test.each([
    ["two at once", 0, ["200", "200", "closed"]],
    ["one at once, and others wait for their end", 1, ["200", "closed"]],
    ["three in a long time", 2, ["200", "200", "200", "closed"]],
    ["two limits", 3, ["200", "closed", "closed"]],
  ] as const)("%s", async (_, listener, wanted) => {
    for (const port of Object.values(planes.ports[listener] ?? {})) {
      const clients: Client[] = [];
      const got: string[] = [];
      for (const _each of wanted) {
        const one = client(port);
        clients.push(one);
        got.push(await one.outcome);
      }
      for (const { socket } of clients) socket.destroy();
      expect(got).toEqual(wanted);
    }
  });

  test("a connection that turns out to be HTTP/2 counts once, and until it is gone", async () => {
    const port = planes.ports[0]?.embedded as number;
    const open: ClientHttp2Session[] = [];
    for (let round = 0; round < 3; round++) {
      for (let tries = 0; tries < 3_000 && open.length < 2; tries++) {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        if (await isServed(session)) open.push(session);
        else await delay(10);
      }
      expect(open.length).toBe(2);
      expect(await client(port).outcome).toBe("closed");
      for (const session of open.splice(0)) session.destroy();
    }
  });

  test("who is gone makes place", async () => {
    for (const port of Object.values(planes.ports[0] ?? {})) {
      let outcome = "";
      for (let tries = 0; tries < 3_000 && outcome !== "200"; tries++) {
        const one = client(port);
        outcome = await one.outcome;
        one.socket.destroy();
        if (outcome !== "200") await delay(10);
      }
      expect(outcome).toBe("200");
    }
  });
});
