// Where traces go, and what they are told.
import type { Values } from "../flavours.ts";
import { shop, type Words } from "./words.ts";

export function tracing({ isWild, any, or, texts, some, distinct, parts, ...words }: Words): Record<string, Values> {
  return {
    "solo.io.envoy.config.trace.v3.ZipkinConfig.collector_upstream_ref": words.toPlain,
    "solo.io.envoy.config.trace.v3.DatadogConfig.collector_upstream_ref": words.toPlain,
    "solo.io.envoy.config.trace.v3.OpenTelemetryConfig.collector_upstream_ref": words.toPlain,
    ...Object.fromEntries(
      ["Zipkin", "Datadog", "OpenTelemetry"].map((each) => [
        `solo.io.envoy.config.trace.v3.${each}Config.cluster_name`,
        or(any(`${words.upstreams.plain[0]}_${shop}`, words.sdsCluster), "nobody", ""),
      ]),
    ),
    "solo.io.envoy.config.trace.v3.ZipkinConfig.collector_endpoint": texts("/api/v2/spans"),
    "solo.io.envoy.config.trace.v3.DatadogConfig.service_name": texts("us"),
    "solo.io.envoy.config.trace.v3.DatadogConfig.collector_hostname": words.host,
    "solo.io.envoy.config.trace.v3.OpenTelemetryConfig.service_name": texts("us"),
    "solo.io.envoy.config.trace.v3.OpenCensusConfig": any({}),
    "tracing.options.gloo.solo.io.ListenerTracingSettings.request_headers_for_tags": isWild ? some(words.header) : distinct("x-a", "x-b"),
    "tracing.options.gloo.solo.io.TracingTagEnvironmentVariable": parts(
      { tag: texts("env"), name: texts("HOME"), defaultValue: texts("d") },
      ["tag", "name"],
    ),
    "tracing.options.gloo.solo.io.TracingTagLiteral": parts({ tag: texts("lit"), value: texts("v") }, ["tag", "value"]),
    "tracing.options.gloo.solo.io.TracingTagMetadata": parts(
      {
        tag: texts("meta"),
        kind: any("REQUEST", "ENDPOINT"),
        value: parts({ namespace: texts("io.test"), key: texts("a.b"), nestedFieldDelimiter: any("", ".") }, ["namespace", "key"]),
        defaultValue: texts("d"),
      },
      ["tag", "value"],
    ),
  };
}
