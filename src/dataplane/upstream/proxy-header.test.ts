// The PROXY protocol towards upstreams: its bytes, and who shares a connection.

import { connect } from "node:net";
import { expect, test } from "vitest";
import { packAny } from "../../envoy/encode.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { proxiedUpstream } from "../testing/proxied.ts";
import { parseRaw } from "../testing/raw.ts";
import { allTo, type ClusterInit, listener, routeConfig, serve, staticCluster } from "../testing/resources.ts";
import { proxyHeader } from "./proxy-header.ts";

const ends = (remoteAddress: string, localAddress: string) => ({ remoteAddress, remotePort: 50_000, localAddress, localPort: 443 });
const own = ends("10.0.0.9", "10.0.0.10");

test("V1 is a line of text", () => {
  const line = (remote: string, local: string) => proxyHeader("v1", ends(remote, local), own).toString();
  expect(line("1.2.3.4", "5.6.7.8")).toBe("PROXY TCP4 1.2.3.4 5.6.7.8 50000 443\r\n");
  expect(line("2001:db8::1", "::1")).toBe("PROXY TCP6 2001:db8::1 ::1 50000 443\r\n");
  expect(line("", "")).toBe("PROXY UNKNOWN\r\n");
  expect(proxyHeader("v1", undefined, own).toString()).toBe("PROXY TCP4 10.0.0.9 10.0.0.10 50000 443\r\n");
});

test("V2 is bytes", () => {
  const signature = "0d0a0d0a000d0a515549540a";
  const hex = (remote: string, local: string) => proxyHeader("v2", ends(remote, local), own).toString("hex");
  expect(hex("1.2.3.4", "5.6.7.8")).toBe(`${signature}2111000c0102030405060708c35001bb`);
  const [one, two] = ["20010db8000000000000000000000001", "00000000000000000000ffff01020304"];
  expect(hex("2001:db8::1", "::ffff:1.2.3.4")).toBe(`${signature}21210024${one}${two}c35001bb`);
  expect(hex("1:2:3:4:5:6:7:8", "1::")).toBe(`${signature}2121002400010002000300040005000600070008${"0001".padEnd(32, "0")}c35001bb`);
  expect(hex("fe80::1%eth0", "fe80::2")).toBe(`${signature}20000000`);
  expect(proxyHeader("v2", undefined, own).toString("hex")).toBe(`${signature}20000000`);
});

test("a connection to the upstream is for one connection of a client, and ends with it", async () => {
  await using upstream = await proxiedUpstream("http1");
  const transportSocket = {
    name: "proxied",
    configType: { case: "typedConfig", value: packAny(ProxyProtocolUpstreamTransportSchema, { config: { version: 1 } }) },
  };
  await using plane = await serve([
    staticCluster("a", [upstream.port], { transportSocket } as ClusterInit),
    routeConfig([allTo("a")]),
    listener(0),
  ]);
  expect(plane.plane.unsupported()).toEqual([]);
  const [one, two] = [keptClient(plane.port), keptClient(plane.port)];
  const told = [await one.ask(), await two.ask(), await one.ask(), await two.ask()];
  expect(told).toEqual([1, 2, 1, 2].map((index) => `v2 2111000c 127.0.0.1 127.0.0.1 ${(index === 1 ? one : two).port()} ${plane.port}`));
  expect(upstream.headers.length).toBe(2);
  one.end();
  await expect.poll(() => upstream.connections.size).toBe(1);
  expect(await two.ask()).toBe(told[1]);
  two.end();
  await expect.poll(() => upstream.connections.size).toBe(0);
});

function keptClient(port: number) {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (data) => {
    text += data.toString("latin1");
  });
  return {
    port: () => socket.localPort,
    end: () => socket.destroy(),
    async ask(): Promise<string | undefined> {
      text = "";
      socket.write("GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
      await expect.poll(() => parseRaw(text, false, false)).toBeDefined();
      return parseRaw(text, false, false)?.body;
    },
  };
}
