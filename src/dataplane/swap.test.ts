// Changes under load: what is published replaces what was, and no request fails for it. And the ends: removal, drain, ports that are taken.

import { Agent, request as httpRequest } from "node:http";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { freePort, freePorts } from "../../test/servers/ports.ts";
import { bestOf, cpuMs } from "../lib/testing/bestOf.ts";
import type { ResourceKey } from "../model/ref.ts";
import { type Http2TestClient, http2Client, http2Upstream } from "./testing/http2.ts";
import { rawRequest, rawUpstream } from "./testing/raw.ts";
import {
  allTo,
  type ClusterInit,
  edsCluster,
  endpoints,
  listener,
  routeConfig,
  serve,
  staticCluster,
  toCluster,
} from "./testing/resources.ts";

const get = (path = "/p") => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

interface Load extends AsyncDisposable {
  readonly done: number;
  readonly failures: readonly string[];
}

/** Clients that ask one after another until disposed. */
function load(port: number, clients: number, method = "GET"): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const failures: string[] = [];
  let done = 0;
  let isOver = false;
  const one = () =>
    new Promise<void>((resolve) => {
      const request = httpRequest({ port, host: "127.0.0.1", agent, path: "/p", method }, (response) => {
        response.resume();
        response.on("end", () => {
          done++;
          if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
          resolve();
        });
        response.on("error", (error) => {
          failures.push(error.message);
          resolve();
        });
      });
      request.on("error", (error) => {
        failures.push(error.message);
        resolve();
      });
      request.end(method === "POST" ? "hello" : undefined);
    });
  const loops = Array.from({ length: clients }, async () => {
    while (!isOver) await one();
  });
  return {
    get done() {
      return done;
    },
    failures,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(loops);
      agent.destroy();
    },
  };
}

test("1,000 hot swaps of routes, clusters, endpoints and listeners under load fail no request", async () => {
  await using a = await rawUpstream("a");
  await using b = await rawUpstream("b");
  const [port] = (await freePorts(1)) as [number];
  await using plane = await serve([
    staticCluster("a", [a.port]),
    edsCluster("e"),
    endpoints("e", [a.port]),
    routeConfig([allTo("a")]),
    listener(port),
  ]);
  const seen = await (async () => {
    await using gets = load(port, 6);
    await using posts = load(port, 3, "POST");
    for (let i = 0; i < 1_000; i++) {
      const upstream = i % 2 === 0 ? a : b;
      switch (i % 5) {
        case 0:
          plane.publish(routeConfig([allTo(i % 10 === 0 ? "a" : "e", { name: `r${i}` })]));
          break;
        case 1:
          plane.publish(staticCluster("a", [upstream.port], { connectTimeout: { seconds: BigInt(1 + (i % 7)) } }));
          break;
        case 2:
          plane.publish(endpoints("e", i % 3 === 0 ? [a.port, b.port] : [upstream.port]));
          break;
        case 3:
          plane.publish(listener(port, { statPrefix: `p${i}` }));
          break;
        default: {
          // A new cluster and its route in one batch; the old one goes.
          const name = `c${i}`;
          plane.publish(staticCluster(name, [upstream.port]), routeConfig([allTo(name)]));
          if (i > 5) plane.remove(staticCluster(`c${i - 5}`, []));
        }
      }
      await delay(1);
    }
    return { gets, posts };
  })();
  expect([...seen.gets.failures, ...seen.posts.failures]).toEqual([]);
  expect(seen.gets.done + seen.posts.done).toBeGreaterThan(1_000);
});

test("a request under way finishes on the route and cluster that it began with", async () => {
  await using a = await rawUpstream("a");
  let answer = () => {};
  a.answer = (_, socket) => {
    answer = () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
    return undefined;
  };
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), listener(0)]);
  const response = rawRequest(plane.port, get());
  await expect.poll(() => a.requests.length).toBe(1);
  plane.publish(routeConfig([{ name: "none", domains: ["*"], routes: [] }]));
  plane.remove(staticCluster("a", []));
  answer();
  expect((await response)?.body).toBe("old");
  expect((await rawRequest(plane.port, get()))?.status).toBe(404);
});

test("a listener that goes stops listening, its port can be another's at once", async () => {
  const [first, second] = (await freePorts(2)) as [number, number];
  await using a = await rawUpstream("a");
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), listener(first)]);
  plane.publish(listener(second, {}, "127.0.0.1", "other"));
  plane.remove(listener(first));
  await plane.plane.settled();
  expect((await rawRequest(second, get()))?.status).toBe(200);
  await expect(
    new Promise((_, reject) => {
      connect(first, "127.0.0.1").on("error", reject);
    }),
  ).rejects.toThrow("ECONNREFUSED");
});

