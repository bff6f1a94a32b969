// `headworks proxy`: the embedded data plane as a process of its own, served over xDS by another Headworks.
import { writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { askTls } from "../../src/dataplane/testing/tls.ts";
import { envoyOn, withEnvoy } from "../conformance/xds/envoy.ts";
import { freePort, freePorts } from "../servers/ports.ts";
import { ask, backend, type Folder, folder, object, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";
import { type Running, start } from "./headworks.ts";

interface Proxy extends AsyncDisposable {
  readonly running: Running;
  readonly admin: (path: string) => Promise<string>;
  readonly json: <T>(path: string) => Promise<T>;
}

/** Ready when it says so. */
async function proxyOn(xds: string, ...args: string[]): Promise<Proxy> {
  const adminPort = await freePort();
  const running = start(["proxy", "--xds", xds, "--admin", `127.0.0.1:${adminPort}`, "--log", "pretty", ...args]);
  await running.said(/ ready {2}/);
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  return {
    running,
    admin,
    json: async (path) => JSON.parse(await admin(path)),
    // Asked to, and not killed: the workers of a killed one serve on for a while.
    async [Symbol.asyncDispose]() {
      running.process.kill("SIGTERM");
      running.process.kill("SIGTERM");
      await running.ended;
    },
  };
}

/** A folder served over xDS, on an address that stays. */
async function served(config: Folder): Promise<{ readonly xds: string; readonly again: () => Promise<Running> }> {
  const xds = `127.0.0.1:${await freePort()}`;
  return { xds, again: () => run(config, "--proxy", "none", "--xds", xds) };
}

test("what a Headworks serves over xDS is answered; edits go live; ports open and close with their Gateways", async () => {
  await using one = await backend("one");
  await using two = await backend("two");
  using config = await folder();
  const second = await freePort();
  config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
  config.write("a.yaml", virtualService("a", "one"));
  const { xds, again } = await served(config);
  await using _plane = await again();
  await using proxy = await proxyOn(xds);
  expect(proxy.running.stderr()).toContain(`http://127.0.0.1:${config.port}`);
  expect(await ask(config.port, "a.test", "/p")).toMatchObject({ status: 200, body: "one /p" });
  expect(await ask(config.port, "b.test")).toMatchObject({ status: 404 });

  config.write("a.yaml", virtualService("a", "two"));
  await untilAnswers(config.port, "a.test", "two /");
  config.write("second.yaml", object("Gateway", "second", { bindAddress: "127.0.0.1", bindPort: second, httpGateway: {} }));
  await untilAnswers(second, "a.test", "two /");
  await proxy.running.said(new RegExp(`requests are taken at .*:${second}`));
  config.remove("second.yaml");
  await until("the second port is closed", async () => (await ask(second, "a.test")) === undefined);
  expect(await ask(config.port, "a.test")).toMatchObject({ body: "two /" });

  expect(await proxy.admin("/readyz")).toBe("ok\n");
  expect(await proxy.json("/api/v1/xds")).toMatchObject({
    isConnected: true,
    refused: 0,
    resources: { Listener: 1, RouteConfiguration: expect.any(Number) },
  });
  expect(await proxy.admin("/metrics")).toMatch(/envoy_http_downstream_rq_total\{[^}]*\} \d+/);
  proxy.running.process.kill("SIGTERM");
  expect(await proxy.running.ended).toMatchObject({ code: 0 });
});

test("without its server it serves on; the server that comes back sends nothing that is there already, and then the next edit", async () => {
  await using one = await backend("one");
  await using two = await backend("two");
  using config = await folder();
  config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
  config.write("a.yaml", virtualService("a", "one"));
  const { xds, again } = await served(config);
  const first = await again();
  await using proxy = await proxyOn(xds);
  first.process.kill("SIGKILL");
  await first.ended;
  await proxy.running.said(/WARN .*what it sent is served on/);
  expect(await ask(config.port, "a.test")).toMatchObject({ body: "one /" });
  expect(await proxy.admin("/readyz")).toBe("ok\n");

  await using _second = await again();
  await proxy.running.said(/the xDS server is there again/);
  const sent = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${config.adminPort}/metrics`)).text();
    return [...metrics.matchAll(/^headworks_xds_sent_resources_total\{[^}]*\} (\d+)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
  };
  const clients = async () =>
    (await fetch(`http://127.0.0.1:${config.adminPort}/api/v1/clients`)).json() as Promise<{
      clients: { types: { ackedVersion: string }[] }[];
    }>;
  await until("all types are acknowledged", async () => {
    const [client] = (await clients()).clients;
    return client !== undefined && client.types.length >= 3 && client.types.every(({ ackedVersion }) => ackedVersion !== "");
  });
  expect(await sent()).toBe(0);
  config.write("a.yaml", virtualService("a", "two"));
  await untilAnswers(config.port, "a.test", "two /");
});

