// `Settings.gloo.istioOptions.enableAutoMtls`: Upstreams without `sslConfig` are spoken to in Istio's mutual TLS, where a pod takes part in
// the mesh, and plainly where it does not. Which it is, is known for each address: kube says so in its metadata.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import type { TransportSocketSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import { RawBufferSchema } from "../gen/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import type { Settings } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { Feature } from "../plugin/feature.ts";
import { secretFrom } from "../plugin/tlsContext.ts";
import type { ClusterDraft } from "../plugin/upstream-type.ts";
import { tlsSocket } from "../plugin/upstreamTls.ts";

export const istioAutoMtls: Feature = {
  name: "disableIstioAutoMtls",
  upstream(cluster, { upstream }, { world }) {
    if (!isOn(world.settings) || upstream.disableIstioAutoMtls || upstream.sslConfig || cluster.transportSocket) return cluster;
    const sni = istioSni(upstream);
    const mesh = tlsSocket({
      commonTlsContext: {
        alpnProtocols: ["istio"],
        tlsCertificateSdsSecretConfigs: [sds("istio_server_cert")],
        validationContextType: { case: "validationContextSdsSecretConfig", value: sds("istio_validation_context") },
      },
      ...(sni !== undefined && { sni }),
    });
    // The second matches every address: the first that fits counts.
    const transportSocketMatches: ClusterDraft["transportSocketMatches"] = [
      { name: "tlsMode-istio", match: { tlsMode: "istio" }, transportSocket: mesh },
      { name: "tlsMode-disabled", match: {}, transportSocket: rawBuffer() },
    ];
    return { ...cluster, transportSocketMatches };
  },
};

function rawBuffer(): MessageInitShape<typeof TransportSocketSchema> {
  return { name: "envoy.transport_sockets.raw_buffer", configType: { case: "typedConfig", value: packAny(RawBufferSchema, {}) } };
}

function isOn({ gloo }: Settings): boolean {
  return gloo?.istioOptions?.enableIntegration === true && gloo.istioOptions.enableAutoMtls === true;
}

/** How sidecars name a destination: `outbound_.80_._.till.shop.svc.cluster.local`. Types that the mesh does not know have none. */
function istioSni({ upstreamType }: Upstream): string | undefined {
  switch (upstreamType.case) {
    case "kube": {
      const { serviceName, serviceNamespace, servicePort } = upstreamType.value;
      return `outbound_.${servicePort}_._.${serviceName}.${serviceNamespace}.svc.cluster.local`;
    }
    case "static": {
      const [host] = upstreamType.value.hosts;
      return host && (host.sniAddr || `outbound_.${host.port}_._.${host.addr}`);
    }
    default:
      return undefined;
  }
}

/** From the SDS server beside the proxy, which Gloo's charts put into the bootstrap under this name. */
function sds(name: string) {
  const targetSpecifier = { case: "envoyGrpc" as const, value: { clusterName: "gateway_proxy_sds" } };
  return secretFrom(name, { setNodeOnFirstMessageOnly: true, grpcServices: [{ targetSpecifier }] });
}
