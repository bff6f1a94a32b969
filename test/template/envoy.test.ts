// The script of transformations in a real Envoy, where it is a matter of Envoy: limits, upgrades, what is logged and counted.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { plainTransformation as plain } from "../../src/lib/testing/transformations.ts";
import { luaRuntime } from "../../src/template/lua/runtime.ts";
import { stageProgram } from "../../src/template/program.ts";
import type { Change, StagePlan } from "../../src/template/transformation.ts";
import { findEnvoy, type RunningEnvoy, startEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";

const here = test.skipIf(findEnvoy() === undefined);

const bodyOf = (template: string): Change => ({ ...plain, body: { kind: "template", template } });
const plans: Readonly<Record<string, StagePlan>> = {
  "/request": {
    entries: [
      { request: bodyOf("{{ name }}"), response: { ...plain, body: { kind: "passthrough" }, headers: [["x-transformed", "yes"]] } },
    ],
  },
  "/response": { entries: [{ response: bodyOf("{{ missing }}") }] },
  "/passing": { entries: [{ response: { ...plain, body: { kind: "passthrough" }, headers: [["x-a", "{{ at([], 1) }}"]] } }] },
  "/random": {
    entries: [{ response: { ...plain, body: { kind: "passthrough" }, headers: [["x-random", '{{ replace_with_random("X", "X") }}']] } }],
  },
  "/json": {
    entries: [
      {
        request: { ...plain, metadata: [{ namespace: "n", key: "k", template: '{"a": [1, {"b": true}]}', isJson: true }] },
        response: {
          ...plain,
          body: { kind: "passthrough" },
          headers: [
            ["x-k", '{{ dynamic_metadata("k:a", "n") }}'],
            ["x-env", '{{ env("PATH") }}'],
          ],
        },
      },
    ],
  },
  "/bare": { entries: [{ response: { ...plain, headers: [["x-a", "b"]], body: { kind: "template", template: "new" } } }] },
  "/broken": {} as StagePlan,
  "/large": {
    entries: [
      {
        request: bodyOf(
          '[{% for i in items %}{"id": {{ i.id }}, "name": "{{ raw_string(i.name) }}"}{% if not loop.is_last %},{% endif %}{% endfor %}]',
        ),
      },
    ],
  },
  "/passed": { entries: [] },
  "/logs": { entries: [{ request: bodyOf("new") }], logs: true },
};

const backend = createServer((asked, answer) => {
  asked.resume().on("end", () => answer.setHeader("content-type", "application/json").end('{"a": 1}'));
});
backend.on("upgrade", (_asked, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello");
});

let envoy: RunningEnvoy;
let port = 0;

beforeAll(async () => {
  if (findEnvoy() === undefined) return;
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  const [listen = 0, admin = 0] = await freePorts(2);
  port = listen;
  envoy = await startEnvoy(bootstrap(listen, admin, (backend.address() as AddressInfo).port), admin, ["--component-log-level", "lua:info"]);
});
afterAll(async () => {
  await envoy?.[Symbol.asyncDispose]();
  backend.closeAllConnections();
  backend.close();
});

const ask = async (path: string, body?: string, method = body === undefined ? "GET" : "POST") => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body !== undefined && { body }) });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};
const counter = async (name: string) => Number(/: (\d+)/.exec(await envoy.admin(`/stats?filter=${name}`))?.[1] ?? -1);

here("a request that is refused is counted, and the log says why and on which route", async () => {
  expect(await ask("/request", "{}")).toMatchObject({ status: 400, text: "bad request: variable 'name' not found (at 1:4)" });
  expect((await ask("/request", "{}")).headers.get("x-transformed")).toBeNull();
  expect((await ask("/request", '{"name": "a"}')).headers.get("x-transformed")).toBe("yes");
  await expect.poll(() => counter("transformation.request_error")).toBe(2);
  expect(envoy.log()).toContain("transformation of the request failed on route /request: variable 'name' not found (at 1:4)");
});

here("a response that cannot be transformed becomes the refusal, nothing of it gets out", async () => {
  const answer = await ask("/response");
  expect(answer).toMatchObject({ status: 400, text: "bad request: variable 'missing' not found (at 1:4)" });
  expect(answer.headers.get("content-type")).toBeNull();
  expect(await ask("/passing")).toMatchObject({ status: 400, text: "bad request: the array has no item 1 (at 1:4)" });
  await expect.poll(() => counter("transformation.response_error")).toBe(2);
});

here("an answer of a filter before is not transformed", async () => {
  const answer = await fetch(`http://127.0.0.1:${port}/bare`, { headers: { "x-deny": "1" } });
  expect([answer.status, await answer.text()]).toEqual([403, "denied"]);
});