test("certificates come by SDS, and a renewed one is shown", async () => {
  using made = certificates();
  await using one = await backend("one");
  using config = await folder();
  const secret = ({ certificate, key }: KeyPair) => ({
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: "a", namespace: "gloo-system" },
    data: { "tls.crt": Buffer.from(certificate).toString("base64"), "tls.key": Buffer.from(key).toString("base64") },
  });
  const plain = virtualService("a", "one");
  config.write(
    "gateway.yaml",
    object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: config.port, ssl: true, httpGateway: {} }),
  );
  config.write("upstream.yaml", upstream("one", one.port));
  config.write("a.yaml", {
    ...plain,
    spec: { ...plain.spec, sslConfig: { secretRef: { name: "a", namespace: "gloo-system" }, sniDomains: ["a.test"] } },
  });
  config.write("secret.yaml", secret(made.selfSigned("first.test")));
  const { xds, again } = await served(config);
  await using _plane = await again();
  await using proxy = await proxyOn(xds);
  const shown = () => askTls(config.port, { servername: "a.test" }, "GET /p HTTP/1.1\r\nHost: a.test\r\n\r\n");
  // No waiting: the listener was opened with its certificate.
  expect(await shown()).toMatchObject({ status: 200, body: "one /p", shown: "first.test" });
  expect(await proxy.json("/api/v1/xds")).toMatchObject({ resources: { Secret: 1 } });
  config.write("secret.yaml", secret(made.selfSigned("second.test")));
  await until("the renewed certificate is shown", async () => (await shown()).shown === "second.test");
});

test("a server that asks for certificates is shown one", async () => {
  using made = certificates();
  await using one = await backend("one");
  using config = await folder();
  config.write("a.yaml", [upstream("one", one.port), virtualService("a", "one")]);
  const authority = made.selfSigned("authority.test");
  const file = (name: string, text: string) => {
    writeFileSync(join(config.path, name), text);
    return join(config.path, name);
  };
  const pair = (name: string, signed: KeyPair) => [file(`${name}.pem`, signed.certificate), file(`${name}.key`, signed.key)] as const;
  const ca = file("ca.pem", authority.certificate);
  const [serverCert, serverKey] = pair("server", made.signed("xds.test", authority));
  const [cert, key] = pair("client", made.signed("proxy.test", authority));
  const xds = `127.0.0.1:${await freePort()}`;
  await using _plane = await run(
    config,
    "--proxy",
    "none",
    "--xds",
    xds,
    "--xds-tls-cert",
    serverCert,
    "--xds-tls-key",
    serverKey,
    "--xds-client-ca",
    ca,
  );
  await using _proxy = await proxyOn(xds, "--xds-ca", ca, "--xds-cert", cert, "--xds-key", key, "--xds-server-name", "xds.test");
  expect(await ask(config.port, "a.test")).toMatchObject({ body: "one /" });

  await using stranger = start([
    "proxy",
    "--xds",
    xds,
    "--xds-ca",
    ca,
    "--xds-server-name",
    "xds.test",
    "--admin",
    "none",
    "--log",
    "pretty",
  ]);
  await stranger.said(/WARN .*the xDS server cannot be reached/);
  expect(stranger.stderr()).not.toMatch(/ ready {2}/);
});

