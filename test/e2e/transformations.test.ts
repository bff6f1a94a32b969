// Transformations through a real Envoy: what a request and a response become, at which stage, and what a wrong one costs.
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findEnvoy } from "../servers/envoy.ts";
import { type Folder, folder, object, run, until } from "./gateway.ts";
import type { Running } from "./headworks.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly body: string;
}

const here = test.skipIf(findEnvoy() === undefined);
const seen: Seen[] = [];
let heads = 0;
const server = createServer(async (asked, answer) => {
  heads++;
  let body = "";
  for await (const chunk of asked) body += chunk;
  seen.push({ method: asked.method ?? "", url: asked.url ?? "", headers: asked.headers, raw: asked.rawHeaders, body });
  if (asked.headers["x-status"]) answer.statusCode = Number(asked.headers["x-status"]);
  answer.setHeader("content-type", "application/json").end('{"name": "Rex", "tags": [1, 2.5]}');
});

const text = (value: string) => ({ text: value });
const template = (fields: object) => ({ transformationTemplate: fields });
const order = (name: string) => template({ passthrough: {}, headersToAppend: [{ key: "x-order", value: text(name) }] });
const shop = { name: "shop", namespace: "gloo-system" };

function route(prefix: string, options: object, more: object = {}) {
  return { matchers: [{ prefix }], routeAction: { single: { upstream: shop } }, options, ...more };
}
const regular = (...requestTransforms: object[]) => ({ stagedTransformations: { regular: { requestTransforms } } });
const onRequest = (fields: object) => regular({ requestTransformation: template(fields) });
const onResponse = (fields: object) => regular({ responseTransformation: template(fields) });

