// Addresses to listen on, as people write them: `9091`, `127.0.0.1:9091`, `[::1]:9091`, `:9091`, `unix:/run/headworks.sock`.
import { isIP } from "node:net";

export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly isLoopback: boolean }
  | { readonly kind: "unix"; readonly path: string };

/** Undefined when the text is no address. A port alone is on loopback; `:9091` is on all interfaces, as everywhere. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith("unix:")) return text.length > 5 ? { kind: "unix", path: text.slice(5).replace(/^\/\/(?=\/)/, "") } : undefined;
  const match = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  if (!text.includes(":")) return tcp("127.0.0.1", port);
  if (match[1] !== undefined) return isIP(match[1]) === 6 ? tcp(match[1], port) : undefined;
  const host = match[2] === "" ? "::" : (match[2] as string);
  if (isIP(host) === 0 && !/^[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(host)) return undefined;
  return tcp(host, port);
}

/** `127.0.0.1:9091`, `[::1]:9091`, `unix:/run/headworks.sock` */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

function tcp(host: string, port: number): ListenAddress {
  return { kind: "tcp", host, port, isLoopback: host === "localhost" || host === "::1" || host.startsWith("127.") };
}
