// The Host header of health checks by HTTP, where the Upstream says one. A name that an endpoint has wins over it in Envoy, so whoever
// gives names to endpoints repeats it there.
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";

export function healthCheckHost({ healthChecks }: Upstream): string | undefined {
  for (const { healthChecker } of healthChecks) {
    if (healthChecker.case === "httpHealthCheck" && healthChecker.value.host !== "") return healthChecker.value.host;
  }
  return undefined;
}
