// Http2ProtocolOptions: limits and windows of a connection of HTTP/2, towards clients and towards upstreams.

import type { Http2ProtocolOptions } from "../../gen/envoy/envoy/config/core/v3/protocol_pb.js";
import { durationMs } from "./durations.ts";

export interface CompiledHttp2 {
  /** At the same time on a connection. */
  readonly maxStreams: number;
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** Of HPACK. */
  readonly tableSize: number;
  readonly keepalive: { readonly intervalMs: number; readonly timeoutMs: number } | undefined;
  /** How many streams a client may reset: at once, and in a second. */
  readonly resets: { readonly streamResetBurst?: number; readonly streamResetRate?: number };
  /** Clients may ask for tunnels (RFC 8441). */
  readonly allowsConnect: boolean;
}

/** Envoy's. */
const defaultMaxStreams = 1_024;

/** Smaller than Envoy's (16 and 24 MiB): what a slow reader leaves unread lies in our memory. */
const defaultStreamWindow = 1_048_576;
const defaultConnectionWindow = 4_194_304;

export function compileHttp2Options(options: Http2ProtocolOptions | undefined): CompiledHttp2 {
  const keepalive = options?.connectionKeepalive;
  const intervalMs = durationMs(keepalive?.interval);
  return {
    maxStreams: options?.maxConcurrentStreams ?? defaultMaxStreams,
    streamWindow: options?.initialStreamWindowSize ?? defaultStreamWindow,
    connectionWindow: options?.initialConnectionWindowSize ?? defaultConnectionWindow,
    tableSize: options?.hpackTableSize ?? 4_096,
    keepalive: intervalMs === undefined || intervalMs <= 0 ? undefined : { intervalMs, timeoutMs: durationMs(keepalive?.timeout) ?? 5_000 },
    resets: {
      ...(options?.streamResetBurst !== undefined && { streamResetBurst: Number(options.streamResetBurst) }),
      ...(options?.streamResetRate !== undefined && { streamResetRate: Number(options.streamResetRate) }),
    },
    allowsConnect: options?.allowConnect ?? false,
  };
}
