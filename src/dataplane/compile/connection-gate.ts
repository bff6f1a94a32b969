// Network filters that let a connection in or not: how many are open at once, how many come in a time.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectionLimitSchema } from "../../gen/envoy/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js";
import { LocalRateLimitSchema } from "../../gen/envoy/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit_pb.js";
import { unhandledFields } from "../fields.ts";
import { bucketSettings, TokenBucket } from "../token-bucket.ts";
import { durationMs } from "./durations.ts";
import type { Findings } from "./findings.ts";

/** Stands before the connections of one filter chain. */
export interface ConnectionGate {
  /** Tells gates with the same settings, which go on counting when their listener changes. */
  readonly key: string;
  /** Undefined: it is in, and `leave` is called when it is gone. Otherwise it is closed after so many milliseconds. */
  enter(nowMs: number): number | undefined;
  leave(): void;
}

/** Undefined: it is no such filter. */
export function compileGate(any: Any, findings: Findings): ConnectionGate | undefined {
  const key = `${any.typeUrl} ${Buffer.from(any.value).toString("base64")}`;
  const limit = anyUnpack(any, ConnectionLimitSchema);
  if (limit !== undefined) {
    for (const path of unhandledFields(ConnectionLimitSchema, limit, handled)) findings.notExecuted(path);
    const isOn = limit.runtimeEnabled?.defaultValue ?? true;
    return new ConnectionLimit(key, isOn ? Number(limit.maxConnections ?? 0) : Number.POSITIVE_INFINITY, durationMs(limit.delay) ?? 0);
  }
  const rate = anyUnpack(any, LocalRateLimitSchema);
  if (rate === undefined) return undefined;
  for (const path of unhandledFields(LocalRateLimitSchema, rate, handled)) findings.notExecuted(path);
  const isOn = rate.runtimeEnabled?.defaultValue ?? true;
  const bucket = isOn && rate.tokenBucket && new TokenBucket(bucketSettings(rate.tokenBucket), performance.now());
  return { key, enter: (nowMs) => (!bucket || bucket.take(nowMs) ? undefined : 0), leave: () => undefined };
}

/** Lets nobody in. */
export const closedGate: ConnectionGate = { key: "closed", enter: () => 0, leave: () => undefined };

const handled = {
  "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit": ["stat_prefix", "max_connections", "delay", "runtime_enabled"],
  "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit": ["stat_prefix", "token_bucket", "runtime_enabled"],
};

class ConnectionLimit implements ConnectionGate {
  readonly key: string;
  readonly #most: number;
  readonly #delayMs: number;
  #open = 0;

  constructor(key: string, most: number, delayMs: number) {
    this.key = key;
    this.#most = most;
    this.#delayMs = delayMs;
  }

  enter(): number | undefined {
    if (this.#open >= this.#most) return this.#delayMs;
    this.#open++;
    return undefined;
  }

  leave(): void {
    this.#open--;
  }
}

/** Each that lets a connection in counts it, until one does not. Undefined when there is none. */
export function inSeries(gates: readonly ConnectionGate[]): ConnectionGate | undefined {
  if (gates.length < 2) return gates[0];
  return {
    key: gates.map(({ key }) => key).join("\n"),
    enter(nowMs) {
      for (const [index, gate] of gates.entries()) {
        const refused = gate.enter(nowMs);
        if (refused === undefined) continue;
        for (const passed of gates.slice(0, index)) passed.leave();
        return refused;
      }
      return undefined;
    },
    leave() {
      for (const gate of gates) gate.leave();
    },
  };
}
