// Access logs that go to a server, of the embedded data plane and of Envoy: the same entries, but for times and for bytes that only Envoy counts.

import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fromBinary, type JsonObject, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyStatsText } from "../../src/admin/envoy-stats.ts";
import { type RawUpstream, rawRequest, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, listenerMessage, type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { HTTPAccessLogEntrySchema, TCPAccessLogEntrySchema } from "../../src/gen/envoy/envoy/data/accesslog/v3/accesslog_pb.js";
import {
  HttpGrpcAccessLogConfigSchema,
  TcpGrpcAccessLogConfigSchema,
} from "../../src/gen/envoy/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { OpenTelemetryAccessLogConfigSchema } from "../../src/gen/envoy/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import { TcpProxySchema } from "../../src/gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { HttpProtocolOptionsSchema } from "../../src/gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { AnyValueSchema } from "../../src/gen/envoy/opentelemetry/proto/common/v1/common_pb.js";
import { type Fields, fieldsOf, hex, type LogCollector, logCollector, messages, text } from "./collectors.ts";
import { directRoute, hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startListeners } from "./planes.ts";
import { answeredWith, request } from "./requests.ts";

const service = (more: object = {}) => ({
  grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: "logs" } } },
  transportApiVersion: 2,
  bufferFlushInterval: { nanos: 200_000_000 },
  ...more,
});
const lost = service({ logName: "lost", grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: "nobody" } } } });
const log = (schema: Parameters<typeof packAny>[0], config: object, more: object = {}) => ({
  name: "log",
  configType: { case: "typedConfig", value: packAny(schema, config as never) },
  ...more,
});
const als = (logName: string, more: object = {}) =>
  log(HttpGrpcAccessLogConfigSchema, {
    commonConfig: service({ logName }),
    additionalRequestHeadersToLog: ["X-User", "absent", "x-request-id"],
    additionalResponseHeadersToLog: ["content-type", "server"],
    additionalResponseTrailersToLog: ["x-trailer"],
    ...more,
  });
const string = (value: string) => ({ value: { case: "stringValue", value } });
const map = (values: Record<string, object>) => ({
  value: { case: "kvlistValue", value: { values: Object.entries(values).map(([key, value]) => ({ key, value })) } },
});
const list = (...values: object[]) => ({ value: { case: "arrayValue", value: { values } } });
const otel = (logName: string, more: object = {}) =>
  log(OpenTelemetryAccessLogConfigSchema, {
    commonConfig: service({ logName }),
    body: string("%REQ(:METHOD)% %REQ(:PATH)% %REQ(x-none)% %RESPONSE_CODE% é"),
    attributes: (
      map({
        user: string("%REQ(x-user)%"),
        none: string("%REQ(x-none)%"),
        all: map({ status: string("%RESPONSE_CODE%"), flags: list(string("%RESPONSE_FLAGS%"), string("plain")) }),
      }) as { value: { value: object } }
    ).value.value,
    ...more,
  });

const routes: readonly RouteInit[] = [
  directRoute("/direct", "here"),
  toRoute("/nobody", {}, { name: "no-body" }, "nobody"),
  { ...toRoute("/"), name: "all" } as RouteInit,
];
const routed = (...accessLog: object[]): HcmInit =>
  ({ ...managerWith([], routes, { domains: ["a.example"] } as never), accessLog }) as HcmInit;
const tcp = (port: number, accessLog: object) => ({
  ...listenerMessage(port),
  filterChains: [
    {
      filters: [log(TcpProxySchema, { statPrefix: "tcp", clusterSpecifier: { case: "cluster", value: "a" }, accessLog: [accessLog] })],
    },
  ],
});

const asked = [
  request("GET /ok?a=b", ["X-User: \u00c3\u00bc", "User-Agent: me", "Referer: there", "X-Forwarded-For: 10.0.0.1"]),
  request("POST /ok", ["Content-Length: 2", "X-Request-Id: given"], "hi"),
  request("PURGE /direct"),
  request("HEAD /nobody"),
  request("GET /ok", [], "", "other.example"),
  answeredWith("/ok", "HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n"),
];

