// How clients speak to the proxies that are measured, and the answers that they get.

/** The ports of one proxy, one for each way to speak to it. */
export interface Ports {
  readonly plain: number;
  readonly h2c: number;
  readonly tls: number;
}

export interface Shape {
  readonly name: string;
  readonly port: keyof Ports;
  readonly isTls: boolean;
  readonly isHttp2: boolean;
}

export const shapes: readonly Shape[] = [
  { name: "HTTP/1.1", port: "plain", isTls: false, isHttp2: false },
  { name: "HTTP/1.1 over TLS", port: "tls", isTls: true, isHttp2: false },
  { name: "HTTP/2", port: "h2c", isTls: false, isHttp2: true },
  { name: "HTTP/2 over TLS", port: "tls", isTls: true, isHttp2: true },
];

/** HTTP/1.1: kept connections. */
export const connections = 64;
/** HTTP/2: connections, and streams on each. */
export const http2Connections = 16;
export const http2Streams = 8;

export const answerBytes = 1_024;
export const streamedBytes = 1_073_741_824;

/** A retry policy and the times that all proxies are given, as far as they know such. */
export const retries = 3;
export const timeoutMs = 15_000;

export interface KeyFiles {
  readonly certificate: string;
  readonly key: string;
}

/** What a proxy is started with. Whatever it writes goes into `folder`. */
export interface ProxySettings {
  readonly folder: string;
  readonly ports: Ports;
  readonly backend: number;
  readonly keys: KeyFiles;
}
