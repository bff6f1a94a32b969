// `run` and `demo` as a user has them: requests through the gateway, edits while it runs, the admin API, the end.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { ask, folder, backend as newBackend, object, run as runFolder, upstream, virtualService } from "./gateway.ts";
import { headworks, type Running, start } from "./headworks.ts";

/** Requests for /slow, which are answered when the test says so. */
const held: (() => void)[] = [];
const backend = createServer((asked, answer) => {
  const respond = () => void answer.end(`${asked.url} at the backend\n`);
  if (asked.url?.startsWith("/slow")) held.push(respond);
  else respond();
});
const folders: string[] = [];
beforeAll(() => new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  backend.close();
  backend.closeAllConnections();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

interface Gateway extends Running {
  readonly folder: string;
  readonly url: string;
  readonly admin: string;
  /** Writes the routes: by prefix, what is written under `options`. */
  route(prefix: string, field?: string): void;
}

/** A gateway on ports of its own, ready. */
async function gateway(...args: string[]): Promise<Gateway> {
  const [port, adminPort] = await freePorts(2);
  const folder = mkdtempSync(join(tmpdir(), "headworks-run-"));
  folders.push(folder);
  const write = (name: string, object: object) => writeFileSync(join(folder, name), JSON.stringify(object, undefined, 1));
  write("gateway.json", {
    apiVersion: "gateway.solo.io/v1",
    kind: "Gateway",
    metadata: { name: "gateway-proxy", namespace: "gloo-system" },
    spec: { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {}, proxyNames: ["gateway-proxy"] },
  });
  write("upstream.json", {
    apiVersion: "gloo.solo.io/v1",
    kind: "Upstream",
    metadata: { name: "backend", namespace: "gloo-system" },
    spec: { static: { hosts: [{ addr: "127.0.0.1", port: (backend.address() as AddressInfo).port }] } },
  });
  const route = (prefix: string, field = "upstream") =>
    write("route.json", {
      apiVersion: "gateway.solo.io/v1",
      kind: "VirtualService",
      metadata: { name: "all", namespace: "gloo-system" },
      spec: {
        virtualHost: {
          domains: ["*"],
          routes: [{ matchers: [{ prefix }], routeAction: { single: { [field]: { name: "backend", namespace: "gloo-system" } } } }],
        },
      },
    });
  route("/");
  const running = start(["run", folder, "--admin", `127.0.0.1:${adminPort}`, "--log", "pretty", ...args]);
  await running.said(/ ready {2}|"msg":"ready"/);
  return { ...running, folder, url: `http://127.0.0.1:${port}`, admin: `http://127.0.0.1:${adminPort}`, route };
}

const statusOf = async (url: string) => (await fetch(url).catch(() => undefined))?.status;

const proxies = ["embedded", ...(findEnvoy() ? ["envoy"] : [])];

describe.each(proxies)("run --proxy %s", (proxy) => {
  test("serves; an edit is served; a typo is reported at its line while the last good version serves on; mending it is noticed", async () => {
    await using running = await gateway("--proxy", proxy);
    await expect.poll(() => statusOf(`${running.url}/a`)).toBe(200);

    running.route("/only");
    await expect.poll(() => statusOf(`${running.url}/a`)).toBe(404);
    expect(await statusOf(`${running.url}/only`)).toBe(200);

    running.route("/other", "upstrem");
    await running.said(/✖ \S+route\.json:(\d+):(\d+) {2}HW1003/);
    await running.said(/VirtualService gloo-system\/all keeps serving its last good version/);
    expect(await statusOf(`${running.url}/only`)).toBe(200);
    expect(await statusOf(`${running.url}/other`)).toBe(404);

    running.route("/other");
    await expect.poll(() => statusOf(`${running.url}/other`)).toBe(200);
  });

  test("SIGTERM lets a request in flight finish, takes no new one, and ends with 0", async () => {
    await using running = await gateway("--proxy", proxy);
    await expect.poll(() => statusOf(`${running.url}/a`)).toBe(200);
    const inFlight = getText(`${running.url}/slow`);
    await expect.poll(() => held.length).toBe(1);
    running.process.kill("SIGTERM");
    await running.said(/draining/);
    held.pop()?.();
    expect(await inFlight).toBe("/slow at the backend\n");
    expect((await running.ended).code).toBe(0);
    expect(await statusOf(`${running.url}/a`)).toBeUndefined();
  });

  test("SIGINT drains and ends with 130; a second one ends at once", async () => {
    await using first = await gateway("--proxy", proxy);
    first.process.kill("SIGINT");
    expect((await first.ended).code).toBe(130);

    await using second = await gateway("--proxy", proxy, "--grace", "60");
    await expect.poll(() => statusOf(`${second.url}/a`)).toBe(200);
    const inFlight = getText(`${second.url}/slow`).catch(() => "cut");
    await expect.poll(() => held.length).toBe(1);
    second.process.kill("SIGINT");
    await second.said(/draining/);
    second.process.kill("SIGINT");
    expect((await second.ended).code).toBe(130);
    held.pop()?.();
    await inFlight;
  });
});

test.skipIf(findEnvoy() === undefined)("an Envoy of ours that is killed comes back; one whose Headworks is killed ends", async () => {
  await using running = await gateway("--proxy", "envoy");
  await expect.poll(() => statusOf(`${running.url}/a`)).toBe(200);
  const first = childrenOf(running.process.pid as number);
  expect(first).toHaveLength(1);
  process.kill(first[0] as number, "SIGKILL");
  await running.said(/Envoy ended by itself; starting it again/);
  // A change of listeners while it is away is not its start that failed.
  const [port] = await freePorts(1);
  const second = object("Gateway", "second", { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {} });
  writeFileSync(join(running.folder, "second.json"), JSON.stringify(second));
  await running.said(new RegExp(`requests are taken at .*127.0.0.1:${port}`));
  await expect.poll(() => statusOf(`${running.url}/a`)).toBe(200);
  running.process.kill("SIGKILL");
  await expect.poll(() => statusOf(`${running.url}/a`)).toBeUndefined();
});

test.each(["pretty", "json"])("a gateway outlives whoever reads its %s log", async (log) => {
  await using running = await gateway("--log", log);
  running.process.stderr?.destroy();
  running.route("/only");
  await expect.poll(() => statusOf(`${running.url}/a`)).toBe(404);
  running.route("/");
  await expect.poll(() => statusOf(`${running.url}/a`)).toBe(200);
});

describe("run", () => {
  test("the admin API shows what is in service, and get asks it", async () => {
    await using running = await gateway();
    expect(await (await fetch(`${running.admin}/readyz`)).text()).toBe("ok\n");
    const metrics = await (await fetch(`${running.admin}/metrics`)).text();
    expect(metrics).toContain('headworks_config_status{kind="VirtualService",namespace="gloo-system",name="all"} 0');
    await fetch(`${running.url}/a`);
    expect(await (await fetch(`${running.admin}/metrics`)).text()).toContain(
      'envoy_cluster_upstream_rq_total{envoy_cluster_name="backend_gloo-system"} 1',
    );
    const table = await headworks(["get", "vs", "--server", running.admin]);
    expect(table.stdout).toMatch(/^VIRTUAL SERVICE .*\nall .* Accepted /);
    const proxy = await headworks(["get", "proxy", "gateway-proxy", "-o", "json", "--server", running.admin]);
    expect(JSON.parse(proxy.stdout).listeners).toHaveLength(1);
  });

  test("off a terminal the log is JSON, a line each, findings with their place", async () => {
    const [adminPort] = await freePorts(1);
    const folder = mkdtempSync(join(tmpdir(), "headworks-log-"));
    folders.push(folder);
    writeFileSync(join(folder, "x.yaml"), "kind: Upstream\napiVersion: gloo.solo.io/v1\nmetadata: {name: x}\nspec: {statik: {}}\n");
    await using running = start(["run", folder, "--proxy", "none", "--xds", `unix:${join(folder, "xds.sock")}`, "--admin", `${adminPort}`]);
    await running.said(/"msg":"ready"/);
    const lines = running
      .stderr()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.find((line) => line.msg === "loaded")).toMatchObject({ resources: 1, errors: 1 });
    expect(lines.find((line) => line.code === "HW1003")).toMatchObject({ level: 50, place: { file: join(folder, "x.yaml"), line: 4 } });
  });

  test("a port that is taken is one clear line", async () => {
    await using first = await gateway();
    const second = await headworks(["run", first.folder, "--admin", "none"]);
    expect(second.code).toBe(2);
    expect(second.stderr).toMatch(
      /^error: the gateway cannot listen on 127\.0\.0\.1:\d+: something else listens there already \(\S+:\d+:\d+\)$/m,
    );
    // Once: the error, and its cure.
    expect(second.stderr.trim().split("\n")).toHaveLength(2);
    expect(second.stderr).toContain("write another bindPort into the Gateway");
    const third = await headworks(["run", first.folder, "--admin", first.admin.replace("http://", "")]);
    expect(third.code).toBe(2);
    expect(third.stderr).toContain("choose another with --admin");
  });

  test.skipIf(findEnvoy() === undefined)(
    "a port that Envoy cannot have is one clear line too; beside another one it is a finding",
    async () => {
      await using taken = await newBackend("other");
      using config = await folder();
      const at = (port: number) => object("Gateway", `at-${port}`, { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {} });
      config.write("gateway.yaml", at(taken.port));
      config.write("vs.yaml", virtualService("a", "nobody"));
      const run = await headworks(["run", config.path, "--admin", "none", "--proxy", "envoy"]);
      expect(run.code).toBe(2);
      expect(run.stderr).toContain(
        `error: the gateway cannot listen on 127.0.0.1:${taken.port}: Address already in use (${config.path}/gateway.yaml:10:3)`,
      );

      config.write("gateway.yaml", [at(taken.port), at(config.port)]);
      await using running = await runFolder(config, "--proxy", "envoy");
      expect(running.stderr()).toContain(`ready  http://127.0.0.1:${config.port} (Envoy`);
      await running.said(/HW4001 .*Address already in use[\s\S]*choose another port, or free this one/);
    },
  );

  test("an Envoy that ends as it starts is one clear line with its own words, and nothing is called ready", async () => {
    using config = await folder();
    config.write("vs.yaml", virtualService("a", "nobody"));
    const run = await headworks(["run", config.path, "--admin", "none", "--log", "pretty", "--proxy", "envoy", "--envoy", "/bin/ls"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("error: Envoy ended as it started (/bin/ls, code 2)\n/bin/ls: unrecognized option");
    expect(run.stderr).not.toContain("ready");
  });

  test.skipIf(findEnvoy() === undefined)("ready means that Envoy answers", async () => {
    using config = await folder();
    await using one = await newBackend("one");
    config.write("upstream.yaml", upstream("one", one.port));
    config.write("vs.yaml", virtualService("a", "one"));
    await using _running = await runFolder(config, "--proxy", "envoy");
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");
  });

  test("with --state-dir a restart forgets nothing, even when the newest version is broken", async () => {
    const [state] = [mkdtempSync(join(tmpdir(), "headworks-state-"))];
    folders.push(state);
    await using first = await gateway("--state-dir", state);
    expect(await statusOf(`${first.url}/a`)).toBe(200);
    first.process.kill("SIGTERM");
    await first.ended;
    writeFileSync(
      join(first.folder, "route.json"),
      readFileSync(join(first.folder, "route.json"), "utf8").replace('"upstream"', '"upstrem"'),
    );
    await using second = start(["run", first.folder, "--admin", "none", "--log", "pretty", "--state-dir", state]);
    await second.said(/ ready {2}/);
    expect(second.stderr()).toContain("HW1003");
    expect(await statusOf(`${first.url}/a`)).toBe(200);
  });

  test("an own type of Upstream comes with headworks.config.ts", async () => {
    const folder = join(import.meta.dirname, "../../examples/custom-type");
    const run = await headworks(["check", "config"], { cwd: folder });
    expect(run.stdout).toBe("");
    expect(run.code).toBe(0);
  });
});

/** Of Linux; elsewhere none. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

function getText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("end", () => resolve(text));
      answer.on("error", reject);
    })
      .on("error", reject)
      .end();
  });
}
