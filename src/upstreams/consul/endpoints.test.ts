// Against a real Consul, and where a fault is wanted that it does not have, a proxy in front of it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { findConsul, type RunningConsul, startConsul } from "../../../test/servers/consul.ts";
import { freePort } from "../../../test/servers/ports.ts";
import { bestOfThree } from "../../lib/testing/bestOf.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { FollowedEndpoints, upstreamOf } from "./testing/edge.ts";

const isMissing = findConsul() === undefined;
if (isMissing) {
  const message = "the tests of Consul's endpoints need a Consul: run test/servers/install.ts, or set CONSUL_BIN";
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error(message);
  console.warn(`SKIPPED: ${message}`);
}

const till = upstreamOf("till", { serviceName: "till" });

const one = { ID: "t1", Name: "till", Address: "10.60.0.1", Port: 8080, Tags: ["v1", "blue"] };
const two = { ID: "t2", Name: "till", Address: "10.60.0.2", Port: 8081, Tags: ["v2", "blue"] };
const both = ["10.60.0.1:8080", "10.60.0.2:8081"];

const settingsOf = ({ url, dnsPort }: RunningConsul) => ({
  httpAddress: url,
  dnsAddress: `127.0.0.1:${dnsPort}`,
  dnsPollingInterval: "0.2s",
});

