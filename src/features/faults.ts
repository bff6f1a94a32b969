// `faults` of a route: some requests are aborted or delayed, to see what that does.
import { hasRouteAction, withDestinationConfig } from "../envoy/drafts.ts";
import { perMillion } from "../envoy/percent.ts";
import { HTTPFaultSchema } from "../gen/envoy/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import type { Feature } from "../plugin/feature.ts";

export const faults: Feature = {
  name: "faults",
  glooName: "faultinjection",
  fields: { route: ["faults"] },
  route(route, { faults: options }, _inherited, { refuse }) {
    if (!hasRouteAction(route)) return route;
    const { abort, delay } = options ?? {};
    if (abort && (abort.httpStatus < 200 || abort.httpStatus >= 600)) {
      refuse("faults.abort.httpStatus", `invalid abort status code '${abort.httpStatus}', must be in range of [200,600)`);
      return route;
    }
    const delayed = delay?.fixedDelay;
    // Gloo refuses delays below a second, which is a slip: it looks at the seconds only.
    if (delay && (delayed === undefined || delayed.seconds < 0n || (delayed.seconds === 0n && delayed.nanos <= 0))) {
      refuse("faults.delay.fixedDelay", `invalid delay duration '${delayed ? `${delayed.seconds}s` : "<nil>"}', must be greater than 0`);
      return route;
    }
    if (!abort && !delay) return route;
    return withDestinationConfig(route, "envoy.filters.http.fault", HTTPFaultSchema, {
      ...(abort && { abort: { errorType: { case: "httpStatus", value: abort.httpStatus }, percentage: perMillion(abort.percentage) } }),
      ...(delayed && { delay: { faultDelaySecifier: { case: "fixedDelay", value: delayed }, percentage: perMillion(delay.percentage) } }),
    });
  },
};
