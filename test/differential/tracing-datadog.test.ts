// Tracing by Datadog in the embedded data plane and in Envoy: the same headers to upstreams, and the same spans to an agent, but for identifiers and times.

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyStatsText } from "../../src/admin/envoy-stats.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { DatadogConfigSchema } from "../../src/gen/envoy/envoy/config/trace/v3/datadog_pb.js";
import type { Collector, Report } from "./collectors.ts";
import { datadogCollector } from "./datadog-collector.ts";
import { directRoute, hasNoEnvoy, managerWith } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { answeredWith, request } from "./requests.ts";
import { collected, literal, masked, percent, portOf, retrying, type Seen, seenOf, spansOf, to, traced } from "./traced.ts";

const routes: readonly RouteInit[] = [
  directRoute("/direct", "here"),
  to("/decorated", "a", {}, traced("the operation")),
  to("/never", "a", {}, traced("", { overallSampling: percent(0) })),
  to(
    "/tagged",
    "a",
    {},
    traced("", { customTags: [literal("resource.name", "a resource"), literal("l", "of the route"), literal("error", "no")] }),
  ),
  to("/failing", "a", {}, traced("", { customTags: [literal("error", "true")] })),
  to("/retried", "a", retrying),
  to("/slow", "silent", { timeout: { nanos: 100_000_000 } }),
  to("/closed", "closing", {}),
  to("/nobody", "nobody", {}),
  to("/", "a", {}),
];

const datadog = (config: object) => ({
  provider: {
    name: "envoy.tracers.datadog",
    configType: { case: "typedConfig", value: packAny(DatadogConfigSchema, { collectorCluster: "agent", ...config } as never) },
  },
});
const manager = (tracing: object, more: object = {}): HcmInit =>
  ({ ...managerWith([], routes, { domains: ["a.example"] } as never), tracing, ...more }) as HcmInit;

const managers: Readonly<Record<string, HcmInit>> = {
  Datadog: manager({ ...datadog({ serviceName: "plain" }), customTags: [literal("l", "literal")], verbose: true }),
  "Datadog with spans of tries": manager({
    ...datadog({ serviceName: "gateway", collectorHostname: "agent.example", remoteConfig: {} }),
    spawnUpstreamSpan: true,
  }),
  "without propagation": manager({ ...datadog({ serviceName: "quiet" }), noContextPropagation: true }),
  "at the edge": manager({ ...datadog({ serviceName: "edge" }), randomSampling: { value: 0 } }, { useRemoteAddress: true }),
  rated: manager(datadog({ collectorCluster: "rating-agent", serviceName: "rated" })),
};
/** Its rates come with the first answer of its agent. */
const rated = Object.keys(managers).indexOf("rated");

/** Identifiers of others, told apart by their last digits. */
const hex = (n: number, length: number) => (n + 1).toString(16).padStart(length, "a");
const decimal = (n: number) => BigInt(`0x${hex(n, 16)}`).toString();
const ids = (n: number) => [`X-Datadog-Trace-Id: ${decimal(n)}`, `X-Datadog-Parent-Id: ${decimal(n + 100)}`];
const traceparent = (n: number, flags = "01", version = "00") => `Traceparent: ${version}-${hex(n, 32)}-${hex(n + 200, 16)}-${flags}`;
const tid = "_dd.p.tid=aaaaaaaaaaaaaaaa";

type Make = (n: number) => readonly [line: string, headers: readonly string[], body?: string];

