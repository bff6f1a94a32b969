// Transformations in the embedded data plane and in Envoy, where a script runs the same programs.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawRequest, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { plainTransformation as plain } from "../../src/lib/testing/transformations.ts";
import { dormantScripts, type TransformationStage, withoutStage, withStage } from "../../src/plugin/scriptFilter.ts";
import type { Change, Entry, StagePlan, Transformation } from "../../src/template/transformation.ts";
import { differencesOf, directRoute, everythingFrom, hasNoEnvoy, type ListedFilter, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { answeredWith, request } from "./requests.ts";

const passing: Transformation = { ...plain, body: { kind: "passthrough" } };
const bodyOf = (template: string): Change => ({ ...plain, body: { kind: "template", template } });
const one = (entry: Entry): StagePlan => ({ entries: [entry] });

type Stages = { readonly [S in TransformationStage]?: StagePlan };

function transformed(route: RouteInit, stages: Stages): RouteInit {
  let result = route;
  for (const [stage, plan] of Object.entries(stages)) result = withStage(result as never, stage as TransformationStage, plan)[0];
  return result;
}

const plans: Readonly<Record<string, Stages>> = {
  "/body": { regular: one({ request: bodyOf('{"was": {{ name }}}') }) },
  "/text": { regular: one({ request: bodyOf('[{{ body() }}] {{ header(":method") }} {{ header("content-length") }}') }) },
  "/empty": { regular: one({ request: bodyOf("") }) },
  "/headers": {
    regular: one({
      request: {
        ...passing,
        headers: [
          ["x-path", '{{ header(":path") }}'],
          ["x-gone", ""],
          ["x-new", 'new {{ header("x-user") }}'],
        ],
        append: [["x-user", "second"]],
        remove: ["x-removed"],
      },
    }),
  },
  "/pseudo": {
    regular: one({
      request: {
        ...passing,
        headers: [
          [":path", '/changed?from={{ header(":path") }}'],
          [":authority", "other.example"],
          [":method", "PUT"],
        ],
      },
    }),
  },
  "/response": { regular: one({ response: bodyOf('was {{ upstream }}, {{ header("content-type") }}, {{ request_header("x-user") }}') }) },
  "/status": { regular: one({ response: { ...passing, headers: [[":status", "418"]] } }) },
  "/refused": { regular: one({ request: bodyOf("{{ missing }}"), response: { ...passing, headers: [["x-not", "seen"]] } }) },
  "/refusedlate": { regular: one({ response: bodyOf("{{ missing.deeper }}") }) },
  "/bad": { regular: one({ response: { ...passing, headers: [["x-a", "{{ at([], 1) }}"]] } }) },
  "/extract": {
    regular: one({
      request: {
        ...plain,
        extractors: [{ name: "id", header: ":path", regex: "/extract/([0-9]+).*", subgroup: 1 }],
        body: { kind: "mergeExtractors" },
      },
    }),
  },
  "/asked": { regular: one({ request: { kind: "envelope", tellsRequest: true } }) },
  "/plainly": { regular: one({ request: { kind: "envelope", tellsRequest: false } }) },
  "/stages": {
    early: one({ request: { ...passing, append: [["x-order", "early"]] }, response: { ...passing, append: [["x-order", "early"]] } }),
    regular: one({ request: { ...passing, append: [["x-order", "regular"]] }, response: { ...passing, append: [["x-order", "regular"]] } }),
    postRouting: one({ request: { ...passing, append: [["x-order", "post"]] }, response: { ...passing, append: [["x-order", "post"]] } }),
  },
  "/three": {
    early: one({ request: bodyOf("a{{ body() }}"), response: bodyOf('"a" {{ body() }}') }),
    regular: one({ request: bodyOf("b{{ body() }}"), response: bodyOf('"b" {{ body() }}') }),
    postRouting: one({ request: bodyOf("c{{ body() }}"), response: bodyOf('"c"') }),
  },
  "/reroute": {
    early: one({
      clearsRoute: true,
      request: { ...passing, headers: [[":path", "/headers/rerouted"]] },
    }),
    regular: one({ request: { ...passing, headers: [["x-first", "regular"]] } }),
  },
  "/stays": { regular: one({ request: { ...passing, headers: [[":path", "/body/x"]] } }) },
  "/matched": {
    regular: {
      entries: [
        { match: { methods: ["POST"], headers: [], query: [] }, request: { ...passing, headers: [["x-entry", "post"]] } },
        {
          match: { methods: [], headers: [{ name: "x-user", kind: "regex", value: "a.*", isInverted: false }], query: [] },
          request: { ...passing, headers: [["x-entry", "user"]] },
        },
        {
          match: { methods: [], headers: [], query: [{ name: "q", kind: "exact", value: "1" }] },
          response: { ...passing, headers: [["x-entry", "query"]] },
        },
      ],
      responses: [
        {
          headers: [{ name: ":status", kind: "exact", value: "503", isInverted: false }],
          response: { ...plain, headers: [["content-type", "text/html"]], body: { kind: "template", template: "sorry: {{ body() }}" } },
        },
      ],
    },
  },
  "/metadata": {
    early: one({
      request: { ...plain, metadata: [{ namespace: "n", key: "k", template: '{"a": [1, {"b": true}], "é": "ü"}', isJson: true }] },
    }),
    regular: one({
      request: { ...passing, headers: [["x-k", '{{ dynamic_metadata("k:a", "n") }}']] },
      response: { ...passing, headers: [["x-k", '{{ dynamic_metadata("k", "n") }}']] },
    }),
  },
  "/bare": { regular: one({ response: { ...plain, headers: [["x-a", "b"]], body: { kind: "template", template: "new" } } }) },
  "/env": { regular: one({ request: { ...passing, headers: [["x-env", '{{ env("HOME") }}']] } }) },
};

const routes: RouteInit[] = [
  // Not of an echo, whose order of headers differs.
  transformed(toRoute("/envelope"), { regular: one({ response: { kind: "envelope", tellsRequest: false } }) }),
  ...Object.entries(plans).map(([path, stages]) => transformed(toRoute(path), stages)),
  transformed(directRoute("/direct", "hi"), { regular: one({ response: bodyOf("{{ body() }} there") }) }),
  transformed(toRoute("/dead", {}, {}, "dead"), { regular: one({ response: bodyOf('{{ header(":status") }}: {{ body() }}') }) }),
  transformed(
    toRoute(
      "/rewritten",
      {},
      {
        action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "a" }, prefixRewrite: "/new" } },
        requestHeadersToAdd: [{ header: { key: "x-user", value: "%REQ(:PATH)%" } }],
      },
    ),
    {
      regular: one({
        request: { ...passing, headers: [["x-path", '{{ header(":path") }}']] },
        response: bodyOf('{{ request_header(":path") }}'),
      }),
    },
  ),
  transformed(toRoute("/nothing"), { regular: one({ response: { ...passing, headers: [[":status", "204"]] } }) }),
  withoutStage(toRoute("/off") as never, "regular"),
  toRoute("/"),
];

