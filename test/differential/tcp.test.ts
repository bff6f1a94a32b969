// TCP proxies of the embedded data plane and of Envoy: the same connections, the same bytes, the same lines in the log, the same counters.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyStatsText } from "../../src/admin/envoy-stats.ts";
import { listenerMessage, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { echoServer, greetingServer, type Said, silentServer, type TcpServer, talk } from "../../src/dataplane/testing/tcp.ts";
import { packAny } from "../../src/envoy/encode.ts";
import type { ListenerSchema } from "../../src/gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { FileAccessLogSchema } from "../../src/gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { SniClusterSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster_pb.js";
import { TcpProxySchema } from "../../src/gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { freePorts } from "../servers/ports.ts";
import { hasNoEnvoy } from "./filters.ts";
import { type Planes, startListeners } from "./planes.ts";

type ProxyInit = MessageInitShape<typeof TcpProxySchema>;

const format = [
  "%RESPONSE_FLAGS%",
  "%RESPONSE_CODE%",
  "%RESPONSE_CODE_DETAILS%",
  "%PROTOCOL%",
  "%REQ(:METHOD)%",
  "%REQ(:PATH)%",
  "%REQ(x)%",
  "%RESP(x)%",
  "%BYTES_RECEIVED%",
  "%BYTES_SENT%",
  "%UPSTREAM_CLUSTER%",
  "%UPSTREAM_HOST%",
  "%UPSTREAM_PROTOCOL%",
  "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
  "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
  "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
  "%REQUESTED_SERVER_NAME%",
  "%DOWNSTREAM_TLS_VERSION%",
  "%ROUTE_NAME%",
  "%REQUEST_DURATION%",
  "%ACCESS_LOG_TYPE%",
].join(" ");

let folder: string;
const logOf = (port: number) => join(folder, `${port}.log`);
const lines = (port: number) => {
  const text = existsSync(logOf(port)) ? readFileSync(logOf(port), "utf8").trim() : "";
  return text === "" ? [] : text.split("\n");
};

const any = (name: string, value: ReturnType<typeof packAny>) => ({ name, configType: { case: "typedConfig" as const, value } });

function proxyListener(init: object, before: readonly ReturnType<typeof any>[] = []) {
  return (port: number) => {
    const log = any("file", packAny(FileAccessLogSchema, { path: logOf(port), accessLogFormat: logFormat }));
    const proxy = packAny(TcpProxySchema, { statPrefix: "tcp", accessLog: [log], ...init } as ProxyInit);
    const message = listenerMessage(port) as Record<string, unknown>;
    return { ...message, filterChains: [{ filters: [...before, any("tcp", proxy)] }] } as MessageInitShape<typeof ListenerSchema>;
  };
}
const logFormat = {
  case: "logFormat",
  value: { format: { case: "textFormatSource", value: { specifier: { case: "inlineString", value: `${format}\n` } } } },
} as never;

const to = (value: string, more: object = {}) => proxyListener({ clusterSpecifier: { case: "cluster", value }, ...more });
const weighted = (...clusters: readonly { name: string; weight: number }[]) =>
  proxyListener({ clusterSpecifier: { case: "weightedClusters", value: { clusters } } });

const milliseconds = (ms: number) => ({ nanos: ms * 1_000_000 });
/** An address for documents: nobody answers. */
const elsewhere = {
  clusterName: "unreachable",
  endpoints: [
    {
      lbEndpoints: [
        {
          hostIdentifier: {
            case: "endpoint",
            value: {
              address: {
                address: { case: "socketAddress", value: { address: "192.0.2.1", portSpecifier: { case: "portValue", value: 81 } } },
              },
            },
          },
        },
      ],
    },
  ],
} as never;
const sourceIp = { policySpecifier: { case: "sourceIp", value: {} } };

const listeners = {
  echo: to("echo"),
  greeting: to("greeting"),
  nowhere: to("nowhere"),
  gone: to("gone"),
  stubborn: to("gone", { maxConnectAttempts: 3 }),
  half: to("half gone", { maxConnectAttempts: 2 }),
  empty: to("empty"),
  one: to("one at a time"),
  idle: to("silent", { idleTimeout: milliseconds(150) }),
  long: to("echo", { maxDownstreamConnectionDuration: milliseconds(150) }),
  slow: to("unreachable"),
  weighted: weighted({ name: "greeting", weight: 1 }, { name: "greeting2", weight: 1 }),
  never: weighted({ name: "greeting", weight: 1 }, { name: "gone", weight: 1 }),
  hashed: to("ring", { hashPolicy: [sourceIp] }),
  logged: to("echo", { accessLogOptions: { flushAccessLogOnConnected: true } }),
  sni: proxyListener({ clusterSpecifier: { case: "cluster", value: "greeting" } }, [any("sni", packAny(SniClusterSchema, {}))]),
};
type Name = keyof typeof listeners;
const names = Object.keys(listeners) as Name[];

describe.skipIf(hasNoEnvoy("TCP proxies"))("TCP proxies of the embedded data plane and of Envoy", () => {
  const servers: TcpServer[] = [];
  let planes: Planes;
  const of = (name: Name) => planes.ports[names.indexOf(name)] as Planes["ports"][number];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tcp-logs-"));
    const started = [await echoServer("bye"), await greetingServer("hello"), await greetingServer("salut"), await silentServer()] as const;
    servers.push(...started);
    const [echo, greeting, greeting2, silent] = started.map(({ port }) => port) as [number, number, number, number];
    const [gone] = await freePorts(1);
    const limited = { circuitBreakers: { thresholds: [{ maxConnections: 1 }] } };
    const ring = { lbPolicy: 2, lbConfig: { case: "ringHashLbConfig", value: {} } } as never;
    planes = await startListeners(
      names.map((name) => listeners[name]),
      [
        staticCluster("echo", [echo]),
        staticCluster("greeting", [greeting]),
        staticCluster("greeting2", [greeting2]),
        staticCluster("silent", [silent]),
        staticCluster("gone", [gone as number]),
        staticCluster("half gone", [gone as number, greeting]),
        staticCluster("empty", []),
        staticCluster("one at a time", [silent], limited),
        staticCluster("unreachable", [81], { connectTimeout: milliseconds(100), loadAssignment: elsewhere }),
        staticCluster("ring", [greeting, greeting2], ring),
      ],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    for (const server of servers) await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The same to both; what each heard. */
  async function both(name: Name, bytes: string | Buffer, staysOpen = false): Promise<Said> {
    const { envoy, embedded } = of(name);
    const heard = await talk(embedded, bytes, { staysOpen });
    expect(heard).toEqual(await talk(envoy, bytes, { staysOpen }));
    return heard;
  }

  test("nothing of it is reported as not executed", () => {
    expect(planes.plane.unsupported()).toEqual([]);
  });

  test.each([
    ["echo", "some bytes", { text: "some bytesbye", end: "ended" }],
    ["echo", "", { text: "bye", end: "ended" }],
    ["greeting", "", { text: "hello", end: "ended" }],
    ["sni", "", { text: "hello", end: "ended" }],
  ] as const)("%s: each end is passed on, and leaves the other direction open", async (name, bytes, heard) => {
    expect(await both(name, bytes)).toEqual(heard);
  });

  test.each(["nowhere", "gone", "stubborn", "empty", "slow"] as const)("%s: the connection is closed without a word", async (name) => {
    // Whether it is reset depends on whether the byte had come.
    for (const port of Object.values(of(name))) expect((await talk(port, "x", { staysOpen: true })).text).toBe("");
  });

  test("a host that cannot be reached is no misfortune where there is another and one more attempt", async () => {
    expect(await both("half", "")).toEqual({ text: "hello", end: "ended" });
    expect(await both("half", "")).toEqual({ text: "hello", end: "ended" });
  });

  test("idle connections are closed, and so are old ones, however busy", async () => {
    expect((await both("idle", "x", true)).text).toBe("");
    expect((await both("long", "x", true)).text).toBe("x");
  });

  test("beyond the connections that a cluster may have, none is taken", async () => {
    for (const port of Object.values(of("one"))) {
      const first = connect(port, "127.0.0.1");
      first.write("x");
      const silent = servers[3] as TcpServer;
      while (![...silent.sockets].some((socket) => socket.bytesRead > 0)) await delay(5);
      expect((await talk(port, "y", { staysOpen: true })).text).toBe("");
      first.destroy();
      while (silent.sockets.size > 0) await delay(5);
    }
  });

  test("weighted clusters get their shares", async () => {
    for (const port of Object.values(of("weighted"))) {
      const heard = await Promise.all(Array.from({ length: 60 }, () => talk(port, "")));
      const first = heard.filter(({ text }) => text === "hello").length;
      expect(heard.filter(({ text }) => text === "salut").length).toBe(60 - first);
      expect(first).toBeGreaterThan(8);
      expect(first).toBeLessThan(52);
    }
  });

  test("the address of the client chooses the host", async () => {
    const heard = [];
    for (let i = 0; i < 4; i++) heard.push((await both("hashed", "")).text);
    expect(new Set(heard).size).toBe(1);
  });

  test("megabytes go both ways at once, at the pace of whoever is slower", async () => {
    const bytes = Buffer.alloc(10_000_000, "0123456789abcdef");
    for (const port of Object.values(of("echo"))) {
      const { text } = await talk(port, bytes);
      expect(text.length).toBe(bytes.length + 3);
      expect(text === `${bytes.toString("latin1")}bye`).toBe(true);
    }
  });

  test("a connection is logged when there is an upstream, and when it is over", async () => {
    await both("logged", "x");
  });

  test("the lines of the log are the same", async () => {
    const wanted = ["echo", "greeting", "nowhere", "gone", "stubborn", "empty", "slow", "idle", "long", "logged", "sni"] as const;
    for (const name of wanted) {
      const { envoy, embedded } = of(name);
      const isWritten = () => lines(envoy).length > 0 && lines(envoy).length === lines(embedded).length;
      await expect.poll(isWritten, { timeout: 20_000, message: name }).toBe(true);
      expect(lines(embedded), name).toEqual(lines(envoy));
    }
  });

  test("and so are the counters", async () => {
    const text = await planes.envoy.admin("/stats?filter=%5E(tcp%7Ccluster)%5C.");
    const theirs = Object.fromEntries(
      text
        .trim()
        .split("\n")
        .map((line) => line.split(": ") as [string, string]),
    );
    const ours = planes.plane.stats();
    const names = Object.keys(ours).filter(
      (name) =>
        name.startsWith("tcp.") ||
        /^cluster\.(?!weighted|greeting).*\.(upstream_cx_|upstream_rq_total|upstream_rq_pending_total)/.test(name),
    );
    expect(names.length).toBeGreaterThan(40);
    const chance = /greeting2?\.|flow_control|flush|_bytes_total/;
    const compared = names.filter((name) => !chance.test(name) && !name.startsWith("cluster.half gone"));
    expect(Object.fromEntries(compared.map((name) => [name, ours[name]]))).toEqual(
      Object.fromEntries(compared.map((name) => [name, Number(theirs[name])])),
    );
  });

  test("a connection of TCP counts among those of the server", async () => {
    const { embedded } = of("echo");
    const socket = connect(embedded, "127.0.0.1");
    await expect.poll(() => planes.plane.stats()["server.total_connections"]).toBe(1);
    socket.destroy();
    await expect.poll(() => planes.plane.stats()["server.total_connections"]).toBe(0);
  });

  test("Prometheus reads the same names and labels", async () => {
    const theirs = new Set((await planes.envoy.admin("/stats/prometheus")).split("\n").map((line) => line.slice(0, line.lastIndexOf(" "))));
    const ours = envoyStatsText(planes.plane.stats()).split("\n");
    const samples = ours.filter((line) => line.startsWith("envoy_tcp_")).map((line) => line.slice(0, line.lastIndexOf(" ")));
    expect(samples.length).toBeGreaterThan(8);
    expect(samples.filter((sample) => !theirs.has(sample))).toEqual([]);
  });
});
