// `connectionConfig`: timeouts, keep-alive, buffers and HTTP/1 towards the hosts.
//
// The HTTP part goes into fields of the cluster that Envoy calls deprecated and still reads; Gloo writes them, so dumps stay
// comparable. Where http2.ts must use the newer HttpProtocolOptions it moves everything there, because Envoy reads only one.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { packAny } from "../envoy/encode.ts";
import type { UpstreamConnectionOptionsSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type {
  Http1ProtocolOptions_HeaderKeyFormatSchema,
  Http1ProtocolOptionsSchema,
  HttpProtocolOptionsSchema,
} from "../gen/envoy/envoy/config/core/v3/protocol_pb.js";
import { PreserveCaseFormatterConfigSchema } from "../gen/envoy/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import type { ConnectionConfig_TcpKeepAlive } from "../gen/gloo/gloo/projects/gloo/api/v1/connection_pb.js";
import type { Http1ProtocolOptions, HttpProtocolOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/options/protocol/protocol_pb.js";
import type { Report } from "../model/problem.ts";
import type { Feature } from "../plugin/feature.ts";

export const connectionConfig: Feature = {
  name: "connectionConfig",
  upstream(cluster, { upstream }, { report }) {
    const config = upstream.connectionConfig;
    if (!config || !isKeepalive(config.tcpKeepalive, report)) return cluster;
    const { maxRequestsPerConnection, connectTimeout, tcpKeepalive, perConnectionBufferLimitBytes } = config;
    return {
      ...cluster,
      ...(connectTimeout && { connectTimeout }),
      ...(maxRequestsPerConnection > 0 && { maxRequestsPerConnection }),
      ...(tcpKeepalive && { upstreamConnectionOptions: keepalive(tcpKeepalive) }),
      ...(perConnectionBufferLimitBytes !== undefined && { perConnectionBufferLimitBytes }),
      ...(config.commonHttpProtocolOptions && { commonHttpProtocolOptions: commonHttp(config.commonHttpProtocolOptions) }),
      ...(config.http1ProtocolOptions && { httpProtocolOptions: http1(config.http1ProtocolOptions) }),
    };
  },
};

function keepalive(config: ConnectionConfig_TcpKeepAlive): MessageInitShape<typeof UpstreamConnectionOptionsSchema> {
  const { keepaliveProbes, keepaliveTime, keepaliveInterval } = config;
  return {
    tcpKeepalive: {
      ...(keepaliveProbes > 0 && { keepaliveProbes }),
      ...(keepaliveTime && { keepaliveTime: wholeSeconds(keepaliveTime) }),
      ...(keepaliveInterval && { keepaliveInterval: wholeSeconds(keepaliveInterval) }),
    },
  };
}

/** Linux takes no more; Envoy would fail each connection then. */
const most = { seconds: 32_767, probes: 127 };

function isKeepalive(config: ConnectionConfig_TcpKeepAlive | undefined, report: Report): boolean {
  if (!config) return true;
  const { keepaliveTime, keepaliveInterval, keepaliveProbes } = config;
  const before = report.problems.length;
  for (const [field, duration] of Object.entries({ keepaliveTime, keepaliveInterval })) {
    if (!duration || (duration.seconds >= 0n && duration.nanos >= 0 && wholeSeconds(duration) <= most.seconds)) continue;
    report.error("TcpKeepalive", `${field} is 0s to ${most.seconds}s, the most that TCP knows`, {
      path: `connectionConfig.tcpKeepalive.${field}`,
    });
  }
  if (keepaliveProbes > most.probes) {
    report.error("TcpKeepalive", `keepaliveProbes is at most ${most.probes}, not ${keepaliveProbes}`, {
      path: "connectionConfig.tcpKeepalive.keepaliveProbes",
    });
  }
  return report.problems.length === before;
}

/** TCP counts whole seconds; rounded up, so that "500ms" does not become "off". */
function wholeSeconds({ seconds, nanos }: Duration): number {
  return Number(seconds) + (nanos > 0 ? 1 : 0);
}

function commonHttp(options: HttpProtocolOptions): MessageInitShape<typeof HttpProtocolOptionsSchema> {
  const { idleTimeout, maxHeadersCount, maxStreamDuration, headersWithUnderscoresAction } = options;
  return {
    ...(idleTimeout && { idleTimeout }),
    ...(maxHeadersCount > 0 && { maxHeadersCount }),
    ...(maxStreamDuration && { maxStreamDuration }),
    // The numbers of both enums are the same: ALLOW, REJECT_REQUEST, DROP_HEADER.
    headersWithUnderscoresAction: headersWithUnderscoresAction as number,
  };
}

function http1(options: Http1ProtocolOptions): MessageInitShape<typeof Http1ProtocolOptionsSchema> {
  const { enableTrailers, overrideStreamErrorOnInvalidHttpMessage } = options;
  const headerKeyFormat = keyFormat(options);
  return {
    enableTrailers,
    ...(overrideStreamErrorOnInvalidHttpMessage !== undefined && { overrideStreamErrorOnInvalidHttpMessage }),
    ...(headerKeyFormat && { headerKeyFormat }),
  };
}

function keyFormat({
  headerFormat,
}: Http1ProtocolOptions): MessageInitShape<typeof Http1ProtocolOptions_HeaderKeyFormatSchema> | undefined {
  if (!headerFormat.value) return undefined;
  switch (headerFormat.case) {
    case "properCaseHeaderKeyFormat":
      return { headerFormat: { case: "properCaseWords", value: {} } };
    case "preserveCaseHeaderKeyFormat":
      return {
        headerFormat: {
          case: "statefulFormatter",
          value: {
            name: "envoy.http.stateful_header_formatters.preserve_case",
            typedConfig: packAny(PreserveCaseFormatterConfigSchema, {}),
          },
        },
      };
  }
}
