// External processors, asked by the embedded data plane and by Envoy: the same messages, and the same done with the answers.

import { connect } from "node:net";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Http2TestUpstream, http2Client, http2Upstream } from "../../src/dataplane/testing/http2.ts";
import { type Processor, type Said, type Script, scripted, shownMessage, startProcessor } from "../../src/dataplane/testing/processor.ts";
import { parseRaw, type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import {
  ExternalProcessorSchema,
  ExtProcPerRouteSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import { RBACSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { differences, outcomeOf } from "./compare.ts";
import { directRoute, hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const name = "envoy.filters.http.ext_proc";
const perRoute = (override: object) => ({ [name]: packAny(ExtProcPerRouteSchema, { override } as never) });
const at = (clusterName: string, more: object = {}) => ({ targetSpecifier: { case: "envoyGrpc", value: { clusterName } }, ...more });
const ms = (value: number) => ({ seconds: BigInt(Math.floor(value / 1_000)), nanos: (value % 1_000) * 1_000_000 });

const details = { responseHeadersToAdd: [{ header: { key: "x-details", value: "%RESPONSE_CODE_DETAILS%" } }] };
const routes = [
  toRoute("/disabled", perRoute({ case: "disabled", value: true })),
  toRoute("/lenient", perRoute({ case: "overrides", value: { failureModeAllow: true } })),
  toRoute(
    "/silent",
    perRoute({ case: "overrides", value: { processingMode: { requestHeaderMode: 2, responseHeaderMode: 2, requestBodyMode: 2 } } }),
  ),
  toRoute("/elsewhere", perRoute({ case: "overrides", value: { grpcService: at("nobody") } })),
  toRoute(
    "/told",
    perRoute({
      case: "overrides",
      value: {
        grpcInitialMetadata: [
          { key: "x-level", value: "route" },
          { key: "x-own", value: "route" },
        ],
      },
    }),
  ),
  toRoute("/rerouted", perRoute({ case: "disabled", value: true }), {
    responseHeadersToAdd: [{ header: { key: "x-route", value: "rerouted" } }],
  }),
  directRoute("/direct", "from the route"),
  toRoute("/nowhere", {}, {}, "nobody"),
  toRoute("/", {}, { responseHeadersToAdd: [{ header: { key: "x-route", value: "yes" } }] }),
];
const manager = (config: object = {}, more: Parameters<typeof managerWith>[0] = []): HcmInit =>
  managerWith(
    [
      { name, config: packAny(ExternalProcessorSchema, { grpcService: at("proc"), messageTimeout: ms(5_000), ...config } as never) },
      ...more,
    ],
    routes,
    details as never,
  );
const mode = (processingMode: object, more: object = {}): HcmInit => manager({ processingMode, ...more });

const streamed = 1;
const buffered = 2;
const partial = 3;
const duplex = 4;
const skip = 2;
const send = 1;

const raw = (text: string) => Buffer.from(text).toString("base64");
const header = (key: string, value: string, more: object = {}) => ({ header: { key, rawValue: raw(value) }, ...more });
const many = (count: number, name?: string) => Array.from({ length: count }, (_, index) => header(name ?? `x-${index}`, "1"));
const body = (text: string) => ({ body: raw(text) });

/** What the processor answers to the head of the request, and so on. */
const toHead = (response: object, more: object = {}): Script => ({
  requestHeaders: { requestHeaders: { response }, ...more } as JsonObject,
});
const toResponse = (response: object): Script => ({ responseHeaders: { responseHeaders: { response } } as JsonObject });
const toBody = (response: object): Script => ({ requestBody: { requestBody: { response } } as JsonObject });
const toResponseBody = (response: object): Script => ({ responseBody: { responseBody: { response } } as JsonObject });
const setting = (...setHeaders: object[]) => ({ headerMutation: { setHeaders } });
const answering = (immediateResponse: object): Said => ({ immediateResponse }) as JsonObject;

const get = (path: string, script: Script = {}) => request(`GET ${path}`, ["X-User: a", "X-Gone: 1", "X-Both: 1", scripted(script)]);
const post = (path: string, script: Script = {}) => request(`POST ${path}`, ["Content-Length: 5", scripted(script)], "hello");
const chunked = (path: string, script: Script = {}) =>
  request(`POST ${path}`, ["Transfer-Encoding: chunked", scripted(script)], "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
const answered = (path: string, answer: string, script: Script = {}) =>
  request(`GET ${path}`, [`X-Answer: ${raw(answer)}`, scripted(script)]);

const chunkedAnswer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
const emptyAnswers = [
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.1 204 No\r\n\r\n",
  "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",
];

const routing = setting(
  header(":authority", "other.example"),
  header(":method", "PUT"),
  header(":scheme", "https"),
  header("host", "last"),
);

/** Connection managers, and what each of them is asked. */
const cases: readonly (readonly [string, HcmInit, readonly string[]])[] = [
  [
    "heads",
    manager(),
    [
      request("GET /ok?a=b", ["X-User: a", "X-User: b", "X-Latin: \u00fc"]),
      request("POST /ok", ["Content-Length: 0"]),
      request("HEAD /ok"),
      post("/ok"),
      chunked("/ok"),
      answered("/ok", chunkedAnswer),
      get("/disabled", { requestHeaders: 13 }),
      get("/lenient", { requestHeaders: 13 }),
      get("/silent", { requestHeaders: 13 }),
      post("/silent"),
      get("/elsewhere"),
      get("/told"),
      get("/direct"),
      get("/nowhere"),
      get("/ok", {
        ...toHead({
          headerMutation: {
            removeHeaders: ["x-gone", "host", ":path", "X-Absent"],
            setHeaders: [
              header("x-user", "b"),
              header("X-New", "1"),
              header("x-both", "2", { append: true }),
              header("x-added", "1", { append: true }),
              header("x-added", "2", { append: true }),
              header("x-acted", "overwritten", { appendAction: "OVERWRITE_IF_EXISTS" }),
              { header: { key: "x-value", value: "is not read" } },
              header(":path", "/new?x"),
              header("x-envoy-own", "1"),
            ],
          },
        }),
        ...toResponse({
          headerMutation: {
            removeHeaders: ["content-type"],
            setHeaders: [header(":status", "201"), header("x-route", "processed"), header("x-r", "1")],
          },
        }),
      }),
      get("/ok", toHead(routing)),
      get("/ok", toHead({ headerMutation: { removeHeaders: [":method", ":authority", ":scheme", ":path"] } })),
      get("/ok", toHead(setting(...many(80)))),
      get("/ok", toHead(setting(...many(100)))),
      get("/ok", toHead(setting(...many(101, "x-same")))),
      get("/ok", toHead({ headerMutation: { removeHeaders: many(100).map((each) => each.header.key) } })),
      get("/ok", toHead({ headerMutation: { removeHeaders: many(101).map((each) => each.header.key) } })),
      get("/ok", toHead(setting(header("x-large", "v".repeat(25_000))))),
      get("/lenient", toHead(setting(...many(101)))),
      get("/ok", toResponse(setting(...many(80)))),
      get("/ok", toResponse(setting(...many(100)))),
      get("/direct", toResponse(setting(...many(101)))),
      get("/ok", { requestHeaders: answering({ status: { code: 403 }, headers: { setHeaders: many(101) } }) }),
      get("/ok", toHead(setting(header("x y", "1")))),
      get("/ok", toHead(setting(header("x-y", "a\nb")))),
      get("/ok", toHead({ headerMutation: { removeHeaders: ["x y"] } })),
      get("/ok", toResponse(setting(header(":status", "0"), header(":status", "abc")))),
      get("/ok", toResponse({ headerMutation: { removeHeaders: [":status"] } })),
      get("/ok", toHead({ ...setting(header(":path", "/rerouted/x")), clearRouteCache: true })),
      get("/ok", toHead(setting(header(":path", "/rerouted/x")))),
      get("/rerouted", toHead(setting(header(":path", "/ok")))),
      post("/ok", toHead({ status: "CONTINUE_AND_REPLACE", bodyMutation: body("changed!") })),
      chunked("/ok", toHead({ status: "CONTINUE_AND_REPLACE", bodyMutation: { clearBody: true } })),
      get("/ok", toHead({ ...setting(header(":method", "POST")), status: "CONTINUE_AND_REPLACE", bodyMutation: body("changed!") })),
      post("/ok", toHead({ bodyMutation: body("not asked for") })),
      get("/ok", toResponse({ status: "CONTINUE_AND_REPLACE", bodyMutation: body("changed!") })),
      answered("/ok", emptyAnswers[1] as string, toResponse({ status: "CONTINUE_AND_REPLACE", bodyMutation: body("changed!") })),
      answered("/ok", chunkedAnswer, toResponse({ status: "CONTINUE_AND_REPLACE", bodyMutation: { clearBody: true } })),
      get("/direct", toResponse({ status: "CONTINUE_AND_REPLACE", bodyMutation: body("changed!") })),
      get("/ok", { requestHeaders: 7 }),
      get("/ok", { requestHeaders: 0 }),
      get("/ok", { responseHeaders: 13 }),
      get("/ok", { responseHeaders: 0 }),
      get("/ok", { requestHeaders: { requestBody: { response: {} } } }),
      get("/ok", { requestHeaders: { responseHeaders: { response: {} } } }),
      get("/ok", { requestHeaders: {} }),
      post("/ok", {
        requestHeaders: answering({
          status: { code: 401 },
          body: raw("no entry"),
          details: "who are you",
          headers: {
            setHeaders: [
              header("x-why", "because"),
              header("content-type", "text/html"),
              header("x-route", "processed"),
              header("set-cookie", "a=1", { append: true }),
              header("set-cookie", "b=2", { append: true }),
              header("x-envoy-own", "1"),
            ],
          },
        }),
      }),
      get("/ok", { requestHeaders: answering({}) }),
      request("HEAD /ok", [scripted({ requestHeaders: answering({ status: { code: 403 }, body: raw("no") }) })]),
      get("/ok", { requestHeaders: answering({ status: { code: 302 }, headers: { setHeaders: [header("location", "/there")] } }) }),
      get("/ok", { responseHeaders: answering({ status: { code: 418 }, body: raw("tea") }) }),
      get("/nowhere", { responseHeaders: answering({ status: { code: 418 }, body: raw("tea") }) }),
      request("POST /ok", [
        "Content-Type: application/grpc",
        "Content-Length: 0",
        scripted({ requestHeaders: answering({ status: { code: 403 }, grpcStatus: { status: 9 }, body: raw("message") }) }),
      ]),
    ],
  ],
  [
    "whole bodies",
    mode({ requestBodyMode: buffered, responseBodyMode: buffered }),
    [
      get("/ok"),
      post("/ok"),
      chunked("/ok"),
      request("HEAD /ok"),
      get("/direct"),
      answered("/ok", chunkedAnswer),
      ...emptyAnswers.map((each) => answered("/ok", each)),
      post("/ok", toBody({ bodyMutation: body("changed!") })),
      post("/ok", toBody({ bodyMutation: body("changed!"), headerMutation: { removeHeaders: ["content-length"] } })),
      post("/ok", toBody({ bodyMutation: body("changed!"), ...setting(header("content-length", "8"), header("x-body", "1")) })),
      post("/ok", toBody({ bodyMutation: body("world"), ...setting(header(":path", "/rerouted")), clearRouteCache: true })),
      post("/ok", toBody({ bodyMutation: { clearBody: true }, headerMutation: { removeHeaders: ["content-length"] } })),
      post("/ok", toBody({ bodyMutation: { clearBody: true } })),
      chunked("/ok", toBody({ bodyMutation: body("changed!") })),
      get("/ok", toResponseBody({ bodyMutation: body("changed!"), ...setting(header("content-length", "8"), header(":status", "202")) })),
      get("/ok", toResponseBody({ bodyMutation: body("changed!") })),
      get("/ok", toResponseBody({ bodyMutation: { clearBody: true }, headerMutation: { removeHeaders: ["content-length"] } })),
      get("/direct", toResponseBody({ bodyMutation: body("changed!"), headerMutation: { removeHeaders: ["content-length"] } })),
      post("/ok", { requestBody: answering({ status: { code: 422 }, body: raw("bad body") }) }),
      post("/ok", { responseBody: answering({ status: { code: 502 }, body: raw("bad body") }) }),
      post("/ok", { requestBody: 13 }),
      post("/ok", { requestBody: 0 }),
      post("/ok", { responseBody: 13 }),
      post("/ok", { responseBody: 0 }),
      post("/ok", { requestBody: { requestHeaders: { response: {} } } }),
    ],
  ],
  [
    "whole bodies without heads",
    mode({ requestHeaderMode: skip, responseHeaderMode: skip, requestBodyMode: buffered, responseBodyMode: buffered }),
    [get("/ok"), post("/ok"), chunked("/ok"), get("/direct")],
  ],
  [
    "bodies in parts, which come at once",
    mode({ requestBodyMode: streamed, responseBodyMode: streamed }),
    [
      get("/ok", toHead(setting(header("content-length", "7")))),
      post("/ok"),
      chunked("/ok"),
      post("/ok", toBody({ bodyMutation: body("changed!") })),
      post("/ok", toBody({ bodyMutation: { streamedResponse: { body: raw("x") } } })),
      get("/direct"),
      ...emptyAnswers.map((each) => answered("/ok", each)),
      post("/ok", { requestBody: answering({ status: { code: 422 }, body: raw("bad body") }) }),
      post("/ok", { requestBody: 13 }),
    ],
  ],
  [
    "part of bodies",
    mode({ requestBodyMode: partial, responseBodyMode: partial }),
    [
      post("/ok"),
      chunked("/ok", toBody({ bodyMutation: body("changed!"), ...setting(header("x-body", "1")) })),
      get("/direct"),
      answered("/ok", chunkedAnswer, toResponseBody({ bodyMutation: body("changed!"), ...setting(header("x-body", "1")) })),
      ...emptyAnswers.map((each) => answered("/ok", each)),
      post("/ok", { requestBody: 13 }),
      post("/ok", { responseBody: 13 }),
    ],
  ],
  [
    "bodies both ways at once",
    mode({ requestBodyMode: duplex, responseBodyMode: duplex, requestTrailerMode: send, responseTrailerMode: send }),
    [
      get("/ok", { responseBody: null }),
      post("/ok", {
        requestBody: [0, 1].map((i) => ({
          requestBody: { response: { bodyMutation: { streamedResponse: { body: raw(`part ${i};`), endOfStream: i === 1 } } } },
        })) as Said[],
        responseBody: null,
      }),
      post("/ok", { responseBody: null }),
    ].slice(1),
  ],
  [
    "other errors",
    manager({ statusOnError: { code: 503 } }),
    [get("/ok", { requestHeaders: 13 }), get("/ok", { requestHeaders: {} }), get("/ok", toHead(setting(header("x y", "1"))))],
  ],
  [
    "no time",
    manager({ messageTimeout: ms(50) }),
    [get("/ok", { requestHeaders: null }), get("/ok", { responseHeaders: null }), get("/lenient", { requestHeaders: null })],
  ],
  ["no time, other errors", manager({ messageTimeout: ms(50), statusOnError: { code: 503 } }), [get("/ok", { requestHeaders: null })]],
  [
    "more time",
    manager({ messageTimeout: ms(100), maxMessageTimeout: ms(300) }),
    [
      get("/ok", { requestHeaders: { overrideMessageTimeout: "0.3s" } }),
      get("/ok", { requestHeaders: { overrideMessageTimeout: "0.4s" } }),
      get("/ok", { requestHeaders: [{ overrideMessageTimeout: "0.3s" }, { requestHeaders: { response: {} } }] }),
    ],
  ],
  [
    "processing that may fail",
    manager({ failureModeAllow: true }),
    [
      get("/ok", { requestHeaders: 13 }),
      get("/ok", { requestHeaders: {} }),
      get("/ok", { responseHeaders: 13 }),
      get("/ok", toHead(setting(header("x y", "1")))),
      get("/elsewhere"),
      post("/ok", { requestHeaders: 13 }),
    ],
  ],
  ["nobody", manager({ grpcService: at("nobody") }), [get("/ok"), post("/ok"), get("/lenient")]],
  [
    "nobody, and it may fail",
    mode({ requestBodyMode: buffered, responseBodyMode: buffered }, { grpcService: at("nobody"), failureModeAllow: true }),
    [get("/ok"), post("/ok"), chunked("/ok")],
  ],
  [
    "no answers of its own",
    manager({ disableImmediateResponse: true }),
    [get("/ok", { requestHeaders: answering({ status: { code: 401 } }) })],
  ],
  [
    "some headers",
    manager({
      forwardRules: {
        allowedHeaders: {
          patterns: [{ matchPattern: { case: "prefix", value: "x-" } }, { matchPattern: { case: "exact", value: ":path" } }],
        },
        disallowedHeaders: { patterns: [{ matchPattern: { case: "exact", value: "x-user" } }] },
      },
    }),
    [request("GET /ok", ["X-User: a", "X-Other: 1", "Accept: b"])],
  ],
  [
    "metadata",
    manager({ metadataOptions: { receivingNamespaces: { untyped: ["a"] }, forwardingNamespaces: { untyped: ["a", "b"] } } }),
    [get("/ok", toHead({}, { dynamicMetadata: { a: { k: 1 }, b: { k: 2 } } }))],
  ],
  [
    "modes on its word",
    manager({ allowModeOverride: true }),
    [
      post("/ok", toHead({}, { modeOverride: { requestBodyMode: "BUFFERED", responseHeaderMode: "SKIP" } })),
      post("/ok", {
        ...toHead({}, { modeOverride: { responseBodyMode: "BUFFERED" } }),
        responseHeaders: { responseHeaders: { response: {} }, modeOverride: { responseBodyMode: "NONE" } },
      }),
    ],
  ],
  [
    "some modes on its word",
    manager({ allowModeOverride: true, allowedOverrideModes: [{ requestBodyMode: buffered }] }),
    [
      post("/ok", toHead({}, { modeOverride: { requestBodyMode: "BUFFERED", requestHeaderMode: "SKIP" } })),
      post("/ok", toHead({}, { modeOverride: { requestBodyMode: "STREAMED" } })),
    ],
  ],
  ["no modes on its word", manager(), [post("/ok", toHead({}, { modeOverride: { requestBodyMode: "BUFFERED" } }))]],
  [
    "all routing",
    manager({ mutationRules: { allowAllRouting: true, allowEnvoy: true }, routeCacheAction: 1 }),
    [
      get("/ok", toHead(routing)),
      get("/ok", toHead(setting(header("x-envoy-own", "1"), header(":path", "/rerouted")))),
      get("/ok", toHead({ headerMutation: { removeHeaders: ["host"] } })),
    ],
  ],
  [
    "never another route",
    manager({ routeCacheAction: 2 }),
    [get("/ok", toHead({ ...setting(header(":path", "/rerouted")), clearRouteCache: true }))],
  ],
  [
    "strict rules",
    manager({ mutationRules: { disallowIsError: true } }),
    [
      get("/ok", toHead(routing)),
      get("/ok", toHead({ headerMutation: { removeHeaders: ["x-envoy-own"] } })),
      get("/ok", toResponse(setting(header("x-envoy-own", "1")))),
    ],
  ],
  [
    "rules by name",
    manager({ mutationRules: { disallowAll: true, allowExpression: { regex: "x-ok.*" }, disallowExpression: { regex: ".*-no" } } }),
    [
      get(
        "/ok",
        toHead({
          headerMutation: { setHeaders: [header("x-ok1", "1"), header("x-ok-no", "1"), header("x-bad", "1")], removeHeaders: ["x-gone"] },
        }),
      ),
    ],
  ],
  [
    "no system headers",
    manager({ mutationRules: { disallowSystem: true } }),
    [get("/ok", toHead(setting(header(":path", "/new"), header("x-a", "1"))))],
  ],
  [
    "bodies ahead of heads",
    mode({ requestBodyMode: streamed }, { sendBodyWithoutWaitingForHeaderResponse: true }),
    [get("/ok"), post("/ok")],
  ],
  [
    "who only looks on",
    mode({ requestBodyMode: streamed, responseBodyMode: streamed }, { observabilityMode: true, deferredCloseTimeout: ms(100) }),
    [get("/ok"), post("/ok"), chunked("/ok")],
  ],
  [
    "attributes",
    manager({
      requestAttributes: [
        "request.path",
        "request.url_path",
        "request.query",
        "request.host",
        "request.scheme",
        "request.method",
        "request.protocol",
        "request.size",
        "request.referer",
        "request.useragent",
        "connection.mtls",
        "connection.requested_server_name",
        "xds.cluster_name",
        "xds.route_name",
        "xds.virtual_host_name",
        "request.headers['x-user']",
        "request.headers['x-absent']",
        "response.code",
        "upstream.address",
        "connection.tls_version",
      ],
      responseAttributes: [
        "response.code",
        "response.code_details",
        "request.path",
        "upstream.request_attempt_count",
        "response.headers['content-type']",
      ],
    }),
    [request("GET /ok?a=b", ["X-User: a", "User-Agent: me", "Referer: there"]), post("/ok"), get("/direct")],
  ],
  [
    "before another filter that answers",
    manager({}, [{ name: "rbac", config: packAny(RBACSchema, { rules: {} }) }]),
    [get("/ok"), get("/ok", toResponse(setting(header("x-r", "1"))))],
  ],
];

const varying = new Set(["date", "x-request-id", "x-envoy-upstream-service-time", "x-script", "x-answer"]);

/** What the echo of a request says of it is compared on its own. */
function comparable(message: JsonObject): JsonObject {
  const text = JSON.stringify(message, (key, value: unknown) => {
    if (key === "body" && String(value).startsWith('{"upstream"')) return "of the echo";
    return typeof value === "string" && /^content-length: \d{3,}$/.test(value) ? "content-length: of the echo" : value;
  });
  return JSON.parse(text) as JsonObject;
}

const toldTo = (processor: Processor) => processor.take().map((each) => comparable(shownMessage(each, (header) => varying.has(header))));

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !isSo(); ) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe.skipIf(hasNoEnvoy("external processing"))("external processing by the embedded data plane and by Envoy", () => {
  let upstream: RawUpstream;
  let modern: Http2TestUpstream;
  let processor: Processor;
  let planes: Planes;
  const steps: readonly HcmInit[] = [
    mode({ requestBodyMode: streamed, responseBodyMode: streamed }),
    mode({ requestBodyMode: buffered, responseBodyMode: buffered }),
    mode({ requestBodyMode: partial, responseBodyMode: partial }),
    mode({ requestHeaderMode: skip, responseHeaderMode: skip, requestBodyMode: streamed, responseBodyMode: streamed }),
  ];
  const trailing: readonly HcmInit[] = [0, streamed, buffered, partial].map((each) => ({
    ...(managerWith(
      [
        {
          name,
          config: packAny(ExternalProcessorSchema, {
            grpcService: at("proc"),
            messageTimeout: ms(5_000),
            processingMode: { requestBodyMode: each, responseBodyMode: each, requestTrailerMode: send, responseTrailerMode: send },
          } as never),
        },
      ],
      [toRoute("/", {}, {}, "modern")],
    ) as object),
    codecType: 2,
  })) as HcmInit[];

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    modern = await http2Upstream("modern");
    processor = await startProcessor();
    const http2 = { http2ProtocolOptions: {} } as never;
    planes = await startPlanes(
      [...cases.map(([, each]) => each), ...steps, ...trailing],
      [
        staticCluster("a", [upstream.port]),
        staticCluster("modern", [modern.port], http2),
        staticCluster("proc", [processor.port], http2),
        staticCluster("nobody", [], http2),
      ],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await modern?.[Symbol.asyncDispose]();
    await processor?.[Symbol.asyncDispose]();
  });

  test.each(cases.map(([what, , requests], index) => [what, index, requests] as const))("%s", async (_, index, requests) => {
    const found: string[] = [];
    const { envoy, embedded } = planes.ports[index] as Planes["ports"][number];
    for (const text of requests) {
      const seen = [];
      for (const port of [envoy, embedded]) {
        const outcome = await outcomeOf(port, text);
        await until("calls are over", () => processor.open() === 0);
        seen.push({ outcome, told: toldTo(processor) });
      }
      const [a, b] = seen as [(typeof seen)[0], (typeof seen)[0]];
      const script = /X-Script: (\S+)/.exec(text)?.[1] ?? "";
      const line = `${text.split("\r\n", 1)[0]} ${Buffer.from(script, "base64")}`;
      found.push(...differences(a as never, b as never).map((each) => `${line} ${each}`));
    }
    expect(found).toEqual([]);
  });

  test.each(["streamed", "whole", "in part", "streamed, without heads"].map((what, index) => [what, index] as const))(
    "bodies that take their time: %s",
    async (what, index) => {
      const { envoy, embedded } = planes.ports[cases.length + index] as Planes["ports"][number];
      const seen = [];
      for (const port of [envoy, embedded]) seen.push(await slowly(port, what.startsWith("streamed")));
      expect(seen[1]).toEqual(seen[0]);
    },
  );

  /** Both bodies come bit by bit: the next when the processor was told the one before, where it is told of each. */
  async function slowly(port: number, isTold: boolean): Promise<object> {
    const told: JsonObject[] = [];
    const bodies = (side: "request" | "response") => {
      told.push(...toldTo(processor));
      return told.filter((each) => `${side}Body` in each).length;
    };
    const wait = (side: "request" | "response", count: number) => until(`${count} of ${side}`, () => !isTold || bodies(side) >= count);
    const answerBefore = upstream.answer;
    upstream.answer = (_, socket) => {
      void (async () => {
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
        await wait("response", 1);
        socket.write("1\r\n!\r\n");
        await wait("response", 2);
        socket.write("0\r\n\r\n");
      })();
      return undefined;
    };
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
    try {
      const isPart = { requestBody: { response: { bodyMutation: body("changed;") } } } as JsonObject;
      socket.write(request("POST /ok", ["Transfer-Encoding: chunked", scripted({ requestBody: isPart })], "3\r\nabc\r\n"));
      await wait("request", 1);
      socket.write("2\r\nde\r\n");
      await wait("request", 2);
      socket.write("0\r\n\r\n");
      await until("an answer", () => parseRaw(text, false, false) !== undefined);
      await until("calls are over", () => processor.open() === 0);
    } finally {
      socket.destroy();
      upstream.answer = answerBefore;
    }
    bodies("request");
    const sent = (upstream.requests.at(-1) ?? "").split("\r\n\r\n").slice(1).join("\r\n\r\n");
    const answer = parseRaw(text, false, false);
    return { told, sent: unchunked(sent), status: answer?.status, body: answer?.body };
  }

  test.each([["no bodies"], ["streamed"], ["whole"], ["in part"]].map(([what], index) => [what, index] as const))(
    "trailers: %s",
    async (_, index) => {
      const { envoy, embedded } = planes.ports[cases.length + steps.length + index] as Planes["ports"][number];
      const trailersOf = (more: object) => ({
        headerMutation: { setHeaders: [header("x-new", "1"), header("x-envoy-own", "1")], ...more },
      });
      const script = scripted({
        requestTrailers: { requestTrailers: trailersOf({ removeHeaders: ["x-t"] }) } as JsonObject,
        responseTrailers: { responseTrailers: trailersOf({ removeHeaders: ["x-r"] }) } as JsonObject,
      }).replace("X-Script: ", "");
      modern.onStream = (stream, _head, whole) => {
        void whole().then((request) => {
          stream.respond({ ":status": 200 }, { waitForTrailers: true });
          stream.on("wantTrailers", () => stream.sendTrailers({ "x-r": "1", "x-r2": "2" }));
          stream.end(JSON.stringify([request.body, request.trailers]));
        });
      };
      const seen = [];
      for (const port of [envoy, embedded]) {
        await using client = http2Client(port);
        const head = [":method", "POST", ":path", "/ok", ":authority", "a.example", "x-script", script];
        const { status, body, trailers } = await client.ask(head, "hello", { "x-t": "1", "x-t2": "2" });
        await until("calls are over", () => processor.open() === 0);
        // Whether the end of a body comes with its last part, or on its own, is a matter of chance.
        const told = toldTo(processor).filter((each) => JSON.stringify(each) !== '{"requestBody":{},"metadataContext":{}}');
        seen.push({ status, body: JSON.parse(body) as object, trailers: sorted(trailers), told });
      }
      expect(seen[1]).toEqual(seen[0]);
    },
  );

  test("what counters say", async () => {
    const envoy = new Map(
      (await planes.envoy.admin("/stats?filter=http.ext_proc"))
        .split("\n")
        .map((line) => line.replace("http.http.", "").split(": ") as [string, string]),
    );
    const embedded: Record<string, number> = {};
    for (const [key, value] of Object.entries(planes.plane.stats())) {
      const [, counter] = /\.(ext_proc\..*)$/.exec(key) ?? [];
      if (counter !== undefined) embedded[counter] = (embedded[counter] ?? 0) + value;
    }
    const counted = [
      "streams_started",
      "rejected_header_mutations",
      "spurious_msgs_received",
      "message_timeouts",
      "immediate_responses_sent",
    ].concat([
      "failure_mode_allowed",
      "clear_route_cache_ignored",
      "clear_route_cache_disabled",
      "override_message_timeout_received",
      "override_message_timeout_ignored",
    ]);
    const shown = (counts: (name: string) => unknown) =>
      Object.fromEntries(counted.map((each) => [each, Number(counts(`ext_proc.${each}`) ?? 0)]));
    expect(shown((each) => embedded[each])).toEqual(shown((each) => envoy.get(each)));
  });

  test("a configuration is executed whole", () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    // Nothing is left of what was asked.
    expect(planes.plane.stats()["cluster.proc.upstream_rq_active"]).toBe(0);
  });
});

function unchunked(text: string): string {
  return parseRaw(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text}`, false, false)?.body ?? text;
}

function sorted(pairs: readonly (readonly [string, string])[]): string[] {
  return pairs.map((pair) => pair.join(": ")).sort();
}
