// TCP Gateways as users write them: connections passed on, chosen by server name, with TLS ended here or behind.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { echoServer, greetingServer, type TcpServer, talk } from "../../src/dataplane/testing/tcp.ts";
import { connectTls, shownBy } from "../../src/dataplane/testing/tls.ts";
import { freePorts } from "../servers/ports.ts";
import { type Folder, folder, object, proxies, run, until, upstream } from "./gateway.ts";
import type { Running } from "./headworks.ts";

const to = (name: string) => ({ upstream: { name, namespace: "gloo-system" } });
const single = (name: string) => ({ destination: { single: to(name) } });
const base64 = (text: string) => Buffer.from(text).toString("base64");

function gateway(name: string, bindPort: number, tcpHosts: readonly object[], options: object = {}) {
  const hosts = tcpHosts.map((host, index) => ({ name: `host${index}`, ...host }));
  return object("Gateway", name, { bindAddress: "127.0.0.1", bindPort, tcpGateway: { tcpHosts: hosts, ...options } });
}

function secret(name: string, { certificate, key }: KeyPair) {
  const data = { "tls.crt": base64(certificate), "tls.key": base64(key) };
  return { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name, namespace: "gloo-system" }, data };
}

const sni = (servername: string) => ({ tls: { servername } });

let made: Certificates;
beforeAll(() => {
  made = certificates();
});
afterAll(() => made[Symbol.dispose]());

