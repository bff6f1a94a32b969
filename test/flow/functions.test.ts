// What is said of functions that cannot be called, and what is sent all the same.
import { expect, test } from "vitest";
import { translateCase } from "../corpus/translate.ts";

const settings = { apiVersion: "gloo.solo.io/v1", kind: "Settings", metadata: { name: "default", namespace: "gloo-system" }, spec: {} };

interface Story {
  readonly serviceSpec?: object;
  readonly call: object;
  readonly more?: readonly object[];
}

async function told({ serviceSpec, call, more = [] }: Story) {
  const meta = (name: string) => ({ name, namespace: "gloo-system" });
  const hosts = [{ addr: "10.0.0.1", port: 80 }];
  const single = { upstream: meta("till"), destinationSpec: call };
  const objects = [
    {
      apiVersion: "gloo.solo.io/v1",
      kind: "Upstream",
      metadata: meta("till"),
      spec: { static: { hosts, ...(serviceSpec && { serviceSpec }) } },
    },
    {
      apiVersion: "gateway.solo.io/v1",
      kind: "VirtualService",
      metadata: meta("shop"),
      spec: { virtualHost: { domains: ["shop.test"], routes: [{ matchers: [{ prefix: "/a" }], routeAction: { single } }] } },
    },
    {
      apiVersion: "gateway.solo.io/v1",
      kind: "Gateway",
      metadata: meta("gateway-proxy"),
      spec: { bindAddress: "::", bindPort: 8080, httpGateway: {} },
    },
    ...more,
  ];
  const output = await translateCase({ input: objects.map((each) => JSON.stringify(each)).join("\n---\n"), settings } as never);
  const { state, reason = "" } = (output.statuses["VirtualService gloo-system/shop"] ?? {}) as { state?: string; reason?: string };
  const upstream = (output.statuses["Upstream gloo-system/till"] ?? {}) as { state?: string; reason?: string };
  const [config] = output.routes as { virtualHosts: { routes: { typedPerFilterConfig?: Record<string, unknown> }[] }[] }[];
  const route = config?.virtualHosts[0]?.routes[0];
  return { state, reason, upstream, filters: Object.keys(route?.typedPerFilterConfig ?? {}), isServed: route !== undefined };
}

const rest = (template: object) => ({ rest: { transformations: { f: template } } });
const call = (parameters?: object, functionName = "f") => ({ rest: { functionName, ...(parameters && { parameters }) } });
const path = (text: string) => ({ headers: { ":path": { text } } });

test("a function that is there becomes a script of the route", async () => {
  expect(await told({ serviceSpec: rest(path("/x")), call: call() })).toMatchObject({
    state: "Accepted",
    filters: ["io.solo.transformation"],
  });
});

test.each<[string, Story, string]>([
  ["an unknown function", { serviceSpec: rest(path("/x")), call: call(undefined, "g") }, "*rest.plugin: unknown function g"],
  ["a name of every object", { serviceSpec: rest(path("/x")), call: call(undefined, "constructor") }, "unknown function constructor"],
  ["an Upstream without functions", { call: call() }, "gloo-system.till does not have a rest service spec"],
  [
    "braces that are not closed",
    { serviceSpec: rest(path("/x")), call: call({ path: "/a/{b" }) },
    "/a/{b is not valid syntax. {} braces must be closed",
  ],
  [
    "a method of an Upstream that has none",
    { call: { grpc: { service: "S", function: "F" } } },
    "*grpc.plugin: upstream gloo-system.till was not recorded for grpc route",
  ],
])("%s is an error of the route, which is served without it", async (_, story, reason) => {
  const result = await told(story);
  expect(result).toMatchObject({ state: "Rejected", filters: [], isServed: true });
  expect(result.reason).toContain(reason);
});

test.each<[string, object, string]>([
  ["a statement without end", path("{% if a %}b"), "request.headers.:path: this if has no end: endif is missing (at 1:4)"],
  ["an unknown function of the language", path("{{ nope(1) }}"), "request.headers.:path: unknown function nope (at 1:4)"],
  [
    "an expression that is none",
    { extractors: { a: { header: "x", regex: "(a" } } },
    'request.extractors.a.regex: the regular expression "(a"',
  ],
  ["a key with a dot", { mergeJsonKeys: { jsonKeys: { "a.b": {} } } }, "request.keys.a.b: Invalid key name for merge_json_keys"],
])("%s is an error of the route, which says where", async (_, template, reason) => {
  const result = await told({ serviceSpec: rest(template), call: call() });
  expect(result).toMatchObject({ state: "Rejected", filters: [], isServed: true });
  expect(result.reason).toContain(`rest function f cannot be called, the request is forwarded as it is: ${reason}`);
});

test.each<[string, object]>([
  ["statements", path('{% if exists("a") %}b{% endif %}')],
  ["all functions of the language", path('{{ env("HOME") }}')],
  ["expressions with alternatives", { extractors: { a: { header: "x", regex: "a|b" } } }],
  ["mergeJsonKeys", { mergeJsonKeys: { jsonKeys: { a: { tmpl: { text: "1" } } } } }],
  ["extractors of the body", { extractors: { a: { body: {}, regex: "a" } } }],
])("%s are usable", async (_, template) => {
  expect(await told({ serviceSpec: rest(template), call: call() })).toMatchObject({
    state: "Accepted",
    filters: ["io.solo.transformation"],
  });
});

test("descriptors that cannot be used are a warning of the Upstream, and the route is served", async () => {
  const transcoder = (more: object) => ({ grpcJsonTranscoder: { services: ["a.A"], ...more } });
  const configMap = { protoDescriptorConfigMap: { configMapRef: { name: "protos", namespace: "gloo-system" }, key: "d" } };
  const artifact = (data: object) => ({
    apiVersion: "gloo.solo.io/v1",
    kind: "Artifact",
    metadata: { name: "protos", namespace: "gloo-system" },
    spec: { data },
  });
  const said = async (serviceSpec: object, ...more: object[]) => {
    const { upstream, filters, isServed } = await told({ serviceSpec, call: {}, more });
    expect([filters, isServed]).toEqual([[], true]);
    return `${upstream.state} ${upstream.reason}`;
  };
  expect(await said(transcoder({ protoDescriptorBin: "/////w==" }))).toMatch(
    /^Warning .*protoDescriptorBin is not a valid FileDescriptorSet/s,
  );
  expect(await said(transcoder({ protoDescriptorBin: "" }))).toContain("has no service a.A");
  expect(await said(transcoder(configMap))).toContain("configmap gloo-system:protos cannot be found");
  expect(await said(transcoder(configMap), artifact({ e: "" }))).toContain("does not contain a value for key d");
  expect(await said(transcoder(configMap), artifact({ d: "not base64!" }))).toContain("is not base64-encoded");
  expect(await said(transcoder({}))).toMatch(/^Accepted/);
});