const routes = [
  route(
    "/body",
    onRequest({
      headers: { "x-name": text("{{ upper(name) }}"), "x-gone": text(""), "content-type": text("text/plain") },
      headersToAppend: [{ key: "x-user", value: text("two") }],
      headersToRemove: ["x-remove"],
      body: text('{% for t in tags %}{{ loop.index1 }}:{{ t }} {% endfor %}{{ header("x-user") }}'),
    }),
  ),
  route("/legacy", {
    transformations: {
      requestTransformation: template({
        headers: { "x-item": text('{{ header("x-id") }}') },
        body: text('{"v": "{{ name }}"}'),
        headersToAppend: [{ key: "x-ap", value: text("q") }],
        headersToRemove: ["x-rm"],
        extractors: { name: { header: ":path", regex: "/(.*)", subgroup: 1 } },
        dynamicMetadataValues: [{ metadataNamespace: "shop", key: "k", value: text("v-{{ name }}") }],
      }),
      responseTransformation: template({
        passthrough: {},
        headers: { "x-out": text('{{ dynamic_metadata("k", "shop") }} {{ request_header("x-id") }}') },
      }),
    },
  }),
  route(
    "/answer",
    onResponse({ headers: { ":status": text("201"), "x-name": text("{{ name }}") }, body: text("{{ name }} has {{ tags.1 }}") }),
  ),
  route("/header-only", onRequest({ headers: { "x-a": text('{{ header("x-user") }}') } })),
  route("/keys", onRequest({ mergeJsonKeys: { jsonKeys: { added: { tmpl: text('"{{ name }}!"') }, name: { tmpl: text("") } } } })),
  route(
    "/extractors",
    onRequest({
      mergeExtractorsToBody: {},
      extractors: {
        id: { header: ":path", regex: "/extractors/(\\d+)(?:/.*)?", subgroup: 1 },
        masked: { header: "x-card", regex: "(\\d+)-(\\d+)", subgroup: 1, mode: "SINGLE_REPLACE", replacementText: "****" },
        all: { header: "x-card", regex: "(\\d)\\d*", mode: "REPLACE_ALL", replacementText: "$1x" },
        "in.body": { body: {}, regex: '.*"name": ?"([^"]*)".*', subgroup: 1 },
      },
    }),
  ),
  route("/envelope", regular({ requestTransformation: { headerBodyTransform: { addRequestMetadata: true } } })),
  route(
    "/matched",
    regular(
      {
        matcher: { prefix: "/matched", methods: ["POST"] },
        requestTransformation: order("post"),
        responseTransformation: template({ passthrough: {}, headers: { "x-answer": text("post") } }),
      },
      { matcher: { prefix: "/matched", headers: [{ name: "x-kind", value: "a|b", regex: true }] }, requestTransformation: order("kind") },
      { matcher: { prefix: "/matched", queryParameters: [{ name: "q", value: "1" }] }, requestTransformation: order("query") },
      { matcher: { regex: "/matched/.*x" }, requestTransformation: order("regex") },
    ),
  ),
  route("/responses", {
    stagedTransformations: {
      regular: {
        responseTransforms: [
          {
            matchers: [{ name: ":status", value: "503" }],
            responseTransformation: template({ body: text("sorry"), headers: { "x-which": text("503") } }),
          },
          { responseTransformation: template({ passthrough: {}, headers: { "x-which": text("any") } }) },
        ],
      },
    },
  }),
  route("/stages", {
    stagedTransformations: {
      early: { requestTransforms: [{ requestTransformation: order("early") }] },
      regular: { requestTransforms: [{ requestTransformation: order("regular") }] },
      postRouting: { requestTransforms: [{ requestTransformation: order("post") }] },
    },
  }),
  route(
    "/elsewhere",
    { prefixRewrite: "/" },
    { matchers: [{ prefix: "/", headers: [{ name: "x-to", value: "elsewhere" }] }], name: "elsewhere" },
  ),
  route(
    "/cleared",
    regular({
      clearRouteCache: true,
      requestTransformation: template({ passthrough: {}, headers: { "x-to": text("elsewhere") } }),
      responseTransformation: template({ passthrough: {}, headers: { "x-by": text("cleared") } }),
    }),
  ),
  route("/missing", onRequest({ headers: { "x-a": text("{{ nobody }}") } })),
  route("/escaped", onRequest({ body: text('{"q": "{{ quote }}"}'), escapeCharacters: true })),
];
const weighted = {
  matchers: [{ prefix: "/weighted" }],
  routeAction: {
    multi: {
      destinations: [
        { weight: 1, destination: { upstream: shop }, options: onRequest({ passthrough: {}, headers: { "x-by": text("destination") } }) },
      ],
    },
  },
};
const levels = {
  virtualHost: {
    domains: ["levels.test"],
    options: {
      stagedTransformations: {
        early: { requestTransforms: [{ requestTransformation: order("host-early") }] },
        regular: { requestTransforms: [{ requestTransformation: order("host") }] },
      },
    },
    routes: [
      route("/own", regular({ requestTransformation: order("route") })),
      route("/inherits", {
        stagedTransformations: {
          inheritTransformation: true,
          regular: { requestTransforms: [{ matcher: { prefix: "/inherits/own" }, requestTransformation: order("route") }] },
        },
      }),
      { matchers: [{ prefix: "/" }], routeAction: { single: { upstream: shop } } },
    ],
  },
};

const delegating = {
  virtualHost: {
    domains: ["delegating.test"],
    routes: [
      {
        ...route("/", regular({ requestTransformation: order("parent") })),
        routeAction: undefined,
        delegateAction: { ref: { name: "table", namespace: "gloo-system" } },
      },
    ],
  },
};
const inheriting = {
  inheritTransformation: true,
  regular: { requestTransforms: [{ matcher: { prefix: "/leaf/own" }, requestTransformation: order("leaf") }] },
};
const table = {
  routes: [
    route("/leaf", { stagedTransformations: inheriting }),
    route("/alone", regular({ requestTransformation: order("alone") })),
    route("/", {}),
  ],
};

let files: Folder;
let gateway: Running;

beforeAll(async () => {
  if (findEnvoy() === undefined) return;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  files = await folder();
  const hosts = [{ addr: "127.0.0.1", port: (server.address() as AddressInfo).port }];
  files.write("shop.yaml", [
    object("Upstream", "shop", { static: { hosts } }),
    object("VirtualService", "shop", {
      virtualHost: { domains: ["*"], routes: [...routes, weighted, route("/", {})] },
    }),
    object("VirtualService", "levels", levels),
    object("VirtualService", "delegating", delegating),
    object("RouteTable", "table", table),
  ]);
  gateway = await run(files, "--proxy", "envoy");
  await until("the gateway answers", () =>
    ask("/").then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]?.();
  files?.[Symbol.dispose]();
  server.close();
});