describe.skipIf(hasNoEnvoy("access logs of servers"))("access logs that go to a server", () => {
  let upstream: RawUpstream;
  let collector: LogCollector;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    collector = await logCollector();
    const http2 = packAny(HttpProtocolOptionsSchema, {
      upstreamProtocolOptions: { case: "explicitHttpConfig", value: { protocolConfig: { case: "http2ProtocolOptions", value: {} } } },
    } as never);
    planes = await startListeners(
      [
        (port) => listenerMessage(port, routed(als("http"))),
        (port) => listenerMessage(port, routed(otel("otel"))),
        (port) =>
          listenerMessage(
            port,
            routed(
              otel("bare", {
                disableBuiltinLabels: true,
                body: undefined,
                attributes: undefined,
                resourceAttributes: { values: [{ key: "k", value: string("v") }] },
              }),
            ),
          ),
        (port) => tcp(port, als("http for tcp")) as never,
        (port) => tcp(port, log(TcpGrpcAccessLogConfigSchema, { commonConfig: service({ logName: "tcp" }) })) as never,
        (port) => listenerMessage(port, routed(otel("lost", { commonConfig: lost, statPrefix: "mine." }))),
      ],
      [
        staticCluster("a", [upstream.port]),
        staticCluster("nobody", [1]),
        staticCluster("logs", [collector.port], {
          typedExtensionProtocolOptions: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 },
        } as never),
      ],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await collector?.[Symbol.asyncDispose]();
  });

  test("has the entries that Envoy sends", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const envoy = await entriesOf("envoy");
    const embedded = await entriesOf("embedded");
    expect(Object.keys(envoy).sort()).toEqual(["bare", "http", "http for tcp", "otel", "tcp"]);
    expect(envoy.http).toHaveLength(asked.length);
    for (const [name, entries] of Object.entries(envoy))
      for (const [at, entry] of entries.entries()) expect.soft(embedded[name]?.[at], `${name} ${at}`).toEqual(entry);
  });

  test("are counted under the names of Envoy, also those that nobody has", async () => {
    // Envoy counts requests that are written to its service, not connections.
    const counted = (page: string) =>
      page
        .replaceAll("{}", "")
        .match(/^envoy_access_logs_(?!grpc_access_log_logs_written)\w+ [1-9]\d*$/gm)
        ?.sort();
    await expect
      .poll(async () => counted(envoyStatsText(planes.plane.stats())), { timeout: 10_000 })
      .toEqual(counted(await planes.envoy.admin("/stats/prometheus")));
    expect(planes.plane.stats()["access_logs.open_telemetry_access_log.mine.logs_dropped"]).toBe(1);
  });

  async function entriesOf(plane: "envoy" | "embedded"): Promise<Record<string, unknown[]>> {
    for (const [index, ports] of planes.ports.entries()) {
      if (index < 3) for (const each of asked) await rawRequest(ports[plane], each, { isHead: each.startsWith("HEAD") });
      else await closed(ports[plane]);
    }
    const found: Record<string, unknown[]> = {};
    const add = (name: string, entries: readonly unknown[]) => {
      found[name] = [...(found[name] ?? []), ...entries];
    };
    for (let quiet = 0; quiet < 5; quiet++, await delay(100))
      for (const [path, message] of collector.take()) {
        quiet = 0;
        if (path.endsWith("/Export")) add(...ofOtlp(fieldsOf(message)));
        else add(...ofService(fieldsOf(message)));
      }
    return JSON.parse(JSON.stringify(found).replaceAll(`${upstream.port}`, "upstream")) as Record<string, unknown[]>;
  }
});

/** Sends a request over TCP and closes. */
async function closed(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.write(request("GET /tcp"));
  await new Promise((resolve) => socket.once("data", resolve));
  socket.end();
  await new Promise((resolve) => socket.once("close", resolve));
}

let lastName = "";

function ofService(message: Fields): [string, unknown[]] {
  const identifier = messages(message, 1)[0];
  // Said once a stream.
  if (identifier !== undefined) lastName = text(identifier, 2);
  const entries = (no: 2 | 3, schema: typeof HTTPAccessLogEntrySchema | typeof TCPAccessLogEntrySchema) =>
    messages(message, no).flatMap((group) =>
      (group.get(1) ?? []).map((each) => shown(toJson(schema as never, fromBinary(schema as never, each as Uint8Array)) as JsonObject)),
    );
  return [lastName, [...entries(2, HTTPAccessLogEntrySchema), ...entries(3, TCPAccessLogEntrySchema)]];
}

/** What only Envoy counts, and what is of the moment. */
const left = /Bytes(?:Sent|Received)?$|^(?:sampleRate|streamId|timeTo(?:Last|First)UpstreamTxByte)$/;
const counted = new Set(["requestBodyBytes", "responseBodyBytes", "receivedBytes", "sentBytes"]);

function shown(value: unknown, name = ""): unknown {
  if (Array.isArray(value)) return value.map((each) => shown(each));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([key]) => !left.test(key) || counted.has(key));
    return Object.fromEntries(entries.sort().map(([key, each]) => [key, shown(each, key)]));
  }
  if (/^time|^duration$|^startTime$/i.test(name)) return "(time)";
  if (name === "portValue") return "(port)";
  if (/^(?:requestId|x-request-id)$/.test(name) && String(value).length === 36) return "(id)";
  return value;
}

function ofOtlp(message: Fields): [string, unknown[]] {
  const [group] = messages(message, 1) as [Fields];
  const attributesOf = (fields: Fields | undefined, no: number) =>
    fields === undefined
      ? []
      : messages(fields, no).map((each) => [
          text(each, 1),
          toJson(AnyValueSchema, fromBinary(AnyValueSchema, each.get(2)?.[0] as Uint8Array)),
        ]);
  const resource = attributesOf(messages(group, 1)[0], 1);
  const records = messages(group, 2).flatMap((scope) => messages(scope, 2));
  const name = resource.find(([key]) => key === "log_name")?.[1] as { stringValue: string } | undefined;
  return [
    name?.stringValue ?? "bare",
    records.map((each) => ({
      resource,
      body: each.get(5) && toJson(AnyValueSchema, fromBinary(AnyValueSchema, each.get(5)?.[0] as Uint8Array)),
      attributes: attributesOf(each, 6),
      trace: [hex(each, 9), hex(each, 10)],
      isTimed: Math.abs(Number(each.get(1)?.[0] ?? 0n) / 1e6 - Date.now()) < 60_000,
      others: [...each.keys()].filter((no) => ![1, 5, 6, 9, 10].includes(no)),
    })),
  ];
}
