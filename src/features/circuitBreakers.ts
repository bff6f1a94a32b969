// `circuitBreakers` of an Upstream, or else of Settings: limits for requests of the default priority.
import type { Feature } from "../plugin/feature.ts";

export const circuitBreakers: Feature = {
  name: "circuitBreakers",
  upstream(cluster, { upstream }, { world }) {
    const limits = upstream.circuitBreakers ?? world.settings.gloo?.circuitBreakers;
    if (!limits) return cluster;
    const { maxConnections, maxPendingRequests, maxRequests, maxRetries, trackRemaining } = limits;
    // Gloo 1.22 has `trackRemaining` in its API and forgets to send it; it only adds statistics.
    return {
      ...cluster,
      circuitBreakers: { thresholds: [{ maxConnections, maxPendingRequests, maxRequests, maxRetries, trackRemaining }] },
    };
  },
};
