// Routes that call functions which their Upstream does not have, as with Gloo Edge 1.22.
import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { resourcesOf, worldOf } from "../../src/lib/testing/world.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { assemble } from "../corpus/assemble.ts";

const others = `kind: Gateway
metadata: {name: gateway-proxy, namespace: gloo-system}
spec: {bindAddress: "::", bindPort: 8080, proxyNames: [gateway-proxy], httpGateway: {}}
---
kind: Upstream
metadata: {name: plain, namespace: shop}
spec: {static: {hosts: [{addr: 10.0.0.7, port: 80}]}}
`;

function calling(call: string) {
  const store = `kind: VirtualService
metadata: {name: store, namespace: gloo-system}
spec:
  virtualHost:
    domains: [store.test]
    routes:
    - routeAction: {single: {upstream: {name: plain, namespace: shop}, destinationSpec: ${call}}}
`;
  const { problems, proxies } = assemble(worldOf(resourcesOf(`${store}---\n${others}`)), builtins);
  const [served] = [...proxies.values()]
    .flat()
    .filter((each) => each.typeUrl === typeUrls.route)
    .map(envoyJson) as JsonObject[];
  return { messages: problems.map(({ severity, message }) => `${severity}: ${message}`), served: JSON.stringify(served) };
}

test.each([
  ["{aws: {logicalName: a}}", "error: shop.plain is not an AWS upstream"],
  ["{azure: {functionName: a}}", "error: shop.plain is not an Azure upstream"],
])("a call of %s of an Upstream of another type is an error, and the route is served without it", (call, message) => {
  const { messages, served } = calling(call);
  expect(messages).toEqual([message]);
  expect(served).toContain('"route":{"cluster":"plain_shop"}');
});
