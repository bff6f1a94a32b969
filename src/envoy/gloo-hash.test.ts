import { create, fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  DnsCacheConfigSchema,
  FilterConfigSchema,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/dynamic_forward_proxy/dynamic_forward_proxy_pb.js";
import { MatcherSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { glooHash } from "./gloo-hash.ts";

const secret = { name: "shop-cert", namespace: "gloo-system" };

// What Gloo Edge 1.22 names route configurations after.
test.each([
  ["nothing", {}, 14610285773269467959n],
  ["a range of addresses", { sourcePrefixRanges: [{ addressPrefix: "10.0.0.0", prefixLen: 8 }] }, 6039362016929261920n],
  ["a range that is none", { sourcePrefixRanges: [{ addressPrefix: "10.0.0.300", prefixLen: 8 }] }, 9390808827297876995n],
  ["TLS", { sslConfig: { sslSecrets: { case: "secretRef", value: secret }, sniDomains: ["www.shop.test"] } }, 11942109225313681898n],
] as const)("the hash of a matcher of %s is Gloo's", (_, matcher, hash) => {
  expect(glooHash(MatcherSchema, create(MatcherSchema, matcher as never))).toBe(hash);
});

test("the hash of an empty configuration of dynamic forward proxying is Gloo's", () => {
  expect(glooHash(FilterConfigSchema, create(FilterConfigSchema))).toBe(8934386841970740078n);
});

test("durations, numbers that may be absent, enums and nested choices count as they do in Gloo", () => {
  const dnsCacheConfig = {
    dnsLookupFamily: "V4_ONLY",
    dnsRefreshRate: "20s",
    hostTtl: "60s",
    maxHosts: 50,
    dnsCacheCircuitBreaker: { maxPendingRequests: 9 },
    caresDns: {
      resolvers: [{ socketAddress: { address: "10.0.0.53", portValue: 53 } }],
      dnsResolverOptions: { useTcpForDnsLookups: true },
    },
  };
  expect(glooHash(DnsCacheConfigSchema, fromJson(DnsCacheConfigSchema, dnsCacheConfig))).toBe(7024948729361279627n);
  const filter = fromJson(FilterConfigSchema, { dnsCacheConfig, saveUpstreamAddress: true });
  expect(glooHash(FilterConfigSchema, filter)).toBe(6803169764952176131n);
});
