// Functions called through a real Envoy: a request in, the request that the function's template makes out.
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findEnvoy } from "../servers/envoy.ts";
import { ask as answered, type Folder, folder, object, run, until } from "./gateway.ts";
import type { Running } from "./headworks.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const here = test.skipIf(findEnvoy() === undefined);
const seen: Seen[] = [];
const server = createServer(async (asked, answer) => {
  let body = "";
  for await (const chunk of asked) body += chunk;
  seen.push({ method: asked.method ?? "", url: asked.url ?? "", headers: asked.headers, body });
  answer.setHeader("content-type", "application/json").end('{"name": "Rex", "tags": [1, 2.50]}');
});

const text = (value: string) => ({ text: value });
const functions = {
  getItem: { headers: { ":method": text("GET"), ":path": text('/items/{{ id }}?page={{ default(page, "1") }}') }, body: text("") },
  putItem: {
    headers: {
      ":method": text("PUT"),
      ":path": text("/items/{{ pet.id }}"),
      "content-type": text("application/json"),
      "x-tier": text('{{default(x-tier, "")}}'),
    },
    body: text('{"n": {{ default(count, "null") }}, "s": "{{ raw_string(default(pet.name, "")) }}", "o": {{ default(pet.tags, "[]") }}}'),
  },
  header: { headers: { ":path": text('/h/{{ header("x-user") }}/{{ upper(method) }}'), "x-old": text("") }, passthrough: {} },
  all: { headers: { ":path": text("/all{{ path }}") }, passthrough: {} },
  echo: { headers: { ":path": text("/echo") }, body: text("{{ context() }}") },
  anything: { headers: { ":path": text("/x"), "x-value": text("{{ value }}") } },
  merged: { headers: { ":path": text("/m") }, mergeExtractorsToBody: {} },
};

function route(prefix: string, functionName: string, rest: object = {}) {
  const single = { upstream: { name: "shop", namespace: "gloo-system" }, destinationSpec: { rest: { functionName, ...rest } } };
  return { matchers: [{ prefix }], routeAction: { single } };
}

const routes = [
  route("/get", "getItem", { parameters: { path: "/get/{id}", headers: { "x-page": "{page}" } } }),
  route("/put", "putItem", { parameters: {} }),
  route("/header", "header", { parameters: {} }),
  route("/all", "all", { parameters: {} }),
  route("/anything", "anything"),
  route("/echo", "echo"),
  route("/merged", "merged", { parameters: { path: "/merged/{pet.id}" } }),
  route("/answer", "all", {
    parameters: {},
    responseTransformation: {
      headers: { "x-name": text("{{ name }}"), ":status": text("201") },
      body: text("{{ name }} has {{ tags.1 }}"),
    },
  }),
  {
    matchers: [{ prefix: "/weighted" }],
    routeAction: {
      multi: {
        destinations: [
          {
            weight: 1,
            destination: {
              upstream: { name: "shop", namespace: "gloo-system" },
              destinationSpec: { rest: { functionName: "all", parameters: {} } },
            },
          },
        ],
      },
    },
  },
];

let files: Folder;
let gateway: Running;

beforeAll(async () => {
  if (findEnvoy() === undefined) return;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  files = await folder();
  const hosts = [{ addr: "127.0.0.1", port: (server.address() as AddressInfo).port }];
  files.write("shop.yaml", [
    object("Upstream", "shop", { static: { hosts, serviceSpec: { rest: { transformations: functions } } } }),
    object("VirtualService", "shop", { virtualHost: { domains: ["*"], routes } }),
  ]);
  gateway = await run(files, "--proxy", "envoy");
  await until("the gateway answers", async () => (await answered(files.port, "any", "/all"))?.status === 200);
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]?.();
  files?.[Symbol.dispose]();
  server.close();
});

async function ask(path: string, init: RequestInit = {}) {
  seen.length = 0;
  const answer = await fetch(`http://127.0.0.1:${files.port}${path}`, init);
  return { status: answer.status, headers: answer.headers, text: await answer.text(), seen: seen[0] };
}

here("variables come from path and headers, and the template makes the request", async () => {
  const { status, seen } = await ask("/get/a-5", { headers: { "x-page": "7" } });
  expect(status).toBe(200);
  expect(seen).toMatchObject({ method: "GET", url: "/items/a-5?page=7", body: "" });
});

here("a variable holds no slash: what does not fit is empty", async () => {
  expect((await ask("/get/a/b")).seen?.url).toBe("/items/?page=");
});

