// `headworks explain`: what it says against what a real Envoy and the embedded data plane did, and the command itself.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { translateOnce } from "../../src/control-plane.ts";
import { createDataPlane } from "../../src/dataplane/dataplane.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { explain } from "../../src/flow/explain/explain.ts";
import type { Explanation } from "../../src/flow/explain/explanation.ts";
import { realistic } from "../../src/lib/testing/realistic.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { outcomeOf } from "../differential/compare.ts";
import { type Random, randomOf } from "../flow/random.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { cluster, hasKubernetes } from "./cluster.ts";
import { folder, object, run, until, upstream } from "./gateway.ts";
import { headworks } from "./headworks.ts";
import { type InProcess, inProcess, proxy, resourcesOf } from "./in-process.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const seed = Number(process.env.HEADWORKS_SEED ?? Date.now() % 1_000_000);
const sites = 20;
const backends = 3;

// biome-ignore lint/suspicious/noExplicitAny: plain objects that are changed before they are read
type Plain = any;

/** A realistic world with a few of everything that a route can be; each route says in its answers where it is written. */
function world(ports: readonly number[]): readonly object[] {
  const objects = structuredClone(realistic({ upstreams: 40, routes: sites * 10 })) as Plain[];
  let upstreams = 0;
  let routes = 0;
  for (const { kind, metadata, spec } of objects) {
    if (kind === "Upstream") spec.static.hosts = [{ addr: "127.0.0.1", port: ports[upstreams++ % backends] }];
    const own: Plain[] = kind === "VirtualService" ? spec.virtualHost.routes : kind === "RouteTable" ? spec.routes : [];
    for (const [i, route] of own.entries()) {
      vary(route, routes++);
      if (route.delegateAction) continue;
      const header = { key: "x-route", value: `${kind} ${metadata.namespace}/${metadata.name} ${i}` };
      route.options = { ...route.options, headerManipulation: { responseHeadersToAdd: [{ header, append: false }] } };
    }
  }
  return objects;
}

function vary(route: Plain, i: number): void {
  const [matcher] = route.matchers;
  if (route.delegateAction) return;
  const isDirect = i % 11 === 3;
  if (isDirect || i % 11 === 6) delete route.routeAction;
  // What a route does with a request on its way to an upstream.
  if (route.routeAction === undefined) delete route.options;
  if (isDirect) route.directResponseAction = { status: 203, body: "direct" };
  else if (route.routeAction === undefined) route.redirectAction = { hostRedirect: "to.example", responseCode: "FOUND" };
  if (i % 7 === 2)
    route.matchers = [{ ...matcher, queryParameters: [{ name: "v", value: "[12]", regex: true }] }, { prefix: `${matcher.prefix}/x` }];
  if (i % 10 === 5) route.matchers = [{ exact: matcher.prefix }, { regex: `${matcher.prefix}/[0-9]+` }];
  if (i % 13 === 4) route.matchers = [{ ...matcher, headers: [{ name: "x-tenant", value: "t[0-9]+", regex: true }] }];
  if (i % 17 === 8) route.matchers = [{ ...matcher, headers: [{ name: "x-tenant", invertMatch: true }] }];
}

interface Asked {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
}

function randomRequest(random: Random): Asked {
  const site = random.below(sites);
  const i = random.chance(0.9) ? site * 10 + random.below(10) : random.below(sites * 10);
  const table = site % 4 === 3 && random.chance(0.9) ? `/t${site}` : "";
  const path = `${table}/r${i}${random.one(["", "", "/", "/5", "/x", "/a/../x", "?v=1", "?v=3&x=y", "/x?v=2"])}`;
  return {
    method: random.one(["GET", "GET", "GET", "POST", "PUT", "DELETE"]),
    host: random.chance(0.93)
      ? `site-${site}.example.com`
      : random.one(["other.example.com", `SITE-${site}.Example.com`, `site-${site}.example.com:80`]),
    path,
    headers: random.chance(0.4) ? [["x-tenant", random.one([`t${i}`, "t7", "none"])]] : [],
  };
}

