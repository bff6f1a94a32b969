// What only counts under pressure: somebody who does not read holds up the one who writes, and memory stays as it is.

import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { envoyResource, packAny } from "../../envoy/encode.ts";
import { ListenerSchema } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "../../gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { listenerMessage, serve, staticCluster } from "../testing/resources.ts";

function tcpListener(cluster: string) {
  const value = packAny(TcpProxySchema, { statPrefix: "tcp", clusterSpecifier: { case: "cluster", value: cluster } });
  const filterChains = [{ filters: [{ name: "tcp", configType: { case: "typedConfig" as const, value } }] }];
  return envoyResource(ListenerSchema, "listener", Object.assign(listenerMessage(0), { filterChains }), []);
}

const size = 60_000_000;
const half = size / 2;

/** As much as the socket takes. */
async function pour(socket: Socket): Promise<void> {
  const chunk = Buffer.alloc(100_000, 7);
  for (let sent = 0; sent < size; sent += chunk.length)
    if (!socket.write(chunk)) await new Promise<void>((resolve) => socket.once("drain", resolve));
  socket.end();
}

async function settled(read: () => number): Promise<number> {
  for (let before = -1, now = read(); ; before = now, now = read()) {
    if (now === before && now > 0) return now;
    await delay(200);
  }
}

async function drunk(socket: Socket): Promise<number> {
  let sum = 0;
  for await (const data of socket) sum += (data as Buffer).length;
  return sum;
}

test("who does not read holds up the one who writes, in either direction; then everything comes", async () => {
  const taken: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined).pause();
    taken.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await using plane = await serve([staticCluster("a", [port]), tcpListener("a")]);
  const client = connect({ port: plane.port, host: "127.0.0.1", allowHalfOpen: true }).pause();
  await expect.poll(() => taken.length).toBe(1);
  const upstream = taken[0] as Socket;
  void pour(client);
  void pour(upstream);
  const before = await settled(() => Number(plane.plane.stats()["tcp.tcp.downstream_cx_rx_bytes_total"]));
  expect(before).toBeLessThan(half);
  expect(Number(plane.plane.stats()["tcp.tcp.downstream_cx_tx_bytes_total"])).toBeLessThan(half);
  expect(Number(plane.plane.stats()["tcp.tcp.downstream_flow_control_paused_reading_total"])).toBeGreaterThan(0);
  expect(await Promise.all([drunk(client), drunk(upstream)])).toEqual([size, size]);
  server.close();
});
