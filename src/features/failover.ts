// `failover`: hosts of other places for when the own ones are down. Not served yet, and said so: the cluster without it would look
// healthy until the day it is needed.
import type { Feature } from "../plugin/feature.ts";

export const failover: Feature = {
  name: "failover",
  upstream(cluster, { upstream }, { report }) {
    if (upstream.failover) {
      report.error("FailoverUnsupported", "Could not load configuration for the following Enterprise features: [failover]", {
        path: "failover",
      });
    }
    return cluster;
  },
};
