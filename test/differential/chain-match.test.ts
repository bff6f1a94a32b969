// Which filter chain takes a connection by where it comes from and goes to, in the embedded data plane and in Envoy.

import { connect } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRaw } from "../../src/dataplane/testing/raw.ts";
import { listenerMessage } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import type { ListenerSchema } from "../../src/gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { ProxyProtocolSchema } from "../../src/gen/envoy/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { freePorts } from "../servers/ports.ts";
import { directRoute, hasNoEnvoy, managerWith } from "./filters.ts";
import { type Planes, startListeners } from "./planes.ts";

type Listener = MessageInitShape<typeof ListenerSchema>;
/** What chains ask for, by what they answer. */
type Chains = Readonly<Record<string, object>>;

const range = (addressPrefix: string, prefixLen: number) => ({ addressPrefix, prefixLen });
const [loopback, one, two, ten] = [range("127.0.0.0", 8), range("127.0.0.1", 32), range("127.0.0.2", 32), range("10.0.0.0", 8)];

function listenerOf(port: number, chains: Chains, more: { fallback?: boolean; proxied?: boolean } = {}): Listener {
  const chain = (name: string, filterChainMatch?: object) => {
    const [made] = (listenerMessage(0, managerWith([], [directRoute("/", name)])) as { filterChains: object[] }).filterChains;
    return { ...made, ...(filterChainMatch && { filterChainMatch }) };
  };
  const proxy = { name: "proxy", configType: { case: "typedConfig", value: packAny(ProxyProtocolSchema, {}) } };
  return {
    ...listenerMessage(port, {}, "0.0.0.0"),
    ...(more.proxied && { listenerFilters: [proxy] }),
    filterChains: Object.entries(chains).map(([name, match]) => chain(name, match)),
    ...(more.fallback && { defaultFilterChain: chain("fallback") }),
  } as Listener;
}

interface Client {
  readonly to: string;
  readonly from: string;
  readonly fromPort?: number;
  /** The first line. */
  readonly proxied?: string;
}

/** What the chain that took it answers; otherwise "closed". */
function taken(port: number, { to, from, fromPort, proxied = "" }: Client): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: to, port, localAddress: from, ...(fromPort && { localPort: fromPort }) });
    let text = "";
    socket.write(`${proxied}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
    socket.setTimeout(5_000, () => reject(new Error("neither answered nor closed")));
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const answer = parseRaw(text, false, false);
      if (answer === undefined) return;
      resolve(answer.body);
      socket.destroy();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") reject(error);
    });
    socket.on("close", () => resolve("closed"));
  });
}

describe.skipIf(hasNoEnvoy("matches of filter chains"))("matches of filter chains in the embedded data plane and in Envoy", () => {
  let planes: Planes;
  let clients: Client[];
  const listeners: ((port: number) => Listener)[] = [];

  beforeAll(async () => {
    const [fromPort = 0] = await freePorts(1);
    const tls = { transportProtocol: "tls" };
    listeners.push(
      (port) => listenerOf(port, { own: { destinationPort: port }, rest: {} }),
      (port) => listenerOf(port, { another: { destinationPort: 1 }, rest: {} }),
      (port) => listenerOf(port, { another: { destinationPort: 1 } }),
      (port) => listenerOf(port, { own: { destinationPort: port, ...tls }, rest: {} }),
      (port) => listenerOf(port, { own: { destinationPort: port, ...tls }, rest: {} }, { fallback: true }),
      (port) => listenerOf(port, { one: { prefixRanges: [one] }, loopback: { prefixRanges: [loopback, ten] } }),
      (port) => listenerOf(port, { two: { prefixRanges: [two], sourcePrefixRanges: [two] }, rest: {} }),
      (port) => listenerOf(port, { ten: { prefixRanges: [ten] } }),
      (port) => listenerOf(port, { ten: { prefixRanges: [ten] } }, { fallback: true }),
      (port) => listenerOf(port, { local: { sourceType: 1 }, rest: {} }),
      (port) => listenerOf(port, { external: { sourceType: 2 }, rest: {} }),
      (port) => listenerOf(port, { local: { sourceType: 1, sourcePrefixRanges: [two] }, external: { sourceType: 2 } }),
      (port) => listenerOf(port, { source: { sourcePorts: [fromPort] }, rest: {} }),
      (port) => listenerOf(port, { both: { sourcePrefixRanges: [two], sourcePorts: [fromPort] }, rest: {} }),
      (port) => listenerOf(port, { both: { sourcePrefixRanges: [two], sourcePorts: [fromPort] }, two: { sourcePrefixRanges: [two] } }),
      (port) => listenerOf(port, { direct: { directSourcePrefixRanges: [two] }, rest: {} }),
      (port) => listenerOf(port, { direct: { directSourcePrefixRanges: [loopback], sourcePrefixRanges: [ten] }, rest: {} }),
      (port) =>
        listenerOf(
          port,
          {
            direct: { directSourcePrefixRanges: [two], sourcePrefixRanges: [ten] },
            ten: { sourcePrefixRanges: [ten] },
            port: { destinationPort: 8443 },
            local: { sourceType: 1 },
            rest: {},
          },
          { proxied: true },
        ),
    );
    const ends = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    clients = ends.flatMap((to) => ends.map((from) => ({ to, from })));
    clients.push(...ends.map((from) => ({ to: "127.0.0.1", from, fromPort })));
    for (const [source, port] of [
      ["10.0.0.1", 80],
      ["10.0.0.1", 8443],
      ["192.0.2.1", 80],
      ["192.0.2.2", 80],
    ] as const)
      clients.push(...ends.map((from) => ({ to: "127.0.0.1", from, proxied: `PROXY TCP4 ${source} 192.0.2.2 1000 ${port}\r\n` })));
    planes = await startListeners(listeners, []);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
  });

  test("the same chain takes each connection", async () => {
    expect(planes.plane.unsupported()).toEqual([]);
    const different: string[] = [];
    const seen = new Set<string>();
    for (const [index, { envoy, embedded }] of planes.ports.entries()) {
      const isProxied = index === listeners.length - 1;
      for (const client of clients.filter(({ proxied }) => (proxied !== undefined) === isProxied)) {
        const expected = await taken(envoy, client);
        const found = await taken(embedded, client);
        seen.add(expected);
        if (found !== expected) different.push(`[${index}] ${JSON.stringify(client)}: Envoy ${expected}, embedded ${found}`);
      }
    }
    expect(different).toEqual([]);
    expect(seen.size).toBeGreaterThan(12);
  });
});
