// Clusters in service: who gets a request, how often it is tried, what limits it, over which transport.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createPlainServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { freePort } from "../../../test/servers/ports.ts";
import { envoyResource, packAny } from "../../envoy/encode.ts";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { SecretSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { UpstreamTlsContextSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { echo, type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import {
  allTo,
  type ClusterInit,
  edsCluster,
  endpoints,
  listener,
  loadAssignment,
  type RouteInit,
  routeConfig,
  serve,
  staticCluster,
} from "../testing/resources.ts";

const get = (path = "/p", headers = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
const started: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of started.splice(0)) await each[Symbol.asyncDispose]();
});

async function upstream(name: string): Promise<RawUpstream> {
  const made = await rawUpstream(name);
  started.push(made);
  return made;
}

async function served(...resources: Parameters<typeof serve>[0]) {
  const plane = await serve([...resources, listener(0)]);
  started.unshift(plane);
  return plane;
}

const to = (cluster: string, action: object): RouteInit =>
  ({
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster }, ...action } },
  }) as RouteInit;

const routed = (action: object) => routeConfig([{ name: "all", domains: ["*"], routes: [to("a", action)] }]);
const retries = (retryPolicy: object) => routed({ retryPolicy: { retryBackOff: { baseInterval: { nanos: 1_000_000 } }, ...retryPolicy } });

async function who(port: number, times: number): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < times; i++) names.push((JSON.parse((await rawRequest(port, get()))?.body ?? "{}") as { upstream: string }).upstream);
  return names;
}

const share = (names: readonly string[], name: string) => names.filter((each) => each === name).length;

// — who gets it —

test("round robin gives each host its turn", async () => {
  const [a, b, c] = [await upstream("a"), await upstream("b"), await upstream("c")];
  const plane = await served(staticCluster("a", [a.port, b.port, c.port]), routed({}));
  const names = await who(plane.port, 9);
  expect([share(names, "a"), share(names, "b"), share(names, "c")]).toEqual([3, 3, 3]);
});

test("weights of endpoints are kept exactly over a cycle", async () => {
  const [a, b] = [await upstream("a"), await upstream("b")];
  const assignment = loadAssignment("a", [a.port, b.port]);
  const [first] = assignment.endpoints?.[0]?.lbEndpoints ?? [];
  Object.assign(first as object, { loadBalancingWeight: 3 });
  const plane = await served(staticCluster("a", [], { loadAssignment: assignment } as ClusterInit), routed({}));
  const names = await who(plane.port, 8);
  expect([share(names, "a"), share(names, "b")]).toEqual([6, 2]);
});

test("an unhealthy endpoint gets nothing, until most are unhealthy: then health is not believed", async () => {
  const [a, b, c] = [await upstream("a"), await upstream("b"), await upstream("c")];
  const withHealth = (sick: readonly number[]) => {
    const assignment = loadAssignment("e", [a.port, b.port, c.port]);
    (assignment.endpoints?.[0]?.lbEndpoints ?? []).forEach(
      (each, index) => void Object.assign(each, { healthStatus: sick.includes(index) ? 2 : 1 }),
    );
    return envoyResource(ClusterLoadAssignmentSchema, "e", assignment, []);
  };
  const plane = await served(edsCluster("e"), withHealth([0]), routeConfig([allTo("e")]));
  expect(share(await who(plane.port, 6), "a")).toBe(0);
  plane.publish(withHealth([0, 1]));
  expect(new Set(await who(plane.port, 6))).toEqual(new Set(["a", "b", "c"]));
});

test("a lower priority serves only when the higher one cannot", async () => {
  const [a, b] = [await upstream("a"), await upstream("b")];
  const levels = (health: number): MessageInitShape<typeof ClusterLoadAssignmentSchema> => {
    const [first, second] = [loadAssignment("e", [a.port]).endpoints?.[0], loadAssignment("e", [b.port]).endpoints?.[0]];
    Object.assign(first?.lbEndpoints?.[0] as object, { healthStatus: health });
    return { clusterName: "e", endpoints: [{ ...first, priority: 0 } as object, { ...second, priority: 1 } as object] };
  };
  const plane = await served(edsCluster("e"), envoyResource(ClusterLoadAssignmentSchema, "e", levels(1), []), routeConfig([allTo("e")]));
  expect(await who(plane.port, 4)).toEqual(["a", "a", "a", "a"]);
  plane.publish(envoyResource(ClusterLoadAssignmentSchema, "e", levels(2), []));
  expect(await who(plane.port, 4)).toEqual(["b", "b", "b", "b"]);
});

