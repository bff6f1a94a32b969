import { expect, test } from "vitest";
import { read, startPlane } from "./testing/plane.ts";

const world = (destination: string) => `
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: petstore, namespace: shop}
spec: {static: {hosts: [{addr: 127.0.0.1, port: 80}]}}
---
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: a, namespace: gloo-system}
spec: {virtualHost: {routes: [{matchers: [{prefix: /}], routeAction: {single: {upstream: ${destination}}}}]}}
`;

test.each([
  ["{name: petstore, namespace: gloo-system}", "there is one in namespace shop"],
  ["{name: petstroe, namespace: shop}", "did you mean petstore?"],
  ["{name: billing, namespace: shop}", "create it, or correct the name and the namespace"],
])("a destination %s that is not there: %s", async (destination, hint) => {
  await using running = await startPlane(read(world(destination)));
  const [finding] = running.plane.current.findings;
  expect(finding?.problem.code).toBe("HW2030");
  expect(finding?.problem.hint).toBe(hint);
});

const service = (serviceName: string, serviceNamespace: string) => `
apiVersion: v1
kind: Service
metadata: {name: till, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {name: a, namespace: gloo-system}
spec: {kube: {serviceName: ${serviceName}, serviceNamespace: ${serviceNamespace}, servicePort: 80}}
`;

test.each([
  ["till", "depot", "there is one in namespace shop"],
  ["tilll", "shop", "did you mean till?"],
  ["depot", "shop", "correct serviceName and serviceNamespace; a folder knows only the Services that are in it, or use static with hosts"],
])("a Service %s in %s that is not there: %s", async (name, namespace, hint) => {
  await using running = await startPlane(read(service(name, namespace)));
  const [finding] = running.plane.current.findings;
  expect(finding?.problem.code).toBe("HW3021");
  expect(finding?.problem.hint).toBe(hint);
});

test("a Service that a route names, and that is not there, may be another", async () => {
  const destination = "{single: {kube: {ref: {name: tilll, namespace: shop}, port: 80}}}";
  const route = `
---
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: b, namespace: gloo-system}
spec: {virtualHost: {routes: [{matchers: [{prefix: /}], routeAction: ${destination}}]}}`;
  await using running = await startPlane(read(service("till", "shop") + route));
  const [finding] = running.plane.current.findings;
  expect(finding?.problem).toMatchObject({ reason: "UpstreamNotFound", hint: "did you mean till?" });
});

test("a RouteTable that is not there may be another", async () => {
  const site = `
apiVersion: gateway.solo.io/v1
kind: RouteTable
metadata: {name: carts, namespace: shop}
spec: {routes: [{matchers: [{prefix: /}], directResponseAction: {status: 200}}]}
---
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: b, namespace: shop}
spec: {virtualHost: {routes: [{matchers: [{prefix: /}], delegateAction: {ref: {name: cart, namespace: shop}}}]}}`;
  await using running = await startPlane(read(site));
  const hints = running.plane.current.findings.map(({ problem }) => problem.hint);
  expect(hints).toContain("did you mean carts?");
});