interface Init {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function ask(path: string, { method = "GET", headers = {}, body }: Init = {}) {
  seen.length = 0;
  return new Promise<{ status: number; headers: IncomingHttpHeaders; text: string; seen: Seen | undefined }>((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port: files.port, path, method, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, seen: seen[0] }));
    });
    call.on("error", reject).end(body);
  });
}

function valuesOf(seen: Seen | undefined, name: string): string[] {
  return (seen?.raw ?? []).filter((_, i, all) => i % 2 === 1 && all[i - 1]?.toLowerCase() === name);
}
const pet = '{"name": "Rex", "tags": ["a", 2.50]}';

here("a body template makes the body, and headers are set, added and removed", async () => {
  const headers = { "x-user": "one", "x-gone": "1", "x-remove": "1", "content-type": "application/json" };
  const { seen } = await ask("/body", { method: "POST", body: pet, headers });
  expect(seen?.body).toBe("1:a 2:2.5 one");
  expect(seen?.headers).toMatchObject({ "x-name": "REX", "content-type": "text/plain", "content-length": "13" });
  expect([seen?.headers["x-gone"], seen?.headers["x-remove"]]).toEqual([undefined, undefined]);
  expect(valuesOf(seen, "x-user")).toEqual(["one", "two"]);
});

here("the deprecated form works, and metadata goes from request to response", async () => {
  const { seen, headers } = await ask("/legacy/a", { method: "POST", body: "{}", headers: { "x-id": "7", "x-rm": "1" } });
  expect(seen?.body).toBe('{"v": "legacy/a"}');
  expect(seen?.headers).toMatchObject({ "x-item": "7", "x-ap": "q" });
  expect(seen?.headers["x-rm"]).toBeUndefined();
  expect(headers["x-out"]).toBe("v-legacy/a 7");
});

here("a response becomes what its template says", async () => {
  expect(await ask("/answer")).toMatchObject({ status: 201, text: "Rex has 2.5", headers: { "x-name": "Rex", "content-length": "11" } });
});

here("a template that looks at headers only does not wait for the body", async () => {
  const before = heads;
  const call = request({ host: "127.0.0.1", port: files.port, path: "/header-only", method: "POST", headers: { "x-user": "jo" } });
  const answered = new Promise((resolve, reject) => call.on("response", resolve).on("error", reject));
  call.write("not json, ");
  await until("the head of the request arrives", () => heads > before);
  seen.length = 0;
  call.end("and later more");
  await answered;
  expect(seen[0]).toMatchObject({ body: "not json, and later more" });
  expect(seen[0]?.headers["x-a"]).toBe("jo");
});

here("keys are merged into the body", async () => {
  expect((await ask("/keys", { method: "POST", body: pet })).seen?.body).toBe('{"added":"Rex!","name":"Rex","tags":["a",2.5]}');
});

here("extractors take, mask and replace", async () => {
  const { seen } = await ask("/extractors/12/x", { method: "POST", body: pet, headers: { "x-card": "1234-56" } });
  expect(JSON.parse(seen?.body ?? "")).toEqual({
    name: "Rex",
    tags: ["a", 2.5],
    id: "12",
    masked: "****-56",
    all: "1x-5x",
    in: { body: "Rex" },
  });
});

here("an envelope of headers and body", async () => {
  const { seen } = await ask("/envelope?a=1&a=2&b=%41", { method: "POST", body: "hi", headers: { "x-a": "b" } });
  expect(seen?.headers["content-type"]).toBe("application/json");
  expect(JSON.parse(seen?.body ?? "")).toMatchObject({
    body: "hi",
    headers: { ":path": "/envelope?a=1&a=2&b=%41", ":method": "POST", "x-a": "b" },
    httpMethod: "POST",
    path: "/envelope",
    queryString: "a=1&a=2&b=%41",
    queryStringParameters: { a: "2", b: "A" },
    multiValueQueryStringParameters: { a: ["1", "2"] },
    multiValueHeaders: {},
  });
});