test("new endpoints of an EDS cluster get requests at once; connections to those that stay are kept", async () => {
  const [a, b] = [await upstream("a"), await upstream("b")];
  const plane = await served(edsCluster("e"), endpoints("e", [a.port]), routeConfig([allTo("e")]));
  await who(plane.port, 2);
  plane.publish(endpoints("e", [a.port, b.port]));
  expect(new Set(await who(plane.port, 4))).toEqual(new Set(["a", "b"]));
  expect(a.accepted).toBe(1);
  plane.publish(endpoints("e", [b.port]));
  expect(new Set(await who(plane.port, 3))).toEqual(new Set(["b"]));
  await expect.poll(() => a.connections.size).toBe(0);
});

test("no endpoints: 503 with Envoy's words", async () => {
  const plane = await served(edsCluster("e"), routeConfig([allTo("e")]));
  const response = await rawRequest(plane.port, get());
  expect(response).toMatchObject({ status: 503, body: "no healthy upstream" });
});

test("a name is resolved (STRICT_DNS), and one that does not resolve is a Problem", async () => {
  const a = await upstream("a");
  const named = (name: string, host: string) => {
    const assignment = loadAssignment(name, [a.port]);
    const endpoint = assignment.endpoints?.[0]?.lbEndpoints?.[0]?.hostIdentifier?.value as {
      address: { address: { value: { address: string } } };
    };
    endpoint.address.address.value.address = host;
    return staticCluster(name, [], {
      loadAssignment: assignment,
      clusterDiscoveryType: { case: "type", value: 1 },
      dnsLookupFamily: 1,
    } as ClusterInit);
  };
  const plane = await served(
    named("a", "localhost"),
    named("nowhere", "no-such-host.invalid"),
    routed({ hostRewriteSpecifier: { case: "autoHostRewrite", value: { value: true } } }),
  );
  await expect.poll(async () => (await rawRequest(plane.port, get()))?.status).toBe(200);
  expect(a.requests.at(-1)).toContain("\r\nhost: localhost\r\n");
  await expect
    .poll(() => plane.plane.unsupported())
    .toMatchObject([{ reason: "DnsNotResolved", message: expect.stringContaining("no-such-host.invalid") }]);
  plane.publish(named("nowhere", "127.0.0.1"));
  await expect.poll(() => plane.plane.unsupported()).toEqual([]);
});

test("a Unix socket is an endpoint like any other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pipe-"));
  const path = join(folder, "socket");
  const server = createPlainServer((socket) => socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npipe")));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const loadAssignment = {
    clusterName: "a",
    endpoints: [
      { lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: { address: { case: "pipe", value: { path } } } } } }] },
    ],
  };
  const plane = await served(staticCluster("a", [], { loadAssignment } as ClusterInit), routed({}));
  expect((await rawRequest(plane.port, get()))?.body).toBe("pipe");
  server.close();
  rmSync(folder, { recursive: true });
});

// — how often —

/** Fails so many times, then echoes. */
function flaky(target: RawUpstream, failures: number, answer = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"): void {
  let left = failures;
  target.answer = (request) => (left-- > 0 ? answer : echo(request));
}

/** An Envoy between us and the service that does not let it through. */
const limited = "x-envoy-ratelimited: true\r\nContent-Length: 0\r\n\r\n";

