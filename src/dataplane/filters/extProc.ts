// External processing is not executed here. What a processor would have changed or refused is not known, so that requests do not go on without one, but for
// those that Envoy too would let pass while the processor cannot be reached.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ExternalProcessorSchema, ExtProcPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import {
  ProcessingMode_BodySendMode as Body,
  ProcessingMode_HeaderSendMode as Head,
  type ProcessingMode,
} from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/processing_mode_pb.js";
import { answered, ClosedRun } from "./guard.ts";
import type { HttpFilter } from "./http-filter.ts";

/** What decides whether a request may pass unprocessed, as far as one level says it. */
interface Processing {
  readonly allowsOnError: boolean | undefined;
  readonly mode: ProcessingMode | undefined;
}

interface Config extends Processing {
  readonly statusOnError: number;
}

interface RouteConfig extends Processing {
  readonly isDisabled: boolean;
}

export const extProc: HttpFilter<Config, RouteConfig> = {
  configType: "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
  routeType: "envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute",
  isGuard: true,
  compile(any, findings, { name, disabled }) {
    const message = anyUnpack(any, ExternalProcessorSchema);
    const config = {
      // A processor that only observes has no say.
      allowsOnError: message?.failureModeAllow || message?.observabilityMode,
      mode: message?.processingMode,
      statusOnError: message?.statusOnError?.code || 500,
    };
    const consequence = config.allowsOnError ? "; requests pass unprocessed, as failure_mode_allow has it" : answered(config.statusOnError);
    if (!disabled && !isIdle(config.mode)) findings.notExecuted("", ` (${name})${consequence}`);
    return config;
  },
  compileRoute(any, findings) {
    const override = anyUnpack(any, ExtProcPerRouteSchema)?.override;
    if (override?.case === "disabled") return { isDisabled: override.value, allowsOnError: undefined, mode: undefined };
    const said = override?.value;
    const { processingMode: mode, failureModeAllow: allowsOnError } = { processingMode: undefined, failureModeAllow: undefined, ...said };
    findings.notExecuted("");
    return { isDisabled: false, allowsOnError, mode };
  },
  begin(config, routes) {
    if (routes[0]?.isDisabled) return undefined;
    const levels = [...routes, config];
    if (levels.map((each) => each?.allowsOnError).find((each) => each !== undefined)) return undefined;
    if (isIdle(levels.map((each) => each?.mode).find((each) => each !== undefined))) return undefined;
    return new ClosedRun(config?.statusOnError ?? 500);
  },
};

/** Neither requests nor responses are shown to the processor. */
function isIdle(mode: ProcessingMode | undefined): boolean {
  if (mode === undefined) return false;
  const heads = [mode.requestHeaderMode, mode.responseHeaderMode];
  const trailers = [mode.requestTrailerMode, mode.responseTrailerMode];
  const bodies = [mode.requestBodyMode, mode.responseBodyMode];
  // By default, heads are shown and trailers are not.
  return (
    heads.every((each) => each === Head.SKIP) && trailers.every((each) => each !== Head.SEND) && bodies.every((each) => each === Body.NONE)
  );
}
