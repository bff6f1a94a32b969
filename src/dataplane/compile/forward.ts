// Routes that forward: to which cluster, what they change, how long they wait.

import type { JsonObject } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { RetryPolicy, RouteAction, WeightedCluster_ClusterWeight } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { SubsetCriteria } from "../balancing/candidate.ts";
import type { GrpcTimeout } from "../exchange/grpc.ts";
import type { PathTest } from "../match.ts";
import { regex } from "../regex.ts";
import { subsetCriteria } from "./balancing.ts";
import { durationMs, timeoutMs } from "./durations.ts";
import { RoutingPriority } from "./enums.ts";
import type { Findings } from "./findings.ts";
import { compileHashPolicies, type RequestHash } from "./hash-policy.ts";
import { compileHeaderMutations, type HeaderMutations } from "./header-mutations.ts";
import { compilePathRewrite, literal } from "./path-rewrite.ts";
import { type CompiledRateLimit, compileRateLimits } from "./rate-limits.ts";
import { type CompiledRetry, compileRetry } from "./retry-policy.ts";
import { compileFiltersOfRoute, type FiltersOfRoute } from "./route-filters.ts";

export interface Forward {
  readonly target: ClusterChoice;
  readonly notFoundStatus: number;
  /** Path without query to path; undefined keeps it. */
  readonly rewritePath: ((path: string) => string) | undefined;
  readonly host: HostRewrite | undefined;
  readonly appendXForwardedHost: boolean;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number | undefined;
  /** Undefined: what the connection manager says. */
  readonly maxStreamMs: number | undefined;
  /** `grpc-timeout` instead of `timeoutMs`, and how much of it. */
  readonly maxGrpc: GrpcTimeout | undefined;
  /** `grpc-timeout` instead of `maxStreamMs`, and how much of it. */
  readonly grpcHeader: GrpcTimeout | undefined;
  readonly retry: CompiledRetry | undefined;
  readonly isHighPriority: boolean;
  readonly hash: RequestHash | undefined;
  readonly subset: SubsetCriteria | undefined;
  readonly rateLimits: readonly CompiledRateLimit[];
  /** Those of the virtual host too. */
  readonly includesHostLimits: boolean;
  /** By lower-case upgrade type; what the route says overrides what the connection manager says. */
  readonly upgrades: ReadonlyMap<string, boolean>;
}

export type HostRewrite =
  | { readonly kind: "literal"; readonly host: string }
  | { readonly kind: "upstream" }
  | { readonly kind: "header"; readonly header: string }
  | { readonly kind: "path"; readonly rewrite: (path: string) => string };

export type ClusterChoice =
  | { readonly kind: "cluster"; readonly name: string }
  | { readonly kind: "header"; readonly header: string }
  | { readonly kind: "weighted"; readonly total: number; readonly choices: readonly WeightedChoice[] };

export interface WeightedChoice extends FiltersOfRoute {
  readonly name: string;
  readonly header: string;
  readonly weight: number;
  readonly host: string | undefined;
  readonly requestMutations: HeaderMutations | undefined;
  readonly responseMutations: HeaderMutations | undefined;
  /** Together with that of the route. */
  readonly subset: SubsetCriteria | undefined;
}

