// External processing: a server of the user's sees requests and responses as they pass, and changes them (envoy.service.ext_proc.v3.ExternalProcessor).
//
// extProcConfig.ts says what is executed; extProcRun.ts has the conversation about one request; extProcSide.ts knows what of a message may go on.

import { compileProcessing, compileRouteProcessing, type Processing, processingOf, type RouteProcessing } from "./extProcConfig.ts";
import { isIdle, isTunnelHidden } from "./extProcModes.ts";
import { ProcessingRun } from "./extProcRun.ts";
import { ClosedRun } from "./guard.ts";
import type { HttpFilter } from "./http-filter.ts";

export const extProc: HttpFilter<Processing, RouteProcessing> = {
  configType: "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
  routeType: "envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute",
  isGuard: true,
  compile: (any, findings, { disabled }) => compileProcessing(any, findings, disabled),
  compileRoute: compileRouteProcessing,
  begin(config, routes, exchange) {
    const processing = processingOf(config, routes);
    if (processing === undefined || isIdle(processing.modes)) return undefined;
    if (!processing.isClosed && !isTunnelHidden(exchange.upgrade, processing.modes)) return new ProcessingRun(processing, exchange);
    // What a processor would have changed or refused is not known.
    return processing.allowsOnError || processing.onlyObserves ? undefined : new ClosedRun(processing.statusOnError);
  },
};