describe.each(proxies)("--proxy %s", (proxy) => {
  const servers: TcpServer[] = [];
  let config: Folder;
  let running: Running;
  let ports: { plain: number; names: number; several: number; down: number; named: number; limited: number };

  beforeAll(async () => {
    const [plain = 0, names = 0, several = 0, down = 0, named = 0, limited = 0, gone = 0] = await freePorts(7);
    ports = { plain, names, several, down, named, limited };
    const [a, b] = [made.selfSigned("a.test"), made.selfSigned("b.test")];
    const started = {
      echo: await echoServer("bye"),
      one: await greetingServer("one"),
      two: await greetingServer("two"),
      a: await echoServer(" from a", a),
      b: await echoServer(" from b", b),
    };
    servers.push(...Object.values(started));
    config = await folder();
    config.write("gateway.yaml", [
      gateway("plain", plain, [single("echo")]),
      gateway("names", names, [
        { ...single("a"), sslConfig: { sniDomains: ["a.test"] } },
        { ...single("b"), sslConfig: { sniDomains: ["*.b.test", "b.test"] } },
        { ...single("echo"), sslConfig: { sniDomains: ["ended.test"], secretRef: { name: "ended", namespace: "gloo-system" } } },
        {
          ...single("echo"),
          sslConfig: { sniDomains: ["mqtt.test"], alpnProtocols: ["mqtt"], secretRef: { name: "ended", namespace: "gloo-system" } },
        },
        { ...single("b-encrypted"), sslConfig: { sniDomains: ["again.test"], secretRef: { name: "ended", namespace: "gloo-system" } } },
      ]),
      gateway("several", several, [
        {
          destination: {
            multi: {
              destinations: [
                { weight: 1, destination: to("one") },
                { weight: 3, destination: to("two") },
              ],
            },
          },
        },
      ]),
      gateway("down", down, [single("gone")], { options: { tcpProxySettings: { maxConnectAttempts: 2 } } }),
      gateway("named", named, [
        { destination: { forwardSniClusterName: {} }, sslConfig: { sniDomains: ["a_gloo-system", "b_gloo-system"] } },
      ]),
      gateway("limited", limited, [single("echo")], { options: { connectionLimit: { maxActiveConnections: 1 } } }),
      secret("ended", made.selfSigned("ended.test")),
    ]);
    config.write("upstreams.yaml", [
      ...Object.entries(started).map(([name, { port }]) => upstream(name, port)),
      upstream("gone", gone),
      object("Upstream", "b-encrypted", {
        static: { hosts: [{ addr: "127.0.0.1", port: started.b.port }] },
        sslConfig: { sni: "b.test", secretRef: { name: "ended", namespace: "gloo-system" } },
      }),
    ]);
    running = await run(config, "--proxy", proxy);
    await until("the gateway passes bytes on", async () => (await talk(plain, "x")).text === "xbye");
  });

  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    for (const server of servers) await server[Symbol.asyncDispose]();
    config?.[Symbol.dispose]();
  });

  test("nothing is reported", () => {
    expect(running.stderr()).not.toMatch(/HW\d\d\d\d/);
  });

  test("10 MB go both ways, and the last word comes after the client's end", async () => {
    const bytes = Buffer.alloc(10_000_000, "headworks ");
    const { text, end } = await talk(ports.plain, bytes);
    expect(text === `${bytes.toString("latin1")}bye`).toBe(true);
    expect(end).toBe("ended");
  });

  test("TLS is passed through to whom the server name belongs, and ends there", async () => {
    expect(await talk(ports.names, "hi", sni("a.test"))).toEqual({ text: "hi from a", end: "ended" });
    expect((await talk(ports.names, "hi", sni("x.b.test"))).text).toBe("hi from b");
    expect(await shown(ports.names, "a.test")).toBe("a.test");
    expect(await shown(ports.names, "b.test")).toBe("b.test");
  });

  test("TLS is ended here, in front of plain TCP, and begun again where the Upstream has it", async () => {
    expect(await shown(ports.names, "ended.test")).toBe("ended.test");
    expect(await talk(ports.names, "secret", sni("ended.test"))).toEqual({ text: "secretbye", end: "ended" });
    expect(await talk(ports.names, "secret", sni("again.test"))).toEqual({ text: "secret from b", end: "ended" });
    const bytes = Buffer.alloc(3_000_000, "headworks ");
    expect((await talk(ports.names, bytes, sni("ended.test"))).text === `${bytes.toString("latin1")}bye`).toBe(true);
  });

  test("a protocol that only the server behind speaks is no reason to send a client away", async () => {
    const asks = (...ALPNProtocols: string[]) => ({ tls: { servername: "ended.test", ALPNProtocols } });
    expect((await talk(ports.names, "hi", asks("postgresql"))).text).toBe("hibye");
    expect((await talk(ports.names, "hi", asks("h2", "http/1.1"))).text).toBe("hibye");
    expect(await negotiated(ports.names, "ended.test", ["postgresql"])).toBe(false);
    expect(await negotiated(ports.names, "mqtt.test", ["other", "mqtt"])).toBe("mqtt");
  });

  test("without a name that somebody has, nobody is served, nor in plain text", async () => {
    expect((await talk(ports.names, "hi", sni("c.test"))).text).toBe("");
    expect((await talk(ports.names, "no TLS at all\n", { staysOpen: true })).text).toBe("");
  });

  test("the server name names the cluster", async () => {
    expect((await talk(ports.named, "hi", sni("a_gloo-system"))).text).toBe("hi from a");
    expect((await talk(ports.named, "hi", sni("b_gloo-system"))).text).toBe("hi from b");
  });

  test("weighted destinations get their shares", async () => {
    const heard = await Promise.all(Array.from({ length: 80 }, () => talk(ports.several, "")));
    const ones = heard.filter(({ text }) => text === "one").length;
    expect(heard.filter(({ text }) => text === "two").length).toBe(80 - ones);
    expect(ones).toBeGreaterThan(3);
    expect(ones).toBeLessThan(45);
  });

  test("nobody there: the connection is closed", async () => {
    expect((await talk(ports.down, "x", { staysOpen: true })).text).toBe("");
  });

  test("beyond the limit of connections the next one is closed", async () => {
    const first = connect(ports.limited, "127.0.0.1");
    first.write("x");
    await new Promise((resolve) => first.once("data", resolve));
    expect((await talk(ports.limited, "x", { staysOpen: true })).text).toBe("");
    first.destroy();
  });

  test("an edit is for new connections: those that run go on where they are", async () => {
    const running = connect(ports.plain, "127.0.0.1");
    const heard: string[] = [];
    running.on("data", (data) => heard.push(data.toString("latin1")));
    running.write("a");
    await until("it answers", () => heard.join("") === "a");
    config.write("gateway.yaml", [gateway("plain", ports.plain, [single("one")])]);
    await until("new connections go elsewhere", async () => (await talk(ports.plain, "")).text === "one");
    running.write("b");
    await until("it answers still", () => heard.join("") === "ab");
    running.end("c");
    await until("and to the end", () => heard.join("") === "abcbye");
  });

  test("a Gateway that names no Upstream by a typo is served as it was, until that is mended", async () => {
    config.write("gateway.yaml", [gateway("plain", ports.plain, [single("oen")])]);
    await running.said(/gateway\.yaml:\d+:\d+ {2}HW\d+ .*TcpHost error: .*oen/);
    await running.said(/Gateway gloo-system\/plain keeps serving its last good version/);
    expect((await talk(ports.plain, "")).text).toBe("one");
    config.write("gateway.yaml", [gateway("plain", ports.plain, [single("two")])]);
    await until("new connections go to the new one", async () => (await talk(ports.plain, "")).text === "two");
  });

  test("SIGTERM lets those that run come to their end", async () => {
    config.write("gateway.yaml", [gateway("plain", ports.plain, [single("echo")])]);
    await until("it is the echo again", async () => (await talk(ports.plain, "")).text === "bye");
    const socket = connect(ports.plain, "127.0.0.1");
    const heard: string[] = [];
    socket.on("data", (data) => heard.push(data.toString("latin1")));
    socket.write("a");
    await until("it answers", () => heard.join("") === "a");
    running.process.kill("SIGTERM");
    await running.said(/in flight/);
    // An Envoy that drains takes who comes.
    if (proxy === "embedded") await until("nobody else is let in", async () => (await talk(ports.plain, "x")).text === "");
    // Long enough for whoever thinks that nothing is under way.
    await delay(500);
    socket.end("b");
    await until("it answers to the end", () => heard.join("") === "abbye");
    expect((await running.ended).code).toBe(0);
  });
});

async function shown(port: number, servername: string): Promise<string> {
  return withTls(port, { servername }, shownBy);
}

function negotiated(port: number, servername: string, ALPNProtocols: string[]): Promise<string | false | null> {
  return withTls(port, { servername, ALPNProtocols }, (socket) => socket.alpnProtocol);
}

/** What a handshake says. The connection comes to its end before it is told. */
async function withTls<T>(port: number, options: ConnectionOptions, ask: (socket: TLSSocket) => T): Promise<T> {
  const socket = connectTls(port, options);
  await once(socket, "secureConnect");
  const told = ask(socket);
  socket.resume().end();
  await once(socket, "close");
  return told;
}
