// google.protobuf.Duration in milliseconds.

import type { Duration } from "@bufbuild/protobuf/wkt";

export function durationMs(duration: Duration): number;
export function durationMs(duration: Duration | undefined): number | undefined;
export function durationMs(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
}

/** A time-out of Envoy where 0 means none. */
export function timeoutMs(duration: Duration | undefined, byDefault: number): number {
  if (duration === undefined) return byDefault;
  const ms = durationMs(duration);
  return ms <= 0 ? Number.POSITIVE_INFINITY : ms;
}
