import { describe, expect, test } from "vitest";
import { typeUrls } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import { changes, read, startPlane } from "./testing/plane.ts";

const routesName = "listener-::-8080-routes";

const twoSites = `
kind: VirtualService
apiVersion: gateway.solo.io/v1
metadata: {name: one, namespace: gloo-system}
spec: {virtualHost: {domains: [one.test], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ONE}}]}}
---
kind: VirtualService
apiVersion: gateway.solo.io/v1
metadata: {name: two, namespace: gloo-system}
spec: {virtualHost: {domains: [two.test], routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: two}}]}}
`;

describe("a resource that Envoy refuses", () => {
  test("falls back to its last good version and says why; what was made of it together with others keeps the others' newest", async () => {
    await using running = await startPlane(read(twoSites));
    const { client, plane } = running;
    const routes = () => client.text(typeUrls.route, routesName);
    await running.say(...changes(twoSites.replace("ONE", "newer")));
    expect(routes()).toContain("newer");

    await running.refuse(client.get(typeUrls.route, routesName), "no");
    expect(routes()).toContain("ONE");
    expect(routes()).not.toContain("newer");
    const statuses = [...plane.current.statuses].filter(([key]) => key.startsWith("VirtualService"));
    expect(statuses.map(([, { state }]) => state)).toEqual(["Rejected", "Accepted"]);
    expect(statuses[0]?.[1].reason).toContain("Envoy refused");

    await running.say(...changes(twoSites.replace("ONE", "mended")));
    expect(routes()).toContain("mended");
    expect([...plane.current.statuses.values()].every(({ state }) => state === "Accepted")).toBe(true);
  });

  test("an Upstream that was never good is left out, its siblings stay", async () => {
    const resources = read(`
kind: Upstream
apiVersion: gloo.solo.io/v1
metadata: {name: a, namespace: shop}
spec: {static: {hosts: [{addr: 10.0.0.1, port: 80}]}}
---
kind: Upstream
apiVersion: gloo.solo.io/v1
metadata: {name: b, namespace: shop}
spec: {static: {hosts: [{addr: 10.0.0.2, port: 80}]}}
---
kind: VirtualService
apiVersion: gateway.solo.io/v1
metadata: {name: one, namespace: gloo-system}
spec: {virtualHost: {routes: [{matchers: [{prefix: /}], routeAction: {single: {upstream: {name: b, namespace: shop}}}}]}}
`);
    await using running = await startPlane(resources);
    const { client } = running;
    await running.refuse(client.get(typeUrls.cluster, "a_shop"), "bad port");
    expect(client.names(typeUrls.cluster)).toEqual(["b_shop"]);
  });

  test("is not at fault when something that it uses was edited: clients go on with what they have, and the next version is tried", async () => {
    const settings = (least: string) => `
apiVersion: gloo.solo.io/v1
kind: Settings
metadata: {name: default, namespace: gloo-system}
spec: {discoveryNamespace: gloo-system, upstreamOptions: {sslParameters: {minimumProtocolVersion: ${least}}}}
---`;
    const upstream = `
kind: Upstream
apiVersion: gloo.solo.io/v1
metadata: {name: a, namespace: shop}
spec: {sslConfig: {sslFiles: {rootCa: /ca.pem}}, static: {hosts: [{addr: 10.0.0.1, port: 443}]}}
---`;
    await using running = await startPlane(read(settings("TLSv1_2") + upstream + twoSites));
    const cluster = () => running.client.get(typeUrls.cluster, "a_shop").version;
    const good = cluster();
    await running.say(...changes(settings("TLSv1_3")));
    await running.refuse(running.client.get(typeUrls.cluster, "a_shop"), "no", { keepsEarlier: true });
    expect(running.client.names(typeUrls.cluster)).toEqual(["a_shop"]);
    expect(running.stateOf("Upstream shop/a")).toBe("Warning");
    await running.say(...changes(settings("TLSv1_2")));
    expect(cluster()).toBe(good);
    expect(running.stateOf("Upstream shop/a")).toBe("Accepted");
  });

  test("is found though others were edited while the refusal was on its way", async () => {
    await using running = await startPlane(read(twoSites));
    const { client } = running;
    await running.say(...changes(twoSites.replace("ONE", "bad")));
    const refused = client.get(typeUrls.route, routesName);
    await running.say(...changes(twoSites.replace("ONE", "bad").replace("body: two", "body: TWO")));
    await running.refuse(refused, "no", { isSuperseded: true });
    expect(client.text(typeUrls.route, routesName)).toMatch(/ONE[\s\S]*TWO/);
  });

  test("correcting it frees those who were suspected with it", async () => {
    await using running = await startPlane(read(twoSites));
    const { client } = running;
    const states = () => ["one", "two"].map((name) => running.stateOf(`VirtualService gloo-system/${name}`));
    await running.say(...changes(twoSites.replace("ONE", "first")));
    const before = client.get(typeUrls.route, routesName).version;
    await running.say(...changes(twoSites.replace("ONE", "bad")));
    await running.say(...changes(twoSites.replace("ONE", "bad").replace("body: two", "body: TWO")));
    await running.refuse(client.get(typeUrls.route, routesName), "no", { acceptedBefore: before });
    expect(client.text(typeUrls.route, routesName)).toMatch(/first[\s\S]*two/);
    expect(states()).toEqual(["Rejected", "Rejected"]);
    await running.say(...changes(twoSites.replace("ONE", "mended").replace("body: two", "body: TWO")));
    expect(client.text(typeUrls.route, routesName)).toMatch(/mended[\s\S]*TWO/);
    expect(states()).toEqual(["Accepted", "Accepted"]);
  });

  test("stays in service where another client runs it, and its user is warned", async () => {
    await using running = await startPlane(read(twoSites));
    await running.say(...changes(twoSites.replace("ONE", "newer")));
    await running.refuse(running.client.get(typeUrls.route, routesName), "too new for me", { isTaken: true });
    expect(running.client.text(typeUrls.route, routesName)).toContain("newer");
    expect(running.stateOf("VirtualService gloo-system/one")).toBe("Warning");
  });

  test("where nobody is known to be at fault, the Gateway says so until something else is made", async () => {
    const gateway = `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: g, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: 8080, httpGateway: {}}
---`;
    await using running = await startPlane(read(gateway + twoSites));
    await running.refuse(running.client.get(typeUrls.route, routesName), "no");
    expect(running.stateOf("Gateway gloo-system/g")).toBe("Rejected");
    expect(running.client.text(typeUrls.route, routesName)).toContain("ONE");
    await running.say(...changes(twoSites.replace("ONE", "other")));
    expect(running.stateOf("Gateway gloo-system/g")).toBe("Accepted");
  });

  test("is not refused any more when it was deleted and comes again", async () => {
    await using running = await startPlane(read(twoSites));
    await running.say(...changes(twoSites.replace("ONE", "newer")));
    await running.refuse(running.client.get(typeUrls.route, routesName), "no");
    await running.say({ kind: "delete", key: "VirtualService gloo-system/one" as ResourceKey });
    await running.say(...changes(twoSites.replace("ONE", "newer")));
    expect(running.client.text(typeUrls.route, routesName)).toContain("newer");
  });

  test("after a restart, what was edited while we were away is to blame", async () => {
    const remembered = read(twoSites).map((resource) => ({ key: resource.key, resource }));
    const store = { remembered, remember() {}, forget() {}, async flushed() {}, async [Symbol.asyncDispose]() {} };
    await using running = await startPlane(read(twoSites.replace("ONE", "bad")), { store });
    await running.refuse(running.client.get(typeUrls.route, routesName), "no");
    expect(running.client.text(typeUrls.route, routesName)).toMatch(/ONE[\s\S]*two/);
  });

  test("where there is nobody to tell, not even a Gateway that was written, the log has it", async () => {
    await using running = await startPlane(read(twoSites));
    await running.refuse(running.client.get(typeUrls.route, routesName), "no reason");
    expect(running.errors.join()).toMatch(/no resource is known to be at fault.*no reason/);
  });
});
