// Requests are counted by a rate limit server, which says which of them are too many.

import { create } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  RateLimit_XRateLimitHeadersRFCVersion as HeadersVersion,
  RateLimitPerRoute_VhRateLimitsOptions as HostLimits,
  type RateLimit,
  type RateLimitPerRoute,
  RateLimitPerRouteSchema,
  RateLimitSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import {
  RateLimitResponse_Code as Code,
  RateLimitRequestSchema,
  type RateLimitResponse,
  RateLimitResponseSchema,
  RateLimitResponse_RateLimit_Unit as Unit,
} from "../../gen/envoy/envoy/service/ratelimit/v3/rls_pb.js";
import type { Findings } from "../compile/findings.ts";
import { compileFraction, type Fraction } from "../compile/fraction.ts";
import { compileHeaderMutations, type HeaderMutations, mutateHeaders } from "../compile/header-mutations.ts";
import { type CompiledRateLimit, compileRateLimits, type Descriptor, isInternal } from "../compile/rate-limits.ts";
import { compileGrpcService } from "../compile/services.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import type { Headers } from "../http1/headers.ts";
import { wireText } from "../text.ts";
import { askGrpc, type GrpcTarget } from "../upstream/ask-grpc.ts";
import { safeHeader, sanitized } from "./authorization.ts";
import type { FilteredResponse, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";
import { Question } from "./question.ts";

interface Config {
  /** Undefined: a kind of server that is not executed; then it is as if it did not answer. */
  readonly target: GrpcTarget | undefined;
  readonly domain: string;
  readonly stage: number;
  readonly requests: "internal" | "external" | "both";
  readonly deniesOnError: Fraction;
  readonly status: number;
  readonly statusOnError: number;
  readonly grpcStatus: number | undefined;
  readonly tellsLimits: boolean;
  readonly tellsLimited: boolean;
  readonly answerHeaders: HeaderMutations | undefined;
  readonly enabled: Fraction;
  readonly enforced: Fraction;
}

interface RouteConfig {
  readonly hostLimits: "override" | "include" | "ignore";
  readonly domain: string;
  /** In the place of those of the route and the virtual host. */
  readonly limits: readonly CompiledRateLimit[];
}

const method = {
  path: "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
  request: RateLimitRequestSchema,
  response: RateLimitResponseSchema,
};

const server = { what: "rate limit server", meanwhile: "requests are not counted; they go on, or are refused where denyOnFail says so" };

const defaultTimeoutMs = 20;
const resourceExhausted = 8;

export const rateLimit: HttpFilter<Config, RouteConfig> = {
  configType: "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
  routeType: "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
  compile: compileRateLimit,
  compileRoute,
  begin(config, [route], exchange) {
    if (config === undefined || !config.enabled()) return undefined;
    if (config.requests !== "both" && (config.requests === "internal") !== isInternal(exchange)) return undefined;
    const descriptors = descriptorsOf(exchange, config.stage, route);
    return descriptors.length === 0 ? undefined : new RateLimitRun(config, route?.domain || config.domain, descriptors);
  },
};

/** Those of the virtual host where the route has none, or asks for both. */
function descriptorsOf(exchange: Exchange, stage: number, route: RouteConfig | undefined): Descriptor[] {
  const action = exchange.route?.action;
  if (action?.kind !== "forward") return [];
  let limits: readonly CompiledRateLimit[] = action.rateLimits;
  if (route !== undefined && route.limits.length > 0) limits = route.limits;
  else {
    const including = action.includesHostLimits ? "include" : (route?.hostLimits ?? "override");
    if (including === "include" || (including === "override" && limits.length === 0))
      limits = [...limits, ...(exchange.virtualHost?.rateLimits ?? [])];
  }
  const view =
    action.target.kind === "cluster" ? withCluster(exchange, action.target.name) : withCluster(exchange, exchange.choice?.name ?? "");
  return limits.flatMap((limit) => {
    const descriptor = limit.stage === stage ? limit.describe(view) : undefined;
    return descriptor === undefined ? [] : [descriptor];
  });
}

/** The cluster is chosen after the filters; descriptors know it before. */
function withCluster(exchange: Exchange, clusterName: string): Exchange {
  if (exchange.clusterName === "") exchange.clusterName = clusterName;
  return exchange;
}

class RateLimitRun implements FilterRun {
  readonly #config: Config;
  readonly #domain: string;
  readonly #descriptors: readonly Descriptor[];
  readonly #asking = new Question<RateLimitResponse | undefined>();
  #response: Headers = [];

  constructor(config: Config, domain: string, descriptors: readonly Descriptor[]) {
    this.#config = config;
    this.#domain = domain;
    this.#descriptors = descriptors;
  }

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    const ask = (onAnswer: (answer: RateLimitResponse | undefined) => void) => {
      const { target } = this.#config;
      if (target !== undefined)
        return askGrpc(exchange.tables.cluster(target.cluster), target, method, this.#question(), (answer) => {
          exchange.tables.outages?.note({ ...server, cluster: target.cluster }, answer !== undefined);
          onAnswer(answer);
        });
      onAnswer(undefined);
      return undefined;
    };
    return this.#asking.put(exchange, resume, ask, (answer) => this.#onAnswer(exchange, answer));
  }

  #question() {
    const descriptors = this.#descriptors.map(({ entries, limit }) => ({
      entries: entries.map(({ key, value }) => ({ key, value: sanitized(value) })),
      ...(limit && { limit: { requestsPerUnit: limit.requestsPerUnit, unit: limit.unit } }),
    }));
    return create(RateLimitRequestSchema, { domain: this.#domain, descriptors });
  }

  #onAnswer(exchange: Exchange, answer: RateLimitResponse | undefined): Verdict {
    const config = this.#config;
    if (answer === undefined) {
      if (!config.deniesOnError()) return "next";
      reply(exchange, config.statusOnError, "", "RLSE", "rate_limiter_error");
      return "answered";
    }
    if (answer.dynamicMetadata !== undefined)
      exchange.dynamicMetadata = { ...exchange.dynamicMetadata, "envoy.filters.http.ratelimit": answer.dynamicMetadata };
    const headers = [...headersOf(answer.responseHeadersToAdd), ...(config.tellsLimits ? limitHeaders(answer) : [])];
    if (answer.overallCode === Code.OVER_LIMIT && config.enforced()) {
      if (config.tellsLimited) headers.push("x-envoy-ratelimited", "true");
      if (config.answerHeaders !== undefined) mutateHeaders(headers, config.answerHeaders, exchange);
      const body = Buffer.from(answer.rawBody).toString("latin1");
      const grpc = config.grpcStatus === undefined ? {} : { grpcStatus: config.grpcStatus };
      reply(exchange, config.status, body, "RL", "request_rate_limited", { headers, ...grpc });
      return "answered";
    }
    exchange.headers.push(...headersOf(answer.requestHeadersToAdd));
    this.#response = headers;
    return "next";
  }

  onResponse(_: Exchange, { headers }: FilteredResponse): undefined {
    headers.push(...this.#response);
  }

  onEnd(): void {
    this.#asking.cancel();
  }
}

