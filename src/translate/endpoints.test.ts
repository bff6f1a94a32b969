import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Endpoint as LbEndpoint } from "../gen/envoy/envoy/config/endpoint/v3/endpoint_components_pb.js";
import { ClusterLoadAssignmentSchema } from "../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { resourcesOf } from "../lib/testing/world.ts";
import type { Resource } from "../model/resource.ts";
import type { Endpoint } from "../plugin/upstream-type.ts";
import { loadAssignmentOf } from "./endpoints.ts";

const named: Endpoint = { address: "10.0.0.1", port: 80, hostname: "till.shop.test" };

function endpointOf(options: string, endpoint: Endpoint) {
  return lbEndpointOf(options, endpoint)?.hostIdentifier.value as LbEndpoint | undefined;
}

function metadataOf(options: string, endpoint: Endpoint) {
  return lbEndpointOf(options, endpoint)?.metadata?.filterMetadata;
}

function lbEndpointOf(options: string, endpoint: Endpoint) {
  const [upstream] = resourcesOf(`
kind: Upstream
metadata: {name: till, namespace: shop}
spec: {${options}consul: {serviceName: till}}
`) as Resource<"Upstream">[];
  const { bytes } = loadAssignmentOf(upstream as Resource<"Upstream">, [endpoint]);
  return fromBinary(ClusterLoadAssignmentSchema, bytes).endpoints[0]?.lbEndpoints[0];
}

test("an address that was found by a name is asked by that name whether it is well", () => {
  expect(endpointOf("", named)).toMatchObject({ hostname: "till.shop.test", healthCheckConfig: { hostname: "till.shop.test" } });
  expect(endpointOf("", { address: "10.0.0.1", port: 80 })?.healthCheckConfig).toBeUndefined();
});

test("what is known of an address besides is metadata of its own", () => {
  expect(metadataOf("", { address: "10.0.0.1", port: 80, annotations: { instanceId: "i-1" } })).toEqual({
    "io.solo.annotations": { instanceId: "i-1" },
  });
});

test("the host that a health check says counts before it", () => {
  const check = "{timeout: 1s, interval: 2s, healthyThreshold: 1, unhealthyThreshold: 1, httpHealthCheck: {path: /, host: other.test}}";
  expect(endpointOf(`healthChecks: [${check}], `, named)).toMatchObject({
    hostname: "till.shop.test",
    healthCheckConfig: { hostname: "other.test" },
  });
});
