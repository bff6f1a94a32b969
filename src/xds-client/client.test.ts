// The client against a server that does what it is told, and against ours.
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { edsCluster, endpoints, listener, routes, staticCluster } from "../../test/conformance/xds/resources.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { type EnvoyResource, type RefusedResource, type ResourceChanges, type ResourceTaker, typeUrls } from "../model/envoy-resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { createXdsServer } from "../xds/server.ts";
import { BackOff } from "./back-off.ts";
import { AdsClient, type AdsClientOptions } from "./client.ts";
import { refusalMessage } from "./refusal-message.ts";
import { ScriptedServer } from "./testing/scripted-server.ts";

/** Takes everything but what it is told not to. */
class Taker implements ResourceTaker {
  /** `Cluster a`, `-Cluster a`, in order. */
  readonly log: string[] = [];
  readonly inForce = new Map<string, EnvoyResource>();
  readonly refuses = new Map<string, string>();
  /** Batches that have come, and wait until this resolves. */
  held = 0;
  hold: Promise<void> | undefined;

  async apply({ upserts, removals }: ResourceChanges): Promise<readonly RefusedResource[]> {
    if (this.hold !== undefined) {
      this.held++;
      await this.hold;
    }
    const refused: RefusedResource[] = [];
    for (const resource of upserts) {
      const reason = this.refuses.get(textOf(resource));
      if (reason !== undefined) refused.push({ typeUrl: resource.typeUrl, name: resource.name, reason });
      else {
        this.log.push(textOf(resource));
        this.inForce.set(textOf(resource), resource);
      }
    }
    for (const removal of removals) {
      this.log.push(`-${textOf(removal)}`);
      this.inForce.delete(textOf(removal));
    }
    return refused;
  }

  async check(resource: EnvoyResource): Promise<string | undefined> {
    return this.refuses.get(textOf(resource));
  }
}

const textOf = ({ typeUrl, name }: { readonly typeUrl: string; readonly name: string }) =>
  `${typeUrl.slice(typeUrl.lastIndexOf(".") + 1)} ${name}`;

interface Connected extends AsyncDisposable {
  readonly client: AdsClient;
  readonly taker: Taker;
  readonly said: string[];
}

function connect(port: number, options: Partial<AdsClientOptions> = {}): Connected {
  const taker = new Taker();
  const said: string[] = [];
  const say = (_: object, message: string) => void said.push(message);
  const log: Logger = { debug: say, info: say, warn: say, error: say };
  const client = new AdsClient({
    address: { kind: "tcp", host: "127.0.0.1", port, isLoopback: true },
    security: () => undefined,
    node: { id: "proxy.ns", cluster: "proxy", role: "ns~proxy", version: "1" },
    taker,
    log,
    lingerMs: 0,
    ...options,
  });
  const running = client.run();
  return {
    client,
    taker,
    said,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await running;
    },
  };
}

const { cluster, endpoint, listener: lds, route } = typeUrls;

/** The server has sent a listener on routes `r`, to cluster `c`, and all of it is in force. */
async function settled(server: ScriptedServer, { client }: Connected): Promise<void> {
  await server.asked("clusters", ({ typeUrl }) => typeUrl === cluster);
  server.send(cluster, [staticCluster("c", 1)]);
  await server.asked("listeners", ({ typeUrl }) => typeUrl === lds);
  server.send(lds, [listener("l", 80, "r")]);
  await server.asked("routes", ({ typeUrl, resourceNamesSubscribe }) => typeUrl === route && resourceNamesSubscribe.includes("r"));
  server.send(route, [routes("r", { "/": "c" })]);
  await client.ready;
}

test("what comes from our server comes into force in an order in which nothing refers to what is not there", async () => {
  await using server = createXdsServer();
  server.publish("ns~proxy", {
    upserts: [listener("l", 80, "r"), routes("r", { "/": "c" }), edsCluster("c"), endpoints("c", [1]), staticCluster("d", 1)],
    removals: [],
  });
  server.ready();
  const { port } = (await server.listen({ host: "127.0.0.1", port: 0 })) as { port: number };
  await using connected = connect(port);
  await connected.client.ready;
  const { log } = connected.taker;
  expect([...log].sort()).toEqual(["Cluster c", "Cluster d", "ClusterLoadAssignment c", "Listener l", "RouteConfiguration r"]);
  expect(log.indexOf("ClusterLoadAssignment c")).toBeLessThan(log.indexOf("Cluster c"));
  expect(log.indexOf("Cluster c")).toBeLessThan(log.indexOf("RouteConfiguration r"));
  expect(log.at(-1)).toBe("Listener l");
  expect(connected.client.inForce(lds).map(({ name }) => name)).toEqual(["l"]);
});

