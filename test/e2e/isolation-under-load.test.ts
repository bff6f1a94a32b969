// What one team does wrong, another does not notice: neighbours are asked without pause, over HTTP and TLS, while mistakes of every kind
// are made beside them, and across restarts of Headworks and of Envoy. Not one of their requests may fail.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Certificates, certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { askTls } from "../../src/dataplane/testing/tls.ts";
import { envoyOn, stat, withEnvoy } from "../conformance/xds/envoy.ts";
import type { RunningEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { ask, type Backend, backend, type Folder, folder, object, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";
import type { Running } from "./headworks.ts";

const shortPause = 5;

withEnvoy("neighbours of a mistake, under load", () => {
  const open = new AsyncDisposableStack();
  let config: Folder;
  let tlsPort: number;
  let made: Certificates;
  let running: Running;
  let envoy: RunningEnvoy;
  let load: Load;
  let xdsPort: number;
  let start: () => Promise<Running>;

  beforeAll(async () => {
    const backends: Backend[] = [open.use(await backend("one")), open.use(await backend("two"))];
    made = open.use(certificates());
    config = open.use(await folder());
    [tlsPort = 0, xdsPort = 0] = await freePorts(2);
    const state = mkdtempSync(join(tmpdir(), "headworks-state-"));
    open.defer(() => rmSync(state, { recursive: true, force: true }));
    config.write("gateways.yaml", object("Gateway", "tls", { bindAddress: "127.0.0.1", bindPort: tlsPort, ssl: true, httpGateway: {} }));
    config.write("upstreams.yaml", [upstream("one", backends[0]?.port ?? 0), upstream("two", backends[1]?.port ?? 0)]);
    config.write("neighbour.yaml", virtualService("neighbour", "one"));
    config.write("neighbour-tls.yaml", [withTls("safe", "one"), secret("safe", made.selfSigned("safe.test"))]);
    config.write("tables.yaml", [delegating("team", ["red", "blue"]), table("red", "one"), table("blue", "one")]);
    start = () => run(config, "--proxy", "none", "--xds", `127.0.0.1:${xdsPort}`, "--state-dir", state);
    running = await start();
    envoy = await envoyOn({ host: "127.0.0.1", port: xdsPort }, { proxy: "gloo-system~gateway-proxy" });
    await untilAnswers(config.port, "neighbour.test", "one /");
    await untilTls("safe.test");
    load = startLoad();
  });

  afterAll(async () => {
    load?.stop();
    await running?.[Symbol.asyncDispose]();
    await envoy?.kill();
    await open.disposeAsync();
  });

  test("a bad VirtualService keeps its last good version, also when Headworks, and then Envoy, start anew", async () => {
    config.write("a.yaml", virtualService("a", "one"));
    await untilAnswers(config.port, "a.test", "one /");
    config.write("a.yaml", direct("a", [{ matchers: [{ regex: "(" }] }]));
    await running.said(/a\.yaml:\d+:\d+ {2}HW2020/);
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");
    await neighboursCanBeEdited();

    running.process.kill("SIGKILL");
    await running.ended;
    running = await start();
    await until("Envoy is connected again", async () => (await stat(envoy, "control_plane.connected_state")) === 1);
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");
    await neighboursCanBeEdited();
    await noneFailed();

    // An Envoy that knows nothing gets what was good, though nobody has it written any more.
    load.stop();
    await envoy.kill();
    envoy = await envoyOn({ host: "127.0.0.1", port: xdsPort }, { proxy: "gloo-system~gateway-proxy" });
    await untilAnswers(config.port, "a.test", "one /");
    await untilTls("safe.test");
    load = startLoad();
    config.remove("a.yaml");
  });

  test("TLS without its Secret waits for it; when the Secret comes, nobody need do more", async () => {
    config.write("late.yaml", withTls("late", "one"));
    await running.said(/late\.yaml:\d+:\d+ {2}HW3060/);
    expect((await tls("late.test")).status).not.toBe(200);
    await neighboursCanBeEdited();
    config.write("late-secret.yaml", secret("late", made.selfSigned("late.test")));
    await untilTls("late.test");
    await noneFailed();
  });

  test("a rejected RouteTable keeps its last good version; its siblings below the same VirtualService can be edited", async () => {
    await untilAnswers(config.port, "team.test", "one /red", "/red");
    config.write("tables.yaml", [
      delegating("team", ["red", "blue"]),
      { ...table("red", "one"), spec: { routes: [{ matchers: [{ prefix: "/red" }] }] } },
      table("blue", "two"),
    ]);
    await running.said(/tables\.yaml:\d+:\d+ {2}HW2010/);
    await untilAnswers(config.port, "team.test", "two /blue", "/blue");
    expect((await ask(config.port, "team.test", "/red"))?.body).toBe("one /red");
    await neighboursCanBeEdited();
    await noneFailed();
  });

  test("a domain that somebody else has too stays with who had it", async () => {
    config.write("clash.yaml", renamed(virtualService("neighbour", "two"), "clash"));
    await running.said(/clash\.yaml:\d+:\d+ {2}HW2003/);
    expect((await ask(config.port, "neighbour.test"))?.body).toBe("one /");
    config.write("b.yaml", virtualService("b", "two"));
    await untilAnswers(config.port, "b.test", "two /");
    config.remove("clash.yaml");
    await neighboursCanBeEdited();
    await noneFailed();
  });

  test("what only Envoy can refuse costs whoever wrote it", async () => {
    // Files are on Envoy's machine: nobody else can see that they are not there.
    const sslConfig = { sslFiles: { tlsCert: "/no/such/tls.crt", tlsKey: "/no/such/tls.key" }, sniDomains: ["files.test"] };
    const plain = virtualService("files", "one");
    config.write("files.yaml", { ...plain, spec: { ...plain.spec, sslConfig } });
    await running.said(/files\.yaml:\d+:\d+ {2}HW4001/);
    await neighboursCanBeEdited();
    config.write("more.yaml", [withTls("more", "two"), secret("more", made.selfSigned("more.test"))]);
    await untilTls("more.test");
    await noneFailed();
    config.remove("files.yaml");
  });

  test("a route may come before its Upstream, and is served when that comes", async () => {
    config.write("early.yaml", virtualService("early", "later"));
    await running.said(/early\.yaml:\d+:\d+ {2}HW2030/);
    await until("the route answers 503", async () => (await ask(config.port, "early.test"))?.status === 503);
    await neighboursCanBeEdited();
    await using three = await backend("three");
    config.write("later.yaml", upstream("later", three.port));
    await untilAnswers(config.port, "early.test", "three /");
    await noneFailed();
    config.remove("early.yaml");
  });

  /** The two that are under load lead elsewhere, and back. */
  async function neighboursCanBeEdited(): Promise<void> {
    for (const to of ["two", "one"]) {
      config.write("neighbour.yaml", virtualService("neighbour", to));
      await untilAnswers(config.port, "neighbour.test", `${to} /`);
      config.write("neighbour-tls.yaml", [withTls("safe", to), secret("safe", safe())]);
      await until(`safe.test leads to ${to}`, async () => (await tls("safe.test")).body === `${to} /`);
    }
  }

  let kept: KeyPair | undefined;
  const safe = () => (kept ??= made.selfSigned("safe.test"));

  async function noneFailed(): Promise<void> {
    const before = load.sent;
    await until("some more requests are answered", () => load.sent > before + 20);
    expect(load.failures).toEqual([]);
  }

  const tls = (host: string) => askTls(tlsPort, { servername: host }, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const untilTls = (host: string) => until(`${host} answers`, async () => (await tls(host)).status === 200);

  interface Load {
    readonly sent: number;
    readonly failures: readonly string[];
    stop(): void;
  }

  function startLoad(): Load {
    const failures: string[] = [];
    let sent = 0;
    let isOn = true;
    const repeat = async (what: string, request: () => Promise<unknown>) => {
      while (isOn) {
        const status = await request().catch((error: Error) => error.message);
        if (!isOn) return;
        sent++;
        if (status !== 200) failures.push(`${what}: ${status}`);
        await delay(shortPause);
      }
    };
    void repeat("HTTP", async () => (await ask(config.port, "neighbour.test"))?.status);
    void repeat("delegated", async () => (await ask(config.port, "team.test", "/blue"))?.status);
    void repeat("TLS", async () => (await tls("safe.test")).status);
    return {
      get sent() {
        return sent;
      },
      failures,
      stop() {
        isOn = false;
      },
    };
  }
});

function secret(name: string, { certificate, key }: KeyPair) {
  const data = { "tls.crt": Buffer.from(certificate).toString("base64"), "tls.key": Buffer.from(key).toString("base64") };
  return { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name, namespace: "gloo-system" }, data };
}

function withTls(name: string, to: string) {
  const plain = virtualService(name, to);
  return { ...plain, spec: { ...plain.spec, sslConfig: { secretRef: { name, namespace: "gloo-system" }, sniDomains: [`${name}.test`] } } };
}

function direct(name: string, routes: readonly object[]) {
  const answers = routes.map((route) => ({ ...route, directResponseAction: { status: 200 } }));
  return object("VirtualService", name, { virtualHost: { domains: [`${name}.test`], routes: answers } });
}

function delegating(name: string, tables: readonly string[]) {
  const routes = tables.map((each) => ({
    matchers: [{ prefix: `/${each}` }],
    delegateAction: { ref: { name: each, namespace: "gloo-system" } },
  }));
  return object("VirtualService", name, { virtualHost: { domains: [`${name}.test`], routes } });
}

function table(name: string, to: string) {
  const routes = [{ matchers: [{ prefix: `/${name}` }], routeAction: { single: { upstream: { name: to, namespace: "gloo-system" } } } }];
  return object("RouteTable", name, { routes });
}

function renamed<T extends { readonly metadata: object }>(resource: T, name: string): T {
  return { ...resource, metadata: { ...resource.metadata, name } };
}
