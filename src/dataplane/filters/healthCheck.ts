// Health checks of load balancers in front of this listener: answered here, whatever the routes say.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { HealthCheckSchema } from "../../gen/envoy/envoy/extensions/filters/http/health_check/v3/health_check_pb.js";
import { compileHeaderMatchers } from "../compile/route-match.ts";
import { reply } from "../exchange/answers.ts";
import { holdBody } from "../exchange/request-body.ts";
import { unhandledFields } from "../fields.ts";
import { setHeader } from "../http1/headers.ts";
import type { Condition } from "../match.ts";
import type { HttpFilter } from "./http-filter.ts";

export const healthCheck: HttpFilter<readonly Condition[], never> = {
  configType: "envoy.extensions.filters.http.health_check.v3.HealthCheck",
  routeType: "",
  compile(any, findings) {
    const message = anyUnpack(any, HealthCheckSchema);
    if (message === undefined) throw new Error("is no HealthCheck");
    for (const path of unhandledFields(HealthCheckSchema, message, handled)) findings.notExecuted(path);
    if (message.passThroughMode) {
      findings.notExecuted("pass_through_mode", "; health checks are requests like others");
      return undefined;
    }
    return compileHeaderMatchers(message.headers, findings, "headers", "; no request is a health check");
  },
  compileRoute: () => undefined as never,
  begin(matchers, _, exchange) {
    if (matchers === undefined || !matchers.every((each) => each.test(exchange))) return undefined;
    exchange.isHealthCheck = true;
    const answer = () => reply(exchange, 200, "", "", "health_check_ok");
    return {
      onRequest() {
        if (!holdBody(exchange, answer)) return "wait";
        answer();
        return "answered";
      },
      // Envoy names the cluster that it stands for (`--service-cluster`); this data plane stands for none.
      onResponse(_, { headers }) {
        setHeader(headers, "x-envoy-upstream-healthchecked-cluster", "");
        return undefined;
      },
    };
  },
};

const handled = { "envoy.extensions.filters.http.health_check.v3.HealthCheck": ["pass_through_mode", "headers"] };