test("our server hears of a resource that cannot be taken; what is beside it is in force, and its correction is", async () => {
  const refusals: [string, string][] = [];
  await using server = createXdsServer({ onRefusal: ({ resource, message }) => refusals.push([textOf(resource), message]) });
  const publish = (...upserts: EnvoyResource[]) => server.publish("ns~proxy", { upserts, removals: [] });
  publish(listener("l", 80, "r"), routes("r", { "/": "a" }), staticCluster("a", 1));
  server.ready();
  const { port } = (await server.listen({ host: "127.0.0.1", port: 0 })) as { port: number };
  await using connected = connect(port);
  const { taker, client } = connected;
  await client.ready;
  taker.refuses.set("Cluster b", "no good").set("RouteConfiguration r", "nor this");
  publish(staticCluster("b", 1), staticCluster("c", 1), routes("r", { "/": "c" }));
  await eventually(() => refusals.map(([name]) => name).sort(), ["Cluster b", "RouteConfiguration r"]);
  expect(refusals.map(([, message]) => message).sort()).toEqual([
    "Error adding/updating cluster(s) b: no good",
    'RouteConfiguration with name: "r" cannot be used: nor this',
  ]);
  await eventually(() => taker.inForce.has("Cluster c"), true);
  taker.refuses.clear();
  publish(staticCluster("b", 2));
  await eventually(() => taker.inForce.has("Cluster b"), true);
  expect(client.state().refused).toBeGreaterThanOrEqual(2);
});

test("a listener waits for its routes, and is acknowledged before they come", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await server.asked("clusters", ({ typeUrl }) => typeUrl === cluster);
  expect(server.requests[0]?.node).toMatchObject({ id: "proxy.ns", metadata: { role: "ns~proxy" }, userAgentName: "headworks" });
  // Listeners are not even asked for before the clusters are there, with their endpoints.
  const clusters = server.send(cluster, [edsCluster("c")]);
  await server.asked("endpoints", ({ typeUrl, resourceNamesSubscribe }) => typeUrl === endpoint && resourceNamesSubscribe.includes("c"));
  expect(server.requests.some(({ typeUrl }) => typeUrl === lds)).toBe(false);
  expect(connected.client.state().waiting).toEqual(["Cluster c waits for ClusterLoadAssignment c"]);
  server.send(endpoint, [endpoints("c", [1])]);
  expect(await server.answerTo(clusters)).toBe("");

  await server.asked("listeners", ({ typeUrl }) => typeUrl === lds);
  const listeners = server.send(lds, [listener("l", 80, "r")]);
  expect(await server.answerTo(listeners)).toBe("");
  expect(connected.taker.log).toEqual(["ClusterLoadAssignment c", "Cluster c"]);
  expect(connected.client.state()).toMatchObject({ isReady: false, waiting: ["Listener l waits for RouteConfiguration r"] });
  const table = server.send(route, [routes("r", { "/": "c" })]);
  await connected.client.ready;
  expect(connected.taker.log).toEqual(["ClusterLoadAssignment c", "Cluster c", "RouteConfiguration r", "Listener l"]);
  expect(await server.answerTo(table)).toBe("");
  // Who we are is said once a stream.
  expect(server.requests.filter(({ node }) => node !== undefined)).toHaveLength(1);
});

test("a listener that changes to other routes serves as it was until they come; then the old ones go", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await settled(server, connected);
  const { taker } = connected;
  const before = taker.inForce.get("Listener l");
  const nonce = server.send(lds, [listener("l", 80, "other")]);
  expect(await server.answerTo(nonce)).toBe("");
  expect(taker.inForce.get("Listener l")).toBe(before);
  server.send(route, [routes("other", { "/": "c" })]);
  await eventually(() => taker.log.slice(-3), ["RouteConfiguration other", "Listener l", "-RouteConfiguration r"]);
  await server.asked("no more of r", ({ resourceNamesUnsubscribe }) => resourceNamesUnsubscribe.includes("r"));
});