/** What is asked on its own, and what with the identifiers of a trace in front. */
const asked: readonly Make[] = [
  () => ["GET /plain?q=1", ["User-Agent: m\u00c3\u00bc", "X-Client-Trace-Id: client"]],
  () => ["POST /plain", ["Content-Type: application/grpc", "Content-Length: 0", "Grpc-Timeout: 10S"]],
  ...["/direct", "/decorated", "/never", "/tagged", "/failing", "/slow", "/closed", "/nobody"].map(
    (path): Make =>
      () => [`GET ${path}`, []],
  ),
  (n) => ["GET /never", ids(n)],
  ...[
    [],
    ["X-Datadog-Sampling-Priority: 2"],
    ["X-Datadog-Sampling-Priority: 1", "X-Datadog-Origin: synthetics=a;b", `X-Datadog-Tags: ${tid},_dd.p.dm=-4,_dd.p.usr=x=y~z,other=1`],
    ["X-Datadog-Sampling-Priority: 0"],
    ["X-Datadog-Sampling-Priority: -1", "X-Datadog-Tags: _dd.p.dm=-4"],
    ["X-Datadog-Sampling-Priority: much"],
    ["X-Datadog-Sampling-Priority: 99999999999"],
    ["X-Datadog-Tags: _dd.p.dm=-3"],
    ["X-Datadog-Tags: _dd.p.tid=short"],
    ["X-Datadog-Tags: _dd.p.tid=0000000000000000"],
    ["X-Datadog-Tags: nonsense"],
    ["X-Datadog-Tags: "],
    ["X-Datadog-Tags: _dd.p.ts=02,_dd.p.dm=-5"],
    ["X-Datadog-Tags: _dd.p.ts=much"],
    [`X-Datadog-Tags: _dd.p.long=${"l".repeat(600)}`],
    [`X-Datadog-Tags: _dd.p.long=${"l".repeat(300)},_dd.p.b=c`, "X-Datadog-Sampling-Priority: 1"],
    ["Traceparent: nonsense"],
    [`Traceparent: 00-${"0".repeat(32)}-${"0".repeat(16)}-01`],
    [`Traceparent: 00-${"a".repeat(32)}-${"0".repeat(16)}-01`],
    [`Traceparent: 00-${"a".repeat(32)}-${"b".repeat(16)}-zz`],
    [`Traceparent: 00-${"a".repeat(32)}-${"b".repeat(16)}-01-more`],
    [`Traceparent: ff-${"a".repeat(32)}-${"b".repeat(16)}-01`],
    [`Traceparent: zz-${"a".repeat(32)}-${"b".repeat(16)}-01`],
    [`Traceparent: 000-${"a".repeat(32)}-${"b".repeat(16)}-01`],
  ].map(
    (headers): Make =>
      (n) => ["GET /plain", [...ids(n), ...headers]],
  ),
  // Both tell of the same trace, or not.
  (n) => ["GET /plain", [...ids(n), `X-Datadog-Tags: ${tid}`, traceparent(n), "Tracestate: a=b,dd=s:2;p:00000000000000cc;x:y,c=d"]],
  (n) => ["GET /plain", [...ids(n), `X-Datadog-Tags: ${tid}`, traceparent(n), "Tracestate: a=b"]],
  (n) => ["GET /plain", [...ids(n), traceparent(n), "Tracestate: a=b"]],
  (n) => ["GET /plain", [`X-Datadog-Trace-Id: ${decimal(n)}`, `X-Datadog-Tags: ${tid}`, traceparent(n)]],
  // Of one kind alone.
  (n) => ["GET /plain", [`X-Datadog-Trace-Id: ${decimal(n)}`]],
  (n) => ["GET /plain", [`X-Datadog-Trace-Id: ${decimal(n)}`, "X-Datadog-Origin: rum"]],
  (n) => ["GET /plain", [`X-Datadog-Parent-Id: ${decimal(n)}`]],
  () => ["GET /plain", ["X-Datadog-Trace-Id: 0", "X-Datadog-Parent-Id: 1"]],
  () => ["GET /plain", ["X-Datadog-Trace-Id: 99999999999999999999", "X-Datadog-Parent-Id: 1"]],
  () => ["GET /plain", ["X-Datadog-Trace-Id: abc", "X-Datadog-Parent-Id: 1"]],
  (n) => ["GET /plain", [`X-Datadog-Trace-Id: ${decimal(n)}`, "X-Datadog-Parent-Id: 0", "X-Datadog-Sampling-Priority: 1"]],
  (n) => ["GET /plain", [traceparent(n)]],
  (n) => ["GET /plain", [traceparent(n, "00")]],
  (n) => ["GET /plain", [traceparent(n, "03", "01")]],
  (n) => ["GET /plain", [`${traceparent(n, "01", "01")}-more`]],
  (n) => ["GET /plain", [traceparent(n).toUpperCase()]],
  (n) => ["GET /plain", [traceparent(n), "Tracestate: a=b,c=d"]],
  ...[
    "dd=s:2;o:rum~a;p:00000000000000cc;t.dm:-4;t.usr:x~y",
    "dd=s:-1;t.dm:-4",
    "dd=s:much",
    "a=b, dd=s:1;new:thing;;odd;more:x ,c=d",
    "dd=t.tid:short",
    "dd=t.tid:0000000000000001",
    "dd=ts:02",
    "dd=ts:much",
    `dd=${"x:y;".repeat(80)}s:1`,
    `dd=s:2;${"x:y;".repeat(150)},a=b`,
    "nonsense",
    ",,dd",
  ].map(
    (state): Make =>
      (n) => ["GET /plain", [traceparent(n), `Tracestate: ${state}`]],
  ),
  () => ["GET /plain", ["Tracestate: dd=s:2"]],
  (n) => ["GET /plain", [`X-B3-TraceId: ${hex(n, 16)}`, `X-B3-SpanId: ${hex(n + 100, 16)}`, "X-B3-Sampled: 1"]],
];

