// `outlierDetection`: hosts that fail are left out for a while.
import type { Feature } from "../plugin/feature.ts";

export const outlierDetection: Feature = {
  name: "outlierDetection",
  upstream(cluster, { upstream }, { report }) {
    const wanted = upstream.outlierDetection;
    if (!wanted) return cluster;
    if (!wanted.interval) {
      report.error("OutlierIntervalMissing", "The field OutlierDetection.HealthChecker.Interval cannot be nil", {
        path: "outlierDetection.interval",
        hint: "say how often hosts are judged: interval: 10s",
      });
      return cluster;
    }
    const { $typeName: _, $unknown: __, ...fields } = wanted;
    return { ...cluster, outlierDetection: fields };
  },
};
