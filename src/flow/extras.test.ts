import { expect, test } from "vitest";
import { typeUrls } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import { read, startPlane } from "./testing/plane.ts";

const gateway = (name: string, port: number) => `
apiVersion: gateway.solo.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: gloo-system}
spec: {bindAddress: '::', bindPort: ${port}, httpGateway: {options: {dynamicForwardProxy: {}}}}
---`;

const anywhere = `
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {name: anywhere, namespace: gloo-system}
spec: {virtualHost: {domains: ['*'], routes: [{matchers: [{prefix: /}], routeAction: {dynamicForwardProxy: {autoHostRewriteHeader: x-host}}}]}}
`;

test("a cluster that two Gateways need stays until the last of them goes", async () => {
  await using running = await startPlane(read(`${gateway("a", 8080)}${gateway("b", 8081)}${anywhere}`));
  const { client } = running;
  const before = client.names(typeUrls.cluster);
  expect(before).toHaveLength(1);
  await running.say({ kind: "delete", key: "Gateway gloo-system/a" as ResourceKey });
  expect(client.names(typeUrls.listener)).toEqual(["listener-::-8081"]);
  expect(client.names(typeUrls.cluster)).toEqual(before);
  await running.say({ kind: "delete", key: "VirtualService gloo-system/anywhere" as ResourceKey });
  expect(client.names(typeUrls.cluster)).toEqual([]);
});