const empty = "Content-Length: 0\r\n\r\n";
const answers = [
  ["/plain", `HTTP/1.1 503 no\r\n${empty}`],
  ["/retried", `HTTP/1.1 503 no\r\n${empty}`],
  ["/plain", `HTTP/1.1 200 ok\r\nContent-Type: application/grpc\r\nGrpc-Status: 13\r\nGrpc-Message: none\r\n${empty}`],
  ["/plain", "nonsense\r\n\r\n"],
] as const;

/** For each connection manager others, so that the spans of all can be told apart. */
function requestsOf(index: number): string[] {
  const numbered = (target: string, at: number) =>
    target.replace(/(?=\?|$)/, `?n=${index}${String(at).padStart(2, "0")}.`).replace(".?", ".&");
  if (index === rated) return Array.from({ length: 24 }, (_, at) => request(numbered("GET /plain", at), ids(50_000 + at * 7)));
  const own = asked.map((make, at) => {
    const [line, headers, body = ""] = make(index * 1_000 + at);
    return request(numbered(line, at), headers, body);
  });
  return [...own, ...answers.map(([target, answer], at) => answeredWith(numbered(target, own.length + at), answer))];
}

interface Observed {
  readonly seen: readonly (readonly Seen[])[];
  readonly reports: readonly string[];
}

