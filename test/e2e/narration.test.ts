// What a person is told while `run` runs: what went, what is mended, and where requests are taken.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { freePorts } from "../servers/ports.ts";
import { ask, backend, folder, object, run, upstream, virtualService } from "./gateway.ts";
import { headworks, start } from "./headworks.ts";

test("what is deleted is called removed, and that nothing listens any more is said", async () => {
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write("a.yaml", virtualService("a", "one"));
  await using running = await run(config);
  config.remove("a.yaml");
  await running.said(/VirtualService gloo-system\/a removed · live in /);
  await running.said(/no listener any more: no Gateway has a VirtualService to serve/);
  config.write("a.yaml", virtualService("a", "one"));
  await running.said(new RegExp(`VirtualService gloo-system/a changed[\\s\\S]*requests are taken at http://127.0.0.1:${config.port}`));
});

test("a Gateway that moves to another port says where requests are taken now", async () => {
  const [elsewhere] = await freePorts(1);
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write("a.yaml", virtualService("a", "one"));
  await using running = await run(config);
  config.write("gateway.yaml", object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: elsewhere, httpGateway: {} }));
  await running.said(new RegExp(`requests are taken at http://127.0.0.1:${elsewhere}`));
});

test("a file that could not be read and is gone is resolved; a new Gateway on a taken port has no last good version", async () => {
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write("a.yaml", virtualService("a", "one"));
  await using running = await run(config);
  config.write("broken.yaml", "kind: [");
  await running.said(/✖ \S+broken\.yaml:1:7 {2}HW1001/);
  config.remove("broken.yaml");
  await running.said(/✔ \S+broken\.yaml:1:7 {2}HW1001 is resolved/);

  config.write("second.yaml", object("Gateway", "second", { bindAddress: "127.0.0.1", bindPort: one.port, httpGateway: {} }));
  await running.said(/✖ \S+second\.yaml:\d+:\d+ {2}HW5002/);
  config.remove("second.yaml");
  await running.said(/Gateway gloo-system\/second removed/);
  expect(running.stderr()).not.toContain("keeps serving its last good version");
});

test("a Gateway that the embedded data plane cannot serve is not called ready", async () => {
  const [port] = await freePorts(1);
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write("a.yaml", virtualService("a", "one"));
  // No machine has this address (RFC 5737).
  config.write("elsewhere.yaml", object("Gateway", "elsewhere", { bindAddress: "203.0.113.7", bindPort: port, httpGateway: {} }));
  await using running = await run(config);
  await running.said(/HW5002/);
  expect(running.stderr()).toContain(`ready  http://127.0.0.1:${config.port} (embedded`);
});

test("an access log that cannot be opened is a finding where its path is written, until it can be", async () => {
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write("a.yaml", virtualService("a", "one"));
  const log = join(config.path, "logs", "access.log");
  const options = { accessLoggingService: { accessLog: [{ fileSink: { path: log } }] } };
  const spec = { bindAddress: "127.0.0.1", bindPort: config.port, httpGateway: {}, options };
  config.write("gateway.yaml", object("Gateway", "gateway-proxy", spec));
  const line = JSON.stringify(object("Gateway", "gateway-proxy", spec), undefined, 1)
    .slice(0, -1)
    .split('"path"')[0]
    ?.split("\n").length;
  await using running = await run(config);
  await running.said(new RegExp(`gateway\\.yaml:${line}:\\d+ {2}HW5008 access log ${log}: ENOENT`));
  expect(running.stderr().match(/ENOENT/g)).toHaveLength(1);
  mkdirSync(join(config.path, "logs"));
  await running.said(/HW5008 is resolved/);
});

