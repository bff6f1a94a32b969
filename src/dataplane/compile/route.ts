// One route: when it matches and what it does with a request.

import type { JsonObject } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type {
  DirectResponseAction,
  RedirectAction,
  RetryPolicy,
  Route,
  RouteAction,
  WeightedCluster_ClusterWeight,
} from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { SubsetCriteria } from "../balancing/candidate.ts";
import type { GrpcTimeout } from "../exchange/grpc.ts";
import { compileLambdaRoute, formFilter, type LambdaRoute, lambdaFilter } from "../filters/awsLambda.ts";
import type { Condition, Matchable, PathTest, RequestView } from "../match.ts";
import { regex } from "../regex.ts";
import { breaksLines, wireText } from "../text.ts";
import { subsetCriteria } from "./balancing.ts";
import { durationMs, timeoutMs } from "./durations.ts";
import { RedirectAction_RedirectResponseCode as RedirectCode, RoutingPriority } from "./enums.ts";
import type { Findings } from "./findings.ts";
import { compileHashPolicies, type RequestHash } from "./hash-policy.ts";
import { compileHeaderMutations, type HeaderMutations } from "./header-mutations.ts";
import { compileRouteFilters, type RouteFilters } from "./route-filters.ts";
import { compileHeaderMatcher, compileRouteMatch } from "./route-match.ts";

interface FiltersOfRoute {
  /** The function that is called, where the cluster is Lambda. */
  readonly lambda: LambdaRoute | undefined;
  readonly filters: RouteFilters;
}

export interface CompiledRoute extends Matchable, FiltersOfRoute {
  readonly action: Action;
  readonly requestMutations: HeaderMutations | undefined;
  readonly responseMutations: HeaderMutations | undefined;
  /** How much of a body is kept for retries. */
  readonly bufferLimit: number | undefined;
}

export type Action =
  | ({ readonly kind: "forward" } & Forward)
  | {
      readonly kind: "redirect";
      readonly status: number;
      readonly location: (request: RequestView) => string;
      /** Of the path, without query. */
      readonly rewrite: ((path: string) => string) | undefined;
    }
  | { readonly kind: "direct"; readonly status: number; readonly body: Buffer }
  | { readonly kind: "unsupported" };

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

export interface CompiledRetry {
  readonly on: ReadonlySet<string>;
  readonly count: number;
  readonly perTryMs: number;
  readonly statusCodes: ReadonlySet<number>;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly headers: readonly Condition[];
  readonly avoidPreviousHosts: boolean;
  readonly hostAttempts: number;
}

const retryConditions = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

export function compileRoute(route: Route, hostRetry: RetryPolicy | undefined, findings: Findings): CompiledRoute {
  const match = compileRouteMatch(route.match ?? emptyMatch, findings.at("match"));
  const requestMutations = compileHeaderMutations(
    route.requestHeadersToAdd,
    route.requestHeadersToRemove,
    findings,
    "request_headers_to_add",
  );
  const responseMutations = compileHeaderMutations(
    route.responseHeadersToAdd,
    route.responseHeadersToRemove,
    findings,
    "response_headers_to_add",
  );
  const limit = route.requestBodyBufferLimit ?? route.perRequestBufferLimitBytes;
  return {
    name: route.name,
    match,
    action: compileAction(route, match.path, hostRetry, findings),
    requestMutations,
    responseMutations,
    ...compileFilters(route.typedPerFilterConfig, findings),
    bufferLimit: limit === undefined ? undefined : Number(limit),
  };
}

/** What is said of filters; those of Lambda are of the cluster. */
function compileFilters(configs: Route["typedPerFilterConfig"], findings: Findings): FiltersOfRoute {
  const lambda = compileLambdaRoute(configs);
  return { lambda, filters: compileRouteFilters(configs, findings, lambda === undefined ? [] : [formFilter, lambdaFilter]) };
}

const emptyMatch = { $typeName: "envoy.config.route.v3.RouteMatch" } as never;

function compileAction(route: Route, path: PathTest, hostRetry: RetryPolicy | undefined, findings: Findings): Action {
  const { action } = route;
  try {
    switch (action.case) {
      case "route":
        return { kind: "forward", ...compileForward(action.value, path, hostRetry, findings.at("route")) };
      case "redirect":
        return compileRedirect(action.value, path, findings.at("redirect"));
      case "directResponse":
        return compileDirect(action.value, findings.at("direct_response"));
      default:
        if (action.case === undefined) findings.notExecuted("", " without an action; requests that it takes are answered with 500");
        return { kind: "unsupported" };
    }
  } catch (error) {
    findings.refused("", `${(error as Error).message}; requests that it takes are answered with 500`);
    return { kind: "unsupported" };
  }
}

