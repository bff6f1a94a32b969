// Access logs of listeners, one line for each connection: those of the embedded data plane and those of Envoy.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates } from "../../src/dataplane/testing/certificates.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { listenerMessage, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { tlsListener } from "../../src/dataplane/testing/tls.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { FileAccessLogSchema } from "../../src/gen/envoy/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { TcpProxySchema } from "../../src/gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startListeners } from "./planes.ts";
import { request } from "./requests.ts";

const operators = [
  "ACCESS_LOG_TYPE",
  "PROTOCOL",
  "REQ(:PATH)",
  "RESPONSE_CODE",
  "RESPONSE_FLAGS",
  "BYTES_RECEIVED",
  "BYTES_SENT",
  "UPSTREAM_CLUSTER",
  "UPSTREAM_HOST",
  "ROUTE_NAME",
  "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
  "REQUESTED_SERVER_NAME",
  "DOWNSTREAM_TLS_VERSION",
  "CONNECTION_TERMINATION_DETAILS",
];

describe.skipIf(hasNoEnvoy("access logs of listeners"))("access logs of listeners", () => {
  const folder = mkdtempSync(join(tmpdir(), "listener-logs-"));
  let made: Certificates;
  let upstream: RawUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    made = certificates();
    const server = made.selfSigned("a.test");
    const manager = managerWith([], [toRoute("/")]);
    const tcp = packAny(TcpProxySchema, { statPrefix: "tcp", clusterSpecifier: { case: "cluster", value: "a" } } as never);
    // Listeners of one plane after the other are made for their ports: the first call of each pair is Envoy's.
    const logged = (name: string, make: (port: number) => object) => (port: number) => ({
      ...make(port),
      accessLog: [
        {
          name: "log",
          configType: {
            case: "typedConfig",
            value: packAny(FileAccessLogSchema, {
              path: join(folder, `${name}-${port}`),
              accessLogFormat: { case: "format", value: `${operators.map((each) => `%${each}%`).join(" | ")}\n` },
            } as never),
          },
        },
      ],
    });
    planes = await startListeners(
      [
        logged("http", (port) => listenerMessage(port, manager)),
        logged("tls", (port) => tlsListener(port, [{ certificate: server, hcm: manager, match: { serverNames: ["a.test"] } }] as never)),
        logged("tcp", (port) => ({
          ...listenerMessage(port),
          filterChains: [{ filters: [{ name: "tcp", configType: { case: "typedConfig", value: tcp } }] }],
        })),
      ] as never,
      [staticCluster("a", [upstream.port])],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    made?.[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("have the lines that Envoy writes", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const envoy = await linesOf("envoy");
    expect(envoy.http).toHaveLength(3);
    expect(await linesOf("embedded")).toEqual(envoy);
  });

  async function linesOf(plane: "envoy" | "embedded"): Promise<Record<string, string[]>> {
    const ports = planes.ports.map((each) => each[plane]) as [number, number, number];
    const [http, tls, tcp] = ports;
    await spoken(connect(http, "127.0.0.1"), [request("GET /one"), request("GET /two")]);
    await spoken(connect(http, "127.0.0.1"), []);
    const client = connectHttp2(`http://127.0.0.1:${http}`);
    await new Promise((resolve) => client.request({ ":path": "/three", ":authority": "a.example" }).on("end", resolve).resume());
    await new Promise<void>((resolve) => client.close(resolve));
    const trusting = { host: "127.0.0.1", port: tls, rejectUnauthorized: false };
    await spoken(connectTls({ ...trusting, servername: "a.test" }), [request("GET /one")]);
    await spoken(connectTls({ ...trusting, servername: "b.test" }), []);
    await spoken(connect(tcp, "127.0.0.1"), [request("GET /tcp")]);
    const wanted = [3, 2, 1];
    const read = (name: string, port: number) => {
      try {
        return readFileSync(join(folder, `${name}-${port}`), "utf8")
          .split("\n")
          .filter(Boolean);
      } catch {
        return [];
      }
    };
    const lines = () => ["http", "tls", "tcp"].map((name, index) => [name, read(name, ports[index] as number)] as const);
    for (let tries = 0; tries < 50 && lines().some(([, found], index) => found.length < (wanted[index] as number)); tries++)
      await delay(100);
    return Object.fromEntries(lines().map(([name, found]) => [name, found.map(shown)]));
  }
});

/** Waits for an answer to each, then closes. */
async function spoken(socket: ReturnType<typeof connect>, texts: readonly string[]): Promise<void> {
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  for (const text of texts) {
    socket.write(text);
    await new Promise((resolve) => socket.once("data", resolve));
  }
  if (texts.length === 0) await delay(100);
  socket.end();
  await closed;
}

/** How HTTP/2 writes the same is up to each. */
function shown(line: string): string {
  const plain = line.replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:port");
  return plain.includes("HTTP/2") ? plain.replace(/\| [1-9]\d* \| [1-9]\d* \|/, "| some | some |") : plain;
}
