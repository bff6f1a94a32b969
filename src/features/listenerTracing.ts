// `httpConnectionManagerSettings.tracing`: where spans go (Zipkin, Datadog, OpenTelemetry), which requests, and with which tags.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import { clusterName } from "../envoy/names.ts";
import { DatadogConfigSchema } from "../gen/envoy/envoy/config/trace/v3/datadog_pb.js";
import { OpenTelemetryConfigSchema } from "../gen/envoy/envoy/config/trace/v3/opentelemetry_pb.js";
import { ZipkinConfig_CollectorEndpointVersion as Version, ZipkinConfigSchema } from "../gen/envoy/envoy/config/trace/v3/zipkin_pb.js";
import type { CustomTagSchema } from "../gen/envoy/envoy/type/tracing/v3/custom_tag_pb.js";
import type { ListenerTracingSettings, TracingTagMetadata } from "../gen/gloo/gloo/projects/gloo/api/v1/options/tracing/tracing_pb.js";
import { formatRef, type Ref } from "../model/ref.ts";
import type { ConnectionManagerDraft, Feature, ListenerContext } from "../plugin/feature.ts";

type TagInit = MessageInitShape<typeof CustomTagSchema>;
type TracingInit = NonNullable<ConnectionManagerDraft["tracing"]>;

export const listenerTracing: Feature = {
  name: "listenerTracing",
  glooName: "tracing",
  connectionManager(manager, options, context) {
    const settings = options?.httpConnectionManagerSettings?.tracing;
    if (settings === undefined) return manager;
    const { tracePercentages: percent, verbose, spawnUpstreamSpan } = settings;
    const provider = providerOf(settings, context);
    // Without the collector that is wanted nothing is traced, and clients are told nothing of traces.
    if (settings.providerConfig.case !== undefined && provider === undefined) return manager;
    const tracing: TracingInit = {
      // The API counts in single precision, Envoy in double.
      clientSampling: { value: Math.fround(percent?.clientSamplePercentage ?? 100) },
      randomSampling: { value: Math.fround(percent?.randomSamplePercentage ?? 100) },
      overallSampling: { value: Math.fround(percent?.overallSamplePercentage ?? 100) },
      verbose: verbose ?? false,
      customTags: tags(settings),
      ...(provider && { provider }),
      spawnUpstreamSpan,
    };
    return { ...manager, tracing };
  },
};

const field = "httpConnectionManagerSettings.tracing";

function providerOf({ providerConfig }: ListenerTracingSettings, context: ListenerContext): TracingInit["provider"] {
  switch (providerConfig.case) {
    case "zipkinConfig": {
      const { collectorCluster, collectorEndpoint, collectorEndpointVersion, sharedSpanContext, traceId128bit } = providerConfig.value;
      const cluster = collectorOf(collectorCluster, context);
      if (cluster === undefined) return undefined;
      const value = packAny(ZipkinConfigSchema, {
        collectorCluster: cluster,
        collectorEndpoint,
        // Envoy no longer speaks the first version, which is the default of the API.
        collectorEndpointVersion: ((collectorEndpointVersion as number) || Version.HTTP_JSON) as Version,
        traceId128bit: traceId128bit ?? false,
        ...(sharedSpanContext !== undefined && { sharedSpanContext }),
      });
      return { name: "envoy.tracers.zipkin", configType: { case: "typedConfig", value } };
    }
    case "datadogConfig": {
      const { collectorCluster, serviceName, collectorHostname, remoteConfig } = providerConfig.value;
      const cluster = collectorOf(collectorCluster, context);
      if (cluster === undefined) return undefined;
      const value = packAny(DatadogConfigSchema, {
        collectorCluster: cluster,
        serviceName: serviceName ?? "",
        collectorHostname,
        // On unless it is switched off, as it was before Envoy had the field: to Envoy its presence is what switches it on.
        ...(!remoteConfig?.disabled && {
          remoteConfig: { ...(remoteConfig?.pollingInterval && { pollingInterval: remoteConfig.pollingInterval }) },
        }),
      });
      return { name: "envoy.tracers.datadog", configType: { case: "typedConfig", value } };
    }
    case "openTelemetryConfig": {
      const { collectorCluster, serviceName, serviceType, maxCacheSize } = providerConfig.value;
      const cluster = collectorOf(collectorCluster, context);
      if (cluster === undefined) return undefined;
      const authority = serviceType.case === "grpcService" ? serviceType.value.authority : "";
      const value = packAny(OpenTelemetryConfigSchema, {
        grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: cluster, authority } } },
        serviceName: serviceName || context.gateway.ref.name,
        ...(maxCacheSize !== undefined && { maxCacheSize }),
      });
      return { name: "envoy.tracers.opentelemetry", configType: { case: "typedConfig", value } };
    }
    case "openCensusConfig":
      context.warn(`${field}.openCensusConfig`, "Envoy no longer has OpenCensus; nothing is traced", {
        reason: "OptionNotSupported",
        hint: "use openTelemetryConfig",
      });
      return undefined;
    default:
      return undefined;
  }
}

type Collector =
  | { readonly case: "collectorUpstreamRef"; readonly value: Ref }
  | { readonly case: "clusterName"; readonly value: string }
  | { readonly case: undefined };

function collectorOf(collector: Collector, { world, warn, refuse }: ListenerContext): string | undefined {
  switch (collector.case) {
    case "clusterName":
      return collector.value;
    case "collectorUpstreamRef":
      if (world.get("Upstream", collector.value)) return clusterName(collector.value);
      warn(field, `*v1.Upstream { ${formatRef(collector.value)} } not found`, {
        reason: "UpstreamNotFound",
        hint: "nothing is traced until there is one",
      });
      return undefined;
    default:
      refuse(field, "Unsupported Tracing.ProviderConfiguration: <nil>: no collector is named", {
        hint: "name the Upstream of the collector in collectorUpstreamRef",
      });
      return undefined;
  }
}

function tags({
  requestHeadersForTags,
  environmentVariablesForTags,
  literalsForTags,
  metadataForTags,
}: ListenerTracingSettings): TagInit[] {
  return [
    ...requestHeadersForTags.map(({ value: name }): TagInit => ({ tag: name, type: { case: "requestHeader", value: { name } } })),
    ...environmentVariablesForTags.map(
      ({ tag = "", name = "", defaultValue = "" }): TagInit => ({ tag, type: { case: "environment", value: { name, defaultValue } } }),
    ),
    ...literalsForTags.map(({ tag = "", value = "" }): TagInit => ({ tag, type: { case: "literal", value: { value } } })),
    ...metadataForTags.map(metadataTag),
  ];
}

const kinds = ["request", "host"] as const;

function metadataTag({ tag, kind, value, defaultValue }: TracingTagMetadata): TagInit {
  const keys = (value?.key ?? "").split(value?.nestedFieldDelimiter || ".");
  return {
    tag,
    type: {
      case: "metadata",
      value: {
        kind: { kind: { case: kinds[kind as number] ?? "request", value: {} } },
        metadataKey: { key: value?.namespace ?? "", path: keys.map((key) => ({ segment: { case: "key" as const, value: key } })) },
        defaultValue,
      },
    },
  };
}
