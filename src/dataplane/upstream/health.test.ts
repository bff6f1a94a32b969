// Hosts that are asked how they are, and hosts that answer badly: who gets requests and who does not.

import { createServer, type Server } from "node:net";
import { expect, test } from "vitest";
import { http2Upstream } from "../testing/http2.ts";
import { type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import {
  allTo,
  type ClusterInit,
  listener,
  loadAssignment,
  routeConfig,
  type ServedDataPlane,
  serve,
  staticCluster,
} from "../testing/resources.ts";

const ms = (value: number) => ({ seconds: BigInt(Math.floor(value / 1_000)), nanos: (value % 1_000) * 1_000_000 });
const until = async (isSo: () => boolean | Promise<boolean>) => {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
};
const check = (healthChecker: object, more: object = {}): ClusterInit =>
  ({
    healthChecks: [
      {
        timeout: ms(2_000),
        interval: ms(20),
        noTrafficInterval: ms(20),
        unhealthyThreshold: 2,
        healthyThreshold: 2,
        healthChecker,
        ...more,
      },
    ],
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
  }) as ClusterInit;
const http = (more: object = {}) => ({ case: "httpHealthCheck", value: { path: "/health", ...more } });
const plane = (ports: readonly number[], cluster: ClusterInit) =>
  serve([staticCluster("a", ports, cluster), routeConfig([allTo("a")]), listener(0)]);
const get = "GET /p HTTP/1.1\r\nHost: a\r\n\r\n";
const healthy = (served: ServedDataPlane) => served.plane.stats()["cluster.a.membership_healthy"];
const servedBy = async (served: ServedDataPlane, times = 8) => {
  const names = new Set<string>();
  for (let i = 0; i < times; i++) {
    const body = (await rawRequest(served.port, get))?.body ?? "";
    names.add(body.startsWith("{") ? JSON.parse(body).upstream : body);
  }
  return [...names].sort();
};

/** Answers health checks as told, and everything else with an echo. */
async function checked(name: string): Promise<RawUpstream & { health: string; asked: string[] }> {
  const upstream = (await rawUpstream(name)) as RawUpstream & { health: string; asked: string[] };
  upstream.health = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  upstream.asked = [];
  const echo = upstream.answer;
  upstream.answer = (request, socket) => {
    if (request.path !== "/health") return echo(request, socket);
    upstream.asked.push(
      `${request.method} ${Object.fromEntries(request.headers).host} ${Object.fromEntries(request.headers)["user-agent"]}`,
    );
    return upstream.health;
  };
  return upstream;
}

test("a host that says that it is not well gets no requests until it is well again", async () => {
  await using a = await checked("a");
  await using b = await checked("b");
  await using served = await plane([a.port, b.port], check(http()));
  expect(served.plane.unsupported()).toEqual([]);
  await until(() => a.asked.length > 0);
  expect(await servedBy(served)).toEqual(["a", "b"]);
  expect(a.asked[0]).toBe("GET a Envoy/HC");
  a.health = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
  await until(() => healthy(served) === 1);
  expect(await servedBy(served)).toEqual(["b"]);
  a.health = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  await until(() => healthy(served) === 2);
  expect(await servedBy(served)).toEqual(["a", "b"]);
});

test("a host that does not answer fails as often as the threshold says", async () => {
  await using a = await checked("a");
  await using b = await checked("b");
  await using served = await plane([a.port, b.port], check(http(), { timeout: ms(50), unhealthyThreshold: 3 }));
  await until(() => a.asked.length > 0);
  a.health = "";
  const before = served.plane.stats()["cluster.a.health_check.failure"] as number;
  await until(() => healthy(served) === 1);
  expect((served.plane.stats()["cluster.a.health_check.failure"] as number) - before).toBeGreaterThanOrEqual(3);
});

test("a new host is not well before it was asked; where nothing is known yet, all are tried", async () => {
  await using a = await checked("a");
  await using b = await checked("b");
  a.health = "";
  const patient = check(http(), { timeout: ms(60_000) });
  await using served = await plane([a.port], patient);
  expect(await servedBy(served)).toEqual(["a"]);
  served.publish(staticCluster("a", [a.port, b.port], patient));
  b.health = "";
  expect(healthy(served)).toBe(1);
  expect(await servedBy(served)).toEqual(["a"]);
});

test("who should not be asked is not", async () => {
  await using a = await checked("a");
  await using b = await checked("b");
  a.health = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
  const assignment = loadAssignment("a", [a.port, b.port]);
  Object.assign(assignment.endpoints?.[0]?.lbEndpoints?.[1]?.hostIdentifier?.value as object, {
    healthCheckConfig: { disableActiveHealthCheck: true },
  });
  await using served = await plane([], { ...check(http()), loadAssignment: assignment } as ClusterInit);
  await until(() => healthy(served) === 1);
  expect(await servedBy(served)).toEqual(["b"]);
  expect(b.asked).toEqual([]);
});

test("what the status may be, and who should answer, are the configuration's", async () => {
  await using a = await checked("a");
  a.health = "HTTP/1.1 204 No\r\nx-envoy-upstream-healthchecked-cluster: web-1\r\n\r\n";
  const options = http({
    host: "check.example",
    expectedStatuses: [{ start: 200n, end: 300n }],
    serviceNameMatcher: { matchPattern: { case: "prefix", value: "web" } },
    method: 2,
  });
  await using served = await plane([a.port], check(options));
  await until(() => a.asked.length > 1);
  expect(healthy(served)).toBe(1);
  expect(a.asked[0]).toBe("HEAD check.example Envoy/HC");
  a.health = "HTTP/1.1 204 No\r\nx-envoy-upstream-healthchecked-cluster: other\r\n\r\n";
  await until(() => healthy(served) === 0);
});

test("over TCP, connecting is enough, or the bytes that should come", async () => {
  const servers: Server[] = [];
  const start = (answer: string) =>
    new Promise<number>((resolve) => {
      const server = createServer((socket) => {
        socket.on("error", () => undefined);
        socket.on("data", () => socket.write(answer));
      }).listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
      servers.push(server);
    });
  const [good, bad] = [await start("+PONG\r\n"), await start("-ERR\r\n")];
  const text = (value: string) => ({ payload: { case: "text", value: Buffer.from(value).toString("hex") } });
  const ping = { case: "tcpHealthCheck", value: { send: text("PING\r\n"), receive: [text("PON"), text("\r\n")] } };
  await using spoken = await plane([good, bad], check(ping, { timeout: ms(100) }));
  await until(() => healthy(spoken) === 1);
  await using connected = await plane([good, bad, 1], check({ case: "tcpHealthCheck", value: {} }));
  await until(() => healthy(connected) === 2);
  for (const server of servers) server.close();
});

test("over gRPC, the service says how it is", async () => {
  await using upstream = await http2Upstream("a");
  let status = 1;
  const services: string[] = [];
  const echo = upstream.onStream;
  upstream.onStream = (stream, head, request) => {
    if (!head.includes("/grpc.health.v1.Health/Check")) return echo(stream, head, request);
    void request().then(({ body }) => {
      services.push(body.slice(7));
      stream.respond([":status", "200", "content-type", "application/grpc"] as never, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
    });
  };
  const grpc = check({ case: "grpcHealthCheck", value: { serviceName: "shop.Cart" } });
  await using served = await plane([upstream.port], { ...grpc, http2ProtocolOptions: {} } as ClusterInit);
  await until(() => services.length > 1);
  expect(healthy(served)).toBe(1);
  expect(services[0]).toBe("shop.Cart");
  expect(await rawRequest(served.port, get)).toMatchObject({ status: 200 });
  status = 2;
  await until(() => healthy(served) === 0);
  expect(await rawRequest(served.port, get)).toMatchObject({ status: 503, body: "no healthy upstream" });
});

test("a host that fails five times in a row is left alone, and comes back", async () => {
  await using a = await rawUpstream("a");
  await using b = await rawUpstream("b");
  a.answer = () => "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad";
  const outlierDetection = { interval: ms(30), baseEjectionTime: ms(300), maxEjectionPercent: 50 };
  await using served = await plane([a.port, b.port], {
    outlierDetection,
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
  } as ClusterInit);
  expect(served.plane.unsupported()).toEqual([]);
  await until(async () => {
    await rawRequest(served.port, get);
    return served.plane.stats()["cluster.a.outlier_detection.ejections_active"] === 1;
  });
  expect(healthy(served)).toBe(1);
  a.answer = () => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
  await until(() => healthy(served) === 2);
  expect(await servedBy(served)).toEqual(["b", "good"]);
});

test("no more hosts are ejected than the percentage allows", async () => {
  await using a = await rawUpstream("a");
  await using b = await rawUpstream("b");
  for (const each of [a, b]) each.answer = () => "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
  const asked = async (outlierDetection: object) => {
    await using served = await plane([a.port, b.port], { outlierDetection } as ClusterInit);
    for (let i = 0; i < 30; i++) await rawRequest(served.port, get);
    const stats = served.plane.stats();
    return [stats["cluster.a.outlier_detection.ejections_active"], (stats["cluster.a.outlier_detection.ejections_overflow"] as number) > 0];
  };
  expect(await asked({})).toEqual([0, true]);
  expect(await asked({ maxEjectionPercent: 50 })).toEqual([1, true]);
  expect(await asked({ maxEjectionPercent: 100 })).toEqual([2, false]);
  expect(await asked({ alwaysEjectOneHost: true })).toEqual([1, true]);
});

test("a host that could not be ejected for its siblings is ejected by its next failures in a row", async () => {
  await using a = await rawUpstream("a");
  await using b = await rawUpstream("b");
  for (const each of [a, b]) each.answer = () => `HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\n${each.name}`;
  const cluster = (ejectedMs: number) =>
    ({ outlierDetection: { interval: ms(30), baseEjectionTime: ms(ejectedMs), maxEjectionPercent: 50 } }) as ClusterInit;
  await using served = await plane([a.port, b.port], cluster(60_000));
  const stat = (name: string) => served.plane.stats()[`cluster.a.outlier_detection.${name}`] as number;
  await until(async () => {
    await rawRequest(served.port, get);
    return stat("ejections_active") === 1 && stat("ejections_overflow") > 0;
  });
  const ejected = (await rawRequest(served.port, get))?.body === "a" ? b : a;
  ejected.answer = () => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
  served.publish(staticCluster("a", [a.port, b.port], cluster(1)));
  await until(() => stat("ejections_active") === 0);
  served.publish(staticCluster("a", [a.port, b.port], cluster(60_000)));
  await until(async () => {
    await rawRequest(served.port, get);
    return stat("ejections_enforced_total") === 2;
  });
  expect(await servedBy(served)).toEqual(["good"]);
});

test("failures to connect count on their own where the configuration says so", async () => {
  await using a = await rawUpstream("a");
  const outlierDetection = {
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailure: 2,
    maxEjectionPercent: 50,
    enforcingConsecutive5xx: 0,
  };
  const panic = { commonLbConfig: { healthyPanicThreshold: { value: 0 } } };
  await using served = await plane([a.port, 1], { outlierDetection, ...panic } as ClusterInit);
  for (let i = 0; i < 6; i++) await rawRequest(served.port, get);
  expect(healthy(served)).toBe(1);
  expect(await servedBy(served)).toEqual(["a"]);
});

test("an edit of the cluster asks nobody twice and forgets no verdict", async () => {
  await using a = await checked("a");
  await using b = await checked("b");
  b.health = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
  await using served = await plane([a.port, b.port], check(http()));
  await until(() => healthy(served) === 1);
  served.publish(staticCluster("a", [a.port, b.port], { ...check(http()), perConnectionBufferLimitBytes: 9 } as ClusterInit));
  expect(healthy(served)).toBe(1);
  expect(await servedBy(served)).toEqual(["a"]);
  served.publish(staticCluster("a", [a.port, b.port]));
  expect(healthy(served)).toBe(2);
});
