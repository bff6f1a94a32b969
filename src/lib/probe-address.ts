// Which addresses a probe may dial. What a document or a name leads to is the choice of others: it must not lead to the cloud's metadata,
// nor into this machine.
import { BlockList, isIP } from "node:net";

const never = new BlockList();
never.addSubnet("169.254.0.0", 16, "ipv4"); // link-local; metadata of most clouds
never.addSubnet("0.0.0.0", 8, "ipv4");
never.addSubnet("224.0.0.0", 3, "ipv4"); // multicast, reserved, broadcast
never.addAddress("100.100.100.200", "ipv4"); // metadata of Alibaba
never.addAddress("192.0.0.192", "ipv4"); // metadata of Oracle
never.addAddress("168.63.129.16", "ipv4"); // of Azure
never.addAddress("::", "ipv6");
never.addSubnet("fe80::", 10, "ipv6");
never.addSubnet("ff00::", 8, "ipv6");
never.addAddress("fd00:ec2::254", "ipv6"); // metadata of AWS
never.addSubnet("64:ff9b::", 96, "ipv6"); // IPv4 behind NAT64

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Why an address must not be dialled; undefined when it may be. */
export function addressFault(address: string, mayBeLoopback: boolean): string | undefined {
  const version = isIP(address);
  if (version === 0) return "is no IP address";
  const family = version === 4 ? "ipv4" : "ipv6";
  // Both lists see through IPv4 in IPv6 (::ffff:127.0.0.1).
  if (never.check(address, family)) return "is link-local, multicast, or the metadata of a cloud";
  if (!mayBeLoopback && loopback.check(address, family)) return "is this machine";
  return undefined;
}

export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host === "localhost" || host.endsWith(".localhost");
  return loopback.check(host, version === 4 ? "ipv4" : "ipv6");
}