test("a listener whose port is taken is refused though its routes are not there, and asked for by name when it is free", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await settled(server, connected);
  const { taker, client } = connected;
  taker.refuses.set("Listener m", "cannot bind '127.0.0.1:81': Address already in use");
  const nonce = server.send(lds, [listener("m", 81, "other")], ["l"]);
  expect(await server.answerTo(nonce)).toBe("Error adding/updating listener(s) m: cannot bind '127.0.0.1:81': Address already in use");
  // What it was to take the place of stays for a moment, and for good if the server wants it again.
  expect([...taker.inForce.keys()]).toContain("Listener l");
  // The server knows, and something is served in its place: that is no reason not to be sent requests.
  expect(client.state().unbound).toEqual([]);
  await server.answerTo(server.send(lds, [listener("l", 80, "r")], ["m"]));
  expect(taker.log.filter((line) => line.includes("Listener"))).toEqual(["Listener l"]);
  taker.refuses.clear();
  await server.asked(
    "the listener again",
    ({ typeUrl, resourceNamesSubscribe }) => typeUrl === lds && resourceNamesSubscribe.includes("m"),
  );
  server.send(lds, [listener("m", 81, "r")], ["l"]);
  await eventually(() => taker.log.slice(-2), ["Listener m", "-Listener l"]);
});

test("a port that is free again is not in service before its listener has come; nor is one that the server takes away missed", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  const { taker, client } = connected;
  const reason = "cannot bind '127.0.0.1:81': Address already in use";
  taker.refuses.set("Listener m", reason);
  await server.asked("clusters", ({ typeUrl }) => typeUrl === cluster);
  server.send(cluster, []);
  await server.asked("listeners", ({ typeUrl }) => typeUrl === lds);
  await server.answerTo(server.send(lds, [listener("m", 81, "r")]));
  await client.ready;
  expect(client.state().unbound).toEqual([reason]);
  taker.refuses.clear();
  await server.asked("it again", ({ typeUrl, resourceNamesSubscribe }) => typeUrl === lds && resourceNamesSubscribe.includes("m"));
  expect(client.state().unbound).toEqual([reason]);
  await server.answerTo(server.send(lds, [], ["m"]));
  expect(client.state().unbound).toEqual([]);
});

test("a server that takes streams and ends them at once is asked ever less often", async () => {
  await using server = await new ScriptedServer().start();
  const begun = performance.now();
  await using _ = connect(server.port, { random: () => 1 });
  for (let streams = 1; streams <= 3; streams++) {
    await eventually(() => server.streams, streams);
    await server.asked("clusters", () => server.requests.length >= streams);
    server.send(cluster, []);
    server.endStream();
  }
  await eventually(() => server.streams, 4);
  expect(performance.now() - begun).toBeGreaterThan(400 + 800 + 1_600);
});

test("a listener that goes stays until the one in its place has its routes", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await settled(server, connected);
  const { taker } = connected;
  await server.answerTo(server.send(lds, [listener("m", 81, "other")], ["l"]));
  expect([...taker.inForce.keys()]).toContain("Listener l");
  server.send(route, [routes("other", { "/": "c" })]);
  await eventually(() => taker.log.slice(-4), ["RouteConfiguration other", "Listener m", "-Listener l", "-RouteConfiguration r"]);
});

test("a cluster whose endpoints the server does not have is whole without hosts, and gets them when there are some", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port, { patienceMs: 600_000 });
  const { taker, client } = connected;
  await server.asked("clusters", ({ typeUrl }) => typeUrl === cluster);
  const nonce = server.send(cluster, [edsCluster("c")]);
  await server.asked("endpoints", ({ typeUrl }) => typeUrl === endpoint);
  expect(await server.answerTo(server.send(endpoint, [], ["nobody asked for this", "c"]))).toBe("");
  expect(await server.answerTo(nonce)).toBe("");
  expect(taker.log).toEqual(["Cluster c"]);
  // A listener does wait for its routes, whatever is said of them.
  await server.asked("listeners", ({ typeUrl }) => typeUrl === lds);
  server.send(lds, [listener("l", 80, "r")]);
  await server.asked("routes", ({ typeUrl }) => typeUrl === route);
  expect(await server.answerTo(server.send(route, [], ["r"]))).toBe("");
  expect(client.state()).toMatchObject({ resources: { ClusterLoadAssignment: 0 }, waiting: ["Listener l waits for RouteConfiguration r"] });
  expect(await server.answerTo(server.send(endpoint, [endpoints("c", [1])]))).toBe("");
  expect(taker.log).toEqual(["Cluster c", "ClusterLoadAssignment c"]);
  // Those that there were are kept, also by the next version of their cluster.
  expect(await server.answerTo(server.send(endpoint, [], ["c"]))).toBe("");
  expect(await server.answerTo(server.send(cluster, [edsCluster("c", 2000)]))).toBe("");
  expect(taker.log).toEqual(["Cluster c", "ClusterLoadAssignment c", "Cluster c"]);
});

