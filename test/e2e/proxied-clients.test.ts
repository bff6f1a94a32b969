// Clients behind a load balancer that speaks the PROXY protocol, and gateways that are chosen by where clients are.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates } from "../../src/dataplane/testing/certificates.ts";
import { echoServer, greetingServer, type TcpServer, talk } from "../../src/dataplane/testing/tcp.ts";
import { freePorts } from "../servers/ports.ts";
import { type Folder, folder, object, proxies, run, until, upstream } from "./gateway.ts";
import type { Running } from "./headworks.ts";

const to = (name: string) => ({ upstream: { name, namespace: "gloo-system" } });
const host = (name: string, more: object = {}) => ({ name, destination: { single: to(name) }, ...more });
const from = (addressPrefix: string, prefixLen: number) => ({ sourcePrefixRanges: [{ addressPrefix, prefixLen }] });
const base64 = (text: string) => Buffer.from(text).toString("base64");

const line = (address: string) => `PROXY TCP4 ${address} 192.0.2.7 4001 443\r\n`;

/** The second version, with a TLV at the end. */
function bytesOf(address: string): Buffer {
  const addresses = [...address.split("."), 192, 0, 2, 7].map(Number);
  const rest = [...addresses, 0x0f, 0xa1, 0x01, 0xbb, 0x04, 0, 1, 0];
  return Buffer.from([...Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), 0x21, 0x11, 0, rest.length, ...rest]);
}

/** An Envoy sends away who ends before his connection has found its filter chain. */
const answered = (port: number, bytes: string | Buffer) => talk(port, bytes, { endsWhenAnswered: true });

async function overTls(port: number, header: string, bytes: string): Promise<string> {
  const socket: Socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(header);
  const tls = connectTls({ socket, servername: "ended.test", rejectUnauthorized: false });
  tls.end(bytes);
  let text = "";
  for await (const data of tls) text += data;
  return text;
}

let made: Certificates;
beforeAll(() => {
  made = certificates();
});
afterAll(() => made[Symbol.dispose]());

describe.each(proxies)("--proxy %s", (proxy) => {
  const servers: TcpServer[] = [];
  let config: Folder;
  let running: Running;
  let ports: { told: number; optional: number; networks: number; encrypted: number; http: number };

  beforeAll(async () => {
    const [told = 0, optional = 0, networks = 0, encrypted = 0, http = 0] = await freePorts(5);
    ports = { told, optional, networks, encrypted, http };
    const [one, two, echo] = [await greetingServer("one"), await greetingServer("two"), await echoServer("bye")];
    servers.push(one, two, echo);
    const pair = made.selfSigned("ended.test");
    const data = { "tls.crt": base64(pair.certificate), "tls.key": base64(pair.key) };
    const proxyProtocol = {};
    const gateway = (name: string, bindPort: number, spec: object) =>
      object("Gateway", name, { bindAddress: "127.0.0.1", bindPort, ...spec });
    config = await folder();
    config.write("gateway.yaml", [
      gateway("told", told, { options: { proxyProtocol }, tcpGateway: { tcpHosts: [host("telling")] } }),
      gateway("optional", optional, {
        options: { proxyProtocol: { allowRequestsWithoutProxyProtocol: true } },
        tcpGateway: { tcpHosts: [host("telling")] },
      }),
      gateway("networks", networks, {
        options: { proxyProtocol },
        hybridGateway: {
          matchedGateways: [
            { matcher: from("10.0.0.0", 8), tcpGateway: { tcpHosts: [host("one")] } },
            { matcher: from("10.1.0.0", 16), tcpGateway: { tcpHosts: [host("two")] } },
            { matcher: {}, tcpGateway: { tcpHosts: [host("echo")] } },
          ],
        },
      }),
      gateway("encrypted", encrypted, {
        options: { proxyProtocol },
        tcpGateway: {
          tcpHosts: [
            host("telling", { sslConfig: { sniDomains: ["ended.test"], secretRef: { name: "ended", namespace: "gloo-system" } } }),
          ],
        },
      }),
      gateway("http", http, { options: { proxyProtocol }, httpGateway: {} }),
    ]);
    config.write("rest.yaml", [
      { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name: "ended", namespace: "gloo-system" }, data },
      upstream("one", one.port),
      upstream("two", two.port),
      upstream("echo", echo.port),
      object("Upstream", "telling", { proxyProtocolVersion: "V1", static: { hosts: [{ addr: "127.0.0.1", port: echo.port }] } }),
      object("VirtualService", "who", {
        virtualHost: {
          domains: ["*"],
          options: { headerManipulation: { responseHeadersToAdd: [{ header: { key: "x-from", value: "%DOWNSTREAM_REMOTE_ADDRESS%" } }] } },
          routes: [{ matchers: [{ prefix: "/" }], directResponseAction: { status: 200, body: "hi" } }],
        },
      }),
    ]);
    running = await run(config, "--proxy", proxy);
    await until("the gateway passes bytes on", async () => (await answered(optional, "x")).text.endsWith("xbye"));
  });

  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    for (const server of servers) await server[Symbol.asyncDispose]();
    config?.[Symbol.dispose]();
  });

  test("nothing is reported", () => {
    expect(running.stderr()).not.toMatch(/HW\d\d\d\d/);
  });

  test("whoever the load balancer names is whom the connection is for", async () => {
    expect((await answered(ports.told, `${line("10.9.8.7")}hi`)).text).toBe(`${line("10.9.8.7")}hibye`);
    const both = Buffer.concat([bytesOf("10.9.8.7"), Buffer.from("hi")]);
    expect((await answered(ports.told, both)).text).toBe(`${line("10.9.8.7")}hibye`);
    expect((await answered(ports.told, "PROXY UNKNOWN\r\nhi")).text).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nhibye$/);
  });

  test.each(["hi there, whoever you are\r\n", "PROXY TCP4 no address\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", `PROXY ${"x".repeat(200)}`])(
    "who does not name anybody is sent away: %j",
    async (bytes) => {
      expect((await talk(ports.told, bytes, { staysOpen: true })).text).toBe("");
    },
  );

  test("unless that is allowed", async () => {
    expect((await answered(ports.optional, "hello")).text).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nhellobye$/);
    expect((await answered(ports.optional, `${line("10.9.8.7")}hi`)).text).toBe(`${line("10.9.8.7")}hibye`);
  });

  test("the smallest network that a client is in chooses its gateway", async () => {
    expect((await answered(ports.networks, line("10.2.0.1"))).text).toBe("one");
    expect((await answered(ports.networks, line("10.1.0.1"))).text).toBe("two");
    expect((await answered(ports.networks, `${line("11.1.0.1")}hi`)).text).toBe("hibye");
  });

  test("the header comes before TLS", async () => {
    expect(await overTls(ports.encrypted, line("10.9.8.7"), "hi")).toBe(`${line("10.9.8.7")}hibye`);
  });

  test("HTTP knows the client too", async () => {
    const { text } = await talk(ports.http, `${line("10.9.8.7")}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, {
      staysOpen: true,
    });
    expect(text).toContain("x-from: 10.9.8.7:4001\r\n");
  });
});
