// What an edit costs: the functions that run again because of it, and no others.
import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { builtins } from "../builtins.ts";
import type { ResourceChanges } from "../model/envoy-resource.ts";
import { resourceKey } from "../model/ref.ts";
import type { KubeKind, Resource } from "../model/resource.ts";
import { Flow } from "./flow.ts";
import { Publisher } from "./publisher.ts";
import { read } from "./testing/plane.ts";

const site = (name: string, delegate: string) => `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: gloo-system}
spec: {virtualHost: {domains: [${name}.test], routes: [{matchers: [{prefix: /}], delegateAction: ${delegate}}]}}
---`;

const table = (name: string, body = name) => `
apiVersion: gateway.solo.io/v1
kind: RouteTable
metadata: {name: ${name}, namespace: gloo-system, labels: {team: ${name}, kind: table}}
spec: {routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200, body: ${body}}}]}
---`;

const gateway = (name: string, port: number, headersKb = 60) => `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: ${port}, httpGateway: {options: {httpConnectionManagerSettings: {maxRequestHeadersKb: ${headersKb}}}}}
---`;

function started(text: string) {
  const flow = new Flow(builtins);
  const batch = (more: string) =>
    flow.graph.batch(() => {
      for (const resource of read(more)) flow.apply("test", resource);
    });
  batch(text);
  return batch;
}

test("an edited RouteTable makes those virtual hosts again that select it, not those that select others or miss one", () => {
  const batch = started(
    table("red") +
      table("blue") +
      site("a", "{selector: {labels: {team: red}}}") +
      site("b", "{selector: {labels: {team: blue, kind: table}}}") +
      site("c", "{selector: {labels: {team: blue}, namespaces: ['*']}}") +
      site("d", "{ref: {name: gone, namespace: gloo-system}}"),
  );
  expect(batch(table("red", "newer")).ran.get("virtual hosts")).toHaveLength(1);
  expect(batch(table("blue", "newer")).ran.get("virtual hosts")).toHaveLength(2);
  expect(batch(table("gone")).ran.get("virtual hosts")).toHaveLength(1);
});

test("an edited Gateway makes no virtual host of another one again", () => {
  const batch = started(gateway("one", 8080) + gateway("two", 8081) + table("red") + site("a", "{selector: {labels: {team: red}}}"));
  expect(batch(gateway("two", 8081, 61)).ran.get("virtual hosts")).toHaveLength(1);
});

const service = (name: string, version = "1"): Resource => kubeResource("Service", name, {}, version, { spec: { ports: [{ port: 80 }] } });

const slice = (name: string, ip: string, of = name): Resource =>
  kubeResource("EndpointSlice", `${name}-x`, { "kubernetes.io/service-name": of }, ip, {
    addressType: "IPv4",
    endpoints: [{ addresses: [ip] }],
    ports: [{ port: 8080 }],
  });

const pod = (name: string, podIP: string, app = "till"): Resource =>
  kubeResource("Pod", name, { app }, `${podIP} ${app}`, { status: { podIP } });

function kubeResource(kind: KubeKind, name: string, labels: Resource["labels"], version: string, spec: JsonObject): Resource {
  const ref = { namespace: "shop", name };
  return { kind, key: resourceKey(kind, ref), ref, labels, annotations: {}, spec, version, problems: [], origin: { source: "memory" } };
}

test("of 10,000 Services, an EndpointSlice that changes makes the endpoints of its own again, and one resource is sent", () => {
  const flow = new Flow(builtins);
  const apply = (...resources: Resource[]) =>
    flow.graph.batch(() => {
      for (const each of resources) flow.apply("test", each);
    });
  const names = Array.from({ length: 10_000 }, (_, i) => `s${i}`);
  apply(...read(gateway("one", 8080)), ...names.flatMap((name, i) => [service(name), slice(name, `10.0.${i >> 8}.${i & 255}`)]));
  const sent: ResourceChanges[] = [];
  const publisher = new Publisher(flow, [{ publish: (_, changes) => sent.push(changes), retire() {} }], (fault) => {
    throw fault;
  });
  publisher.publishAll();
  sent.length = 0;

  const result = apply(slice("s7", "10.1.0.1"));
  expect(
    [...result.ran].flatMap(([name, keys]) => (name.startsWith("judged") || name.startsWith("readable") ? [] : [[name, keys]])),
  ).toEqual([["generated endpoints", ["Upstream shop/kube-svc:shop-s7-80"]]]);
  publisher.publish(result);
  expect(sent.map(({ upserts, removals }) => [upserts.map((each) => each.name), removals])).toEqual([[["kube-svc:shop-s7-80_shop"], []]]);

  // A slice that goes over to another Service is the business of both.
  expect(apply(slice("s7", "10.1.0.2", "s8")).ran.get("generated endpoints")).toHaveLength(2);
});

test("a pod wakes those who have its address, and no other Service of the namespace", () => {
  const flow = new Flow(builtins);
  const apply = (...resources: Resource[]) =>
    flow.graph.batch(() => {
      for (const each of resources) flow.apply("test", each);
    });
  const selecting = (name: string, ip: string) => [
    kubeResource("Service", name, {}, "1", { spec: { ports: [{ port: 80 }], selector: { app: "till" } } }),
    slice(name, ip),
  ];
  apply(...selecting("a", "10.0.0.1"), ...selecting("b", "10.0.0.2"), pod("a-1", "10.0.0.1"), pod("b-1", "10.0.0.2"));
  expect(apply(pod("a-1", "10.0.0.1", "other")).ran.get("generated endpoints")).toEqual(["Upstream shop/kube-svc:shop-a-80"]);
  expect(apply(pod("c-1", "10.0.0.3")).ran.get("generated endpoints")).toBeUndefined();
});
