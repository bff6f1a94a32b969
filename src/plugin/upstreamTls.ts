// TLS as a client: what Upstreams say about it → Envoy's transport socket.
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import type { TransportSocketSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import { UpstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { UpstreamSslConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import type { UpstreamFeatureContext } from "./feature.ts";
import { commonTlsContext, withSecretsApart } from "./tlsContext.ts";

export type UpstreamTlsContext = Exclude<MessageInitShape<typeof UpstreamTlsContextSchema>, Message>;

/** The context, or undefined after an error. `path` is where the settings stand: `sslConfig`. */
export function upstreamTlsContext(
  ssl: UpstreamSslConfig,
  path: string,
  { world, report, sendSecret }: Pick<UpstreamFeatureContext, "world" | "report" | "sendSecret">,
): UpstreamTlsContext | undefined {
  const defaultParameters = world.settings.upstreamOptions?.sslParameters;
  const common = commonTlsContext(ssl, { needsCertificate: false, defaultParameters, path }, world, report);
  return (
    common && {
      commonTlsContext: withSecretsApart(common, ssl, "cluster", sendSecret),
      sni: ssl.sni,
      allowRenegotiation: ssl.allowRenegotiation ?? false,
    }
  );
}

export function tlsSocket(context: UpstreamTlsContext): MessageInitShape<typeof TransportSocketSchema> {
  return { name: "envoy.transport_sockets.tls", configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, context) } };
}
