// `retries` of a virtual host or route. Gloo retries once where no number is written; Envoy's own default is the same.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { hasRouteAction, onRouteAction } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import type { RetryPolicySchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { PreviousPrioritiesConfigSchema } from "../gen/envoy/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import type { RetryPolicy } from "../gen/gloo/gloo/projects/gloo/api/v1/options/retries/retries_pb.js";
import { closest } from "../lib/closest.ts";
import type { Feature, OptionContext } from "../plugin/feature.ts";

type PolicyInit = MessageInitShape<typeof RetryPolicySchema>;

export const retries: Feature = {
  name: "retries",
  glooName: "basicroute",
  fields: { route: ["retries"], virtualHost: ["retries"] },
  virtualHost(host, options, context) {
    const retryPolicy = options.retries && policy(options.retries, context);
    return retryPolicy ? { ...host, retryPolicy } : host;
  },
  route(route, options, _inherited, context) {
    if (!hasRouteAction(route)) return route;
    const retryPolicy = options.retries && policy(options.retries, context);
    return retryPolicy ? onRouteAction(route, (action) => ({ ...action, retryPolicy })) : route;
  },
};

function policy(options: RetryPolicy, context: OptionContext): PolicyInit | undefined {
  const { retryOn, numRetries, perTryTimeout, retryBackOff, retriableStatusCodes, rateLimitedRetryBackOff, priorityPredicate } = options;
  warnOfUnknown(retryOn, context);
  const backOff = retryBackOff && backOffOf(retryBackOff, context);
  if (retryBackOff && backOff === undefined) return undefined;
  return {
    retryOn,
    numRetries: numRetries === 0 ? 1 : numRetries,
    ...(perTryTimeout && { perTryTimeout }),
    ...(backOff && { retryBackOff: backOff }),
    ...(retriableStatusCodes.length > 0 && { retriableStatusCodes: [...retriableStatusCodes] }),
    ...(rateLimitedRetryBackOff && {
      rateLimitedRetryBackOff: {
        resetHeaders: rateLimitedRetryBackOff.resetHeaders.map(({ name, format }) => ({ name, format: format as number })),
        ...(rateLimitedRetryBackOff.maxInterval && { maxInterval: rateLimitedRetryBackOff.maxInterval }),
      },
    }),
    ...(priorityPredicate.case === "previousPriorities" && {
      retryPriority: {
        name: "envoy.retry_priorities.previous_priorities",
        configType: {
          case: "typedConfig",
          // Envoy takes no 0, so where nothing is written the order is looked at anew with each attempt.
          value: packAny(PreviousPrioritiesConfigSchema, { updateFrequency: priorityPredicate.value.updateFrequency ?? 1 }),
        },
      },
    }),
  };
}

/** What Envoy 1.40 retries on; anything else it passes over in silence. */
const conditions = new Set(
  `5xx gateway-error reset reset-before-request connect-failure envoy-ratelimited retriable-4xx refused-stream retriable-status-codes
  retriable-headers http3-post-connect-failure cancelled deadline-exceeded internal resource-exhausted unavailable`.split(/\s+/),
);

function warnOfUnknown(retryOn: string, { warn }: OptionContext): void {
  const unknown = retryOn.split(",").filter((each) => each !== "" && !conditions.has(each));
  if (unknown.length === 0) return;
  const [first = ""] = unknown;
  const near = closest(first.trim(), [...conditions]);
  warn(
    "retries.retryOn",
    `Envoy knows no condition ${unknown.map((each) => JSON.stringify(each)).join(", ")}, so nothing is retried on it`,
    {
      hint: near === undefined ? `conditions are ${[...conditions].join(", ")}` : `did you mean ${near}?`,
    },
  );
}

function backOffOf(options: NonNullable<RetryPolicy["retryBackOff"]>, { refuse }: OptionContext): PolicyInit["retryBackOff"] {
  const { baseInterval, maxInterval } = options;
  const field = "retries.retryBackOff";
  if (baseInterval === undefined) {
    if (maxInterval) refuse(field, "max interval was defined, but the base interval was not", { hint: "add baseInterval" });
    return maxInterval ? undefined : {};
  }
  const [base, max] = [milliseconds(baseInterval), maxInterval && milliseconds(maxInterval)];
  if (base <= 0) {
    refuse(`${field}.baseInterval`, `base interval for retry backoff was <= than 0 | you provided: ${base}`);
    return undefined;
  }
  if (max !== undefined && base > max) {
    refuse(field, `base interval: ${base} is > max interval: ${max}`);
    return undefined;
  }
  return { baseInterval, ...(maxInterval && { maxInterval }) };
}

const milliseconds = ({ seconds, nanos }: { readonly seconds: bigint; readonly nanos: number }): number =>
  Number(seconds) * 1000 + Math.trunc(nanos / 1e6);