test.each([
  ["5xx", { retryOn: "5xx", numRetries: 2 }, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 200],
  ["gateway-error", { retryOn: "gateway-error", numRetries: 2 }, "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", 200],
  ["gateway-error is not 500", { retryOn: "gateway-error", numRetries: 2 }, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500],
  ["retriable-4xx", { retryOn: "retriable-4xx", numRetries: 2 }, "HTTP/1.1 409 No\r\nContent-Length: 0\r\n\r\n", 200],
  [
    "retriable-status-codes",
    { retryOn: "retriable-status-codes", numRetries: 2, retriableStatusCodes: [418] },
    "HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n",
    200,
  ],
  [
    "a status that is not on the list",
    { retryOn: "retriable-status-codes", numRetries: 2, retriableStatusCodes: [418] },
    "HTTP/1.1 419 No\r\nContent-Length: 0\r\n\r\n",
    419,
  ],
  ["envoy-ratelimited", { retryOn: "envoy-ratelimited", numRetries: 2 }, `HTTP/1.1 429 No\r\n${limited}`, 200],
  ["a limit of the rate is no gateway error", { retryOn: "5xx,gateway-error", numRetries: 2 }, `HTTP/1.1 503 No\r\n${limited}`, 503],
  [
    "a limit of the rate is not its status",
    { retryOn: "retriable-status-codes", numRetries: 2, retriableStatusCodes: [429] },
    `HTTP/1.1 429 No\r\n${limited}`,
    429,
  ],
  ["too few retries", { retryOn: "5xx", numRetries: 1 }, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500],
  ["a body that is not read to its end", { retryOn: "5xx", numRetries: 2 }, "HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\npart", 200],
])("retry on %s", async (_, policy, answer, status) => {
  const a = await upstream("a");
  flaky(a, 2, answer);
  const plane = await served(staticCluster("a", [a.port]), retries(policy));
  expect((await rawRequest(plane.port, get()))?.status).toBe(status);
});

