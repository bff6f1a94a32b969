// Ranges of IP addresses: `envoy.config.core.v3.CidrRange`.

import { BlockList, isIP } from "node:net";
import type { CidrRange } from "../../gen/envoy/envoy/config/core/v3/address_pb.js";

/** Throws for what is no range. An address of the other version of IP, or none (a Unix socket), is in no range. */
export function compileAddressRange({ addressPrefix, prefixLen }: CidrRange): (address: string) => boolean {
  const version = isIP(addressPrefix);
  const bits = prefixLen ?? 0;
  if (version === 0 || bits > (version === 4 ? 32 : 128)) throw new Error(`${addressPrefix}/${bits} is no range of addresses`);
  const family = version === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(addressPrefix, bits, family);
  return (address) => isIP(address) === version && list.check(address, family);
}
