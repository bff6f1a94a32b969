// Limits of rates: what is counted here, and what is asked of a service.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function rateLimits({ isWild, any, or, whole, texts, some, parts, toPlain, header, regex }: Words): Record<string, Values> {
  const bucket = parts(
    { maxTokens: whole(1, 100, 0), tokensPerFill: whole(1, 100, 0), fillInterval: or(any("1s", "0.1s", "60s"), "0s", "0.01s", "-1s") },
    ["maxTokens"],
  );
  return {
    "local_ratelimit.options.gloo.solo.io.TokenBucket": bucket,
    "ratelimit.api.solo.io.Action": fc.oneof(
      any({ sourceCluster: {} }, { destinationCluster: {} }, { remoteAddress: {} }) as fc.Arbitrary<JsonObject>,
      parts({ headerName: header, descriptorKey: texts("k") }, ["headerName", "descriptorKey"]).map((requestHeaders) => ({
        requestHeaders,
      })),
      parts({ descriptorValue: texts("v") }, ["descriptorValue"]).map((genericKey) => ({ genericKey })),
      fc
        .tuple(
          texts("v"),
          fc.boolean(),
          some(
            fc.oneof(
              header.map((name): JsonObject => ({ name, exactMatch: "a" })),
              regex.map((regexMatch): JsonObject => ({ name: "x-a", regexMatch })),
              any(
                { name: "x-a", rangeMatch: { start: 1, end: 2 } },
                { name: "x-a", presentMatch: true },
                { name: "x-a", prefixMatch: "a" },
                { name: "x-a", suffixMatch: "a" },
              ) as fc.Arbitrary<JsonObject>,
            ),
            1,
          ),
        )
        .map(([descriptorValue, expectMatch, headers]) => ({ headerValueMatch: { descriptorValue, expectMatch, headers } })),
      parts(
        {
          descriptorKey: texts("k"),
          metadataKey: any({ key: "a", path: [{ key: "b" }] }, ...(isWild ? [{}, { key: "a" }, { key: "a", path: [{}] }] : [])),
          defaultValue: texts("d"),
          source: any("DYNAMIC", "ROUTE_ENTRY"),
        },
        ["descriptorKey", "metadataKey"],
      ).map((metadata) => ({ metadata })),
      ...(isWild ? [any({}, { cel: { expression: "a", key: "b" } }) as fc.Arbitrary<JsonObject>] : []),
    ),
    "ratelimit.options.gloo.solo.io.Settings.ratelimit_server_ref": toPlain,
    "ratelimit.options.gloo.solo.io.GrpcService.authority": texts("a.test"),
    // A limit of its own is in metadata, or nowhere.
    "ratelimit.api.solo.io.RateLimitActions.limit": any({ dynamicMetadata: { metadataKey: { key: "a", path: [{ key: "b" }] } } }),
    "ratelimit.api.solo.io.RateLimitActions.type": isWild ? any("REQUEST", "TOKEN") : any("REQUEST"),
    "ratelimit.options.gloo.solo.io.RateLimitConfigRef": or(any("ratelimitconfig-0", "ratelimitconfig-1"), "missing").map((name) => ({
      name,
      namespace: "$own",
    })),
    "ratelimit.api.solo.io.Descriptor": any(
      { key: "generic_key", value: "v", rateLimit: { unit: "MINUTE", requestsPerUnit: 5 } },
      { key: "k", descriptors: [{ key: "l" }] },
    ),
    "ratelimit.api.solo.io.SetDescriptor": any({
      simpleDescriptors: [{ key: "generic_key", value: "v" }],
      rateLimit: { unit: "HOUR", requestsPerUnit: 5 },
    }),
  };
}
