// `sslConfig` of an Upstream, and what its type says about TLS where there is none.
import type { Report } from "../model/problem.ts";
import type { Feature } from "../plugin/feature.ts";
import { commonTlsContext } from "../plugin/tlsContext.ts";
import { tlsSocket, type UpstreamTlsContext, upstreamTlsContext } from "../plugin/upstreamTls.ts";
import type { World } from "../plugin/world.ts";

export const sslConfig: Feature = {
  name: "sslConfig",
  upstream(cluster, { upstream }, featureContext) {
    const { tls, world, report } = featureContext;
    const ssl = upstream.sslConfig;
    if (!ssl && !tls?.isOn) return cluster;
    const written = ssl ? upstreamTlsContext(ssl, "sslConfig", featureContext) : contextByDefault(tls?.sni, world, report);
    if (!written) return cluster;
    // The one host of a cloud service is asked for by its name, unless another is written. Where hosts have names of their own, those are.
    const sni = written.sni || (tls?.isOn && tls.byEndpoint === undefined ? tls.sni : undefined);
    const context = sni === undefined ? written : { ...written, sni };
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

/** Without certificates; versions and ciphers are those of the Settings. */
function contextByDefault(sni: string | undefined, world: World, report: Report): UpstreamTlsContext | undefined {
  const settings = { sslSecrets: { case: undefined }, verifySubjectAltName: [], alpnProtocols: [] };
  const defaultParameters = world.settings.upstreamOptions?.sslParameters;
  const common = commonTlsContext(settings, { needsCertificate: false, defaultParameters, path: "" }, world, report);
  return common && { commonTlsContext: common, ...(sni !== undefined && { sni }) };
}
