// What is reported to collectors, where clients would have it be too much.

import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { packAny } from "../envoy/encode.ts";
import { RequestMethod } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import { HTTPAccessLogEntrySchema } from "../gen/envoy/envoy/data/accesslog/v3/accesslog_pb.js";
import { HttpGrpcAccessLogConfigSchema } from "../gen/envoy/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import type { FormatContext } from "./formatter.ts";
import { httpEntry } from "./logs/entries.ts";
import { Telemetry } from "./telemetry.ts";
import { http2Upstream } from "./testing/http2.ts";
import { rawRequest, rawUpstream } from "./testing/raw.ts";
import { allTo, type HcmInit, listener, routeConfig, serve, staticCluster } from "./testing/resources.ts";

const emptyContext: FormatContext = {
  request: { method: "GET", path: "/", authority: "a", scheme: "http", headers: [], random: 0 },
  startedAt: 0,
  durationMs: 0,
  remoteAddress: "",
  remotePort: 0,
  directRemoteAddress: "",
  directRemotePort: 0,
  localAddress: "",
  localPort: 0,
  protocol: "HTTP/1.1",
  serverName: "",
  tls: undefined,
  routeName: "",
  virtualHostName: "",
  responseStatus: 200,
  responseHeaders: undefined,
  responseTrailers: undefined,
  responseFlags: "",
  responseDetails: "",
  bytesReceived: 0,
  bytesSent: 0,
  upstreamCluster: "",
  upstreamHost: "",
  upstreamHostName: "",
  upstreamLocal: undefined,
  upstreamProtocol: "",
  upstreamFailure: "",
  attempts: 0,
  dynamicMetadata: undefined,
  routeMetadata: undefined,
  times: { requestEnd: undefined, upstreamRequestEnd: undefined, responseBegin: undefined },
};

const logTo = (clusterName: string, flushMs: number) => ({
  name: "log",
  configType: {
    case: "typedConfig",
    value: packAny(HttpGrpcAccessLogConfigSchema, {
      commonConfig: {
        logName: clusterName,
        grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName } } },
        bufferFlushInterval: { nanos: flushMs * 1_000_000 },
      },
    }),
  },
});

test("large requests do not make reports that servers of gRPC refuse", async () => {
  await using upstream = await rawUpstream("a");
  await using collector = await http2Upstream("collector");
  const sizes: number[] = [];
  collector.onStream = (stream, _, whole) => {
    void whole().then((request) => {
      sizes.push(request.body.length);
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "0" }, { endStream: true });
    });
  };
  const paths = 90;
  const path = `/${"p".repeat(50_000)}`;
  await using plane = await serve([
    staticCluster("a", [upstream.port]),
    staticCluster("collector", [collector.port], { http2ProtocolOptions: {} } as never),
    routeConfig([allTo("a")]),
    listener(0, { accessLog: [logTo("collector", 500)] } as unknown as HcmInit),
  ]);
  upstream.answer = () => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  for (let i = 0; i < paths; i++) await rawRequest(plane.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await expect.poll(() => sizes.reduce((sum, size) => sum + size, 0), { timeout: 20_000 }).toBeGreaterThan(paths * path.length);
  expect(Math.max(...sizes)).toBeLessThan(2 * 1_048_576);
});

test("a method that is no method of HTTP is logged as one that is not known", () => {
  for (const method of ["constructor", "toString", "1", "FOO"]) {
    const context = { ...emptyContext, request: { ...emptyContext.request, method } };
    const entry = fromBinary(HTTPAccessLogEntrySchema, httpEntry(context, { request: [], response: [], trailers: [] }));
    expect(entry.request?.requestMethod).toBe(RequestMethod.METHOD_UNSPECIFIED);
  }
});

test("what would be too much for a report goes with the next", () => {
  const telemetry = new Telemetry(() => undefined);
  const sink = (key: string, mostItems: number) => ({
    key,
    what: "things",
    counters: { reports: "tracing.test." },
    cluster: "nobody",
    mostItems,
    mostWaitMs: 60_000,
    sizeOf: (item: number) => item,
    question: () => {
      throw new Error("nobody is asked");
    },
    isTaken: () => true,
  });
  for (let i = 0; i < 100; i++) telemetry.add(sink("large", 1_000), 700_000);
  // Each but the last has left when the next came.
  expect(telemetry.stats()).toEqual({ "tracing.test.reports_skipped_no_cluster": 99 });
});

test("entries that no server has are counted, and told once an outage", async () => {
  await using upstream = await rawUpstream("a");
  await using collector = await http2Upstream("collector");
  let status = "14";
  collector.onStream = (stream, _, whole) => {
    void whole().then(() =>
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": status }, { endStream: true }),
    );
  };
  const told: string[] = [];
  const log = (level: string, message: string) => told.push(`${level} ${message}`);
  await using plane = await serve(
    [
      staticCluster("a", [upstream.port]),
      staticCluster("collector", [collector.port], { http2ProtocolOptions: {} } as never),
      staticCluster("nobody", [1]),
      routeConfig([allTo("a")]),
      listener(0, { accessLog: [logTo("collector", 20), logTo("nobody", 20), logTo("unknown", 20)] } as unknown as HcmInit),
    ],
    { log },
  );
  const counted = (name: string) => plane.plane.stats()[`access_logs.grpc_access_log.logs_${name}`] ?? 0;
  const request = async (written: number, dropped: number) => {
    await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => [counted("written"), counted("dropped")], { timeout: 10_000 }).toEqual([written, dropped]);
  };
  await request(0, 3);
  await request(0, 6);
  status = "0";
  await request(1, 8);
  status = "14";
  await request(1, 11);
  expect(told.filter((each) => each.includes("access log")).sort()).toEqual([
    "warn access log entries for cluster collector are lost: it refuses them (gRPC status 14)",
    "warn access log entries for cluster nobody are lost: it does not answer",
    "warn access log entries for cluster unknown are lost: there is no such cluster",
  ]);
});

test("more than a server takes is lost, and counted", () => {
  const told: string[] = [];
  const telemetry = new Telemetry(
    () => undefined,
    (level, message) => told.push(`${level} ${message}`),
  );
  const sink = {
    key: "slow",
    what: "entries",
    counters: { itemsLost: "lost" },
    cluster: "nobody",
    mostItems: 100_000,
    mostWaitMs: 60_000,
    sizeOf: () => 0,
    question: () => {
      throw new Error("nobody is asked");
    },
    isTaken: () => true,
  };
  for (let i = 0; i < 10_050; i++) telemetry.add(sink, i);
  expect(told).toEqual(["warn entries for cluster nobody are lost: more come than it takes"]);
  expect(telemetry.stats()).toEqual({ lost: 50 });
});