test("a port that is taken is a Problem, the others serve, and it is bound once it is free", async () => {
  const [taken, free] = (await freePorts(2)) as [number, number];
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(taken, "127.0.0.1", resolve));
  await using a = await rawUpstream("a");
  await using plane = await serve([
    staticCluster("a", [a.port]),
    routeConfig([allTo("a")]),
    listener(taken),
    listener(free, {}, "127.0.0.1", "other"),
  ]);
  expect(plane.plane.listeners().map(({ name, state }) => [name, state])).toEqual([
    ["listener", "failed"],
    ["other", "bound"],
  ]);
  expect(plane.plane.unsupported()).toMatchObject([
    { reason: "ListenerNotBound", severity: "error", message: expect.stringContaining("EADDRINUSE") },
  ]);
  expect((await rawRequest(free, get()))?.status).toBe(200);
  await new Promise((resolve) => blocker.close(resolve));
  await expect.poll(() => plane.plane.unsupported()).toEqual([]);
  expect((await rawRequest(taken, get()))?.status).toBe(200);
});

describe("a Gateway that moves to another address", () => {
  const gateway = "Gateway gloo-system.edge" as ResourceKey;
  const at = (port: number, host = "127.0.0.1", name = `listener-${host}-${port}`) => ({
    ...listener(port, {}, host, name),
    owners: [gateway],
  });
  const status = async (port: number) => (await rawRequest(port, get()).catch(() => undefined))?.status;
  const isRefused = (port: number) =>
    new Promise((resolve) =>
      connect(port, "127.0.0.1")
        .on("connect", () => resolve(false))
        .on("error", () => resolve(true)),
    );

  test("that is taken is served where it was, with what is new, until the new one can be bound", async () => {
    const [before, taken] = (await freePorts(2)) as [number, number];
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(taken, "127.0.0.1", resolve));
    await using a = await rawUpstream("a");
    await using served = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), at(before)]);
    const { plane } = served;
    served.change([at(taken), routeConfig([{ name: "none", domains: ["*"], routes: [] }])], [at(before)]);
    await plane.settled();
    expect(plane.unsupported()).toMatchObject([
      {
        resource: gateway,
        reason: "ListenerNotBound",
        path: "bindPort",
        message: `listener listener-127.0.0.1-${taken}: cannot listen on 127.0.0.1:${taken}: EADDRINUSE`,
        hint: expect.stringContaining(`requests are taken on 127.0.0.1:${before} as before until then`),
      },
    ]);
    expect(plane.listeners()).toMatchObject([{ state: "failed", meanwhile: { address: "127.0.0.1", port: before } }]);
    expect(await status(before)).toBe(404);
    served.publish(routeConfig([allTo("a")]));
    expect(await status(before)).toBe(200);
    await new Promise((resolve) => blocker.close(resolve));
    await expect.poll(() => plane.unsupported(), { timeout: 20_000 }).toEqual([]);
    expect(await status(taken)).toBe(200);
    await expect.poll(() => isRefused(before)).toBe(true);
    expect(plane.listeners()).toMatchObject([{ state: "bound", port: taken }]);
  });

  test("and is deleted meanwhile is served nowhere; one that moves back stays", async () => {
    const [before, taken] = (await freePorts(2)) as [number, number];
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(taken, "127.0.0.1", resolve));
    await using _closed = { [Symbol.asyncDispose]: async () => void blocker.close() };
    await using a = await rawUpstream("a");
    await using served = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), at(before)]);
    served.change([at(taken)], [at(before)]);
    await served.plane.settled();
    served.change([at(before)], [at(taken)]);
    expect(await status(before)).toBe(200);
    expect(served.plane.unsupported()).toEqual([]);
    served.change([at(taken)], [at(before)]);
    await served.plane.settled();
    expect(await status(before)).toBe(200);
    served.change([], [at(taken)]);
    await expect.poll(() => isRefused(before)).toBe(true);
  });

  test("loses nobody on the way, also from one address to all", async () => {
    const [one, two] = (await freePorts(2)) as [number, number];
    await using a = await rawUpstream("a");
    await using served = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), at(one)]);
    served.change([at(two)], [at(one)]);
    // The old one serves until the new one is bound, which takes a turn or two.
    expect(await Promise.all([status(one), status(two)])).toContain(200);
    await served.plane.settled();
    expect(await status(two)).toBe(200);
    served.change([at(two, "0.0.0.0")], [at(two)]);
    await expect.poll(() => served.plane.listeners(), { timeout: 20_000 }).toMatchObject([{ state: "bound", address: "0.0.0.0" }]);
    expect(await status(two)).toBe(200);
    expect(served.plane.unsupported()).toEqual([]);
  });
});

test(":: with ipv4_compat takes IPv4 too", async () => {
  await using a = await rawUpstream("a");
  const port = await freePort();
  const wide = listener(port, {}, "::");
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), wide], {
    bindOverride: (_, address) => (address.kind === "tcp" ? { ...address, ipv6Only: false } : address),
  });
  expect(plane.plane.listeners()[0]?.state).toBe("bound");
  expect((await rawRequest(port, get()))?.status).toBe(200);
});

