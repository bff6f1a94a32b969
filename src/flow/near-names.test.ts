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
  ["{name: billing, namespace: shop}", undefined],
])("a destination %s that is not there: %s", async (destination, hint) => {
  await using running = await startPlane(read(world(destination)));
  const [finding] = running.plane.current.findings;
  expect(finding?.problem.code).toBe("HW2030");
  expect(finding?.problem.hint).toBe(hint);
});