here("a body beyond the limit of the listener is refused with 413", async () => {
  expect((await ask("/request", `{"name": "${"x".repeat(2_000_000)}"}`)).status).toBe(413);
});

here("a random text is random, and stays for the life of the configuration", async () => {
  const first = (await ask("/random")).headers.get("x-random");
  expect(first).toMatch(/^[A-Za-z0-9+/]{22}$/);
  expect((await ask("/random")).headers.get("x-random")).toBe(first);
});

here("metadata may be JSON, and the environment is Envoy's", async () => {
  const { headers } = await ask("/json");
  expect(headers.get("x-k")).toBe('[1.0,{"b":true}]');
  expect(headers.get("x-env")).toBe(process.env.PATH);
});

here("what goes in and comes out is logged where that is asked for", async () => {
  await ask("/logs", "secret");
  await expect.poll(() => envoy.log()).toMatch(/body before transformation: secret[\s\S]*body after transformation: new/);
});

/** The machine of a test run is busy: the fastest of many counts, and this is the long tier's. */
const long = test.skipIf(findEnvoy() === undefined || process.env.HEADWORKS_LONG !== "1");
long("100 KB of JSON are transformed in 5 ms", async () => {
  const items = Array.from({ length: 1_200 }, (_, id) => ({
    id,
    name: `item "${id}"`,
    price: id * 1.25,
    tags: ["a", "b"],
    note: "some é text",
  }));
  const body = JSON.stringify({ items });
  expect(body.length).toBeGreaterThan(90_000);
  const fastest = async (path: string) => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 100; i++) {
      const began = performance.now();
      expect((await ask(path, body)).status).toBe(200);
      best = Math.min(best, performance.now() - began);
    }
    return best;
  };
  const plain = await fastest("/passed");
  expect((await fastest("/large")) - plain).toBeLessThan(5);
});

here("a response that has no body gets none", async () => {
  expect((await ask("/bare")).text).toBe("new");
  const { status, headers, text } = await ask("/bare", undefined, "HEAD");
  expect([status, headers.get("x-a"), text]).toEqual([200, "b", ""]);
});

here("a fault of the script lets nothing pass", async () => {
  expect(await ask("/broken", "{}")).toMatchObject({ status: 500, text: "the transformation failed" });
});

here("an upgrade does not wait for a body that never ends", async () => {
  const socket = connect(port, "127.0.0.1");
  socket.write(
    "GET /logs HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    text += chunk;
  });
  await expect.poll(() => text).toMatch(/^HTTP\/1.1 101[\s\S]*hello$/);
  socket.destroy();
});

function bootstrap(listen: number, admin: number, to: number): object {
  const typed = (name: string, type: string, more: object) => ({
    name,
    typedConfig: { "@type": `type.googleapis.com/envoy.extensions.filters.${type}`, ...more },
  });
  const route = ([path, plan]: [string, StagePlan]) => ({
    name: path,
    match: { prefix: path },
    route: { cluster: "backend" },
    typedPerFilterConfig: {
      transformation: {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute",
        filterContext: { stage: "regular", program: plan.entries ? JSON.stringify(stageProgram(plan)) : "{" },
      },
    },
  });
  const manager = typed("hcm", "network.http_connection_manager.v3.HttpConnectionManager", {
    statPrefix: "http",
    upgradeConfigs: [{ upgradeType: "websocket" }],
    routeConfig: { virtualHosts: [{ name: "all", domains: ["*"], routes: Object.entries(plans).map(route) }] },
    httpFilters: [
      // One that answers by itself, before.
      typed("denies", "http.lua.v3.Lua", {
        defaultSourceCode: {
          inlineString: 'function envoy_on_request(h) if h:headers():get("x-deny") then h:respond({[":status"] = "403"}, "denied") end end',
        },
      }),
      {
        ...typed("transformation", "http.lua.v3.Lua", { defaultSourceCode: { inlineString: luaRuntime }, clearRouteCache: false }),
        disabled: true,
      },
      typed("router", "http.router.v3.Router", {}),
    ],
  });
  const address = (portValue: number) => ({ socketAddress: { address: "127.0.0.1", portValue } });
  const endpoint = { lbEndpoints: [{ endpoint: { address: address(to) } }] };
  return {
    admin: { address: address(admin) },
    staticResources: {
      listeners: [{ name: "l", address: address(listen), filterChains: [{ filters: [manager] }] }],
      clusters: [
        { name: "backend", connectTimeout: "5s", type: "STATIC", loadAssignment: { clusterName: "backend", endpoints: [endpoint] } },
      ],
    },
  };
}