function headersOf(values: RateLimitResponse["responseHeadersToAdd"]): string[] {
  return values.flatMap(({ key, value, rawValue }) => safeHeader(key, value || Buffer.from(rawValue).toString("utf8")) ?? []);
}

const unitSeconds: Readonly<Record<number, number>> = {
  [Unit.SECOND]: 1,
  [Unit.MINUTE]: 60,
  [Unit.HOUR]: 3_600,
  [Unit.DAY]: 86_400,
  [Unit.WEEK]: 604_800,
  [Unit.MONTH]: 2_592_000,
  [Unit.YEAR]: 31_536_000,
};

/** draft-polli-ratelimit-headers-03: the limit that is closest, and all of them. */
function limitHeaders({ statuses }: RateLimitResponse): string[] {
  let closest: (typeof statuses)[number] | undefined;
  let all = "";
  for (const status of statuses) {
    const { currentLimit, limitRemaining } = status;
    if (currentLimit === undefined) continue;
    if (closest === undefined || limitRemaining < closest.limitRemaining) closest = status;
    all += `, ${currentLimit.requestsPerUnit};w=${unitSeconds[currentLimit.unit] ?? 0}`;
    if (currentLimit.name !== "") all += `;name="${wireText(currentLimit.name)}"`;
  }
  if (closest === undefined) return [];
  const limit = safeHeader("x-ratelimit-limit", `${closest.currentLimit?.requestsPerUnit}${all}`);
  return [
    ...(limit ?? []),
    "x-ratelimit-remaining",
    String(closest.limitRemaining),
    "x-ratelimit-reset",
    String(closest.durationUntilReset?.seconds ?? 0),
  ];
}