test("two workers serve the same; one that is killed is replaced, and meanwhile nobody is refused", async () => {
  await using one = await backend("one");
  await using two = await backend("two");
  using config = await folder();
  config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
  config.write("a.yaml", virtualService("a", "one"));
  const { xds, again } = await served(config);
  const plane = await again();
  await using proxy = await proxyOn(xds, "--workers", "2");
  const workers = async () => (await proxy.json<{ workers: { pid: number; isReady: boolean }[] }>("/api/v1/workers")).workers;
  await until("both workers are ready", async () => (await workers()).filter(({ isReady }) => isReady).length === 2);

  // Nothing to warn of.
  expect(proxy.running.stderr()).not.toMatch(/WARN|ERROR/);

  // Connections that stay show who has them when a worker goes.
  const kept = await Promise.all(Array.from({ length: 40 }, () => keptConnection(config.port)));
  expect(kept.map(({ body }) => body)).toEqual(kept.map(() => "one /"));
  expect(await counted(proxy, "downstream_cx_total")).toBeGreaterThanOrEqual(40);

  // Who comes anew, all the while: each on a connection of its own.
  const seen: (string | undefined)[] = [];
  const load = { on: true };
  const askers = Array.from({ length: 2 }, async () => {
    while (load.on) seen.push((await ask(config.port, "a.test", "/", { headers: { connection: "close" } }))?.body);
  });
  const asked = await counted(proxy, "downstream_rq_total");
  // Without the server: what the new worker serves comes from the main process.
  plane.process.kill("SIGKILL");
  await plane.ended;
  const [victim] = await workers();
  process.kill(victim?.pid ?? 0, "SIGKILL");
  await proxy.running.said(/worker \d+ ended by itself \(SIGKILL\); another takes its place/);
  await until("another has taken its place", async () => {
    const all = await workers();
    return all.length === 2 && all.every(({ pid, isReady }) => isReady && pid !== victim?.pid);
  });
  const closed = kept.filter(({ isClosed }) => isClosed()).length;
  expect(closed).toBeGreaterThan(0);
  expect(closed).toBeLessThan(40);
  // What it had counted stays counted.
  expect(await counted(proxy, "downstream_rq_total")).toBeGreaterThanOrEqual(asked);
  await until("many have asked", () => seen.length > 50);

  config.write("a.yaml", virtualService("a", "two"));
  await using _plane = await again();
  await untilAnswers(config.port, "a.test", "two /");
  load.on = false;
  await Promise.all(askers);
  // The one or two whose request the killed worker had in its hands were cut off.
  const lost = seen.filter((body) => body === undefined).length;
  expect(lost).toBeLessThanOrEqual(2);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => ask(config.port, "a.test", "/", { headers: { connection: "close" } })),
  );
  expect(answers.map((answer) => answer?.body)).toEqual(answers.map(() => "two /"));
  for (const { agent } of kept) agent.destroy();

  proxy.running.process.kill("SIGTERM");
  expect(await proxy.running.ended).toMatchObject({ code: 0 });
  expect(await ask(config.port, "a.test")).toBeUndefined();
});

test("SIGTERM lets the workers finish what is under way; workers whose main process is killed end by themselves", {
  timeout: 60_000,
}, async () => {
  await using slow = await backend("slow");
  const waiting: (() => void)[] = [];
  slow.server.removeAllListeners("request");
  slow.server.on("request", (_, answer) => waiting.push(() => answer.end("at last")));
  using config = await folder();
  config.write("a.yaml", [upstream("slow", slow.port), virtualService("a", "slow")]);
  const { xds, again } = await served(config);
  await using _plane = await again();
  {
    await using proxy = await proxyOn(xds, "--workers", "2");
    const answers = Array.from({ length: 6 }, () => ask(config.port, "a.test"));
    await until("all are at the backend", () => waiting.length === 6);
    proxy.running.process.kill("SIGTERM");
    await proxy.running.said(/draining/);
    await until("nobody else is let in", async () => {
      const late = ask(config.port, "a.test");
      return (await Promise.race([late, new Promise((resolve) => setTimeout(resolve, 200, "waits"))])) === undefined;
    });
    for (const answer of waiting.splice(0)) answer();
    expect((await Promise.all(answers)).map((answer) => answer?.body)).toEqual(answers.map(() => "at last"));
    expect(await proxy.running.ended).toMatchObject({ code: 0 });
  }
  const proxy = await proxyOn(xds, "--workers", "2");
  const { workers } = await proxy.json<{ workers: { pid: number }[] }>("/api/v1/workers");
  proxy.running.process.kill("SIGKILL");
  await until("the workers are gone", () => workers.every(({ pid }) => !isAlive(pid)));
});

