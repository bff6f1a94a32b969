// `healthCheck` of a listener: a path that Envoy answers itself, for load balancers in front of it.
import { packAny } from "../envoy/encode.ts";
import { HealthCheckSchema } from "../gen/envoy/envoy/extensions/filters/http/health_check/v3/health_check_pb.js";
import type { Feature } from "../plugin/feature.ts";

export const healthCheckFilter: Feature = {
  name: "healthCheckFilter",
  glooName: "healthcheck",
  fields: { http: ["healthCheck"] },
  httpFilters(options, { refuse }) {
    const check = options?.healthCheck;
    if (check === undefined) return [];
    if (check.path === "") {
      refuse("healthCheck.path", 'health check path cannot be ""');
      return [];
    }
    const value = packAny(HealthCheckSchema, {
      passThroughMode: false,
      headers: [{ name: ":path", headerMatchSpecifier: { case: "exactMatch", value: check.path } }],
    });
    const filter = { name: "envoy.filters.http.health_check", configType: { case: "typedConfig" as const, value } };
    return [{ place: { stage: "authz", position: "after" }, filter }];
  },
};
