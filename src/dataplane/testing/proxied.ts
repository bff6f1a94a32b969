// An upstream that reads the PROXY protocol ahead of each connection, and tells in its answers what it read.

import { createServer as createHttp1, type Server as Http1Server } from "node:http";
import { createServer as createHttp2, type Http2Server } from "node:http2";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { KeyPair } from "./certificates.ts";

export interface ProxiedUpstream extends AsyncDisposable {
  readonly port: number;
  /** The headers of all connections so far, as they are described. */
  readonly headers: string[];
  readonly connections: Set<Socket>;
}

/** @param kind what follows the header */
export async function proxiedUpstream(kind: "http1" | "http2" | KeyPair): Promise<ProxiedUpstream> {
  const described = new Map<Socket, string>();
  const headers: string[] = [];
  const connections = new Set<Socket>();
  const answer: Answer = ({ socket: { remotePort } }, response) => {
    response.end([...described].find(([socket]) => socket.remotePort === remotePort)?.[1] ?? "unknown");
  };
  const inner = serverOf(kind, answer);
  const outer = createServer((socket) => {
    connections.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      connections.delete(socket);
      described.delete(socket);
    });
    let data = Buffer.alloc(0);
    const read = (more: Buffer) => {
      data = Buffer.concat([data, more]);
      const header = describe(data, socket);
      if (header === undefined) return;
      socket.off("data", read);
      // As a server of that kind takes over from us.
      if (kind !== "http1") socket.pause();
      socket.unshift(data.subarray(header.length));
      described.set(socket, header.text);
      headers.push(header.text);
      inner.emit("connection", socket);
    };
    socket.on("data", read);
  });
  await new Promise<void>((resolve) => outer.listen(0, "127.0.0.1", resolve));
  return {
    port: (outer.address() as AddressInfo).port,
    headers,
    connections,
    async [Symbol.asyncDispose]() {
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => outer.close(resolve));
    },
  };
}

type Answer = (
  request: { readonly socket: { readonly remotePort?: number | undefined } },
  response: { end(text: string): unknown },
) => void;

function serverOf(kind: "http1" | "http2" | KeyPair, answer: Answer): Http1Server | Http2Server {
  if (kind === "http1") return createHttp1(answer);
  return kind === "http2" ? createHttp2(answer) : createHttps({ cert: kind.certificate, key: kind.key }, answer);
}

/** Undefined while it is not whole. */
function describe(data: Buffer, socket: Socket): { readonly text: string; readonly length: number } | undefined {
  if (data.length < 16) return undefined;
  if (data.toString("latin1", 0, 6) === "PROXY ") {
    const end = data.indexOf("\r\n");
    return end < 0 ? undefined : { text: withoutOwnPorts(`v1 ${data.toString("latin1", 6, end)}`, socket), length: end + 2 };
  }
  if (data.toString("latin1", 0, 12) !== "\r\n\r\n\0\r\nQUIT\n") return { text: `none: ${data.toString("latin1", 0, 16)}`, length: 0 };
  const length = 16 + data.readUInt16BE(14);
  if (data.length < length) return undefined;
  const kind = `v2 ${data.toString("hex", 12, 16)}`;
  if (length === 16) return { text: kind, length };
  const [source, target] = [[...data.subarray(16, 20)].join("."), [...data.subarray(20, 24)].join(".")];
  return { text: withoutOwnPorts(`${kind} ${source} ${target} ${data.readUInt16BE(24)} ${data.readUInt16BE(26)}`, socket), length };
}

/** The ports of this very connection are other ones each time. */
function withoutOwnPorts(text: string, { remotePort, localPort }: Socket): string {
  return text.replace(` ${remotePort} `, " own ").replace(` ${localPort}`, " upstream");
}
