import { expect, test } from "vitest";
import { typeUrls } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import { read, startPlane } from "./testing/plane.ts";

const gateway = `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: gateway-proxy, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: 8080, httpGateway: {}}
---`;

const asks = (name: string, url: string) => `
apiVersion: enterprise.gloo.solo.io/v1
kind: AuthConfig
metadata: {name: ${name}, namespace: shop}
spec: {configs: [{passThroughAuth: {http: {url: '${url}'}}}]}
---`;

const host = `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: till, namespace: shop}
spec:
  virtualHost:
    domains: ['*']
    options: {extauth: {configRef: {name: a, namespace: shop}}}
    routes: [{directResponseAction: {status: 200}}]
`;

const names = (...of: string[]) => of.map((name) => `auth-config/shop/${name}/0`);

test("each server has a cluster; what several need stays until the last of them goes", async () => {
  const text = `${gateway}${asks("a", "https://a.test/x")}${asks("b", "https://b.test/x")}${host}`;
  await using running = await startPlane(read(text), { secretsApart: true });
  const { client } = running;
  expect(client.names(typeUrls.cluster)).toEqual(names("a", "b"));
  expect(client.names(typeUrls.secret)).toEqual(["auth-config/public-roots"]);
  await running.say({ kind: "delete", key: "AuthConfig shop/b" as ResourceKey });
  expect(client.names(typeUrls.cluster)).toEqual(names("a"));
  expect(client.names(typeUrls.secret)).toEqual(["auth-config/public-roots"]);
  await running.say({ kind: "delete", key: "AuthConfig shop/a" as ResourceKey });
  expect([...client.names(typeUrls.cluster), ...client.names(typeUrls.secret)]).toEqual([]);
  expect(running.errors).toEqual([]);
});

test("an AuthConfig with another address changes its cluster, and no listener; one that cannot be done stays as it was", async () => {
  await using running = await startPlane(read(`${gateway}${asks("a", "http://a.test/x")}${host}`));
  const { client } = running;
  const listener = () => client.get(typeUrls.listener, "listener-::-8080").version;
  const before = listener();
  expect(client.text(typeUrls.cluster, names("a")[0] as string)).toContain("a.test");
  const [route] = client.names(typeUrls.route);
  expect(client.text(typeUrls.route, route as string)).toContain("shop_till");
  const edit = (url: string) => read(asks("a", url)).map((resource) => ({ kind: "apply" as const, resource }));
  await running.say(...edit("http://other.test/x"));
  expect(client.text(typeUrls.cluster, names("a")[0] as string)).toContain("other.test");
  await running.say(...edit("nowhere"));
  expect(client.text(typeUrls.cluster, names("a")[0] as string)).toContain("other.test");
  expect(client.text(typeUrls.route, route as string)).toContain("shop_till");
  const found = running.plane.current.findings.map(({ problem: { resource, path, message, hint } }) => [resource, path, message, hint]);
  expect(found).toEqual([
    ["AuthConfig shop/a", "configs[0].passThroughAuth.http.url", '"nowhere" is no URL', "write http://host:port/path or https://…"],
  ]);
  expect(listener()).toBe(before);
});

test("an AuthConfig that could never be done takes out what it is to protect", async () => {
  await using running = await startPlane(read(`${gateway}${asks("a", "nowhere")}${host}`));
  const { client } = running;
  const [route] = client.names(typeUrls.route);
  expect(client.text(typeUrls.route, route as string)).not.toContain("shop_till");
});