here("the first matcher that fits counts, also for the response", async () => {
  const which = async (path: string, init?: Init) => {
    const { seen, headers } = await ask(path, init);
    return [seen?.headers["x-order"], headers["x-answer"]];
  };
  expect(await which("/matched?q=1", { method: "POST" })).toEqual(["post", "post"]);
  expect(await which("/matched?q=1", { headers: { "x-kind": "b" } })).toEqual(["kind", undefined]);
  expect(await which("/matched?q=1", { headers: { "x-kind": "ab" } })).toEqual(["query", undefined]);
  expect(await which("/matched/a/x?q=2")).toEqual(["regex", undefined]);
  expect(await which("/matched")).toEqual([undefined, undefined]);
});

here("a transformation of responses is chosen by the response", async () => {
  expect(await ask("/responses", { headers: { "x-status": "503" } })).toMatchObject({
    status: 503,
    text: "sorry",
    headers: { "x-which": "503" },
  });
  expect(await ask("/responses")).toMatchObject({ status: 200, headers: { "x-which": "any" } });
});

here("stages come in their order", async () => {
  expect(valuesOf((await ask("/stages")).seen, "x-order")).toEqual(["early", "regular", "post"]);
});

here("a cleared route is chosen again, and the response is still that of the first", async () => {
  const { seen, headers } = await ask("/cleared/a");
  expect([seen?.url, headers["x-by"]]).toEqual(["//cleared/a".replace("//", "/"), "cleared"]);
});

here("the most specific level counts as a whole, unless it inherits", async () => {
  const which = async (path: string) => valuesOf((await ask(path, { headers: { host: "levels.test" } })).seen, "x-order");
  expect(await which("/")).toEqual(["host-early", "host"]);
  expect(await which("/own")).toEqual(["route"]);
  expect(await which("/inherits/own")).toEqual(["host-early", "route"]);
  expect(await which("/inherits")).toEqual(["host-early", "host"]);
});

here("a delegated route may take the list of the delegating one after its own", async () => {
  const which = async (path: string) => valuesOf((await ask(path, { headers: { host: "delegating.test" } })).seen, "x-order");
  expect(await which("/leaf/own")).toEqual(["leaf"]);
  expect(await which("/leaf")).toEqual(["parent"]);
  expect(await which("/alone")).toEqual(["alone"]);
  expect(await which("/")).toEqual(["parent"]);
});

here("a weighted destination has its own", async () => {
  expect((await ask("/weighted")).seen?.headers["x-by"]).toBe("destination");
});

here("texts are escaped where that is asked for", async () => {
  const body = JSON.stringify({ quote: 'say "hi"\n' });
  expect((await ask("/escaped", { method: "POST", body })).seen?.body).toBe('{"q": "say \\"hi\\"\\n"}');
});

here("a message that a template cannot be used on is answered with what is wrong", async () => {
  const { status, text, seen } = await ask("/missing", { method: "POST", body: "{}" });
  expect([status, text, seen]).toEqual([400, "bad request: variable 'nobody' not found (at 1:4)", undefined]);
});

here("a wrong template costs its transformation, and its place is told", async () => {
  const good = route("/good", {});
  files.write("wrong.yaml", [
    object("VirtualService", "wrong", {
      virtualHost: {
        domains: ["wrong.test"],
        routes: [route("/bad", onRequest({ passthrough: {}, headers: { "x-a": text("a\n{{ b") } })), good],
      },
    }),
  ]);
  await until("the neighbour is served", async () => (await ask("/good", { headers: { host: "wrong.test" } })).status === 200);
  await gateway.said(/HW2045/);
  expect(gateway.stderr()).toMatch(/expected \}\}, got the end \(at 2:5\)/);
  expect((await ask("/bad", { headers: { host: "wrong.test" } })).seen?.headers["x-a"]).toBeUndefined();
});
