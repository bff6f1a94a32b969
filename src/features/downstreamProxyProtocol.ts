// `proxyProtocol` of a listener (and `useProxyProto` of old): the client's address comes in front of its first bytes.
import { packAny } from "../envoy/encode.ts";
import { ProxyProtocolSchema } from "../gen/envoy/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import type { Feature } from "../plugin/feature.ts";

export const downstreamProxyProtocol: Feature = {
  name: "downstreamProxyProtocol",
  glooName: "proxy_protocol",
  fields: { listener: ["proxyProtocol"] },
  listener(listener, options, { gateway }) {
    const wanted = options?.proxyProtocol;
    if (!wanted && !gateway.spec?.useProxyProto) return listener;
    const value = packAny(ProxyProtocolSchema, {
      ...(wanted?.allowRequestsWithoutProxyProtocol && { allowRequestsWithoutProxyProtocol: true }),
      rules: (wanted?.rules ?? []).map(({ tlvType, onTlvPresent }) => ({
        tlvType,
        ...(onTlvPresent && { onTlvPresent: { metadataNamespace: onTlvPresent.metadataNamespace, key: onTlvPresent.key } }),
      })),
    });
    const filter = { name: "envoy.filters.listener.proxy_protocol", configType: { case: "typedConfig" as const, value } };
    return { ...listener, listenerFilters: [...(listener.listenerFilters ?? []), filter] };
  },
};