test("what never comes is not waited for for ever", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port, { patienceMs: 300 });
  await server.asked("clusters", ({ typeUrl }) => typeUrl === cluster);
  server.send(cluster, []);
  await server.asked("listeners", ({ typeUrl }) => typeUrl === lds);
  server.send(lds, [listener("l", 80, "r")]);
  await connected.client.ready;
  expect(connected.taker.log).toEqual(["Listener l"]);
  expect(connected.said).toContain("Listener l goes into force without RouteConfiguration r: not there after 0.3 s");
});

test("routes that the server takes away are kept while a listener refers to them; listeners and clusters go", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await settled(server, connected);
  const { taker } = connected;
  expect(await server.answerTo(server.send(route, [], ["r"]))).toBe("");
  expect([...taker.inForce.keys()]).toContain("RouteConfiguration r");
  expect(await server.answerTo(server.send(lds, [], ["l"]))).toBe("");
  await eventually(() => taker.log.slice(-2), ["-Listener l", "-RouteConfiguration r"]);
  expect(await server.answerTo(server.send(cluster, [], ["c", "never there"]))).toBe("");
  expect(taker.inForce.size).toBe(0);
});

test("a new stream begins with what is in force, by the server's versions; nothing is applied again", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await settled(server, connected);
  const { taker, client } = connected;
  const applied = taker.log.length;
  const before = server.requests.length;
  server.endStream();
  await eventually(() => server.streams, 2);
  await eventually(() => server.requests.length - before >= 3, true);
  const again = server.requests.slice(before);
  const versionsOf = (wanted: string) => again.find(({ typeUrl }) => typeUrl === wanted)?.initialResourceVersions;
  expect(versionsOf(cluster)).toEqual({ c: staticCluster("c", 1).version });
  expect(versionsOf(lds)).toEqual({ l: listener("l", 80, "r").version });
  expect(versionsOf(route)).toEqual({ r: routes("r", { "/": "c" }).version });
  expect(again[0]?.node).toBeDefined();
  // A server that sends all the same, under versions of its own, changes nothing.
  const { name, typeUrl, bytes } = listener("l", 80, "r");
  const nonce = server.sendRaw(lds, [{ name, version: "other", resource: { typeUrl, value: bytes } }]);
  expect(await server.answerTo(nonce)).toBe("");
  expect(taker.log).toHaveLength(applied);
  expect(client.state()).toMatchObject({ isConnected: true, reconnects: 1 });
  expect(connected.said.filter((line) => line.includes("cannot be reached"))).toHaveLength(1);
  expect(connected.said).toContain("the xDS server is there again");
});

test("a batch that comes into force after its stream has ended is not answered on the next, which begins with what there is by then", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await settled(server, connected);
  const { taker } = connected;
  const held = Promise.withResolvers<void>();
  taker.hold = held.promise;
  const nonce = server.send(cluster, [staticCluster("d", 2)]);
  await eventually(() => taker.held, 1);
  const before = server.requests.length;
  server.endStream();
  // The next stream is there, and nothing can be said on it yet.
  await eventually(() => server.streams, 2);
  taker.hold = undefined;
  held.resolve();
  await eventually(() => server.requests.length - before >= 3, true);
  const [first] = server.requests.slice(before);
  expect(first).toMatchObject({ typeUrl: cluster, responseNonce: "", node: { id: "proxy.ns" } });
  expect(Object.keys(first?.initialResourceVersions ?? {})).toEqual(["c", "d"]);
  expect(server.requests.filter(({ responseNonce }) => responseNonce === nonce)).toEqual([]);
});

test("what is refused while the server is away is said here, and to the server when it sends it again", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port, { patienceMs: 2_000 });
  await settled(server, connected);
  const { taker, client, said } = connected;
  taker.refuses.set("Cluster b", "no good").set("Cluster d", "nor this");
  // Both refusals would be in one answer, which `b` holds up since it waits for its endpoints.
  server.send(cluster, [staticCluster("d", 1), edsCluster("b")]);
  await server.asked("endpoints", ({ typeUrl }) => typeUrl === endpoint);
  await eventually(() => client.state().waiting, ["Cluster b waits for ClusterLoadAssignment b"]);
  server.endStream();
  await eventually(() => server.streams, 2);
  await eventually(() => said.includes("Cluster d cannot be used: nor this"), true);
  // The server that is there again says nothing of `b`.
  await eventually(() => said.includes("Cluster b cannot be used: no good"), true);
  expect(client.state().refused).toBe(2);
  expect(await server.answerTo(server.send(cluster, [staticCluster("b", 1)]))).toBe("Error adding/updating cluster(s) b: no good");
});