describe.skipIf(isMissing)("endpoints from a real Consul", () => {
  // Few services have a blocking query each, many have not; what a user sees is the same.
  describe.each([
    ["few", undefined],
    ["many", 0],
  ])("%s services", (_, fewAtMost) => {
    const options = (consul: RunningConsul) => ({ consul: settingsOf(consul), ...(fewAtMost !== undefined && { fewAtMost }) });

    test("an instance is an endpoint within a second of its registration, and none within a second of its end", bestOfThree, async () => {
      await using consul = await startConsul();
      await consul.register(one);
      await using followed = new FollowedEndpoints([till], options(consul));
      await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
      await delay(300);
      await consul.register(two);
      expect(await eventually(() => followed.addresses("till"), both)).toBeLessThan(1000);
      await consul.deregister("t1");
      expect(await eventually(() => followed.addresses("till"), ["10.60.0.2:8081"])).toBeLessThan(1000);
      await consul.deregister("t2");
      expect(await eventually(() => followed.addresses("till"), [])).toBeLessThan(1000);
    });

    test("an instance that moves to another port is followed", async () => {
      await using consul = await startConsul();
      await consul.register(one);
      await using followed = new FollowedEndpoints([till], options(consul));
      await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
      await delay(300);
      await consul.register({ ...one, Port: 8090 });
      await eventually(() => followed.addresses("till"), ["10.60.0.1:8090"]);
    });

    test("a critical check makes an endpoint unhealthy, on the instance and on its node", bestOfThree, async () => {
      await using consul = await startConsul();
      await consul.register({ ...one, Check: { CheckID: "c1", TTL: "1h", Status: "passing" } });
      await consul.register(two);
      await using followed = new FollowedEndpoints([till], options(consul));
      const health = () =>
        followed.sets
          .get("till")
          ?.map(({ port, health }) => `${port} ${health}`)
          .sort();
      await eventually(health, ["8080 undefined", "8081 undefined"]);
      await delay(300);
      await consul.api("PUT", "/v1/agent/check/fail/c1");
      expect(await eventually(health, ["8080 unhealthy", "8081 undefined"])).toBeLessThan(1000);
      await consul.api("PUT", "/v1/agent/check/pass/c1");
      expect(await eventually(health, ["8080 undefined", "8081 undefined"])).toBeLessThan(1000);
      await consul.api("PUT", "/v1/agent/maintenance?enable=true");
      await eventually(health, ["8080 unhealthy", "8081 unhealthy"]);
    });

    test(
      "a Consul that is killed and forgets everything takes nothing away; what registers again counts at once",
      bestOfThree,
      async () => {
        await using consul = await startConsul();
        await consul.register(one);
        await consul.register(two);
        // Makes the index high, so that it goes backwards.
        for (let i = 0; i < 30; i++) await consul.api("PUT", `/v1/kv/key${i}`, i);
        await using followed = new FollowedEndpoints([till], options(consul));
        await eventually(() => followed.addresses("till"), both);
        await consul.kill();
        await eventually(() => followed.reasons, ["ConsulUnreachable"]);
        await consul.restart();
        expect(await eventually(() => followed.reasons, [])).toBeLessThan(5000);
        await delay(2500);
        expect(followed.addresses("till")).toEqual(both);
        expect(followed.history.every(({ count }) => count > 0)).toBe(true);
        await consul.register(one);
        await consul.register({ ...two, Port: 9000 });
        expect(await eventually(() => followed.addresses("till"), ["10.60.0.1:8080", "10.60.0.2:9000"])).toBeLessThan(5000);
      },
    );

    test("a first answer without instances does not empty what proxies have, before it has stood for a while", async () => {
      await using consul = await startConsul();
      const inService = [{ address: "10.60.0.1", port: 8080, labels: { dc_dc1: "1" } }];
      await using followed = new FollowedEndpoints([till], { ...options(consul), inService, holdMs: 2500 });
      await delay(1000);
      expect(followed.addresses("till")).toBeUndefined();
      await eventually(() => followed.addresses("till"), []);
    });

    test("instances that were all replaced in an outage are taken at once", bestOfThree, async () => {
      await using consul = await startConsul();
      await using proxy = await faultProxy(consul.httpPort);
      await consul.register(one);
      const { consul: settings, ...tuning } = options(consul);
      await using followed = new FollowedEndpoints([till], {
        consul: { ...settings, httpAddress: `127.0.0.1:${proxy.port}`, waitTime: "1s" },
        ...tuning,
      });
      await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
      proxy.answer({ status: 500, body: "No cluster leader" });
      await eventually(() => followed.reasons, ["ConsulUnreachable"]);
      await consul.deregister("t1");
      await consul.register(two);
      proxy.answer(undefined);
      expect(await eventually(() => followed.addresses("till"), ["10.60.0.2:8081"])).toBeLessThan(5000);
    });

    test("what is still missing when the hold is over is gone", async () => {
      await using consul = await startConsul();
      await consul.register(one);
      await using followed = new FollowedEndpoints([till], { ...options(consul), holdMs: 3000 });
      await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
      await consul.kill();
      await eventually(() => followed.reasons, ["ConsulUnreachable"]);
      await consul.restart();
      expect(await eventually(() => followed.addresses("till"), [], 15_000)).toBeGreaterThan(2000);
    });
  });

  test("subset keys: all tags of the service and its data centre, with 1 and 0; instanceTags and instanceBlacklistTags choose", async () => {
    await using consul = await startConsul();
    await consul.register(one);
    await consul.register(two);
    const v2 = upstreamOf("v2", { serviceName: "till", instanceTags: ["v2", "blue"] });
    const notV2 = upstreamOf("not-v2", { serviceName: "till", instanceBlacklistTags: ["v2"] });
    await using followed = new FollowedEndpoints([v2, notV2], { consul: settingsOf(consul) });
    const labels = { dc_dc1: "1", tag_blue: "1" };
    await eventually(
      () => followed.sets.get("v2"),
      [{ address: "10.60.0.2", port: 8081, labels: { ...labels, tag_v1: "0", tag_v2: "1" } }],
    );
    await eventually(
      () => followed.sets.get("not-v2"),
      [{ address: "10.60.0.1", port: 8080, labels: { ...labels, tag_v1: "1", tag_v2: "0" } }],
    );
  });

  test("an instance without an address has that of its node; one without a port is none", async () => {
    await using consul = await startConsul();
    await consul.register({ ID: "t1", Name: "till", Port: 7000 });
    await consul.register({ ID: "t2", Name: "till" });
    await using followed = new FollowedEndpoints([till], { consul: settingsOf(consul) });
    await eventually(() => followed.addresses("till"), ["127.0.0.1:7000"]);
  });

  test("a service that nobody has registered has no endpoints, and gets them when it is there", async () => {
    await using consul = await startConsul();
    await using followed = new FollowedEndpoints([till], { consul: settingsOf(consul) });
    await eventually(() => followed.addresses("till"), []);
    await consul.register(one);
    await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"], 1000);
  });

  test("an address that is a name is resolved, and followed", async () => {
    await using consul = await startConsul();
    await consul.register({ ID: "db", Name: "db", Address: "10.60.1.1", Port: 5432 });
    await consul.register({ ID: "t1", Name: "till", Address: "db.service.consul", Port: 8080 });
    await using followed = new FollowedEndpoints([till], { consul: settingsOf(consul) });
    await eventually(() => followed.addresses("till"), ["10.60.1.1:8080"]);
    expect(followed.sets.get("till")?.[0]?.hostname).toBe("db.service.consul");
    await consul.register({ ID: "db", Name: "db", Address: "10.60.1.2", Port: 5432 });
    await eventually(() => followed.addresses("till"), ["10.60.1.2:8080"], 3000);
    await consul.deregister("db");
    await eventually(() => followed.reasons, ["ConsulNameNotResolved"], 3000);
    expect(followed.addresses("till")).toEqual(["10.60.1.2:8080"]);
  });

  test("data centres that are not allowed, or not there, have no instances", async () => {
    await using consul = await startConsul();
    await consul.register(one);
    const elsewhere = upstreamOf("elsewhere", { serviceName: "till", dataCenters: ["dc9"] });
    const here = upstreamOf("here", { serviceName: "till", dataCenters: ["dc1"] });
    await using followed = new FollowedEndpoints([elsewhere, here], { consul: settingsOf(consul) });
    await eventually(() => followed.addresses("here"), ["10.60.0.1:8080"]);
    await eventually(() => followed.addresses("elsewhere"), []);
    // dc9 is allowed and does not answer; dc1 does not wait for it.
    await using partly = new FollowedEndpoints([till], {
      consul: { ...settingsOf(consul), serviceDiscovery: { dataCenters: ["dc1", "dc9"] } },
    });
    await eventually(() => partly.addresses("till"), ["10.60.0.1:8080"]);
    await eventually(() => partly.reasons, ["ConsulUnreachable"]);
  });

  test("instances of all data centres count, told apart by subset keys; one that is lost keeps its own", async () => {
    await using west = await startConsul({ config: { datacenter: "west", node_name: "w" } });
    await using east = await startConsul({
      config: { datacenter: "east", node_name: "e", retry_join_wan: [west.wan], retry_interval_wan: "1s" },
    });
    await west.register(one);
    await east.register(two);
    for (let tries = 0; ((await west.api("GET", "/v1/catalog/datacenters")) as string[]).length < 2; tries++) {
      if (tries > 600) throw new Error("the data centres do not know each other");
      await delay(100);
    }
    const inEast = upstreamOf("in-east", { serviceName: "till", dataCenters: ["east"] });
    await using followed = new FollowedEndpoints([till, inEast], { consul: { ...settingsOf(west), waitTime: "1s" } });
    await eventually(() => followed.addresses("till"), both);
    await eventually(() => followed.addresses("in-east"), ["10.60.0.2:8081"]);
    expect(followed.sets.get("in-east")?.[0]?.labels).toMatchObject({ dc_east: "1", tag_v2: "1" });
    expect(followed.sets.get("till")?.find(({ port }) => port === 8080)?.labels).toMatchObject({ dc_east: "0", dc_west: "1" });
    await using allowed = new FollowedEndpoints([till], { consul: { ...settingsOf(west), serviceDiscovery: { dataCenters: ["west"] } } });
    await eventually(() => allowed.addresses("till"), ["10.60.0.1:8080"]);
    await east.kill();
    await eventually(() => followed.reasons, ["ConsulUnreachable"]);
    expect(followed.addresses("till")).toEqual(both);
    // The one that is left is followed as before.
    await west.register({ ...one, Port: 8090 });
    await eventually(() => followed.addresses("till"), ["10.60.0.1:8090", "10.60.0.2:8081"]);
  });

  test("an edit of an Upstream never empties it, and Upstreams come and go", async () => {
    await using consul = await startConsul();
    await consul.register(one);
    await consul.register(two);
    await using followed = new FollowedEndpoints([till], { consul: settingsOf(consul) });
    await eventually(() => followed.addresses("till"), both);
    followed.set([upstreamOf("till", { serviceName: "till", consistencyMode: "ConsistentMode" })]);
    await delay(500);
    followed.set([
      upstreamOf("till", { serviceName: "till", consistencyMode: "StaleMode", queryOptions: { useCache: true }, instanceTags: ["v1"] }),
    ]);
    await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
    expect(followed.history.every(({ count }) => count > 0)).toBe(true);
    followed.set([]);
    await delay(100);
    const before = followed.history.length;
    await consul.deregister("t1");
    await delay(300);
    expect(followed.history.length).toBe(before);
  });

  test("a Consul that hangs takes nothing away, is noticed, and is followed again when it wakes", bestOfThree, async () => {
    await using consul = await startConsul();
    await consul.register(one);
    await using followed = new FollowedEndpoints([till], { consul: { ...settingsOf(consul), waitTime: "1s" } });
    await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
    consul.process().kill("SIGSTOP");
    try {
      // The deadline of a question: 1 s, a sixteenth of it, and 5 s.
      const took = await eventually(() => followed.reasons, ["ConsulUnreachable"]);
      expect(took).toBeGreaterThan(4000);
      expect(took).toBeLessThan(12_000);
      expect(followed.addresses("till")).toEqual(["10.60.0.1:8080"]);
    } finally {
      consul.process().kill("SIGCONT");
    }
    await consul.register(two);
    expect(await eventually(() => followed.addresses("till"), both)).toBeLessThan(5000);
    await eventually(() => followed.reasons, []);
  });

  test("a Consul that is not there yet is waited for", async () => {
    const port = await freePort();
    await using followed = new FollowedEndpoints([till], { consul: { httpAddress: `127.0.0.1:${port}` } });
    await eventually(() => followed.reasons, ["ConsulUnreachable"]);
    expect(followed.addresses("till")).toBeUndefined();
  });

  test("with ACLs the token is needed, and losing it takes nothing away", async () => {
    const root = "11111111-1111-1111-1111-111111111111";
    await using consul = await startConsul({
      config: { acl: { enabled: true, default_policy: "deny", tokens: { initial_management: root, agent: root, default: "" } } },
    });
    const asRoot = { "x-consul-token": root };
    const policy = { Name: "read", Rules: 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }' };
    for (let tries = 0; ; tries++) {
      const isReady = await consul.api("PUT", "/v1/acl/policy", policy, asRoot).then(
        () => true,
        () => false,
      );
      if (isReady) break;
      if (tries > 600) throw new Error("no ACLs");
      await delay(100);
    }
    const token = (await consul.api("PUT", "/v1/acl/token", { Policies: [{ Name: "read" }] }, asRoot)) as {
      SecretID: string;
      AccessorID: string;
    };
    await consul.api("PUT", "/v1/agent/service/register", one, asRoot);
    await using denied = new FollowedEndpoints([till], {
      consul: { ...settingsOf(consul), token: "22222222-2222-2222-2222-222222222222" },
    });
    await eventually(() => denied.reasons, ["ConsulDenied"]);
    expect(denied.addresses("till")).toBeUndefined();
    const { SecretID: blind } = (await consul.api("PUT", "/v1/acl/token", {}, asRoot)) as { SecretID: string };
    await using hidden = new FollowedEndpoints([till], { consul: { ...settingsOf(consul), token: blind } });
    await eventually(() => hidden.reasons, ["ConsulDenied"]);
    expect(hidden.addresses("till")).toBeUndefined();
    await using followed = new FollowedEndpoints([till], { consul: { ...settingsOf(consul), token: token.SecretID, waitTime: "1s" } });
    await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
    await consul.api("DELETE", `/v1/acl/token/${token.AccessorID}`, undefined, asRoot);
    await eventually(() => followed.reasons, ["ConsulDenied"], 40_000);
    expect(followed.addresses("till")).toEqual(["10.60.0.1:8080"]);
    for (const said of [...followed.logged, ...denied.logged, JSON.stringify([...denied.problems.values()])]) {
      expect(said).not.toContain(token.SecretID);
      expect(said).not.toContain("22222222-2222");
    }
  });

  test("over TLS with a client certificate; a Consul that cannot be verified is not asked", async () => {
    const folder = mkdtempSync(join(tmpdir(), "consul-tls-"));
    try {
      const file = certificates(folder);
      const https = await freePort();
      await using consul = await startConsul({
        config: {
          addresses: { https: "127.0.0.1" },
          ports: { https },
          verify_incoming_https: true,
          ca_file: file("ca.pem"),
          cert_file: file("leaf.pem"),
          key_file: file("leaf.key"),
        },
      });
      await consul.register(one);
      const settings = { httpAddress: `https://127.0.0.1:${https}`, certFile: file("leaf.pem"), keyFile: file("leaf.key") };
      await using followed = new FollowedEndpoints([till], { consul: { ...settings, caFile: file("ca.pem") } });
      await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
      await using careless = new FollowedEndpoints([till], { consul: { ...settings, insecureSkipVerify: true } });
      await eventually(() => careless.addresses("till"), ["10.60.0.1:8080"]);
      await using careful = new FollowedEndpoints([till], { consul: settings });
      await eventually(() => careful.reasons, ["ConsulUnreachable"]);
      expect(careful.addresses("till")).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ["500, no leader", (): Fault => ({ status: 500, body: "No cluster leader" }), "ConsulUnreachable"],
    [
      "429, too many connections",
      (): Fault => ({ status: 429, body: "Your IP is issuing too many concurrent connections" }),
      "ConsulUnreachable",
    ],
    ["null, and the index backwards", (): Fault => ({ status: 200, body: "null", index: "1" }), undefined],
    ["an object in place of a list", (): Fault => ({ status: 200, body: "{}", index: "999999" }), "ConsulUnreachable"],
    ["no JSON", (): Fault => ({ status: 200, body: "<html>", index: "999999" }), "ConsulUnreachable"],
    ["a redirect to another host", (): Fault => ({ status: 301, body: "", location: "http://127.0.0.1:1/" }), "ConsulUnreachable"],
  ])("an answer that is none takes nothing away: %s", bestOfThree, async (_, fault, reason) => {
    await using consul = await startConsul();
    await consul.register(one);
    await using proxy = await faultProxy(consul.httpPort);
    await using followed = new FollowedEndpoints([till], {
      consul: { ...settingsOf(consul), httpAddress: `127.0.0.1:${proxy.port}`, waitTime: "1s" },
    });
    await eventually(() => followed.addresses("till"), ["10.60.0.1:8080"]);
    proxy.answer(fault());
    if (reason) await eventually(() => followed.reasons, [reason]);
    await delay(1500);
    expect(followed.addresses("till")).toEqual(["10.60.0.1:8080"]);
    expect(proxy.requests).toBeLessThan(40);
    proxy.answer(undefined);
    await consul.register(two);
    expect(await eventually(() => followed.addresses("till"), both)).toBeLessThan(5000);
    await eventually(() => followed.reasons, []);
  });
});

/** A CA and a leaf of it for 127.0.0.1; returns the path of a file by its name. */
function certificates(folder: string): (name: string) => string {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA");
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "leaf.key",
    "-out",
    "leaf.pem",
    "-subj",
    "/CN=localhost",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-addext",
    "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:server.dc1.consul",
    "-addext",
    "extendedKeyUsage=serverAuth,clientAuth",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  );
  return (name) => join(folder, name);
}

interface Fault {
  readonly status: number;
  readonly body: string;
  readonly index?: string;
  readonly location?: string;
}

/** Passes requests on to Consul, or gives the same answer to each. Counts those since the last word. */
async function faultProxy(target: number) {
  let fault: Fault | undefined;
  let requests = 0;
  const server = createServer((incoming, outgoing) => {
    requests++;
    if (fault) {
      const { status, body, index, location } = fault;
      outgoing.writeHead(status, { ...(index && { "x-consul-index": index }), ...(location && { location }) }).end(body);
      return;
    }
    const { url, method, headers } = incoming;
    const forward = request({ port: target, path: url, method, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
    });
    forward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => forward.destroy());
    incoming.pipe(forward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get requests() {
      return requests;
    },
    answer(next: Fault | undefined) {
      fault = next;
      requests = 0;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
