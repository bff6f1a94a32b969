// `sslConfig` of an Upstream, and what its type says about TLS where there is none.
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import type { TransportSocketSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import { UpstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { Feature } from "../plugin/feature.ts";
import { commonTlsContext } from "../plugin/tlsContext.ts";

type TlsContext = Exclude<MessageInitShape<typeof UpstreamTlsContextSchema>, Message>;

export const sslConfig: Feature = {
  name: "sslConfig",
  upstream(cluster, { upstream }, { world, report, tls }) {
    const ssl = upstream.sslConfig;
    if (!ssl && !tls?.isOn) return cluster;
    const common = ssl
      ? commonTlsContext(
          ssl,
          { needsCertificate: false, defaultParameters: world.settings.upstreamOptions?.sslParameters, path: "sslConfig" },
          world,
          report,
        )
      : {};
    if (!common) return cluster;
    const context: TlsContext = {
      commonTlsContext: common,
      sni: ssl ? ssl.sni : (tls?.sni ?? ""),
      allowRenegotiation: ssl?.allowRenegotiation ?? false,
    };
    const matches = (tls?.byEndpoint ?? []).filter(({ name }, i, all) => all.findIndex((other) => other.name === name) === i);
    return {
      ...cluster,
      transportSocket: tlsSocket(context),
      ...(matches.length > 0 && {
        transportSocketMatches: matches.map(({ name, sni }) => ({
          name,
          match: { [name]: true },
          transportSocket: tlsSocket({ ...context, sni }),
        })),
      }),
    };
  },
};

function tlsSocket(context: TlsContext): MessageInitShape<typeof TransportSocketSchema> {
  return { name: "envoy.transport_sockets.tls", configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, context) } };
}
