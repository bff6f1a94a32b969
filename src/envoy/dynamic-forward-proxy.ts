// Names of what dynamic forward proxying needs, as Gloo has them; one of each for every distinct configuration of a listener.
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import {
  DnsCacheConfigSchema,
  type FilterConfig,
  FilterConfigSchema,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/dynamic_forward_proxy/dynamic_forward_proxy_pb.js";
import { glooHash } from "./gloo-hash.ts";

/** The cluster that routes lead to: `solo_io_generated_dfp:<hash>`; 0 on a listener without the option. */
export function dynamicForwardProxyCluster(config: FilterConfig | undefined): string {
  return name(FilterConfigSchema, config);
}

/** The DNS cache that filter and cluster share. */
export function dynamicForwardProxyCache(config: FilterConfig): string {
  return name(DnsCacheConfigSchema, config.dnsCacheConfig);
}

function name<S extends DescMessage>(schema: S, message: MessageShape<S> | undefined): string {
  return `solo_io_generated_dfp:${message === undefined ? 0n : glooHash(schema, message)}`;
}
