// `useHttp2` and what belongs to it, `protocolSelection`: which HTTP is spoken to the hosts.
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { packAny } from "../envoy/encode.ts";
import { httpProtocolOptionsName } from "../envoy/http-protocol-options.ts";
import { Cluster_ClusterProtocolSelection } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { HttpProtocolOptionsSchema } from "../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { type Upstream, Upstream_ClusterProtocolSelection } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { Report } from "../model/problem.ts";
import type { Feature } from "../plugin/feature.ts";
import { serviceSpecOf } from "../plugin/serviceSpec.ts";
import type { ClusterDraft } from "../plugin/upstream-type.ts";

export const http2: Feature = {
  name: "useHttp2",
  upstream(cluster, { upstream }, { report }) {
    const followsClient = upstream.protocolSelection === Upstream_ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL;
    const selected = followsClient ? { ...cluster, protocolSelection: Cluster_ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL } : cluster;
    const own = ownOptions(cluster);
    const useHttp2 = upstream.useHttp2 || speaksGrpc(upstream);
    if (!useHttp2 && !own) return selected;
    // Where nobody wrote it, it is said as Gloo says it; beside options of HTTP/1 Envoy would refuse that.
    if (!upstream.useHttp2 && !own && !cluster.httpProtocolOptions) return { ...selected, http2ProtocolOptions: {} };
    if (!isGood(upstream, report)) return selected;

    const { maxConcurrentStreams, initialStreamWindowSize, initialConnectionWindowSize, overrideStreamErrorOnInvalidHttpMessage } =
      upstream;
    const http1 = cluster.httpProtocolOptions;
    const http2ProtocolOptions = {
      maxConcurrentStreams,
      initialStreamWindowSize,
      initialConnectionWindowSize,
      overrideStreamErrorOnInvalidHttpMessage,
    };
    const explicit = useHttp2
      ? ({ case: "http2ProtocolOptions", value: http2ProtocolOptions } as const)
      : ({ case: "httpProtocolOptions", value: http1 ?? {} } as const);
    const options = packAny(HttpProtocolOptionsSchema, {
      // Envoy reads nothing of the cluster's own HTTP fields once this message is there (Gloo loses these here).
      ...(cluster.commonHttpProtocolOptions && { commonHttpProtocolOptions: cluster.commonHttpProtocolOptions }),
      ...(own && { httpFilters: own.httpFilters }),
      upstreamProtocolOptions: followsClient
        ? {
            case: "useDownstreamProtocolConfig",
            value: { ...(http1 && { httpProtocolOptions: http1 }), ...(useHttp2 && { http2ProtocolOptions }) },
          }
        : { case: "explicitHttpConfig", value: { protocolConfig: explicit } },
    });
    return {
      ...selected,
      ...(useHttp2 && { http2ProtocolOptions: {} }),
      typedExtensionProtocolOptions: { ...cluster.typedExtensionProtocolOptions, [httpProtocolOptionsName]: options },
    };
  },
};

/** What a type has put there already: HTTP filters of the cluster. */
function ownOptions({ typedExtensionProtocolOptions }: ClusterDraft) {
  const any = typedExtensionProtocolOptions?.[httpProtocolOptionsName];
  return any && anyUnpack(any as Any, HttpProtocolOptionsSchema);
}

/** gRPC is spoken over HTTP/2, whatever else is said. */
function speaksGrpc(upstream: Upstream): boolean {
  const plugin = serviceSpecOf(upstream)?.pluginType;
  return plugin?.case === "grpc" || (plugin?.case === "grpcJsonTranscoder" && plugin.value.descriptorSet.case !== undefined);
}

function isGood(upstream: Upstream, report: Report): boolean {
  const { initialStreamWindowSize, initialConnectionWindowSize, maxConcurrentStreams } = upstream;
  const before = report.problems.length;
  if (!isWindow(initialStreamWindowSize)) {
    report.error("Http2Value", `Invalid Initial Stream Window Size: ${initialStreamWindowSize}`, {
      path: "initialStreamWindowSize",
      hint: windowHint,
    });
  }
  if (!isWindow(initialConnectionWindowSize)) {
    report.error("Http2Value", `Invalid Initial Connection Window Size: ${initialConnectionWindowSize}`, {
      path: "initialConnectionWindowSize",
      hint: windowHint,
    });
  }
  if (maxConcurrentStreams !== undefined && (maxConcurrentStreams < 1 || maxConcurrentStreams > maxInt31)) {
    report.error("Http2Value", `Invalid Max Concurrent Streams Size: ${maxConcurrentStreams}`, {
      path: "maxConcurrentStreams",
      hint: `1 to ${maxInt31}`,
    });
  }
  const followsClient = upstream.protocolSelection === Upstream_ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL;
  if (upstream.useHttp2 && upstream.connectionConfig?.http1ProtocolOptions && !followsClient) {
    report.error(
      "Http1AndHttp2",
      "Both HTTP1 and HTTP2 options may only be configured with non-default 'Upstream_USE_DOWNSTREAM_PROTOCOL' specified for Protocol Selection",
      {
        path: "connectionConfig.http1ProtocolOptions",
        hint: "remove useHttp2 or http1ProtocolOptions, or set protocolSelection: USE_DOWNSTREAM_PROTOCOL",
      },
    );
  }
  return report.problems.length === before;
}

const maxInt31 = 2_147_483_647;
const windowHint = `65535 to ${maxInt31}`;

function isWindow(size: number | undefined): boolean {
  return size === undefined || (size >= 65_535 && size <= maxInt31);
}
