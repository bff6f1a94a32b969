// The PROXY protocol towards upstreams: ahead of everything else on a connection, for whom it was opened. Text (V1) or bytes (V2), as Envoy writes it.

import { isIP } from "node:net";
import type { Peer } from "../downstream/client.ts";

export type ProxyVersion = "v1" | "v2";

/** Where a connection comes from, and where it goes. */
export type ProxiedClient = Pick<Peer, "remoteAddress" | "remotePort" | "localAddress" | "localPort">;

/** @param client undefined: nobody, the connection is our own (`own` are its ends): a health check, or a question of a filter */
export function proxyHeader(version: ProxyVersion, client: ProxiedClient | undefined, own: ProxiedClient): Buffer {
  return version === "v1" ? text(client ?? own) : bytes(client);
}

function text({ remoteAddress, remotePort, localAddress, localPort }: ProxiedClient): Buffer {
  const family = familyOf(remoteAddress, localAddress);
  const line = family === 0 ? "UNKNOWN" : `TCP${family} ${remoteAddress} ${localAddress} ${remotePort} ${localPort}`;
  return Buffer.from(`PROXY ${line}\r\n`, "latin1");
}

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const local = Buffer.concat([signature, Buffer.from([0x20, 0, 0, 0])]);

function bytes(client: ProxiedClient | undefined): Buffer {
  const family = client === undefined ? 0 : familyOf(client.remoteAddress, client.localAddress);
  if (client === undefined || family === 0) return local;
  const addresses = [client.remoteAddress, client.localAddress].flatMap(family === 4 ? bytesOfV4 : bytesOfV6);
  const ports = [client.remotePort, client.localPort].flatMap((port) => [port >> 8, port & 0xff]);
  const length = addresses.length + ports.length;
  return Buffer.concat([signature, Buffer.from([0x21, family === 4 ? 0x11 : 0x21, 0, length, ...addresses, ...ports])]);
}

/** 0: they are not two of a kind; a client on a Unix socket has none. */
function familyOf(one: string, other: string): number {
  const family = isIP(one);
  return family === isIP(other) && !one.includes("%") && !other.includes("%") ? family : 0;
}

function bytesOfV4(address: string): number[] {
  return address.split(".").map(Number);
}

function bytesOfV6(address: string): number[] {
  const [head = [], tail] = address.split("::").map(bytesOfGroups);
  return tail === undefined ? head : [...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail];
}

function bytesOfGroups(groups: string): number[] {
  if (groups === "") return [];
  return groups.split(":").flatMap((group) => {
    if (group.includes(".")) return bytesOfV4(group);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