test("a body goes with each attempt, unless it was too large to keep", async () => {
  const a = await upstream("a");
  flaky(a, 1);
  const plane = await served(staticCluster("a", [a.port]), retries({ retryOn: "5xx", numRetries: 1 }));
  const post = (body: string) => `POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  expect(JSON.parse((await rawRequest(plane.port, post("hello")))?.body ?? "")).toMatchObject({ body: "hello" });
  flaky(a, 1);
  expect((await rawRequest(plane.port, post("x".repeat(1_100_000))))?.status).toBe(503);
  expect(plane.plane.stats()).toMatchObject({ "cluster.a.upstream_rq_retry": 1, "cluster.a.upstream_rq_retry_success": 1 });
});

test("a host that cannot be reached is retried elsewhere", async () => {
  const a = await upstream("a");
  const dead = await freePort();
  const plane = await served(staticCluster("a", [dead, a.port]), retries({ retryOn: "connect-failure", numRetries: 3 }));
  for (let i = 0; i < 4; i++) expect((await rawRequest(plane.port, get()))?.status).toBe(200);
});

test("a reset is retried when the policy says so", async () => {
  const a = await upstream("a");
  let isFirst = true;
  a.answer = (request, socket) => {
    if (!isFirst) return echo(request);
    isFirst = false;
    socket.resetAndDestroy();
    return undefined;
  };
  const plane = await served(staticCluster("a", [a.port]), retries({ retryOn: "reset", numRetries: 1 }));
  expect((await rawRequest(plane.port, get()))?.status).toBe(200);
});

test("each try has its own time, the route's time is over all of them", async () => {
  const a = await upstream("a");
  let asked = 0;
  a.answer = (request) => (asked++ === 0 ? undefined : echo(request));
  const plane = await served(staticCluster("a", [a.port]), retries({ retryOn: "5xx", numRetries: 1, perTryTimeout: { seconds: 1n } }));
  expect((await rawRequest(plane.port, get()))?.status).toBe(200);
  a.answer = () => undefined;
  plane.publish(
    routed({ timeout: { nanos: 250_000_000 }, retryPolicy: { retryOn: "5xx", numRetries: 100, perTryTimeout: { nanos: 100_000_000 } } }),
  );
  const start = performance.now();
  expect(await rawRequest(plane.port, get())).toMatchObject({ status: 504, body: "upstream request timeout" });
  expect(performance.now() - start).toBeLessThan(5_000);
  expect(plane.plane.stats()["cluster.a.upstream_rq_active"]).toBe(0);
});

// — how much —

test("circuit breakers: no more requests than allowed", async () => {
  const a = await upstream("a");
  const answers: (() => void)[] = [];
  a.answer = (request, socket) => {
    answers.push(() => socket.write(echo(request)));
    return undefined;
  };
  const plane = await served(
    staticCluster("a", [a.port], { circuitBreakers: { thresholds: [{ maxRequests: 2 }] } } as ClusterInit),
    routed({}),
  );
  const two = [rawRequest(plane.port, get()), rawRequest(plane.port, get())];
  await expect.poll(() => answers.length).toBe(2);
  const third = await rawRequest(plane.port, get());
  expect(third?.status).toBe(503);
  expect(third?.headers).toContainEqual(["x-envoy-overloaded", "true"]);
  for (const answer of answers) answer();
  for (const each of await Promise.all(two)) expect(each?.status).toBe(200);
});

test("circuit breakers: one connection serves all in turn, and too many waiting are refused", async () => {
  const a = await upstream("a");
  a.answer = (request, socket) => {
    setTimeout(() => socket.write(echo(request)), 30);
    return undefined;
  };
  const plane = await served(
    staticCluster("a", [a.port], { circuitBreakers: { thresholds: [{ maxConnections: 1, maxPendingRequests: 3 }] } } as ClusterInit),
    routed({}),
  );
  const responses = await Promise.all(Array.from({ length: 8 }, () => rawRequest(plane.port, get())));
  const statuses = responses.map((each) => each?.status);
  expect(a.accepted).toBe(1);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
  expect(statuses.filter((status) => status === 503).length).toBeGreaterThanOrEqual(1);
});

test("connections are kept and used again, the last first", async () => {
  const a = await upstream("a");
  const plane = await served(staticCluster("a", [a.port]), routed({}));
  for (let i = 0; i < 10; i++) await rawRequest(plane.port, get());
  expect(a.accepted).toBe(1);
});

test("an idle connection is closed after the cluster's idle time-out", async () => {
  const a = await upstream("a");
  const plane = await served(
    staticCluster("a", [a.port], { commonHttpProtocolOptions: { idleTimeout: { nanos: 100_000_000 } } } as ClusterInit),
    routed({}),
  );
  await rawRequest(plane.port, get());
  expect(a.connections.size).toBe(1);
  await expect.poll(() => a.connections.size).toBe(0);
});

// — TLS —

test("TLS: sent the SNI, the chain is checked when there is an authority and not when there is none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tls-"));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  for (const name of ["right", "wrong"]) {
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.crt`,
      "-days",
      "1",
      "-subj",
      "/CN=up.example",
      "-addext",
      "subjectAltName=DNS:up.example",
    );
  }
  const read = (file: string) => readFileSync(join(folder, file));
  const names: string[] = [];
  const server = createTlsServer({ cert: read("right.crt"), key: read("right.key") }, (socket) => {
    names.push(String(socket.servername));
    socket.on("error", () => undefined);
    socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntls"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const cluster = (common: object) =>
    staticCluster("a", [port], {
      transportSocket: {
        name: "tls",
        configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, { sni: "up.example", commonTlsContext: common }) },
      },
    } as ClusterInit);
  const trusting = (file: string, san = "up.example") => ({
    validationContextType: {
      case: "validationContext",
      value: {
        trustedCa: { specifier: { case: "inlineBytes", value: read(file) } },
        matchTypedSubjectAltNames: [{ sanType: 2, matcher: { matchPattern: { case: "exact", value: san } } }],
      },
    },
  });
  const plane = await served(cluster({}), routed({}));
  expect((await rawRequest(plane.port, get()))?.body).toBe("tls");
  expect(names).toEqual(["up.example"]);
  plane.publish(cluster(trusting("right.crt")));
  expect((await rawRequest(plane.port, get()))?.body).toBe("tls");
  plane.publish(cluster(trusting("wrong.crt")));
  expect((await rawRequest(plane.port, get()))?.status).toBe(503);
  plane.publish(cluster(trusting("right.crt", "other.example")));
  expect((await rawRequest(plane.port, get()))?.status).toBe(503);
  // The authority as a secret of its own, by name.
  const secret = envoyResource(SecretSchema, "ca", { name: "ca", type: trusting("right.crt").validationContextType } as never, []);
  plane.publish(secret, cluster({ validationContextType: { case: "validationContextSdsSecretConfig", value: { name: "ca" } } }));
  expect((await rawRequest(plane.port, get()))?.body).toBe("tls");
  expect(plane.plane.unsupported()).toEqual([]);
  server.close();
  rmSync(folder, { recursive: true });
});
