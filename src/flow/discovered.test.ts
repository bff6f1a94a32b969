// Upstreams that discovery finds behind Services: there for whoever names one, and no burden while nobody does.
import { expect, test } from "vitest";
import { type ResourceChanges, typeUrls } from "../model/envoy-resource.ts";
import { changes, read, startPlane } from "./testing/plane.ts";

const till = `
apiVersion: v1
kind: Service
metadata: {name: till, namespace: shop, labels: {team: x}}
spec: {ports: [{name: http2, port: 80}, {name: admin, port: 81}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: till-1, namespace: shop, labels: {kubernetes.io/service-name: till}}
addressType: IPv4
endpoints: [{addresses: [10.4.0.5]}]
ports: [{name: http2, port: 8080}]
---
`;

const route = (upstream: string) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: a, namespace: gloo-system}
spec: {virtualHost: {routes: [{matchers: [{prefix: /}], routeAction: {single: {upstream: {name: ${upstream}, namespace: gloo-system}}}}]}}
---
`;

const settings = (udsOptions: string) => `
apiVersion: gloo.solo.io/v1
kind: Settings
metadata: {name: default, namespace: gloo-system}
spec: {discovery: {udsOptions: ${udsOptions}}}
---
`;

const written = `
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: shop-till-80, namespace: gloo-system, labels: {discovered_by: kubernetesplugin}}
spec: {kube: {serviceName: till, serviceNamespace: shop, servicePort: 81}}
---
`;

test("a discovered Upstream is served when a route names it, with its endpoints, and no more when none does", async () => {
  await using running = await startPlane(read(till));
  const has = () =>
    [...running.client.names(typeUrls.cluster), ...running.client.names(typeUrls.endpoint)].filter((name) => /^shop/.test(name));
  expect(has()).toEqual([]);
  await running.say(...changes(route("shop-till-80")));
  expect(running.stateOf("VirtualService gloo-system/a")).toBe("Accepted");
  expect(running.plane.current.findings).toEqual([]);
  expect(has()).toEqual(["shop-till-80_gloo-system", "shop-till-80_gloo-system"]);
  expect(running.client.text(typeUrls.endpoint, "shop-till-80_gloo-system")).toContain("10.4.0.5");
  await running.say(...changes(route("shop-till-81")));
  expect(has()).toEqual(["shop-till-81_gloo-system", "shop-till-81_gloo-system"]);
  await running.say({ kind: "delete", key: read(till)[0]!.key });
  expect(has()).toEqual([]);
  expect(running.plane.current.findings.map(({ problem }) => problem.reason)).toContain("UpstreamNotFound");
  expect(running.errors).toEqual([]);
});

test("who has written one of that name means that, and it comes back when that has gone", async () => {
  await using running = await startPlane(read(till + route("shop-till-80") + written));
  const cluster = () => running.client.get(typeUrls.cluster, "shop-till-80_gloo-system").version;
  const [own] = read(written);
  const before = cluster();
  await running.say({ kind: "delete", key: own!.key });
  expect(cluster()).not.toBe(before);
  await running.say(...changes(written));
  expect(cluster()).toBe(before);
});

test.each([
  ["{enabled: false}", []],
  ["{watchLabels: {team: y}}", []],
  ["{watchLabels: {team: x}}", ["gloo-system/shop-till-80", "gloo-system/shop-till-81"]],
])("udsOptions %s", async (options, expected) => {
  await using running = await startPlane(read(till + settings(options)));
  const found = [...running.plane.current.resources.values()].filter(({ origin }) => origin.source === "discovery");
  expect(found.map(({ ref }) => `${ref.namespace}/${ref.name}`)).toEqual(expected);
});

test("one that a TCP gateway and a route lead to stays until the last of them goes", async () => {
  const tcp = `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: tcp, namespace: gloo-system}
spec:
  bindAddress: 127.0.0.1
  bindPort: 9000
  tcpGateway: {tcpHosts: [{name: a, destination: {single: {upstream: {name: shop-till-80, namespace: gloo-system}}}}]}
---
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: http, namespace: gloo-system}
spec: {bindAddress: 127.0.0.1, bindPort: 9001, httpGateway: {}}
`;
  const removed: string[] = [];
  const watcher = {
    publish: (_: unknown, { removals }: ResourceChanges) => void removed.push(...removals.map(({ name }) => name)),
    retire() {},
  };
  await using running = await startPlane(read(till + route("shop-till-80") + tcp), { consumers: [watcher] });
  const clusters = () => running.client.names(typeUrls.cluster).filter((name) => name.startsWith("shop"));
  expect(clusters()).toEqual(["shop-till-80_gloo-system"]);
  const [virtualService] = read(route("shop-till-80"));
  const [gateway] = read(tcp);
  await running.say({ kind: "delete", key: virtualService!.key });
  expect(clusters()).toEqual(["shop-till-80_gloo-system"]);
  await running.say(...changes(route("shop-till-80")), { kind: "delete", key: gateway!.key });
  expect(clusters()).toEqual(["shop-till-80_gloo-system"]);
  expect(removed).not.toContain("shop-till-80_gloo-system");
  await running.say({ kind: "delete", key: virtualService!.key });
  expect(clusters()).toEqual([]);
});
