// The cluster that dynamic forward proxying goes through; one for each distinct configuration of a listener.
import { toBinary } from "@bufbuild/protobuf";
import { versionOf } from "../envoy/encode.ts";
import {
  DnsCacheConfigSchema,
  type FilterConfig,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/dynamic_forward_proxy/dynamic_forward_proxy_pb.js";

/** `solo_io_generated_dfp:<hash>`; 0 where nothing is configured. The hash is ours: Gloo's is that of a Go struct. */
export function dynamicForwardProxyCluster(config: FilterConfig | undefined): string {
  const hash = config?.dnsCacheConfig ? BigInt(`0x${versionOf(toBinary(DnsCacheConfigSchema, config.dnsCacheConfig))}`) : 0n;
  return `solo_io_generated_dfp:${hash}`;
}
