// The package as a user gets it: packed, installed into an empty folder, run from there.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts } from "../servers/ports.ts";
import { headworks, start } from "./headworks.ts";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "headworks-package-"));
const program = [process.execPath, join(folder, "node_modules/headworks/bin/headworks.cjs")];
const npm = (args: readonly string[], cwd: string) =>
  execFileSync("npm", [...args, "--silent", "--no-audit", "--no-fund", "--prefer-offline"], { cwd, stdio: ["ignore", "pipe", "pipe"] });
let tarball: string;

beforeAll(() => {
  npm(["pack", "--pack-destination", folder], root);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) as string);
  writeFileSync(join(folder, "package.json"), '{"name": "user", "version": "1.0.0"}');
  npm(["install", tarball], folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

test("it is at most 4 MB, and brings only what it needs", () => {
  expect(statSync(tarball).size).toBeLessThan(4_000_000);
  expect(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["@bufbuild", "headworks"]);
  const files = readdirSync(join(folder, "node_modules/headworks")).sort();
  expect(files).toEqual(["LICENSE", "README.md", "THIRD-PARTY-NOTICES", "bin", "deploy", "dist", "examples", "package.json", "proto"]);
});

test("check finds a typo, translate prints Envoy's resources", async () => {
  const config = join(folder, "config");
  mkdirSync(config);
  const write = (hosts: string) =>
    writeFileSync(
      join(config, "up.yaml"),
      `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: a}\nspec: {static: {${hosts}: [{addr: 127.0.0.1, port: 80}]}}\n`,
    );
  write("hots");
  const bad = await headworks(["check", "config"], { cwd: folder, program });
  expect(bad.code).toBe(1);
  expect(bad.stdout).toContain("config/up.yaml:4:17  HW1003");
  write("hosts");
  expect((await headworks(["check", "config"], { cwd: folder, program })).code).toBe(0);
  const translated = await headworks(["translate", "config", "-o", "json"], { cwd: folder, program });
  expect(JSON.parse(translated.stdout).clusters[0].name).toBe("a_default");
});

test("run serves requests", async () => {
  const [port, adminPort] = await freePorts(2);
  const config = join(folder, "served");
  mkdirSync(config);
  writeFileSync(
    join(config, "all.yaml"),
    `apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: gateway-proxy, namespace: gloo-system}
spec: {bindAddress: 127.0.0.1, bindPort: ${port}, httpGateway: {}, proxyNames: [gateway-proxy]}
---
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: hello, namespace: gloo-system}
spec:
  virtualHost:
    domains: ["*"]
    routes:
      - matchers: [{prefix: /}]
        directResponseAction: {status: 200, body: hello}
`,
  );
  await using running = start(["run", "served", "--admin", `${adminPort}`, "--log", "pretty"], { cwd: folder, program });
  await running.said(/ ready {2}/);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("hello");
  expect((await fetch(`http://127.0.0.1:${adminPort}/api/v1/proxies/gloo-system~gateway-proxy/listeners`)).status).toBe(200);
  running.process.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
});

test("a headworks.config.ts beside it imports the library, with its types", async () => {
  const own = join(folder, "own");
  mkdirSync(own);
  writeFileSync(
    join(own, "headworks.config.ts"),
    `import { type ClusterDraft, defineConfig, defineUpstreamType } from "headworks";
const pipe = defineUpstreamType({ kind: "pipe", cluster: ({ name, spec }): ClusterDraft => ({ name, altStatName: spec.path }) });
export default defineConfig({ upstreamTypes: [pipe] });
`,
  );
  writeFileSync(
    join(own, "up.yaml"),
    "apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: a}\nspec: {pipe: {path: /run/a.sock}}\n",
  );
  const run = await headworks(["translate", ".", "-o", "json"], { cwd: own, program });
  expect(run.stderr).toBe("");
  expect(JSON.parse(run.stdout).clusters[0]).toMatchObject({ name: "a_default", altStatName: "/run/a.sock" });
  const options = [
    "--noEmit",
    "--module",
    "nodenext",
    "--target",
    "esnext",
    "--strict",
    "--skipLibCheck",
    "--types",
    "",
    "headworks.config.ts",
  ];
  const typed = spawnSync(join(root, "node_modules/.bin/tsc"), ["--ignoreConfig", ...options], { cwd: own, encoding: "utf8" });
  expect(typed.stdout).toBe("");
});

test("a Node that is too old gets one clear line", () => {
  // The guard reads the version from process.versions; pretending is enough to see the line.
  const pretend = "Object.defineProperty(process.versions, 'node', { value: '20.20.2' });";
  const preload = join(folder, "pretend.cjs");
  writeFileSync(preload, pretend);
  const run = spawnSync(process.execPath, ["-r", preload, program[1] as string, "version"], { encoding: "utf8" });
  expect(run.status).toBe(2);
  expect(run.stderr).toMatch(/^headworks needs Node 24\.11 or later; this is 20\.20\.2\..*\n$/);
});
