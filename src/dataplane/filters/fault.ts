// Faults on purpose: some requests are delayed, some are answered instead of being forwarded.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { FaultDelay } from "../../gen/envoy/envoy/extensions/filters/common/fault/v3/fault_pb.js";
import { type FaultAbort, HTTPFaultSchema } from "../../gen/envoy/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { durationMs } from "../compile/durations.ts";
import type { Findings } from "../compile/findings.ts";
import { compilePercentage, type Fraction } from "../compile/fraction.ts";
import { compileHeaderMatchers } from "../compile/route-match.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import type { Condition } from "../match.ts";
import { wireText } from "../text.ts";
import type { FilterRun, HttpFilter, Verdict } from "./http-filter.ts";

interface Fault {
  readonly headers: readonly Condition[];
  /** Only requests to this cluster; all when empty. */
  readonly cluster: string;
  readonly delay: { readonly ms: number; readonly drawn: Fraction } | undefined;
  readonly abort: Abort | undefined;
}

interface Abort {
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly body: string;
  readonly drawn: Fraction;
}

export const fault: HttpFilter<Fault, Fault> = {
  configType: "envoy.extensions.filters.http.fault.v3.HTTPFault",
  routeType: "envoy.extensions.filters.http.fault.v3.HTTPFault",
  compile(any, findings) {
    const compiled = compileFault(any, findings);
    return compiled.delay === undefined && compiled.abort === undefined ? undefined : compiled;
  },
  compileRoute: compileFault,
  begin(config, routes) {
    const chosen = routes[0] ?? config;
    return chosen && new FaultRun(chosen);
  },
};

class FaultRun implements FilterRun {
  readonly #fault: Fault;
  #timer: NodeJS.Timeout | undefined;

  constructor(chosen: Fault) {
    this.#fault = chosen;
  }

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    const { headers, cluster, delay } = this.#fault;
    if (cluster !== "" && cluster !== clusterOf(exchange)) return "next";
    if (!headers.every((each) => each.test(exchange))) return "next";
    if (delay === undefined || delay.ms < 1 || !delay.drawn()) return this.#abort(exchange, "FI");
    exchange.responseFlags = "DI";
    this.#timer = setTimeout(() => {
      if (this.#abort(exchange, "DI,FI") === "next") resume();
    }, delay.ms);
    return "wait";
  }

  #abort(exchange: Exchange, flags: string): Verdict {
    const { abort } = this.#fault;
    if (abort === undefined || !abort.drawn()) return "next";
    const options = abort.grpcStatus === undefined ? {} : { grpcStatus: abort.grpcStatus };
    reply(exchange, abort.status, abort.body, flags, "fault_filter_abort", options);
    return "answered";
  }

  onEnd(): void {
    clearTimeout(this.#timer);
  }
}

function clusterOf({ choice, route }: Exchange): string {
  if (route?.action.kind !== "forward") return "";
  return choice?.name ?? (route.action.target.kind === "cluster" ? route.action.target.name : "");
}

const handled: HandledFields = {
  "envoy.extensions.filters.http.fault.v3.HTTPFault": [
    "delay",
    "abort",
    "upstream_cluster",
    "headers",
    // no effect here: there is no runtime, and what is counted is not by client
    "delay_percent_runtime",
    "abort_percent_runtime",
    "delay_duration_runtime",
    "abort_http_status_runtime",
    "max_active_faults_runtime",
    "response_rate_limit_percent_runtime",
    "abort_grpc_status_runtime",
    "disable_downstream_cluster_stats",
  ],
  "envoy.extensions.filters.http.fault.v3.FaultAbort": ["http_status", "grpc_status", "percentage", "response_body"],
  "envoy.extensions.filters.common.fault.v3.FaultDelay": ["fixed_delay", "percentage"],
};

function compileFault(any: Any, findings: Findings): Fault {
  const message = anyUnpack(any, HTTPFaultSchema);
  if (message === undefined) throw new Error("is no HTTPFault");
  for (const path of unhandledFields(HTTPFaultSchema, message, handled)) findings.notExecuted(path);
  return {
    headers: compileHeaderMatchers(message.headers, findings, "headers", "; the fault applies to no request"),
    cluster: message.upstreamCluster,
    delay: message.delay && compileDelay(message.delay),
    abort: message.abort && compileAbort(message.abort),
  };
}

function compileDelay({ faultDelaySecifier: delay, percentage }: FaultDelay): Fault["delay"] {
  return delay.case === "fixedDelay" ? { ms: durationMs(delay.value), drawn: compilePercentage(percentage) } : undefined;
}

function compileAbort({ errorType: error, percentage, responseBody }: FaultAbort): Abort | undefined {
  if (error.case !== "httpStatus" && error.case !== "grpcStatus") return undefined;
  return {
    status: error.case === "httpStatus" ? error.value : 200,
    grpcStatus: error.case === "grpcStatus" ? error.value : undefined,
    body: wireText(responseBody) || "fault filter abort",
    drawn: compilePercentage(percentage),
  };
}
