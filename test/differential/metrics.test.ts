// What the embedded data plane counts and what Envoy counts, on the pages that Prometheus reads: after the same requests, the same samples.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyStatsText } from "../../src/admin/envoy-stats.ts";
import { type RawUpstream, rawRequest, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { staticCluster } from "../../src/dataplane/testing/resources.ts";
import { freePorts } from "../servers/ports.ts";
import { directRoute, hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { answeredWith, request } from "./requests.ts";

const retried = {
  action: {
    case: "route",
    value: { clusterSpecifier: { case: "cluster", value: "gone" }, retryPolicy: { retryOn: "connect-failure", numRetries: 1 } },
  },
};
const slow = {
  action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "silent" }, timeout: { nanos: 50_000_000 } } },
};
const manager = managerWith(
  [],
  [
    toRoute("/empty", {}, {}, "empty"),
    toRoute("/gone", {}, {}, "gone"),
    toRoute("/retried", {}, retried),
    toRoute("/silent", {}, slow),
    directRoute("/direct", "hi"),
    toRoute("/", {}, {}),
  ],
);

const requests = [
  request("GET /x"),
  request("POST /x", ["Content-Length: 2"], "ab"),
  answeredWith("/x", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
  answeredWith("/x", "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"),
  answeredWith("/x", "HTTP/1.1 301 Moved\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"),
  request("GET /empty"),
  request("GET /gone"),
  request("GET /retried"),
  request("GET /silent"),
  request("GET /direct"),
  "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
];

/** Samples that are the same; of the others only that both have them. */
const same =
  /^envoy_(?:cluster_upstream_rq(?:_xx|_total|_completed|_retry|_timeout|_active)?|cluster_upstream_cx_(?:total|connect_fail|none_healthy)|cluster_membership_(?:total|healthy|degraded)|http_downstream_rq(?:_xx|_total|_completed|_active)?|(?:cluster_upstream|http_downstream)_rq_time_count)\{/;

describe.skipIf(hasNoEnvoy("metrics"))("metrics of the embedded data plane and of Envoy", () => {
  let upstream: RawUpstream;
  let silent: Server;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    silent = createServer((socket) => void socket.on("error", () => undefined)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const [gone] = await freePorts(1);
    planes = await startPlanes(
      [manager],
      [
        staticCluster("a", [upstream.port]),
        staticCluster("empty", []),
        staticCluster("gone", [gone as number]),
        staticCluster("silent", [(silent.address() as AddressInfo).port]),
        staticCluster("unused", [upstream.port]),
      ],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    silent?.close();
  });

  test("every sample is one of Envoy's, and the usual ones have its values", async () => {
    const [ports] = planes.ports;
    for (const text of requests) for (const port of [ports?.envoy, ports?.embedded]) await rawRequest(port as number, text);
    // Histograms of Envoy are merged now and then.
    const own = samples(envoyStatsText(planes.plane.stats()));
    let envoy = new Map<string, string>();
    await expect
      .poll(async () => {
        envoy = samples(await planes.envoy.admin("/stats/prometheus"));
        return envoy.get('envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix="http"}');
      })
      .toBe(String(requests.length));
    const missing = [...own.keys()].filter((name) => !envoy.has(name));
    const differing = [...own].filter(([name, value]) => same.test(name) && envoy.has(name) && envoy.get(name) !== value);
    expect(missing).toEqual([]);
    expect(differing.map(([name, value]) => `${name}: Envoy ${envoy.get(name)}, embedded ${value}`)).toEqual([]);
    const untold = [...envoy.keys()].filter(
      (name) => same.test(name) && !own.has(name) && !/"(?:unused|admin)"/.test(name) && envoy.get(name) !== "0",
    );
    expect(untold).toEqual([]);
    expect([...own.keys()].filter((name) => name.includes("unused"))).toEqual([]);
  });
});

function samples(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    found.set(line.slice(0, space).replace(/\{\}$/, ""), line.slice(space + 1));
  }
  return found;
}
