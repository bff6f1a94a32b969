// How long requests of HTTP/1.1 take while a proxy is not at its limit, beside Envoy.

import { join } from "node:path";
import { loadCore, run } from "./processes.ts";
import { connections, type Ports } from "./shapes.ts";

export interface Latency {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** @param rate requests a second */
export function paced(ports: Ports, rate: number, seconds: number): Latency {
  const args = [ports.plain, connections, Math.round(rate), seconds].map(String);
  const text = run("taskset", ["-c", String(loadCore), process.execPath, join(import.meta.dirname, "paced.ts"), ...args]);
  if (text === undefined) throw new Error("the paced load failed");
  return JSON.parse(text) as Latency;
}