test("an edit of one virtual host of 10,000 compiles that one alone", async () => {
  const hosts = Array.from({ length: 10_000 }, (_, index) => ({
    name: `host-${index}`,
    domains: [`h${index}.example`],
    routes: [toCluster("a", { name: `route-${index}` })],
  }));
  await using plane = await serve([routeConfig(hosts), listener(0)]);
  const took = await bestOf(5, 500, async (round) => {
    const before = plane.plane.routeConfig("routes");
    hosts[5_000] = { ...(hosts[5_000] as (typeof hosts)[0]), routes: [toCluster("b", { name: `changed-${round}` })] };
    const next = routeConfig(hosts);
    const start = cpuMs();
    plane.publish(next);
    const end = cpuMs();
    const after = plane.plane.routeConfig("routes");
    expect(after?.hosts.filter((host, index) => host !== before?.hosts[index]).map((host) => host.name)).toEqual(["host-5000"]);
    expect(after?.domains.find("h5000.example")?.routes[0]?.name).toBe(`changed-${round}`);
    return end - start;
  });
  expect(took).toBeLessThan(500);
  // And when one is taken out, those behind it are still known.
  const last = plane.plane.routeConfig("routes")?.hosts[9_999];
  hosts.splice(10, 1);
  plane.publish(routeConfig(hosts));
  expect(plane.plane.routeConfig("routes")?.hosts[9_998]).toBe(last);
});

test("drain lets what is under way finish, refuses new connections and keeps to its deadline", async () => {
  await using a = await rawUpstream("a");
  let answer = () => {};
  a.answer = (request, socket) => {
    if (request.path === "/never") return undefined;
    answer = () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    return undefined;
  };
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), listener(0)]);
  const idle = connect(plane.port, "127.0.0.1");
  const idleClosed = new Promise((resolve) => idle.on("close", resolve));
  idle.resume();
  const late = rawRequest(plane.port, get("/late"), { closeWaitMs: 15_000 });
  const never = rawRequest(plane.port, get("/never"));
  await expect.poll(() => a.requests.length).toBe(2);
  const start = performance.now();
  const drained = plane.plane.drain(2_000);
  await idleClosed;
  await expect(
    new Promise((_, reject) => {
      connect(plane.port, "127.0.0.1").on("error", reject);
    }),
  ).rejects.toThrow();
  answer();
  const response = await late;
  expect(response?.body).toBe("hi");
  expect(response?.headers).toContainEqual(["connection", "close"]);
  expect(response?.isClosed).toBe(true);
  await drained;
  expect(await never).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(5_000);
});

test("a resource that cannot be decoded leaves the version before in service", async () => {
  await using a = await rawUpstream("a");
  await using plane = await serve([staticCluster("a", [a.port]), routeConfig([allTo("a")]), listener(0)]);
  plane.publish({ ...routeConfig([]), bytes: Buffer.from("not a message"), version: "x" });
  expect(plane.plane.unsupported()).toMatchObject([{ reason: "EnvoyResourceUnreadable", severity: "error" }]);
  expect((await rawRequest(plane.port, get()))?.status).toBe(200);
});

test("hot swaps of upstreams of HTTP/2 under load over HTTP/2 fail no request", async () => {
  await using a = await http2Upstream("a");
  await using b = await http2Upstream("b");
  const [port] = (await freePorts(1)) as [number];
  const cluster = (i: number) => {
    const ports = [[a.port], [b.port], [a.port, b.port]][i % 3] as number[];
    const policies = [{ lbPolicy: 0 }, { lbPolicy: 2 }, { lbPolicy: 5 }, { lbPolicy: 1, outlierDetection: {} }];
    return staticCluster("a", ports, { http2ProtocolOptions: {}, ...policies[i % 4] } as ClusterInit);
  };
  await using plane = await serve([cluster(0), routeConfig([allTo("a")]), listener(port)]);
  const failures: string[] = [];
  let done = 0;
  let isOver = false;
  const loop = async (client: Http2TestClient, body: string | undefined) => {
    while (!isOver) {
      const answer = await client.ask(body === undefined ? [] : [":method", "POST"], body);
      if (answer.status !== 200 || answer.code !== 0) failures.push(`${answer.status} ${answer.code} ${answer.body}`);
      done++;
    }
  };
  {
    await using one = http2Client(port);
    await using two = http2Client(port);
    const loops = [one, two].flatMap((client) => [loop(client, undefined), loop(client, undefined), loop(client, "hello")]);
    for (let i = 0; i < 300; i++) {
      if (i % 3 === 0) plane.publish(listener(port, { serverName: `s${i}` }));
      plane.publish(cluster(i), routeConfig([allTo("a", { name: `r${i}` })]));
      const before = done;
      while (done === before) await delay(1);
    }
    isOver = true;
    await Promise.all(loops);
  }
  expect(failures).toEqual([]);
  expect(done).toBeGreaterThan(300);
});