export function compileForward(action: RouteAction, path: PathTest, hostRetry: RetryPolicy | undefined, findings: Findings): Forward {
  const upgrades = new Map<string, boolean>();
  for (const upgrade of action.upgradeConfigs) upgrades.set(upgrade.upgradeType.toLowerCase(), upgrade.enabled ?? true);
  const retry = action.retryPolicy ?? hostRetry;
  const stream = action.maxStreamDuration;
  return {
    target: compileTarget(action, findings),
    notFoundStatus: [503, 404, 500][action.clusterNotFoundResponseCode] ?? 503,
    rewritePath: compilePathRewrite(action.prefixRewrite, action.regexRewrite, path),
    host: compileHostRewrite(action),
    appendXForwardedHost: action.appendXForwardedHost,
    // As in Envoy, a route that limits its streams has no other time-out.
    timeoutMs: action.maxStreamDuration === undefined ? timeoutMs(action.timeout, 15_000) : Number.POSITIVE_INFINITY,
    idleTimeoutMs: action.idleTimeout === undefined ? undefined : timeoutMs(action.idleTimeout, Number.POSITIVE_INFINITY),
    maxStreamMs: stream?.maxStreamDuration === undefined ? undefined : timeoutMs(stream.maxStreamDuration, Number.POSITIVE_INFINITY),
    maxGrpc: stream === undefined ? grpcTimeout(action.maxGrpcTimeout, action.grpcTimeoutOffset) : undefined,
    grpcHeader: grpcTimeout(stream?.grpcTimeoutHeaderMax, stream?.grpcTimeoutHeaderOffset),
    retry: retry === undefined ? undefined : compileRetry(retry, findings.at("retry_policy")),
    isHighPriority: action.priority === RoutingPriority.HIGH,
    hash: compileHashPolicies(action.hashPolicy, findings),
    subset: subsetCriteria(lbMetadata(action.metadataMatch)),
    rateLimits: compileRateLimits(action.rateLimits, findings),
    includesHostLimits: action.includeVhRateLimits ?? false,
    upgrades,
  };
}

function grpcTimeout(max: Duration | undefined, offset: Duration | undefined): GrpcTimeout | undefined {
  return max && { maxMs: durationMs(max), offsetMs: durationMs(offset) ?? 0 };
}

function compileTarget(action: RouteAction, findings: Findings): ClusterChoice {
  const specifier = action.clusterSpecifier;
  switch (specifier.case) {
    case "clusterHeader":
      return { kind: "header", header: specifier.value.toLowerCase() };
    case "weightedClusters": {
      const choices = specifier.value.clusters.map((each, index) =>
        compileWeighted(each, action.metadataMatch, findings.at(`weighted_clusters.clusters[${index}]`)),
      );
      return { kind: "weighted", total: choices.reduce((sum, each) => sum + each.weight, 0), choices };
    }
    case "cluster":
      return { kind: "cluster", name: specifier.value };
    default:
      // A cluster specifier plug-in, reported as not executed: its requests find no cluster.
      return { kind: "cluster", name: "" };
  }
}

function compileWeighted(cluster: WeightedCluster_ClusterWeight, around: Metadata | undefined, findings: Findings): WeightedChoice {
  return {
    ...compileFiltersOfRoute(cluster.typedPerFilterConfig, findings),
    subset: subsetCriteria(lbMetadata(around), lbMetadata(cluster.metadataMatch)),
    name: cluster.name,
    header: cluster.clusterHeader.toLowerCase(),
    weight: cluster.weight ?? 0,
    host: cluster.hostRewriteSpecifier.case === undefined ? undefined : literal(cluster.hostRewriteSpecifier.value, "host_rewrite_literal"),
    requestMutations: compileHeaderMutations(
      cluster.requestHeadersToAdd,
      cluster.requestHeadersToRemove,
      findings,
      "request_headers_to_add",
    ),
    responseMutations: compileHeaderMutations(
      cluster.responseHeadersToAdd,
      cluster.responseHeadersToRemove,
      findings,
      "response_headers_to_add",
    ),
  };
}

function lbMetadata(metadata: Metadata | undefined): JsonObject | undefined {
  return metadata?.filterMetadata["envoy.lb"];
}

function compileHostRewrite(action: RouteAction): HostRewrite | undefined {
  const specifier = action.hostRewriteSpecifier;
  switch (specifier.case) {
    case "hostRewriteLiteral":
      return { kind: "literal", host: literal(specifier.value, "host_rewrite_literal") };
    case "autoHostRewrite":
      // Wrapped in a message (unlike other BoolValues) because it is in a oneof.
      return specifier.value.value ? { kind: "upstream" } : undefined;
    case "hostRewriteHeader":
      return { kind: "header", header: specifier.value.toLowerCase() };
    case "hostRewritePathRegex": {
      const compiled = regex(specifier.value.pattern?.regex ?? "");
      const substitution = specifier.value.substitution;
      literal(substitution, "substitution");
      return { kind: "path", rewrite: (path) => compiled.replaceAll(path, substitution) };
    }
    default:
      return undefined;
  }
}