const scripts = dormantScripts().map(({ filter }): ListedFilter => {
  const { name, disabled, configType } = filter as { name: string; disabled: boolean; configType: { value: ListedFilter["config"] } };
  return { name, disabled, config: configType.value };
});
const ofHost = transformed({} as RouteInit, { regular: one({ request: { ...passing, headers: [["x-host", "level"]] } }) });
// Without headers that tell times, which an envelope would hold.
const manager = managerWith(scripts, routes, ofHost as object, { suppressEnvoyHeaders: true });

const id = "X-Request-Id: 1";
const post = (path: string, body: string, headers: readonly string[] = []) =>
  request(`POST ${path}`, [`Content-Length: ${Buffer.byteLength(body)}`, ...headers], Buffer.from(body, "utf8").toString("latin1"));
const chunked = (path: string, body: string) =>
  request(`POST ${path}`, [id, "Transfer-Encoding: chunked"], `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
const answers = {
  json: 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 33\r\n\r\n{ "upstream": "of Zoë", "n": 1.0}',
  chunked: "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
  none: "HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n",
  unchanged: "HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n",
  failed: "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\noops",
  empty: "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
};

describe.skipIf(hasNoEnvoy("transformations"))("transformations in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    planes = await startPlanes([manager], [staticCluster("a", [upstream.port]), staticCluster("dead", [])]);
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test("nothing of it is reported as not executed", () => {
    expect(planes.plane.unsupported()).toEqual([]);
  });

  test("agree on every plan, with and without a body", async () => {
    const paths = [...Object.keys(plans), "/direct", "/dead", "/rewritten/x", "/off", "/x", "/extract/12/x", "/matched?q=1"];
    const found = await differencesOf(
      planes,
      0,
      paths.flatMap((path) => [
        request(`GET ${path}`, [id, "X-User: alice", "X-User: bob", "X-Removed: 1", "X-Gone: 1"]),
        post(path, '{"name": "Zoë", "list": [1, 2.0]}', [id, "Content-Type: application/json", "X-User: eve"]),
        post(path, "no JSON", [id, "X-User: a"]),
        post(path, "", [id]),
        chunked(path, '{"name": 1}'),
        request(`HEAD ${path}`, ["X-User: alice"]),
      ]),
    );
    expect(found).toEqual([]);
  });

  test("agree on every answer of an upstream", async () => {
    const paths = [
      "/response",
      "/status",
      "/refusedlate",
      "/bad",
      "/envelope",
      "/stages",
      "/three",
      "/matched",
      "/metadata",
      "/bare",
      "/x",
    ];
    const found = await differencesOf(
      planes,
      0,
      paths.flatMap((path) => Object.values(answers).map((answer) => answeredWith(path, answer, [id, "X-User: alice"]))),
    );
    expect(found).toEqual([]);
  });

  test("a response that becomes a 204 loses its body, and its length", async () => {
    // Envoy goes on telling the length, which a 204 must not (RFC 9110 §8.6).
    const bytes = request("GET /nothing") + request("GET /x", ["Connection: close"]);
    const text = await everythingFrom(planes.ports[0]?.embedded as number, bytes);
    expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(["204", "200"]);
    expect(text.slice(0, text.indexOf("\r\n\r\n"))).not.toContain("content-length");
  });

  test("agree on what is too large", async () => {
    const large = `"${"x".repeat(1_100_000)}"`;
    const statuses = await Promise.all(
      Object.values(planes.ports[0] ?? {}).map(async (port) => {
        const asked = await rawRequest(port, post("/text", large));
        const answered = await rawRequest(port, post("/response", large));
        const passed = await rawRequest(port, post("/headers", large));
        return [asked?.status, answered?.status, answered?.body, passed?.status];
      }),
    );
    expect(statuses[1]).toEqual(statuses[0]);
    expect(statuses[0]?.slice(0, 2)).toEqual([413, 500]);
  });
});