describe.skipIf(findEnvoy() === undefined && process.env.HEADWORKS_REQUIRE_SERVERS !== "1")("an explanation and what happens", () => {
  let upstreams: RawUpstream[] = [];
  let running: InProcess;
  const embedded = createDataPlane({ proxy, bindOverride: (_, address) => (address.kind === "tcp" ? { ...address, port: 0 } : address) });

  beforeAll(async () => {
    upstreams = await Promise.all(Array.from({ length: backends }, (_, i) => rawUpstream(`b${i}`)));
    const objects = world(upstreams.map(({ port }) => port));
    running = await inProcess({ objects, consumers: [embedded] });
    await running.settled();
    await embedded.settled();
  });

  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    await embedded[Symbol.asyncDispose]();
    for (const each of upstreams) await each[Symbol.asyncDispose]();
  });

  const requests = isLong ? 3_000 : 300;
  test(`${requests} random requests take the route, the destination and the answer that it says, in both data planes (seed ${seed})`, async () => {
    const random = randomOf(seed);
    const gateway = object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: running.port, httpGateway: {} });
    const source = memorySource(resourcesOf([gateway, ...world(upstreams.map(({ port }) => port))]));
    const translated = await translateOnce({ source, plugins: builtins });
    const { modelOf, placeOf } = translated;
    const once = { resources: translated.resources, proxies: translated.proxies, modelOf, placeOf };
    const ports = { envoy: running.port, embedded: embedded.listeners()[0]?.port as number };
    const seen = new Map<string, number>();
    const found: string[] = [];
    for (let i = 0; i < requests && found.length < 10; i++) {
      const { method, host, path, headers } = randomRequest(random);
      const explanation = explain(once, proxy, { method, scheme: "http", host, port: running.port, path, headers });
      const text = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers.map((each) => each.join(": ")), "", ""].join("\r\n");
      for (const plane of ["envoy", "embedded"] as const) {
        for (const line of disagreements(explanation, await outcomeOf(ports[plane], text), upstreams))
          found.push(`${plane}: ${JSON.stringify(text)}: ${line}`);
      }
      seen.set(explanation.answer.by, (seen.get(explanation.answer.by) ?? 0) + 1);
    }
    expect(found).toEqual([]);
    for (const by of ["upstream", "redirect", "directResponse", "proxy"]) expect([by, (seen.get(by) ?? 0) > 3]).toEqual([by, true]);
  }, 600_000);
});

function disagreements(
  explanation: Explanation,
  outcome: Awaited<ReturnType<typeof outcomeOf>>,
  upstreams: readonly RawUpstream[],
): string[] {
  const found: string[] = [];
  const compare = (what: string, said: unknown, happened: unknown) => {
    if (JSON.stringify(said) !== JSON.stringify(happened))
      found.push(`${what}: said ${JSON.stringify(said)}, happened ${JSON.stringify(happened)}`);
  };
  const { answer, sends, destinations, routes } = explanation;
  const at = routes.find(({ verdict }) => verdict === "taken")?.from;
  compare(
    "route",
    at && `${at.kind} ${at.namespace}/${at.name} ${/routes\[(\d+)\]\.matchers/.exec(at.path ?? "")?.[1]}`,
    outcome.headers["x-route"],
  );
  compare("answers", explanation.answers, outcome.status !== 404);
  if (answer.by !== "upstream") {
    compare("status", answer.status, outcome.status);
    compare("location", answer.location, outcome.headers.location);
    if (answer.by !== "redirect") compare("body", answer.body ?? "", outcome.body);
    return found;
  }
  const { forwarded } = outcome;
  const addresses = destinations.flatMap(({ endpoints }) => endpoints.map(({ address }) => address));
  const port = upstreams.find(({ name }) => name === forwarded?.upstream)?.port;
  if (!addresses.includes(`127.0.0.1:${port}`)) found.push(`destination: said ${addresses.join()}, happened ${port}`);
  compare("sends", [sends?.method, sends?.path, sends?.host], [forwarded?.method, forwarded?.path, forwarded?.headers.host]);
  for (const { name, value } of sends?.headers.added ?? [])
    if (!/^x-(request-id|envoy-expected)/.test(name)) compare(name, value, forwarded?.headers[name]);
  return found;
}

