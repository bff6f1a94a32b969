import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { resourceOfBytes } from "../envoy/encode.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import { typeUrls } from "../model/envoy-resource.ts";
import { decodeRequest, deltaResponse, endpointsNameOf, sotwResponse } from "./wire.ts";

const typeUrl = typeUrls.cluster;
const resources = fc
  .array(fc.tuple(fc.string(), fc.uint8Array({ maxLength: 300 })), { maxLength: 5 })
  .map((all) => all.map(([name, bytes]) => resourceOfBytes(typeUrl, name, bytes, [])));

test("a delta response put together by hand says what Envoy's schema reads", () => {
  fc.assert(
    fc.property(resources, fc.array(fc.string()), fc.string(), (sent, removed, identifier) => {
      const bytes = deltaResponse({ typeUrl, setVersion: "v", nonce: "n", controlPlane: identifier }, sent, removed);
      const expected = create(DeltaDiscoveryResponseSchema, {
        typeUrl,
        systemVersionInfo: "v",
        nonce: "n",
        controlPlane: { identifier },
        removedResources: removed,
        resources: sent.map(({ name, version, bytes: value }) => ({ name, version, resource: { typeUrl, value } })),
      });
      expect(fromBinary(DeltaDiscoveryResponseSchema, Uint8Array.from(bytes))).toEqual(
        fromBinary(DeltaDiscoveryResponseSchema, toBinary(DeltaDiscoveryResponseSchema, expected)),
      );
    }),
  );
});

test("so does a response of the state of the world", () => {
  fc.assert(
    fc.property(resources, (sent) => {
      const bytes = sotwResponse({ typeUrl, setVersion: "v", nonce: "n" }, sent);
      const expected = create(DiscoveryResponseSchema, {
        typeUrl,
        versionInfo: "v",
        nonce: "n",
        resources: sent.map((resource) => ({ typeUrl, value: resource.bytes })),
      });
      expect(fromBinary(DiscoveryResponseSchema, Uint8Array.from(bytes))).toEqual(
        fromBinary(DiscoveryResponseSchema, toBinary(DiscoveryResponseSchema, expected)),
      );
    }),
  );
});

test("a resource of megabytes keeps its length", () => {
  const large = resourceOfBytes(typeUrl, "large", new Uint8Array(3_000_000).fill(7), []);
  const read = fromBinary(DeltaDiscoveryResponseSchema, deltaResponse({ typeUrl, setVersion: "", nonce: "1" }, [large], []));
  expect(read.resources[0]?.resource?.value).toHaveLength(3_000_000);
});

test("any bytes are a request or an error, never a crash", () => {
  const good = toBinary(
    DeltaDiscoveryRequestSchema,
    create(DeltaDiscoveryRequestSchema, { typeUrl, node: { id: "n", metadata: { role: "a~b" } }, resourceNamesSubscribe: ["x", "y"] }),
  );
  const mutated = fc
    .tuple(fc.nat(good.length - 1), fc.nat(255))
    .map(([at, byte]) => Uint8Array.from(good, (old, i) => (i === at ? byte : old)));
  fc.assert(
    fc.property(fc.constantFrom("delta" as const, "sotw" as const), fc.oneof(fc.uint8Array(), mutated), (variant, bytes) => {
      try {
        expect(decodeRequest(variant, bytes).variant).toBe(variant);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 5000 },
  );
});

test.each([
  ["its own name", { name: "c", clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS } }, "c"],
  [
    "its service name",
    { name: "c", clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS }, edsClusterConfig: { serviceName: "s" } },
    "s",
  ],
  ["nothing when it is not EDS", { name: "c", clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STRICT_DNS } }, undefined],
  ["nothing when it says no type", { name: "c" }, undefined],
] as const)("a cluster asks for endpoints by %s", (_, init, expected) => {
  expect(
    endpointsNameOf(toBinary(ClusterSchema, create(ClusterSchema, { ...init, altStatName: "x", connectTimeout: { seconds: 5n } }))),
  ).toBe(expected);
});