const handled: HandledFields = {
  "envoy.extensions.filters.http.ratelimit.v3.RateLimit": [
    "domain",
    "stage",
    "request_type",
    "timeout",
    "failure_mode_deny",
    "failure_mode_deny_percent",
    "rate_limited_as_resource_exhausted",
    "rate_limit_service",
    "enable_x_ratelimit_headers",
    "disable_x_envoy_ratelimited_header",
    "rate_limited_status",
    "response_headers_to_add",
    "status_on_error",
    "filter_enabled",
    "filter_enforced",
    // no effect here
    "stat_prefix",
  ],
  "envoy.config.ratelimit.v3.RateLimitServiceConfig": ["grpc_service", "transport_api_version"],
  "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute": ["vh_rate_limits", "domain", "rate_limits"],
};

function compileRateLimit(any: Any, findings: Findings): Config {
  const message: RateLimit | undefined = anyUnpack(any, RateLimitSchema);
  if (message === undefined) throw new Error("is no RateLimit");
  for (const path of unhandledFields(RateLimitSchema, message, handled)) findings.notExecuted(path);
  const target = compileGrpcService(message.rateLimitService?.grpcService, findings.at("rate_limit_service.grpc_service"));
  const ownTimeout = message.timeout && { seconds: message.timeout.seconds, nanos: message.timeout.nanos };
  const timeout = ownTimeout === undefined ? defaultTimeoutMs : Number(ownTimeout.seconds) * 1_000 + ownTimeout.nanos / 1e6;
  const percent = message.failureModeDenyPercent;
  return {
    target: target && { ...target, timeoutMs: timeout === 0 ? Number.POSITIVE_INFINITY : timeout },
    domain: message.domain,
    stage: message.stage,
    requests: message.requestType === "internal" || message.requestType === "external" ? message.requestType : "both",
    deniesOnError: percent === undefined ? () => message.failureModeDeny : compileFraction(percent),
    status: (message.rateLimitedStatus?.code ?? 0) >= 400 ? (message.rateLimitedStatus?.code as number) : 429,
    statusOnError: message.statusOnError?.code || 500,
    grpcStatus: message.rateLimitedAsResourceExhausted ? resourceExhausted : undefined,
    tellsLimits: message.enableXRatelimitHeaders === HeadersVersion.DRAFT_VERSION_03,
    tellsLimited: !message.disableXEnvoyRatelimitedHeader,
    answerHeaders: compileHeaderMutations(message.responseHeadersToAdd, [], findings, "response_headers_to_add"),
    enabled: compileFraction(message.filterEnabled),
    enforced: compileFraction(message.filterEnforced),
  };
}

const hostLimitKinds = {
  [HostLimits.OVERRIDE]: "override",
  [HostLimits.INCLUDE]: "include",
  [HostLimits.IGNORE]: "ignore",
} as const;

function compileRoute(any: Any, findings: Findings): RouteConfig {
  const message: RateLimitPerRoute | undefined = anyUnpack(any, RateLimitPerRouteSchema);
  if (message === undefined) throw new Error("is no RateLimitPerRoute");
  for (const path of unhandledFields(RateLimitPerRouteSchema, message, handled)) findings.notExecuted(path);
  return {
    hostLimits: hostLimitKinds[message.vhRateLimits] ?? "override",
    domain: message.domain,
    limits: compileRateLimits(message.rateLimits, findings),
  };
}
