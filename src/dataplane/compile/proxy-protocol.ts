// The PROXY protocol of a listener: who connects says first for whom.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ProxyProtocolConfig_Version as Version } from "../../gen/envoy/envoy/config/core/v3/proxy_protocol_pb.js";
import type { ListenerFilter } from "../../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import { ProxyProtocolSchema } from "../../gen/envoy/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { unhandledFields } from "../fields.ts";
import type { Findings } from "./findings.ts";

export interface ProxyProtocol {
  /** Who does not begin with it comes in as who he is. */
  readonly isOptional: boolean;
  readonly allowsV1: boolean;
  readonly allowsV2: boolean;
}

/** Undefined: it is another filter. */
export function compileProxyProtocol({ configType }: ListenerFilter, findings: Findings): ProxyProtocol | undefined {
  const config = configType.case === "typedConfig" ? anyUnpack(configType.value, ProxyProtocolSchema) : undefined;
  if (config === undefined) return undefined;
  for (const path of unhandledFields(ProxyProtocolSchema, config, handled)) findings.notExecuted(`typed_config.${path}`);
  return {
    isOptional: config.allowRequestsWithoutProxyProtocol,
    allowsV1: !config.disallowedVersions.includes(Version.V1),
    allowsV2: !config.disallowedVersions.includes(Version.V2),
  };
}

/** What is said beyond addresses has no effect: rules are the only ones that would ask for it. */
const handled = {
  "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol": [
    "allow_requests_without_proxy_protocol",
    "disallowed_versions",
    // no effect here: without rules there is nothing to place
    "stat_prefix",
    "tlv_location",
  ],
};