test("an authorization server that is down is said once, with its cluster, however many requests it keeps out", async () => {
  const [nobody] = await freePorts(1);
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", [upstream("one", one.port), upstream("auth", nobody ?? 0)]);
  const guarded = virtualService("a", "one");
  Object.assign(guarded.spec, {
    virtualHost: { ...(guarded.spec as { virtualHost: object }).virtualHost, options: { extauth: { customAuth: {} } } },
  });
  config.write("a.yaml", guarded);
  const extauth = { extauthzServerRef: { name: "auth", namespace: "gloo-system" }, httpService: {} };
  const spec = { bindAddress: "127.0.0.1", bindPort: config.port, httpGateway: { options: { extauth } } };
  config.write("gateway.yaml", object("Gateway", "gateway-proxy", spec));
  await using running = await run(config);
  for (let i = 0; i < 3; i++) expect((await ask(config.port, "a.test"))?.status).toBe(403);
  await running.said(/WARN {2}the authorization server \(cluster auth_gloo-system\) gives no answer.*: requests are refused with 403/);
  expect(running.stderr().match(/authorization server/g)).toHaveLength(1);
});

test("a signal ends a start that waits for something", async () => {
  using config = await folder();
  config.write("headworks.config.mjs", "console.error('waiting'); await new Promise(() => setInterval(() => {}, 1000));");
  const main = join(import.meta.dirname, "../../src/main.ts");
  const child = spawn(
    process.execPath,
    [main, "run", config.path, "--admin", "none", "--config", join(config.path, "headworks.config.mjs")],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  await new Promise((resolve) => child.stderr.once("data", resolve));
  child.kill("SIGTERM");
  const signal = await new Promise((resolve) => child.once("exit", (_, by) => resolve(by)));
  expect(signal).toBe("SIGTERM");
});

test("what is broken at a start is told to be not served, and what would have kept it; another mistake of the same kind resolves nothing", async () => {
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write("a.yaml", virtualService("a", "one"));
  const broken = (field: string) => object("VirtualService", "b", { virtualHost: { domains: ["b.test"], [field]: [] } });
  config.write("b.yaml", broken("rutes"));
  await using running = await run(config);
  expect(running.stderr()).toContain("not served: VirtualService gloo-system/b; with --state-dir DIR the last good version would be");
  config.write("b.yaml", broken("routers"));
  await running.said(/unknown field "routers"/);
  config.write("c.yaml", virtualService("c", "one"));
  await running.said(/VirtualService gloo-system\/c changed/);
  expect(running.stderr()).not.toContain("is resolved");
});

test("a folder without anything of gloo.solo.io is watched, with a warning; a file of something else is an error", async () => {
  using config = await folder();
  config.remove("gateway.yaml");
  await using running = await run(config);
  expect(running.stderr()).toContain(`WARN  nothing of gloo.solo.io was found in ${config.path}, which is watched; put files`);
  config.write("upstream.yaml", upstream("one", 1));
  await running.said(/Upstream gloo-system\/one changed/);

  config.write("services.yaml", { apiVersion: "v1", kind: "Namespace", metadata: { name: "x" } });
  config.write("notes.txt", "root:x:0:0:root:/root:/bin/bash\n[ this is no YAML");
  for (const file of ["services.yaml", "notes.txt", "/etc/hosts"]) {
    const ended = await headworks(["run", resolve(config.path, file), "--admin", "none", "--log", "pretty"]);
    expect(ended.stderr).toContain(`error: ${resolve(config.path, file)} holds no object of gloo.solo.io`);
    expect(ended.stderr).not.toContain("ready");
    expect(ended.code).toBe(2);
  }
});

test("a file with a mistake in it is served as soon as that is mended", async () => {
  using config = await folder();
  config.write("broken.yaml", "kind: [");
  await using running = start(["run", join(config.path, "broken.yaml"), "--admin", "none", "--log", "json"]);
  await running.said(/"msg":"ready"/);
  config.write("broken.yaml", upstream("one", 1));
  await running.said(/"changed":\["Upstream gloo-system.one"\]/);
  const changes = running
    .stderr()
    .split("\n")
    .filter((line) => line.includes("configuration changed"));
  for (const line of changes) expect(JSON.parse(line).changes).toBeGreaterThan(0);
  for (const line of changes) expect(String(JSON.parse(line).milliseconds)).toMatch(/^\d+(\.\d)?$/);
  expect(changes.length).toBeGreaterThan(0);
});