function compileForward(action: RouteAction, path: PathTest, hostRetry: RetryPolicy | undefined, findings: Findings): Forward {
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
    ...compileFilters(cluster.typedPerFilterConfig, findings),
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

/** A literal that goes into a message; throws when it could break one. */
function literal(text: string, field: string): string {
  if (breaksLines(text)) throw new Error(`${field} holds a control character`);
  return wireText(text);
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

interface RegexRewrite {
  readonly pattern?: { readonly regex: string } | undefined;
  readonly substitution: string;
}

/** What becomes of a path (without query); undefined: it stays. */
function compilePathRewrite(
  prefixRewrite: string,
  regexRewrite: RegexRewrite | undefined,
  path: PathTest,
): ((path: string) => string) | undefined {
  if (regexRewrite !== undefined) {
    const compiled = regex(regexRewrite.pattern?.regex ?? "");
    const { substitution } = regexRewrite;
    literal(substitution, "substitution");
    return (text) => compiled.replaceAll(text, substitution);
  }
  if (prefixRewrite === "") return undefined;
  const rewrite = literal(prefixRewrite, "prefix_rewrite");
  switch (path.kind) {
    case "prefix":
    case "separated prefix": {
      const { length } = path.value;
      return (text) => rewrite + text.slice(length);
    }
    default:
      // An exact path and a regular expression match all of it.
      return () => rewrite;
  }
}

function compileRetry(policy: RetryPolicy, findings: Findings): CompiledRetry {
  const on = new Set(
    policy.retryOn
      .split(",")
      .map((each) => each.trim())
      .filter((each) => each !== ""),
  );
  for (const each of on) {
    if (!retryConditions.has(each)) findings.notExecuted(`retry_on "${each}"`);
  }
  const baseMs = durationMs(policy.retryBackOff?.baseInterval) ?? 25;
  let avoidPreviousHosts = false;
  policy.retryHostPredicate.forEach((predicate, index) => {
    if (predicate.name === "envoy.retry_host_predicates.previous_hosts") avoidPreviousHosts = true;
    else findings.notExecuted(`retry_host_predicate[${index}] (${predicate.name})`);
  });
  return {
    on,
    count: policy.numRetries ?? 1,
    perTryMs: timeoutMs(policy.perTryTimeout, Number.POSITIVE_INFINITY),
    statusCodes: new Set(policy.retriableStatusCodes),
    baseMs,
    maxMs: durationMs(policy.retryBackOff?.maxInterval) ?? baseMs * 10,
    headers: policy.retriableHeaders.map(compileHeaderMatcher).filter((each) => each !== undefined),
    avoidPreviousHosts,
    hostAttempts: Number(policy.hostSelectionRetryMaxAttempts) || 1,
  };
}

function compileRedirect(action: RedirectAction, path: PathTest, findings: Findings): Action {
  const scheme = action.schemeRewriteSpecifier;
  const wantedScheme = scheme.case === "httpsRedirect" ? (scheme.value ? "https" : undefined) : scheme.value || undefined;
  const wantedHost = action.hostRedirect === "" ? undefined : literal(action.hostRedirect, "host_redirect");
  const port = action.portRedirect;
  const specifier = action.pathRewriteSpecifier;
  if (specifier.case === "pathRewrite") findings.notExecuted("path_rewrite", "; the path is kept");
  const fixedPath = specifier.case === "pathRedirect" && specifier.value !== "" ? literal(specifier.value, "path_redirect") : undefined;
  const rewrite =
    specifier.case === "prefixRewrite"
      ? compilePathRewrite(specifier.value, undefined, path)
      : specifier.case === "regexRewrite"
        ? compilePathRewrite("", specifier.value, path)
        : undefined;
  const status = {
    [RedirectCode.FOUND]: 302,
    [RedirectCode.SEE_OTHER]: 303,
    [RedirectCode.TEMPORARY_REDIRECT]: 307,
    [RedirectCode.PERMANENT_REDIRECT]: 308,
  }[action.responseCode as number];
  return {
    kind: "redirect",
    status: status ?? 301,
    rewrite,
    location(request) {
      const finalScheme = wantedScheme ?? request.scheme;
      let host = wantedHost ?? request.authority;
      if (port !== 0) host = `${host.replace(/:\d*$/, "")}:${port}`;
      else if (wantedHost === undefined && wantedScheme !== undefined) {
        // The default port of the scheme that is left says nothing any more.
        if ((request.scheme === "http" && host.endsWith(":80")) || (request.scheme === "https" && host.endsWith(":443"))) {
          host = host.slice(0, host.lastIndexOf(":"));
        }
      }
      const query = request.path.indexOf("?");
      const pathPart = query < 0 ? request.path : request.path.slice(0, query);
      const queryPart = action.stripQuery || query < 0 ? "" : request.path.slice(query);
      let target: string;
      if (fixedPath !== undefined) target = fixedPath.includes("?") ? fixedPath : fixedPath + queryPart;
      else target = (rewrite === undefined ? pathPart : rewrite(pathPart)) + queryPart;
      return `${finalScheme}://${host}${target}`;
    },
  };
}

function compileDirect(action: DirectResponseAction, findings: Findings): Action {
  const source = action.body?.specifier;
  let body = Buffer.alloc(0) as Buffer;
  if (source?.case === "inlineString") body = Buffer.from(source.value, "utf8");
  else if (source?.case === "inlineBytes") body = Buffer.from(source.value);
  else if (source?.case !== undefined) findings.notExecuted("body", "; the answer has no body");
  return { kind: "direct", status: action.status, body };
}
