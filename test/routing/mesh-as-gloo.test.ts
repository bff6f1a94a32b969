// Upstreams beside a mesh, as with Gloo Edge 1.22.
import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { resourcesOf, worldOf } from "../../src/lib/testing/world.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { assemble } from "../corpus/assemble.ts";

test.each([
  ["pipe: {path: /tmp/x.sock}", undefined],
  ["consul: {serviceName: till}", undefined],
  ["static: {hosts: [{addr: 10.0.0.1, port: 80, sniAddr: pay.test}]}", "pay.test"],
  ["static: {hosts: [{addr: 10.0.0.1, port: 80}]}", "outbound_.80_._.10.0.0.1"],
])("an Upstream of %s is spoken to in the TLS of the mesh where the address takes part, under the name %s", (spec, sni) => {
  const settings = {
    consul: { httpAddress: "127.0.0.1:8500", serviceDiscovery: {} },
    gloo: { istioOptions: { enableIntegration: true, enableAutoMtls: true } },
  };
  const upstream = `kind: Upstream\nmetadata: {name: till, namespace: shop}\nspec: {${spec}}`;
  const { proxies } = assemble(worldOf(resourcesOf(upstream), settings), builtins);
  const [cluster] = [...proxies.values()]
    .flat()
    .filter((each) => each.typeUrl === typeUrls.cluster)
    .map(envoyJson) as JsonObject[];
  const matches = (cluster?.transportSocketMatches ?? []) as { name: string; transportSocket: { typedConfig?: JsonObject } }[];
  expect(matches.map(({ name }) => name)).toEqual(["tlsMode-istio", "tlsMode-disabled"]);
  expect(matches[0]?.transportSocket.typedConfig?.sni).toBe(sni);
});
