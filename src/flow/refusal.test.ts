import { describe, expect, test } from "vitest";
import { typeUrls } from "../model/envoy-resource.ts";
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
});