describe.skipIf(hasNoEnvoy("tracing by Datadog"))("tracing by Datadog in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let silent: Server;
  let closing: Server;
  let agents: readonly Collector[];
  let planes: Planes;
  let envoy: Observed;
  let embedded: Observed;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    silent = createServer(() => undefined).listen(0, "127.0.0.1");
    closing = createServer((socket) => socket.once("data", () => socket.end())).listen(0, "127.0.0.1");
    await Promise.all([once(silent, "listening"), once(closing, "listening")]);
    agents = [await datadogCollector(), await datadogCollector({ "service:,env:": 1, "service:rated,env:": 0.5 })];
    planes = await startPlanes(
      Object.entries(managers).map(([name, hcm]) => ({ ...hcm, statPrefix: name.replaceAll(/\W/g, "_") })) as HcmInit[],
      [
        staticCluster("a", [upstream.port]),
        staticCluster("nobody", [1]),
        staticCluster("silent", [portOf(silent)]),
        staticCluster("closing", [portOf(closing)]),
        staticCluster("agent", [(agents[0] as Collector).port]),
        staticCluster("rating-agent", [(agents[1] as Collector).port]),
      ],
    );
    [envoy, embedded] = [await observe("envoy"), await observe("embedded")];
  }, 120_000);

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    for (const each of [silent, closing]) each?.close();
    for (const each of agents ?? []) await each[Symbol.asyncDispose]();
  });

  test.for(Object.keys(managers).map((name, index) => [name, index] as const))("%s", ([name, index]) => {
    for (const [at, text] of requestsOf(index).entries())
      expect.soft(embedded.seen[index]?.[at], `${name}: ${text}`).toEqual(envoy.seen[index]?.[at]);
  });

  test("traces are kept by the rate that the agent says", () => {
    const kept = (envoy.seen[rated] ?? []).filter((each) => /"x-datadog-sampling-priority":"1"/.test(JSON.stringify(each)));
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(requestsOf(rated).length);
  });

  test("agents are asked alike", () => {
    expect(embedded.reports).toEqual(envoy.reports);
  });

  test("counted alike, and nothing is left out", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const samples = (page: string) => [...new Set(page.match(/^envoy_tracing_datadog_\w+(?=.* [1-9]\d*$)/gm))].sort();
    expect(samples(envoyStatsText(planes.plane.stats()))).toEqual(samples(await planes.envoy.admin("/stats/prometheus")));
    expect(planes.plane.stats()["tracing.datadog.reports_sent"]).toBeGreaterThan(1);
  });

  async function observe(plane: "envoy" | "embedded"): Promise<Observed> {
    const port = (index: number) => planes.ports[index]?.[plane] as number;
    await hasRates(port(rated), plane);
    const all: (Seen & { text: string })[][] = [];
    for (const index of planes.ports.keys()) {
      const seen: (Seen & { text: string })[] = [];
      for (const text of requestsOf(index)) seen.push({ text, ...(await seenOf(port(index), text)) });
      all.push(seen);
    }
    const spans = await collected(agents, 3_000);
    const reports = agents.flatMap((agent) => agent.reports.splice(0));
    return {
      seen: all.map((seen) =>
        seen.map(({ text, ...each }) => {
          const shown = inHex(text);
          return masked(JSON.parse(inHex(JSON.stringify({ ...each, spans: spansOf(spans, shown) }))) as Seen, shown);
        }),
      ),
      reports: [...new Set(reports.map(shapeOf))].sort(),
    };
  }
});

/** An agent tells them in its first answer. */
async function hasRates(port: number, plane: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++, await delay(100)) {
    const seen = JSON.stringify(await seenOf(port, request("GET /plain")));
    if (/_dd\.p\.dm=-1|"x-datadog-sampling-priority":"0"/.test(seen)) return;
  }
  throw new Error(`${plane} did not take the rates of its agent`);
}

/** Numbers of 64 bits as spans have them, and those of 128 as two. */
function inHex(text: string): string {
  return (
    text
      .replaceAll(
        /(x-datadog-(?:trace|parent)-id"?: ?"?)(\d{1,20})\b/gi,
        (_, name, id) => `${name}${BigInt(id).toString(16).padStart(16, "0")}`,
      )
      .replaceAll(/\b([0-9a-f]{16})([0-9a-f]{16})\b/gi, "$1.$2")
      // The upstream says what it got, also identifiers, which are of different lengths.
      .replaceAll(/("response_size":")\d{3,4}"/g, '$1(some)"')
  );
}

/** As JSON; but for who it is that reports, where, and how much. */
function shapeOf({ path, headers, resource }: Report): string {
  const own =
    /^(?:content-length|transfer-encoding|user-agent|x-request-id|x-forwarded-for|x-datadog-trace-count|datadog-(?:container|entity)-id)$/;
  const kept = Object.entries(headers)
    .filter(([name]) => !own.test(name))
    .map(([name, value]) => [name, /^datadog-meta-|timeout-ms$/.test(name) ? typeof value : value]);
  const { parts, types } = resource as { parts: number; types: readonly string[] };
  const isCounted = headers["x-datadog-trace-count"] === String(parts);
  return JSON.stringify([path, Object.fromEntries(kept.sort()), isCounted, types.filter((each) => !each.startsWith("meta"))]);
}