test("bytes that are no cluster are refused by name, and so is what is of another type; a heartbeat is nothing", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port);
  await settled(server, connected);
  const applied = connected.taker.log.length;
  const garbage = { name: "x", version: "1", resource: { typeUrl: cluster, value: Uint8Array.of(0xff) } };
  const stray = { name: "y", version: "1", resource: { typeUrl: lds, value: new Uint8Array() } };
  const message = await server.answerTo(server.sendRaw(cluster, [garbage, stray, { name: "c", version: "1" }]));
  expect(message).toMatch(/^Error adding\/updating cluster\(s\) /);
  expect(message).toContain("x: ");
  expect(message).toContain(`y: it is a ${lds}, in a response of ${cluster}`);
  expect(message).not.toContain("c: ");
  expect(connected.taker.log).toHaveLength(applied);
  // A listener that has to wait is looked at all the same.
  connected.taker.refuses.set("Listener m", "not this one");
  expect(await server.answerTo(server.send(lds, [listener("m", 81, "new")]))).toBe("Error adding/updating listener(s) m: not this one");
  // Types that nobody asked for are let pass.
  expect(await server.answerTo(server.sendRaw("type.googleapis.com/some.Type", []))).toBe("");
});

test("a server that is not there is tried again and again, and said once", async () => {
  const server = await new ScriptedServer().start();
  const { port } = server;
  await server[Symbol.asyncDispose]();
  await using connected = connect(port);
  await eventually(() => connected.said.length > 0, true);
  expect(connected.said[0]).toBe("the xDS server cannot be reached; trying again");
});

test("a server that has nothing to say is connected", async () => {
  await using server = await new ScriptedServer().start();
  await using connected = connect(server.port, { patienceMs: 1_500 });
  await settled(server, connected);
  const { client, said } = connected;
  // This listener waits, and that it has waited long enough counts only while the server could have sent what it waits for.
  server.send(lds, [listener("m", 81, "other")]);
  await server.asked("routes", ({ resourceNamesSubscribe }) => resourceNamesSubscribe.includes("other"));
  server.endStream();
  await eventually(() => said.includes("the xDS server is there again"), true);
  expect(client.state()).toMatchObject({ isConnected: true, reconnects: 1 });
  await eventually(() => connected.taker.inForce.has("Listener m"), true);
});

test("a server that does not serve the protocol is not connected", async () => {
  await using server = await new ScriptedServer().start("/envoy.service.Other/Method");
  await using connected = connect(server.port);
  await eventually(() => connected.said[0], "the xDS server cannot be reached; trying again");
  expect(connected.client.state().isConnected).toBe(false);
  expect(connected.said).toHaveLength(1);
});

test("what listens there and speaks no gRPC is said once, whenever it is tried, with what it may be", async () => {
  let attempts = 0;
  const web = createServer((socket) => {
    attempts++;
    socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const reasons: unknown[] = [];
  const nothing = () => {};
  const warn = (fields: { readonly reason?: unknown }) => void reasons.push(fields.reason);
  const log: Logger = { debug: nothing, info: nothing, warn, error: nothing };
  await using _connected = connect((web.address() as AddressInfo).port, { log });
  await eventually(() => attempts >= 4, true);
  web.close();
  expect(reasons).toEqual([expect.stringMatching(/Protocol error: what listens there does not speak gRPC/)]);
});

test("waits between attempts grow to two seconds, and are by chance", () => {
  const longest = new BackOff(() => 1);
  expect(Array.from({ length: 6 }, () => longest.nextMs())).toEqual([400, 800, 1600, 2000, 2000, 2000]);
  const shortest = new BackOff(() => 0);
  expect(Array.from({ length: 3 }, () => shortest.nextMs())).toEqual([200, 200, 200]);
  longest.reset();
  expect(longest.nextMs()).toBe(400);
});

test("a refusal names its resources in Envoy's words", () => {
  expect(
    refusalMessage(lds, [
      { name: "a", reason: "x" },
      { name: "b", reason: "y" },
    ]),
  ).toBe("Error adding/updating listener(s) a: x, b: y");
});