/** A VirtualService for every host. */
function site(routes: readonly object[]): object {
  return object("VirtualService", "shop", { virtualHost: { domains: ["*"], routes } });
}

describe("the command", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  const files = (port: number): string =>
    [
      object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {} }),
      upstream("pets", 9090),
      site([
        { matchers: [{ prefix: "/admin" }], directResponseAction: { status: 403 } },
        {
          matchers: [{ prefix: "/api", methods: ["POST"] }, { prefix: "/api" }],
          options: { prefixRewrite: "/" },
          routeAction: { single: { upstream: { name: "pets", namespace: "gloo-system" } } },
        },
      ]),
    ]
      .map((each) => JSON.stringify(each, undefined, 1))
      .join("\n---\n");

  function oneFile(): string {
    const path = mkdtempSync(join(tmpdir(), "headworks-explain-"));
    folders.push(path);
    writeFileSync(join(path, "all.json"), files(8080));
    return path;
  }

  test("reads a folder, says it line by line, and ends with 0 where somebody answers", async () => {
    const path = oneFile();
    const { code, stdout, stderr } = await headworks(["explain", "get", "http://shop.local:8080/api/pets?a=b", path, "-H", "x-user: al"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^listener +127\.0\.0\.1:8080 {2}Gateway gloo-system\/gateway-proxy +\S+all\.json:\d+\n/);
    expect(stdout).toMatch(/host +VirtualService gloo-system\/shop {2}domain \* \(takes every host\) +\S+all\.json:\d+\n/);
    expect(stdout).toMatch(/✗ route 0 +prefix \/admin {2}← the path is another +\S+all\.json:\d+\n/);
    expect(stdout).toMatch(/✗ route 1 +prefix \/api, method POST {2}← the method is GET +\S+all\.json:\d+\n/);
    expect(stdout).toMatch(/✓ route 1\.1 +prefix \/api +\S+all\.json:\d+\n/);
    expect(stdout).toMatch(/options +prefixRewrite \/ +\S+all\.json:\d+\n/);
    expect(stdout).toMatch(/rewrite +path \/api\/pets\?a=b → \/\/pets\?a=b\n/);
    expect(stdout).toMatch(/upstream +Upstream gloo-system\/pets \(static\) +\S+all\.json:\d+\nendpoints +127\.0\.0\.1:9090\n/);
    expect(stdout).toMatch(/answer +what the upstream says\n$/);
  });

  test("reads stdin, speaks JSON, and ends with 1 where nobody answers", async () => {
    const { code, stdout } = await headworks(["explain", "GET", "http://shop.local:8080/none", "-", "-o", "json"], { stdin: files(8080) });
    const explanation = JSON.parse(stdout) as Explanation;
    expect(code).toBe(1);
    expect(explanation).toMatchObject({
      schemaVersion: 1,
      answers: false,
      proxy: "gloo-system~gateway-proxy",
      answer: { by: "proxy", status: 404 },
    });
    expect(explanation.routes.map(({ verdict }) => verdict)).toEqual(["failed", "failed", "failed"]);
  });

  test("asks the Headworks that runs: what is in service, also where that is not the newest; no secret is told", async () => {
    using own = await folder();
    const routed = (prefix: string, field = "upstream") =>
      site([
        {
          matchers: [{ prefix }],
          options: { headerManipulation: { requestHeadersToAdd: [{ headerSecretRef: { name: "token", namespace: "gloo-system" } }] } },
          routeAction: { single: { [field]: { name: "pets", namespace: "gloo-system" } } },
        },
      ]);
    own.write("secret.json", {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "token", namespace: "gloo-system" },
      type: "gloo.solo.io/header",
      stringData: { "x-token": "canary-of-the-test" },
    });
    own.write("upstream.json", upstream("pets", 9090));
    own.write("route.json", routed("/one"));
    await using _ = await run(own);
    const ask = async (path: string) => {
      const asked = ["explain", "GET", `http://x:${own.port}${path}`, "--server", `127.0.0.1:${own.adminPort}`, "-o", "json"];
      const { code, stdout } = await headworks(asked);
      expect(stdout).not.toContain("canary-of-the-test");
      return { code, ...(JSON.parse(stdout) as Explanation) };
    };
    const first = await ask("/one");
    expect(first).toMatchObject({ code: 0, answers: true, answer: { by: "upstream" }, destinations: [{ cluster: "pets_gloo-system" }] });
    expect(first.routes).toMatchObject([
      { index: 0, verdict: "taken", from: { kind: "VirtualService", name: "shop", line: expect.any(Number) } },
    ]);
    expect(first.sends?.headers.added).toContainEqual({ name: "x-token", value: "[redacted]" });
    own.write("route.json", routed("/two", "upstrem"));
    const query = async () => (await fetch(`http://127.0.0.1:${own.adminPort}/api/v1/findings`)).text();
    await until("the mistake is found", async () => (await query()).includes("upstrem"));
    const kept = await ask("/one");
    expect(kept).toMatchObject({ code: 0, answers: true });
    // The file has another version by now, so no line of it is named.
    expect(kept.routes).toEqual([
      expect.objectContaining({ verdict: "taken", from: expect.not.objectContaining({ line: expect.anything() }) }),
    ]);
    own.write("route.json", routed("/two"));
    await until("the correction is served", async () => !(await query()).includes("upstrem"));
    expect(await ask("/one")).toMatchObject({ code: 1, answers: false });
    expect((await ask("/two")).routes).toMatchObject([{ verdict: "taken", matches: "prefix /two" }]);
  });

  test("what cannot be asked is told apart from what nobody answers", async () => {
    const path = oneFile();
    const ends = async (...args: string[]) => {
      const { code, stderr } = await headworks(["explain", ...args]);
      return [code, stderr.split("\n")[0]];
    };
    expect(await ends("GET", "ftp://shop.local/", path)).toEqual([2, "error: only http and https have routes: ftp://shop.local/"]);
    expect(await ends("GET", "http://shop.local/", path, "-H", "nothing")).toEqual([
      2,
      "error: a header is `name: value`, and this is not: nothing",
    ]);
    expect(await ends("http://shop.local/", "GET", path)).toEqual([2, 'error: "http://shop.local/" is no method']);
    const nobody = await ends("GET", "http://shop.local/", "--server", "127.0.0.1:1");
    expect(nobody).toEqual([3, expect.stringContaining("no Headworks answers at 127.0.0.1:1")]);
    expect((await ends("GET", "http://shop.local:81/", path))[0]).toBe(1);
  });

  test.skipIf(!isLong || !hasKubernetes)("reads a cluster", async () => {
    await using on = await cluster();
    await on.kubernetes.apply(
      upstream("pets", 9090),
      site([{ matchers: [{ prefix: "/" }], routeAction: { single: { upstream: { name: "pets", namespace: "gloo-system" } } } }]),
    );
    const { code, stdout } = await headworks(["explain", "GET", `http://x:${on.port}/a`, "--kubeconfig", on.kubernetes.kubeconfigPath]);
    expect(stdout).toMatch(/✓ route 0 +prefix \//);
    expect(stdout).toMatch(/upstream +Upstream gloo-system\/pets \(static\)\n/);
    expect(code).toBe(0);
  });
});
