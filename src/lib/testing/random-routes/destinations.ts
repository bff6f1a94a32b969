// Where routes lead: to Upstreams of each type that is a case of its own, Services, and what is not there.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import { shop, type Words } from "./words.ts";

export function destinations({ isWild, any, whole, texts, some, distinct, parts, upstreams, toPlain }: Words): Record<string, Values> {
  const destination = fc.oneof(
    { weight: 8, arbitrary: toPlain.map((upstream): JsonObject => ({ upstream })) },
    { weight: 1, arbitrary: any({ kube: { ref: { name: "web", namespace: shop }, port: 80 } }) as fc.Arbitrary<JsonObject> },
    {
      weight: 1,
      arbitrary: parts({ serviceName: texts("web"), tags: distinct("a", "b"), dataCenters: distinct("dc1") }, ["serviceName"]).map(
        (consul) => ({ consul }),
      ),
    },
    {
      weight: 1,
      arbitrary: some(texts("a", "b"), 1, 1).map((values) => ({
        upstream: { name: upstreams.subsets, namespace: shop },
        subset: { values: { stage: (values as string[])[0] ?? "" } },
      })),
    },
    {
      weight: 1,
      arbitrary: parts(
        {
          logicalName: texts("resize"),
          invocationStyle: any("SYNC", "ASYNC"),
          unwrapAsAlb: fc.boolean(),
          wrapAsApiGateway: fc.boolean(),
          requestTransformation: fc.boolean(),
          responseTransformation: fc.boolean(),
        },
        ["logicalName"],
      ).map((aws) => ({ upstream: { name: upstreams.aws, namespace: shop }, destinationSpec: { aws } })),
    },
    {
      weight: 1,
      arbitrary: texts("hello").map((functionName) => ({
        upstream: { name: upstreams.azure, namespace: shop },
        destinationSpec: { azure: { functionName } },
      })),
    },
    {
      weight: 1,
      arbitrary: texts("getItem").map((functionName) => ({
        upstream: { name: upstreams.rest, namespace: shop },
        destinationSpec: { rest: { functionName, parameters: { headers: { "x-id": "{id}" } } } },
      })),
    },
    {
      weight: 1,
      arbitrary: texts("Get").map((name) => ({
        upstream: { name: upstreams.grpc, namespace: shop },
        destinationSpec: { grpc: { package: "till.v1", service: "Till", function: name, parameters: { path: "/x/{id}" } } },
      })),
    },
    ...(isWild
      ? [
          {
            weight: 1,
            arbitrary: any(
              {},
              { upstream: { name: "", namespace: "" } },
              { kube: { port: 1 } },
              { consul: {} },
              {
                upstream: { name: upstreams.plain[0] ?? "", namespace: shop },
                destinationSpec: { aws: { logicalName: "x" } },
                subset: { values: { no: "such" } },
              },
            ) as fc.Arbitrary<JsonObject>,
          },
        ]
      : []),
  );
  return {
    "gloo.solo.io.Destination": destination,
    "gloo.solo.io.WeightedDestination.weight": whole(1, 100, 0, 4_294_967_295),
  };
}