here("variables come from a JSON body: integers as they are written, strings escaped, objects with their keys in order", async () => {
  const body =
    '{"pet": {"id": 12345678901234567890, "name": "R\\"e\\nx \\u00e9", "tags": {"b": 1.50, "a": [true, null, "\\ud83d\\ude00"]}}}';
  const { seen } = await ask("/put", { method: "POST", body });
  expect(seen).toMatchObject({ method: "PUT", url: "/items/12345678901234567890" });
  expect(seen?.body).toBe('{"n": null, "s": "R\\"e\\nx é", "o": {"a":[true,null,"😀"],"b":1.5}}');
  expect(seen?.headers["content-length"]).toBe(String(Buffer.byteLength(seen?.body ?? "")));
  expect(seen?.headers["x-tier"]).toBeUndefined();
});

here("a body that is no JSON, or lacks a variable, is answered with 400 and reaches nobody", async () => {
  for (const body of ["{", '{"a": 01}', "[1,]", '"\\q"', '"\\ud800"', "nul", '{"pet": {}}', '{"pet": 3}', "[".repeat(5_000)]) {
    const { status, text, seen } = await ask("/put", { method: "POST", body });
    expect([body.slice(0, 20), status, text.startsWith("bad request: "), seen]).toEqual([body.slice(0, 20), 400, true, undefined]);
  }
  expect((await ask("/put", { method: "POST", body: '{"pet": {}}' })).text).toBe("bad request: variable 'pet.id' not found (at 1:11)");
});

here("headers are read and removed, and the body passes", async () => {
  const { seen } = await ask("/header", { method: "POST", body: "not json", headers: { "x-user": "jo", "x-old": "1" } });
  expect(seen).toMatchObject({ url: "/h/jo/POST", body: "not json" });
  expect(seen?.headers["x-old"]).toBeUndefined();
});

here("the path of the request is a variable", async () => {
  expect((await ask("/all/b/c?d=e")).seen?.url).toBe("/all/all/b/c");
});

here("a variable can end neither a header line nor the request line", async () => {
  const bad = await ask("/anything", { method: "POST", body: JSON.stringify({ value: "1\r\nx-evil: 2" }) });
  expect([bad.status, bad.seen]).toEqual([400, undefined]);
  const { seen } = await ask("/put", { method: "POST", body: JSON.stringify({ pet: { id: "1 HTTP/1.1\r\nHost: evil\r\n" } }) });
  expect(seen?.url).toBe("/items/1%20HTTP/1.1%0D%0AHost:%20evil%0D%0A");
});

here("extractors are merged into the body", async () => {
  const { seen } = await ask("/merged/9", { method: "POST", body: '{"z": 1, "pet": {"name": "Rex"}}' });
  expect(seen?.body).toBe('{"method":"POST","path":"/merged/9","pet":{"id":"9","name":"Rex"},"z":1}');
  expect((await ask("/merged/9", { method: "POST" })).seen?.body).toBe('{"method":"POST","path":"/merged/9","pet":{"id":"9"}}');
  expect((await ask("/merged/9", { method: "POST", body: "[1]" })).status).toBe(400);
});

here("the answer of a function is transformed too", async () => {
  const { status, headers, text } = await ask("/answer");
  expect([status, headers.get("x-name"), text]).toEqual([201, "Rex", "Rex has 2.5"]);
});

here("a weighted destination calls a function as a route does", async () => {
  expect((await ask("/weighted/1")).seen?.url).toBe("/all/weighted/1");
});

here("any JSON comes out as it went in, with its keys in order", async () => {
  const sorted = (value: unknown): unknown =>
    typeof value !== "object" || value === null
      ? value
      : Array.isArray(value)
        ? value.map(sorted)
        : Object.fromEntries(Object.entries(value).map(([key, each]) => [key, sorted(each)]));
  await fc.assert(
    fc.asyncProperty(fc.json({ stringUnit: "binary", maxDepth: 5 }), async (json) => {
      const { status, seen } = await ask("/echo", { method: "POST", body: json });
      expect(status).toBe(200);
      const text = seen?.body ?? "";
      const value: unknown = JSON.parse(json);
      // A text or null at the top is printed as such.
      if (typeof value === "string") expect(text).toBe(value);
      else if (value === null) expect(text).toBe("");
      else expect(JSON.parse(text)).toEqual(sorted(value));
    }),
    { numRuns: 300 },
  );
});

here("a body with bytes that are no JSON never harms the proxy", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      const { status } = await ask("/echo", { method: "POST", body: new Blob([new Uint8Array(bytes)]) });
      expect([200, 400]).toContain(status);
    }),
    { numRuns: 200 },
  );
});
