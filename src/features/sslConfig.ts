// `sslConfig` of an Upstream, and what its type says about TLS where there is none.
import type { Feature } from "../plugin/feature.ts";
import { tlsSocket, type UpstreamTlsContext, upstreamTlsContext } from "../plugin/upstreamTls.ts";

export const sslConfig: Feature = {
  name: "sslConfig",
  upstream(cluster, { upstream }, featureContext) {
    const { tls } = featureContext;
    const ssl = upstream.sslConfig;
    if (!ssl && !tls?.isOn) return cluster;
    const byDefault: UpstreamTlsContext = { commonTlsContext: {}, ...(tls?.sni !== undefined && { sni: tls.sni }) };
    const context = ssl ? upstreamTlsContext(ssl, "sslConfig", featureContext) : byDefault;
    if (!context) return cluster;
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
