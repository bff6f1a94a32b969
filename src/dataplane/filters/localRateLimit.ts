// Token buckets in this process: of a listener, a virtual host or a route, the most specific, whole or for each connection of a client.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { XRateLimitHeadersRFCVersion as HeadersVersion } from "../../gen/envoy/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js";
import { LocalRateLimitSchema } from "../../gen/envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import type { Findings } from "../compile/findings.ts";
import { compileFraction, type Fraction } from "../compile/fraction.ts";
import { compileHeaderMutations, type HeaderMutations, mutateHeaders } from "../compile/header-mutations.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import { type BucketSettings, bucketSettings, TokenBucket } from "../token-bucket.ts";
import type { FilteredResponse, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";

interface LocalRateLimit {
  readonly settings: BucketSettings;
  readonly bucket: TokenBucket;
  readonly isPerConnection: boolean;
  readonly enabled: Fraction;
  readonly enforced: Fraction;
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly tellsLimits: boolean;
  readonly answerHeaders: HeaderMutations | undefined;
  readonly unenforcedHeaders: HeaderMutations | undefined;
}

export const localRateLimit: HttpFilter<LocalRateLimit, LocalRateLimit> = {
  configType: "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
  routeType: "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
  compile: compileLimit,
  compileRoute(any, findings) {
    const limit = compileLimit(any, findings);
    if (limit === undefined) throw new Error("has no token_bucket");
    return limit;
  },
  begin(config, routes) {
    const limit = routes[0] ?? config;
    return limit?.enabled() ? new LimitRun(limit) : undefined;
  },
};

class LimitRun implements FilterRun {
  readonly #limit: LocalRateLimit;
  #bucket: TokenBucket | undefined;

  constructor(limit: LocalRateLimit) {
    this.#limit = limit;
  }

  onRequest(exchange: Exchange): Verdict {
    const limit = this.#limit;
    this.#bucket = limit.isPerConnection ? connectionBucket(exchange, limit) : limit.bucket;
    if (this.#bucket.take(performance.now())) return "next";
    if (!limit.enforced()) {
      if (limit.unenforcedHeaders !== undefined) mutateHeaders(exchange.headers, limit.unenforcedHeaders, exchange, exchange);
      return "next";
    }
    const headers: string[] = [];
    if (limit.answerHeaders !== undefined) mutateHeaders(headers, limit.answerHeaders, exchange);
    const options = limit.grpcStatus === undefined ? { headers } : { headers, grpcStatus: limit.grpcStatus };
    reply(exchange, limit.status, "local_rate_limited", "RL", "local_rate_limited", options);
    return "answered";
  }

  onResponse(_: Exchange, { headers }: FilteredResponse): undefined {
    if (this.#bucket === undefined || !this.#limit.tellsLimits) return;
    const { remaining, resetSeconds } = this.#bucket.look(performance.now());
    headers.push("x-ratelimit-limit", String(this.#bucket.settings.most));
    headers.push("x-ratelimit-remaining", String(remaining));
    headers.push("x-ratelimit-reset", String(resetSeconds));
  }
}

const ofConnections = new WeakMap<object, TokenBucket>();

/** A connection has one bucket, made by the first limit that it meets, as in Envoy. */
function connectionBucket({ client }: Exchange, { settings }: LocalRateLimit): TokenBucket {
  let bucket = ofConnections.get(client.connection);
  if (bucket === undefined) {
    bucket = new TokenBucket(settings, performance.now());
    ofConnections.set(client.connection, bucket);
  }
  return bucket;
}

const handled: HandledFields = {
  "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit": [
    "status",
    "token_bucket",
    "filter_enabled",
    "filter_enforced",
    "request_headers_to_add_when_not_enforced",
    "response_headers_to_add",
    "local_rate_limit_per_downstream_connection",
    "enable_x_ratelimit_headers",
    "rate_limited_as_resource_exhausted",
    // no effect here: it is a name of statistics; the others count only with descriptors
    "stat_prefix",
    "stage",
    "vh_rate_limits",
    "always_consume_default_token_bucket",
    "max_dynamic_descriptors",
  ],
};

/** Undefined without a bucket: then nothing is limited. */
function compileLimit(any: Any, findings: Findings): LocalRateLimit | undefined {
  const message = anyUnpack(any, LocalRateLimitSchema);
  if (message === undefined) throw new Error("is no LocalRateLimit");
  for (const path of unhandledFields(LocalRateLimitSchema, message, handled)) findings.notExecuted(path);
  if (message.tokenBucket === undefined) return undefined;
  const settings = bucketSettings(message.tokenBucket);
  const code = message.status?.code ?? 0;
  return {
    settings,
    bucket: new TokenBucket(settings, performance.now()),
    isPerConnection: message.localRateLimitPerDownstreamConnection,
    enabled: message.filterEnabled === undefined ? () => false : compileFraction(message.filterEnabled),
    enforced: message.filterEnforced === undefined ? () => false : compileFraction(message.filterEnforced),
    status: code < 400 ? 429 : code,
    grpcStatus: message.rateLimitedAsResourceExhausted ? 8 : undefined,
    tellsLimits: message.enableXRatelimitHeaders === HeadersVersion.DRAFT_VERSION_03,
    answerHeaders: compileHeaderMutations(message.responseHeadersToAdd, [], findings, "response_headers_to_add"),
    unenforcedHeaders: compileHeaderMutations(
      message.requestHeadersToAddWhenNotEnforced,
      [],
      findings,
      "request_headers_to_add_when_not_enforced",
    ),
  };
}