test("SIGTERM closes the ports at once, though a worker is stuck in a change", async () => {
  await using one = await backend("one");
  await using two = await backend("two");
  using config = await folder();
  config.write("a.yaml", [upstream("one", one.port), upstream("two", two.port), virtualService("a", "one")]);
  const { xds, again } = await served(config);
  await using _plane = await again();
  await using proxy = await proxyOn(xds, "--workers", "2", "--grace", "1");
  const { workers } = await proxy.json<{ workers: { pid: number }[] }>("/api/v1/workers");
  process.kill(workers[0]?.pid ?? 0, "SIGSTOP");
  config.write("b.yaml", virtualService("b", "two"));
  // The other one has taken it. A connection may still be the stuck one's.
  await until("half of the change is in force", async () => {
    const late = new Promise<undefined>((resolve) => void setTimeout(() => resolve(undefined), 200));
    return (await Promise.race([ask(config.port, "b.test", "/", { headers: { connection: "close" } }), late]))?.body === "two /";
  });
  const asked = performance.now();
  proxy.running.process.kill("SIGTERM");
  expect(await proxy.running.ended).toMatchObject({ code: 0 });
  // Long before the worker is given up.
  expect(performance.now() - asked).toBeLessThan(30_000);
  expect(workers.filter(({ pid }) => isAlive(pid))).toEqual([]);
});

test("a port that is taken is said, to the control plane too, and bound when it is free; by all workers", async () => {
  await using one = await backend("one");
  await using taken = await backend("somebody else");
  using config = await folder();
  config.write("gateway.yaml", object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: taken.port, httpGateway: {} }));
  config.write("a.yaml", [upstream("one", one.port), virtualService("a", "one")]);
  const { xds, again } = await served(config);
  await using plane = await again();
  await using proxy = await proxyOn(xds, "--workers", "2");
  expect(proxy.running.stderr()).toContain(`ready  no listener yet: cannot bind '127.0.0.1:${taken.port}': Address already in use`);
  // Where its bindPort is written.
  await plane.said(/gateway\.yaml:10:3 {2}HW4001 .*cannot bind '127\.0\.0\.1:\d+': Address already in use/);
  await until("it is not ready", async () => /\[-\] all ports bound not yet/.test(await proxy.admin("/readyz?verbose")));
  expect(await proxy.admin("/metrics")).toMatch(/^headworks_ready 0$/m);
  await taken[Symbol.asyncDispose]();
  await untilAnswers(taken.port, "a.test", "one /");
  await plane.said(/HW4001 is resolved/);
  await until("it is ready", async () => (await proxy.admin("/readyz")) === "ok\n");
});

test("a Gateway that moves to a port that is taken is served where it was, until that port is free", async () => {
  await using one = await backend("one");
  await using two = await backend("two");
  await using taken = await backend("somebody else");
  using config = await folder();
  config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
  config.write("a.yaml", virtualService("a", "one"));
  const { xds, again } = await served(config);
  await using plane = await again();
  await using proxy = await proxyOn(xds);
  const failures: number[] = [];
  let isOver = false;
  const asking = (async () => {
    while (failures.length === 0 && !isOver) {
      const answer = await ask(config.port, "a.test");
      if (answer?.status !== 200) failures.push(answer?.status ?? 0);
    }
  })();
  config.write("gateway.yaml", object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: taken.port, httpGateway: {} }));
  await plane.said(/gateway\.yaml:\d+:\d+ {2}HW4001 .*cannot bind/);
  config.write("a.yaml", virtualService("a", "two"));
  await untilAnswers(config.port, "a.test", "two /");
  expect(await proxy.admin("/readyz")).toBe("ok\n");
  isOver = true;
  await asking;
  expect(failures).toEqual([]);
  await taken[Symbol.asyncDispose]();
  await untilAnswers(taken.port, "a.test", "two /");
  await plane.said(/HW4001 is resolved/);
  await until("the old port is closed", async () => (await ask(config.port, "a.test")) === undefined);
  await proxy.running.said(new RegExp(`requests are taken at http://127.0.0.1:${taken.port}`));
});

test("a role that the control plane does not know is said aloud, and nothing is called ready before it does", async () => {
  await using one = await backend("one");
  using config = await folder();
  config.write("a.yaml", [upstream("one", one.port), virtualService("a", "one")]);
  const { xds, again } = await served(config);
  await using _plane = await again();
  const adminPort = await freePort();
  await using proxy = start(["proxy", "--xds", xds, "--role", "gloo-system~other", "--admin", `127.0.0.1:${adminPort}`, "--log", "pretty"]);
  await proxy.said(
    /ERROR not ready, the control plane does not know this proxy: .*"gloo-system~other"; the known ones are: gloo-system~gateway-proxy/,
  );
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  expect(await admin("/readyz?verbose")).toContain("[-] role known to the control plane not yet");
  expect(await admin("/metrics")).toMatch(/^headworks_ready 0$/m);
  expect(proxy.stderr()).not.toContain("ready  ");

  const spec = { bindAddress: "127.0.0.1", bindPort: await freePort(), httpGateway: {}, proxyNames: ["other"] };
  config.write("other.yaml", object("Gateway", "other", spec));
  await proxy.said(new RegExp(`ready {2}http://127.0.0.1:${spec.bindPort}`));
  await until("it is ready", async () => (await admin("/readyz")) === "ok\n");
  expect(await ask(spec.bindPort, "a.test")).toMatchObject({ body: "one /" });
  config.remove("other.yaml");
  await proxy.said(/ERROR not ready[\s\S]*ready {2}[\s\S]*ERROR not ready/);
});

