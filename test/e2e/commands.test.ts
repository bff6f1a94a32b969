// Commands that read a folder and end: what they print where, and their exit codes.
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { headworks, start } from "./headworks.ts";

const folder = mkdtempSync(join(tmpdir(), "headworks-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const upstream = `apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: petstore, namespace: shop}
spec:
  static:
    hosts: [{addr: 127.0.0.1, port: 9090}]
`;
const route = (field: string, name = "pets", domain = "*") => `apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: shop}
spec:
  virtualHost:
    domains: ["${domain}"]
    routes:
      - matchers: [{prefix: /}]
        routeAction:
          single:
            ${field}: {name: petstore, namespace: shop}
`;

function config(name: string, files: Record<string, string>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const good = config("good", { "upstream.yaml": upstream, "route.yaml": route("upstream") });
const bad = config("bad", { "upstream.yaml": upstream, "route.yaml": route("upstrem") });

describe("check", () => {
  test("says nothing on stdout when all is well, and ends with 0", async () => {
    const run = await headworks(["check", good]);
    expect(run).toMatchObject({ code: 0, stdout: "" });
    expect(run.stderr).toMatch(/^checked 2 resources in 2 files in \d+ ms: 0 errors · 0 warnings\n$/);
  });

  test("prints a typo with its place, its lines and the cure, and ends with 1", async () => {
    const run = await headworks(["check", bad]);
    expect(run.code).toBe(1);
    expect(run.stdout).toContain(`✖ ${bad}/route.yaml:11:13  HW1003 `);
    expect(run.stdout).toContain("> 11 |             upstrem: {name: petstore, namespace: shop}");
    expect(run.stdout).toMatch(/\^{7} did you mean "?upstream"?/);
    expect(run.stderr).toContain("1 error ·");
  });

  test("files count as read though nothing in them is in service", async () => {
    const half = config("half", {
      "upstream.yaml": upstream,
      "again.yaml": upstream,
      "half.yaml": "apiVersion: gateway.solo.io/v1\nkind: Virtu",
    });
    const run = await headworks(["check", half]);
    expect(run.stderr).toMatch(/^checked 1 resource in 3 files in /);
  });

  test("several folders are one configuration", async () => {
    const a = config("a", { "upstream.yaml": upstream });
    const b = config("b", { "route.yaml": route("upstream") });
    expect((await headworks(["check", a, b])).code).toBe(0);
    const again = await headworks(["check", a, a, b, good]);
    expect(again.stdout).toContain("HW1047");
  });

  test("reads stdin", async () => {
    expect((await headworks(["check", "-"], { stdin: `${upstream}---\n${route("upstream")}` })).code).toBe(0);
    const run = await headworks(["check", "-"], { stdin: route("upstrem") });
    expect(run.code).toBe(1);
    expect(run.stdout).toContain("<stdin>:11:13");
  });

  test("warnings count only when asked to", async () => {
    // A destination that is not there yet is a warning: the order of an installation must not matter.
    const lonely = config("lonely", { "route.yaml": route("upstream") });
    expect((await headworks(["check", lonely])).code).toBe(0);
    expect((await headworks(["check", lonely, "--fail-on", "warning"])).code).toBe(1);
  });

  test.each(["json", "sarif"])("-o %s is one JSON document", async (format) => {
    const run = await headworks(["check", bad, "-o", format]);
    expect(run.code).toBe(1);
    expect(() => JSON.parse(run.stdout)).not.toThrow();
  });

  test("a folder that is not there, or that holds nothing, is no success", async () => {
    expect(await headworks(["check", join(folder, "nowhere")])).toMatchObject({ code: 2, stdout: "" });
    const empty = await headworks(["check", config("empty", {})]);
    expect(empty.code).toBe(2);
    expect(empty.stderr).toContain("there is no configuration in");
  });

  test("a reader that closes the pipe early is no failure, and there is never a stack trace", async () => {
    const many = Array.from({ length: 300 }, (_, index) => `---\n${route("upstrem", `r${index}`, `r${index}.example`)}`).join("");
    const noisy = config("noisy", { "routes.yaml": many });
    const run = start(["check", noisy]);
    run.process.stdout?.once("data", () => run.process.stdout?.destroy());
    const ended = await run.ended;
    expect(ended.stderr).not.toMatch(/\n\s+at /);
    expect([0, 1]).toContain(ended.code);
  });
});

describe("translate", () => {
  test("prints statuses and Envoy's resources in proto-JSON, with everything packed in them readable", async () => {
    const run = await headworks(["translate", good, "-o", "json"]);
    expect(run.code).toBe(0);
    const output = JSON.parse(run.stdout);
    expect(Object.keys(output)).toEqual(["statuses", "clusters", "endpoints", "listeners", "routes", "discovered"]);
    expect(output.statuses["Upstream shop/petstore"]).toEqual({ state: "Accepted", reason: "" });
    expect(output.statuses["VirtualService shop/pets"].subresources["*v1.Proxy.gateway-proxy_gloo-system"].state).toBe("Accepted");
    expect(output.clusters[0]).toMatchObject({ name: "petstore_shop", type: "STATIC" });
    expect(output.listeners[0].filterChains[0].filters[0].typedConfig).toMatchObject({ statPrefix: "http" });
    expect(output.routes[0].name).toBe("listener-::-8080-routes");
  });

  test("findings go to stderr, and the rest is still printed", async () => {
    const run = await headworks(["translate", bad, "-o", "json"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("HW1003");
    expect(JSON.parse(run.stdout).statuses["VirtualService shop/pets"].state).toBe("Rejected");
  });

  test("-o yaml is the same, in YAML; an unknown proxy is an error that lists those there are", async () => {
    expect((await headworks(["translate", good])).stdout).toContain("  - name: petstore_shop\n");
    const run = await headworks(["translate", good, "--proxy-name", "nobody"]);
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toContain("gloo-system~gateway-proxy");
  });
});

describe("get", () => {
  const get = (...args: string[]) => headworks(["get", ...args, "-f", good]);

  test("lists resources in glooctl's columns", async () => {
    expect((await get("us", "-n", "shop")).stdout).toBe(
      "UPSTREAM   TYPE     STATUS     DETAILS\npetstore   static   Accepted   127.0.0.1:9090\n",
    );
    expect((await get("virtualservices", "-A")).stdout).toContain("NAMESPACE   VIRTUAL SERVICE   DISPLAY NAME   DOMAINS   SSL    STATUS ");
    expect((await get("us", "-A", "-o", "name")).stdout).toBe("upstreams/petstore\n");
    expect((await get("proxies")).stdout).toContain("gloo-system~gateway-proxy   1           1        1          0");
  });

  test("one resource in JSON is a Kubernetes object with its status", async () => {
    const run = await get("upstream", "petstore", "-n", "shop", "-o", "json");
    expect(JSON.parse(run.stdout)).toMatchObject({
      apiVersion: "gloo.solo.io/v1",
      kind: "Upstream",
      status: { statuses: { "gloo-system": { state: "Accepted" } } },
    });
  });

  test.each([
    ["vs", "-o", "json"],
    ["us", "petstore", "-o", "yaml"],
  ])("what get %s %s %s prints can be read again", async (...args) => {
    const { stdout } = await get(...args, "-n", "shop");
    const again = await headworks(["check", "-"], { stdin: stdout });
    expect(again.stderr).toMatch(/^checked 1 resource in 1 file in \d+ ms: 0 errors/);
  });

  test("what is not there is said: 1 for a name, 2 for a kind, 3 for a server", async () => {
    const elsewhere = await get("us");
    expect(elsewhere).toMatchObject({ code: 0, stdout: "" });
    expect(elsewhere.stderr).toContain("there are 1 in other namespaces (-A)");
    expect((await get("us", "nobody", "-A")).code).toBe(1);
    const kind = await get("upstraems");
    expect(kind.code).toBe(2);
    expect(kind.stderr).toContain("did you mean upstreams?");
    expect((await headworks(["get", "us", "--server", "http://127.0.0.1:1"])).code).toBe(3);
    expect((await headworks(["get", "us", "--server", "127.0.0.1:1"])).stderr).toContain("no Headworks answers at 127.0.0.1:1");
  });
});

describe("usage", () => {
  test("no arguments show the short help and end with 0", async () => {
    const run = await headworks([]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("Usage: headworks");
  });

  test.each([
    [["chek"], "Did you mean check?"],
    [["check"], "which folder? Or a cluster: --source kubernetes"],
    [["check", "x", "--nonsense"], "unknown option"],
    [["run", "x", "--proxy", "nginx"], "Allowed choices are embedded, envoy, none"],
    [["run", ".", "--admin", "70000"], "--admin is host:port"],
    [["run", ".", "--xds", "-1"], "--xds is host:port"],
    [["run", "nowhere-at-all"], "nowhere-at-all is not there"],
    [["run", ".", "--grace", "soon"], "It is a number of seconds"],
    [["run", ".", "--config", "nowhere.ts"], "which is not there"],
    [["get", "us", "--server", "no address"], "--server is the address of an admin API"],
    [["get", "us", "--token-file", "nowhere"], "--token-file names nowhere, which cannot be read"],
    [["check", "-"], "there is no configuration in stdin"],
    [["help", "HW0000"], "neither a command nor the code"],
  ])("%j ends with 2 and a line that says why", async (args, message) => {
    const run = await headworks(args, { cwd: good });
    expect(run.stderr).toContain(message);
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).not.toMatch(/\n\s+at /);
  });

  test.skipIf(!existsSync("/dev/full"))("output that cannot be written is said in a line, without a stack trace", () => {
    const full = openSync("/dev/full", "w");
    const main = join(import.meta.dirname, "../../src/main.ts");
    const run = spawnSync(process.execPath, [main, "translate", good], { stdio: ["ignore", full, "pipe"], encoding: "utf8" });
    closeSync(full);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/^error: the output cannot be written: ENOSPC.*\n$/);
  });

  test("an admin server off loopback needs a token", async () => {
    const run = await headworks(["run", good, "--proxy", "none", "--xds", `unix:${join(folder, "x.sock")}`, "--admin", "0.0.0.0:0"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("it needs a token");
    const early = await headworks(["run", join(folder, "nowhere"), "--admin", "0.0.0.0:0"]);
    expect(early.stderr, "before the folder is looked at, and a port opened").toContain("it needs a token");
  });

  test("xDS off loopback needs TLS with a client CA", async () => {
    const run = await headworks(["run", good, "--proxy", "none", "--xds", "0.0.0.0:0", "--admin", "none"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("client CA");
  });

  test("help of a command below another prints its usage", async () => {
    const run = await headworks(["help", "crds", "diff"]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("Usage: headworks crds diff");
  });

  test("help CODE prints the page of a finding", async () => {
    const run = await headworks(["help", "hw1003"]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("HW1003  unknown field");
    expect(Math.max(...run.stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
    const example = await headworks(["help", "HW2072"]);
    expect(example.stdout).toContain("\n    metadata: {name: gateway-proxy-ssl, namespace: gloo-system}\n");
  });

  test("colour is for terminals, or for who asks", async () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what colour is made of
    const escapeCode = /\u001b\[/;
    expect((await headworks(["check", bad], { env: { NO_COLOR: undefined } })).stdout).not.toMatch(escapeCode);
    expect((await headworks(["--color", "always", "check", bad])).stdout).toMatch(escapeCode);
  });
});
