// Token buckets: `ratelimit.localRatelimit` of virtual hosts and routes, `httpLocalRatelimit` and `networkLocalRatelimit` of
// listeners, `localRatelimit` of TCP gateways.
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { XRateLimitHeadersRFCVersion as Version } from "../gen/envoy/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js";
import { LocalRateLimitSchema } from "../gen/envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { LocalRateLimitSchema as NetworkLocalRateLimitSchema } from "../gen/envoy/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit_pb.js";
import type { TokenBucketSchema } from "../gen/envoy/envoy/type/v3/token_bucket_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import type { TokenBucket } from "../gen/gloo/gloo/projects/gloo/api/v1/options/local_ratelimit/local_ratelimit_pb.js";
import type { Feature, OptionContext } from "../plugin/feature.ts";

type LimitInit = Exclude<MessageInitShape<typeof LocalRateLimitSchema>, Message>;

const filter = "envoy.filters.http.local_ratelimit";
const base = { statPrefix: "http_local_ratelimit", stage: 3 } as const;
const always = { defaultValue: { numerator: 100 } };

export const localRateLimit: Feature = {
  name: "localRateLimit",
  glooName: "local_ratelimit",
  fields: {
    http: ["httpLocalRatelimit", "networkLocalRatelimit"],
    tcp: ["localRatelimit"],
    virtualHost: ["ratelimit"],
    route: ["ratelimit"],
  },
  httpFilters(options, context) {
    const settings = options?.httpLocalRatelimit;
    const tokenBucket = settings?.defaultLimit && bucket(settings.defaultLimit, "httpLocalRatelimit.defaultLimit", context);
    const config: LimitInit = {
      ...base,
      ...(tokenBucket && { tokenBucket, filterEnabled: always, filterEnforced: always }),
      ...settingsOf(options),
    };
    const value = packAny(LocalRateLimitSchema, config);
    const typed = { name: filter, configType: { case: "typedConfig" as const, value } };
    return [{ place: { stage: "authn", position: "before" }, filter: typed, idle: !tokenBucket }];
  },
  networkFilters({ http, tcp }, context) {
    const [limit, field] = tcp ? [tcp.localRatelimit, "localRatelimit"] : [http?.networkLocalRatelimit, "networkLocalRatelimit"];
    const tokenBucket = limit && bucket(limit, field, context);
    if (!tokenBucket) return [];
    const value = packAny(NetworkLocalRateLimitSchema, { statPrefix: "network_local_ratelimit", tokenBucket });
    return [{ name: "envoy.filters.network.local_ratelimit", configType: { case: "typedConfig", value } }];
  },
  virtualHost(host, { rateLimitConfigType: options }, context) {
    const limit = options.case === "ratelimit" ? options.value.localRatelimit : undefined;
    const tokenBucket = limit && bucket(limit, "ratelimit.localRatelimit", context);
    return tokenBucket ? withFilterConfig(host, filter, LocalRateLimitSchema, limitOf(tokenBucket, context)) : host;
  },
  route(route, { rateLimitConfigType: options }, _inherited, context) {
    if (options.case !== "ratelimit") return route;
    const limit = options.value.localRatelimit;
    const tokenBucket = limit && bucket(limit, "ratelimit.localRatelimit", context);
    if (!tokenBucket) return route;
    return withFilterConfig(route, filter, LocalRateLimitSchema, limitOf(tokenBucket, context));
  },
};

/** A limit below the listener follows the listener's settings, but has a bucket of its own. */
function limitOf(tokenBucket: MessageInitShape<typeof TokenBucketSchema>, { http }: OptionContext): LimitInit {
  return { ...base, tokenBucket, filterEnabled: always, filterEnforced: always, ...settingsOf(http) };
}

function settingsOf(http: HttpListenerOptions | undefined): LimitInit {
  const settings = http?.httpLocalRatelimit;
  return {
    ...(settings?.localRateLimitPerDownstreamConnection && { localRateLimitPerDownstreamConnection: true }),
    ...(settings?.enableXRatelimitHeaders && { enableXRatelimitHeaders: Version.DRAFT_VERSION_03 }),
  };
}

function bucket(
  { maxTokens, tokensPerFill, fillInterval }: TokenBucket,
  field: string,
  { refuse }: OptionContext,
): MessageInitShape<typeof TokenBucketSchema> | undefined {
  const interval = fillInterval ?? { seconds: 1n, nanos: 0 };
  const ms = Number(interval.seconds) * 1000 + interval.nanos / 1e6;
  const fault =
    maxTokens < 1
      ? (["maxTokens", `MaxTokens must be greater than or equal to 1. Current value : ${maxTokens}`] as const)
      : tokensPerFill === 0
        ? (["tokensPerFill", `TokensPerFill must be greater than or equal to 1. Current value : ${tokensPerFill}`] as const)
        : ms < 50
          ? (["fillInterval", `FillInterval must be >= 50ms. Current value : ${ms}ms`] as const)
          : undefined;
  if (fault) {
    refuse(`${field}.${fault[0]}`, fault[1]);
    return undefined;
  }
  return {
    maxTokens,
    ...(tokensPerFill !== undefined && { tokensPerFill }),
    fillInterval: { seconds: interval.seconds, nanos: interval.nanos },
  };
}
