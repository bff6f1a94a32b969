import { describe, expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import { ControlPlane } from "../control-plane.ts";
import type { Change } from "../model/change.ts";
import type { EnvoyResource, ProxyKey, ResourceChanges } from "../model/envoy-resource.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import type { Resource } from "../model/resource.ts";
import { memorySource } from "../sources/memory.ts";
import { readText } from "../sources/read-text.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };

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

/** What a client would have: the newest of everything published. */
class Client {
  readonly has = new Map<string, EnvoyResource>();
  publish(_proxy: ProxyKey, { upserts, removals }: ResourceChanges): void {
    for (const each of upserts) this.has.set(`${each.typeUrl} ${each.name}`, each);
    for (const each of removals) this.has.delete(`${each.typeUrl} ${each.name}`);
  }
  retire(): void {}
  routes(): string {
    return Buffer.from(this.has.get(`${typeUrls.route} listener-::-8080-routes`)?.bytes ?? []).toString("latin1");
  }
  get routeResource(): EnvoyResource {
    return this.has.get(`${typeUrls.route} listener-::-8080-routes`) as EnvoyResource;
  }
}

async function started(resources: readonly Resource[]) {
  const source = memorySource(resources);
  const client = new Client();
  const plane = new ControlPlane({ sources: [source], consumers: [client], plugins: builtins, log }).start();
  await plane.ready;
  const settled = () =>
    new Promise<void>((resolve) => {
      const end = plane.onBatch(() => {
        end();
        resolve();
      });
    });
  return { source, client, plane, settled };
}

const changes = (text: string): Change[] => read(text).map((resource) => ({ kind: "apply", resource }));
const read = (text: string) => readText(text, "a.yaml").resources;

describe("a resource that Envoy refuses", () => {
  test("falls back to its last good version and says why; what was made of it together with others keeps the others' newest", async () => {
    const { source, client, plane, settled } = await started(read(twoSites));
    await using _ = plane;
    let next = settled();
    source.say(...changes(twoSites.replace("ONE", "newer")));
    await next;
    expect(client.routes()).toContain("newer");

    next = settled();
    plane.refuse({ proxy: "gloo-system~gateway-proxy", node: "n", resource: client.routeResource, message: "no" });
    await next;
    expect(client.routes()).toContain("ONE");
    expect(client.routes()).not.toContain("newer");
    const statuses = [...plane.current.statuses].filter(([key]) => key.startsWith("VirtualService"));
    expect(statuses.map(([, { state }]) => state)).toEqual(["Rejected", "Accepted"]);
    expect(statuses[0]?.[1].reason).toContain("Envoy refused");

    next = settled();
    source.say(...changes(twoSites.replace("ONE", "mended")));
    await next;
    expect(client.routes()).toContain("mended");
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
    const { client, plane, settled } = await started(resources);
    await using _ = plane;
    const refused = client.has.get(`${typeUrls.cluster} a_shop`) as EnvoyResource;
    const next = settled();
    plane.refuse({ proxy: "gloo-system~gateway-proxy", node: "n", resource: refused, message: "bad port" });
    await next;
    expect([...client.has.keys()].filter((key) => key.startsWith(typeUrls.cluster))).toEqual([`${typeUrls.cluster} b_shop`]);
  });
});
