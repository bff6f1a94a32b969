// Reads the header of the PROXY protocol (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt), text or bytes, that stands before everything
// else on a connection. What follows it is put back.

import { isIP, type Socket } from "node:net";
import type { ProxyProtocol } from "../compile/proxy-protocol.ts";
import { readFirstBytes } from "../first-bytes.ts";

/** Both ends of the connection that is spoken of. */
export interface ProxiedEnds {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** `size`: how many bytes it is long. Without `ends`: the connection is its own, or its ends are not told. */
export interface ProxyHeader {
  readonly size: number;
  readonly ends?: ProxiedEnds;
}

/** Calls back once with whom the connection is for; a connection that does not say so, and must, is closed. */
export function readProxyHeader(socket: Socket, config: ProxyProtocol, onHeader: (ends: ProxiedEnds | undefined) => void): void {
  const read = (data: Buffer) => {
    const header = parseProxyHeader(data, config);
    return typeof header === "string" ? header : { size: header.size, value: header.ends };
  };
  readFirstBytes(socket, read, onHeader);
}

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const word = Buffer.from("PROXY ", "latin1");
const longestLine = 107;

export function parseProxyHeader(data: Buffer, config: ProxyProtocol): ProxyHeader | "more" | "refused" {
  if (config.allowsV2 && beginsLike(data, signature)) return data.length < signature.length ? "more" : parseBytes(data);
  if (config.allowsV1 && beginsLike(data, word)) return data.length < word.length ? "more" : parseLine(data);
  return config.isOptional ? { size: 0 } : "refused";
}

/** As far as there is anything of both. */
function beginsLike(data: Buffer, beginning: Buffer): boolean {
  const length = Math.min(data.length, beginning.length);
  return data.compare(beginning, 0, length, 0, length) === 0;
}

function parseLine(data: Buffer): ProxyHeader | "more" | "refused" {
  const end = data.indexOf("\r\n");
  if (end < 0) return data.length < longestLine ? "more" : "refused";
  if (end + 2 > longestLine) return "refused";
  const size = end + 2;
  const [, family, remoteAddress = "", localAddress = "", remotePort = "", localPort = "", ...others] = data
    .toString("latin1", 0, end)
    .split(" ");
  if (family === "UNKNOWN") return { size };
  const version = { TCP4: 4, TCP6: 6 }[family ?? ""];
  const ports = [portOf(remotePort), portOf(localPort)] as const;
  if (version === undefined || others.length > 0 || ports[0] === undefined || ports[1] === undefined) return "refused";
  if (isIP(remoteAddress) !== version || isIP(localAddress) !== version) return "refused";
  return { size, ends: { remoteAddress, remotePort: ports[0], localAddress, localPort: ports[1] } };
}

function portOf(text: string): number | undefined {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port <= 65_535 ? port : undefined;
}

/** Bytes, as in the second version. */
function parseBytes(data: Buffer): ProxyHeader | "more" | "refused" {
  if (data.length < 16) return "more";
  const command = data[12] as number;
  if (command >> 4 !== 2) return "refused";
  const size = 16 + data.readUInt16BE(14);
  if (data.length < size) return "more";
  if ((command & 0xf) === 0) return { size };
  const family = data[13] as number;
  // Streams and datagrams over IP, as Envoy takes them.
  const width = { 17: 4, 18: 4, 33: 16, 34: 16 }[family];
  if ((command & 0xf) !== 1 || width === undefined || size < 16 + width * 2 + 4) return "refused";
  const write = width === 4 ? v4 : v6;
  return {
    size,
    ends: {
      remoteAddress: write(data.subarray(16, 16 + width)),
      localAddress: write(data.subarray(16 + width, 16 + width * 2)),
      remotePort: data.readUInt16BE(16 + width * 2),
      localPort: data.readUInt16BE(18 + width * 2),
    },
  };
}

function v4(bytes: Buffer): string {
  return bytes.join(".");
}

/** In the shortest form: what a URL makes of it. */
function v6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