test("wrong options are said before anything starts", async () => {
  const ended = (...args: string[]) => start(["proxy", ...args]).ended;
  expect(await ended()).toMatchObject({ code: 2, stderr: expect.stringContaining("where is the xDS server?") });
  expect(await ended("--xds", "nowhere")).toMatchObject({ code: 2, stderr: expect.stringContaining("--xds is host:port") });
  expect(await ended("--xds", "9977", "--workers", "none")).toMatchObject({ code: 2 });
  expect(await ended("--xds", "9977", "--xds-cert", "x")).toMatchObject({ code: 2, stderr: expect.stringContaining("--xds-key") });
  expect(await ended("worker")).toMatchObject({ code: 2, stderr: expect.stringContaining("nobody else") });
});

withEnvoy("beside a real Envoy", () => {
  test("both answer alike, before and after an edit", async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    using config = await folder();
    const [envoyPort = 0, xdsPort = 0] = await freePorts(2);
    const gateway = (name: string, port: number) =>
      object("Gateway", name, { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {}, proxyNames: [name] });
    config.write("gateway.yaml", [gateway("gateway-proxy", config.port), gateway("envoy", envoyPort)]);
    config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
    const route = (prefix: string, action: object) => ({ matchers: [{ prefix }], ...action });
    const to = (name: string) => ({ routeAction: { single: { upstream: { name, namespace: "gloo-system" } } } });
    const site = (first: string) =>
      object("VirtualService", "a", {
        virtualHost: {
          domains: ["a.test"],
          routes: [
            route("/gone", { directResponseAction: { status: 410, body: "gone" } }),
            route("/old", { redirectAction: { pathRedirect: "/new", responseCode: "FOUND" } }),
            route("/rewritten", { ...to("two"), options: { prefixRewrite: "/to" } }),
            route("/", {
              ...to(first),
              options: { headerManipulation: { responseHeadersToAdd: [{ header: { key: "x-by", value: first } }] } },
            }),
          ],
        },
      });
    config.write("a.yaml", site("one"));
    await using _plane = await run(config, "--proxy", "none", "--xds", `127.0.0.1:${xdsPort}`);
    await using _envoy = await envoyOn({ host: "127.0.0.1", port: xdsPort }, { proxy: "gloo-system~envoy" });
    await using _proxy = await proxyOn(`127.0.0.1:${xdsPort}`);
    const answers = (port: number) =>
      Promise.all(
        [["/"], ["/gone"], ["/old"], ["/rewritten/x?y"], ["/", "b.test"], ["/p", "A.test:80"]].map(async ([path, host = "a.test"]) => {
          const answer = await ask(port, host, path);
          const { location, server, "x-by": by, "content-type": type } = answer?.headers ?? {};
          return { path, host, status: answer?.status, body: answer?.body, location, server, by, type };
        }),
      );
    await untilAnswers(envoyPort, "a.test", "one /");
    expect(await answers(config.port)).toEqual(await answers(envoyPort));
    config.write("a.yaml", site("two"));
    for (const port of [envoyPort, config.port]) await untilAnswers(port, "a.test", "two /");
    expect(await answers(config.port)).toEqual(await answers(envoyPort));
  });
});

interface Kept {
  readonly agent: Agent;
  readonly body: string;
  readonly isClosed: () => boolean;
}

/** A connection on which one request was answered, and that stays open. */
function keptConnection(port: number): Promise<Kept> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, path: "/", headers: { host: "a.test" }, agent }, (response) => {
      let isClosed = false;
      response.socket.on("close", () => {
        isClosed = true;
      });
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ agent, body, isClosed: () => isClosed }));
    });
    call.on("error", reject).end();
  });
}

/** Of all workers, in Envoy's text form. */
async function counted(proxy: Proxy, name: string): Promise<number> {
  const lines = (await proxy.admin("/stats")).split("\n").filter((line) => new RegExp(`^http\\..*\\.${name}: `).test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(": ")[1]), 0);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
