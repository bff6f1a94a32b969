// Options of routes and virtual hosts that have no file of their own.
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function routeOptions({ isWild, any, or, whole, texts, some, parts, ...words }: Words): Record<string, Values> {
  return {
    "gloo.solo.io.RouteOptions.prefix_rewrite": words.path,
    "gloo.solo.io.RouteOptions.host_rewrite": words.host,
    "gloo.solo.io.RouteOptions.host_rewrite_header": words.header,
    "gloo.solo.io.RouteOptions.upgrades": words.upgrade("websocket", "connect") as Values,
    "gloo.solo.io.RouteOptions.envoy_metadata": any(
      { "io.test": { a: "b" } },
      { "envoy.lb": { stage: "a" }, other: {} },
      ...(isWild ? [{ "": {} }] : []),
    ),
    "gloo.solo.io.RouteOptions.transformations": any({}),
    "fault.options.gloo.solo.io.RouteAbort.http_status": words.status,
    "fault.options.gloo.solo.io.RouteAbort.percentage": words.percent,
    "fault.options.gloo.solo.io.RouteDelay.percentage": words.percent,
    "retries.options.gloo.solo.io.RetryPolicy.retry_on": texts("5xx", "reset,connect-failure", "retriable-status-codes"),
    "retries.options.gloo.solo.io.RetryPolicy.num_retries": whole(1, 10, 0, 4_294_967_295),
    "retries.options.gloo.solo.io.RetryPolicy.retriable_status_codes": some(words.status),
    "retries.options.gloo.solo.io.RetryBackOff": words.within(5, 30),
    "retries.options.gloo.solo.io.RetryPolicy.PreviousPriorities.update_frequency": whole(1, 9, 0),
    "retries.options.gloo.solo.io.ResetHeader.name": words.header,
    "tracing.options.gloo.solo.io.RouteTracingSettings.route_descriptor": texts("route"),
    ...Object.fromEntries(
      ["client", "random", "overall"].map((each) => [
        `tracing.options.gloo.solo.io.TracePercentages.${each}_sample_percentage`,
        words.percent,
      ]),
    ),
    "shadowing.options.gloo.solo.io.RouteShadowing.upstream": words.toPlain,
    "shadowing.options.gloo.solo.io.RouteShadowing.percentage": words.percent,
    "shadowing.options.gloo.solo.io.RouteShadowing.host_rewrite_literal": words.host,
    "solo.io.envoy.api.v2.core.HeaderValue.key": words.header,
    "solo.io.envoy.api.v2.core.HeaderValue.value": words.headerValue,
    "headers.options.gloo.solo.io.HeaderValue.key": words.header,
    "headers.options.gloo.solo.io.HeaderValue.value": words.headerValue,
    "headers.options.gloo.solo.io.HeaderManipulation.request_headers_to_remove": some(words.header),
    "headers.options.gloo.solo.io.HeaderManipulation.response_headers_to_remove": some(words.header),
    "headers.options.gloo.solo.io.EarlyHeaderManipulation.headers_to_remove": some(words.header),
    "cors.options.gloo.solo.io.CorsPolicy.allow_origin": some(texts("*", "https://a.test"), isWild ? 0 : 1),
    "cors.options.gloo.solo.io.CorsPolicy.allow_origin_regex": some(words.regex),
    "cors.options.gloo.solo.io.CorsPolicy.max_age": texts("60", "1d"),
    "lbhash.options.gloo.solo.io.HashPolicy.header": words.header,
    "lbhash.options.gloo.solo.io.Cookie.name": texts("session"),
    "lbhash.options.gloo.solo.io.Cookie.path": texts("/"),
    "lbhash.options.gloo.solo.io.HashPolicy.source_ip": isWild ? any(true, false) : any(true),
    "solo.io.envoy.extensions.filters.http.buffer.v3.Buffer.max_request_bytes": whole(1, 100_000, 0, 4_294_967_295),
    "stats.options.gloo.solo.io.VirtualCluster": parts(
      { name: texts("buys"), pattern: words.regex, method: or(any("", "get", "POST"), "NOPE") },
      ["name", "pattern"],
    ),
    "gloo.solo.io.Extensions": any({}),
    "gateway.solo.io.DelegateOptionsRefs": some(
      or(any("options-0", "options-1"), "missing").map((name) => ({ name, namespace: "$own" })),
      1,
      2,
    ).map((delegateOptions) => ({ delegateOptions })),
  };
}
