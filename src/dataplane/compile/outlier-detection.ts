// When a host that answers badly is left alone for a while.

import type { OutlierDetection } from "../../gen/envoy/envoy/config/cluster/v3/outlier_detection_pb.js";
import { durationMs } from "./durations.ts";

export interface CompiledOutliers {
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionPercent: number;
  readonly ejectsOneAlways: boolean;
  /** Failures to connect and time-outs count on their own, not as 5xx. */
  readonly splitsLocalErrors: boolean;
  /** In a row; `enforcing` in percent. */
  readonly consecutive: Readonly<Record<"5xx" | "gateway" | "local", { readonly count: number; readonly enforcing: number }>>;
  readonly successRate: {
    readonly enforcing: number;
    readonly enforcingLocal: number;
    readonly minHosts: number;
    readonly volume: number;
    readonly deviations: number;
  };
  readonly failurePercentage: {
    readonly enforcing: number;
    readonly enforcingLocal: number;
    readonly minHosts: number;
    readonly volume: number;
    readonly threshold: number;
  };
  readonly checkUnejects: boolean;
}

/** With Envoy's defaults. */
export function compileOutliers(config: OutlierDetection): CompiledOutliers {
  const baseEjectionMs = durationMs(config.baseEjectionTime) ?? 30_000;
  return {
    intervalMs: Math.max(1, durationMs(config.interval) ?? 10_000),
    baseEjectionMs,
    maxEjectionMs: Math.max(baseEjectionMs, durationMs(config.maxEjectionTime) ?? 300_000),
    maxEjectionPercent: Math.min(100, config.maxEjectionPercent ?? 10),
    ejectsOneAlways: config.alwaysEjectOneHost ?? false,
    splitsLocalErrors: config.splitExternalLocalOriginErrors,
    consecutive: {
      "5xx": { count: config.consecutive5xx ?? 5, enforcing: config.enforcingConsecutive5xx ?? 100 },
      gateway: { count: config.consecutiveGatewayFailure ?? 5, enforcing: config.enforcingConsecutiveGatewayFailure ?? 0 },
      local: { count: config.consecutiveLocalOriginFailure ?? 5, enforcing: config.enforcingConsecutiveLocalOriginFailure ?? 100 },
    },
    successRate: {
      enforcing: config.enforcingSuccessRate ?? 100,
      enforcingLocal: config.enforcingLocalOriginSuccessRate ?? 100,
      minHosts: config.successRateMinimumHosts ?? 5,
      volume: config.successRateRequestVolume ?? 100,
      deviations: (config.successRateStdevFactor ?? 1_900) / 1_000,
    },
    failurePercentage: {
      enforcing: config.enforcingFailurePercentage ?? 0,
      enforcingLocal: config.enforcingFailurePercentageLocalOrigin ?? 0,
      minHosts: config.failurePercentageMinimumHosts ?? 5,
      volume: config.failurePercentageRequestVolume ?? 50,
      threshold: config.failurePercentageThreshold ?? 85,
    },
    checkUnejects: config.successfulActiveHealthCheckUnejectHost ?? true,
  };
}
