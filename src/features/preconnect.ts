// `preconnectPolicy`: connections opened before they are needed.
import type { Report } from "../model/problem.ts";
import type { Feature } from "../plugin/feature.ts";

export const preconnect: Feature = {
  name: "preconnectPolicy",
  upstream(cluster, { upstream }, { report }) {
    const policy = upstream.preconnectPolicy;
    if (!policy) return cluster;
    const { perUpstreamPreconnectRatio, predictivePreconnectRatio } = policy;
    const areGood = [
      isRatio("perupstream", "perUpstreamPreconnectRatio", perUpstreamPreconnectRatio, report),
      isRatio("predictive", "predictivePreconnectRatio", predictivePreconnectRatio, report),
    ].every(Boolean);
    return areGood ? { ...cluster, preconnectPolicy: { perUpstreamPreconnectRatio, predictivePreconnectRatio } } : cluster;
  },
};

function isRatio(gloosName: string, field: string, ratio: number | undefined, report: Report): boolean {
  if (ratio === undefined || (ratio >= 1 && ratio <= 3)) return true;
  report.error("PreconnectRatioOutOfRange", `invalid preconnect policy: ${gloosName} must be between 1 and 3 if set, it was: ${ratio}`, {
    path: `preconnectPolicy.${field}`,
  });
  return false;
}
