// Which requests an access log is about.

import type { AccessLogFilter, ComparisonFilter } from "../../gen/envoy/envoy/config/accesslog/v3/accesslog_pb.js";
import { type GrpcStatusFilter_Status, ComparisonFilter_Op as Op } from "../../gen/envoy/envoy/config/accesslog/v3/accesslog_pb.js";
import { AccessLogType } from "../../gen/envoy/envoy/data/accesslog/v3/accesslog_pb.js";
import { grpcStatusOfHttp } from "../exchange/grpc.ts";
import { responseGrpcStatus } from "../format-operators.ts";
import type { FormatContext } from "../formatter.ts";
import type { Findings } from "./findings.ts";
import { compileHeaderMatcher, fractionOf } from "./route-match.ts";

export type LogFilter = (context: FormatContext) => boolean;

/** Undefined, and a finding, for a filter that is not executed: then everything is logged. */
export function compileLogFilter({ filterSpecifier: filter }: AccessLogFilter, findings: Findings): LogFilter | undefined {
  switch (filter.case) {
    case "statusCodeFilter":
      return comparing(filter.value.comparison, (context) => context.responseStatus);
    case "durationFilter":
      return comparing(filter.value.comparison, (context) => Math.floor(context.durationMs));
    case "notHealthCheckFilter":
      return ({ isHealthCheck = false }) => !isHealthCheck;
    case "traceableFilter":
      return ({ isTraced = false, isHealthCheck = false }) => isTraced && !isHealthCheck;
    case "runtimeFilter": {
      const { percentSampled } = filter.value;
      const share = percentSampled === undefined ? 0 : fractionOf(percentSampled);
      return share >= 1 ? () => true : () => Math.random() < share;
    }
    case "andFilter":
      return compileAll(filter.value.filters, findings, (each) => (context) => each.every((accepts) => accepts(context)));
    case "orFilter":
      return compileAll(filter.value.filters, findings, (each) => (context) => each.some((accepts) => accepts(context)));
    case "headerFilter": {
      const condition = filter.value.header && compileHeaderMatcher(filter.value.header);
      if (condition !== undefined) return (context) => condition.test(context.request);
      break;
    }
    case "responseFlagFilter": {
      const wanted = new Set(filter.value.flags);
      if (wanted.size === 0) return (context) => context.responseFlags !== "";
      return (context) => context.responseFlags.split(",").some((flag) => wanted.has(flag));
    }
    case "grpcStatusFilter": {
      const wanted = new Set<number>(filter.value.statuses as readonly GrpcStatusFilter_Status[]);
      const { exclude } = filter.value;
      return (context) => wanted.has(responseGrpcStatus(context) ?? grpcStatusOfHttp(context.responseStatus)) !== exclude;
    }
    case "logTypeFilter": {
      const { types, exclude } = filter.value;
      const wanted = new Set<string | undefined>(types.map((type) => AccessLogType[type]));
      return ({ accessLogType = "DownstreamEnd" }) => wanted.has(accessLogType) !== exclude;
    }
  }
  findings.notExecuted(filter.case === undefined ? "" : snake(filter.case), "; everything is logged");
  return undefined;
}

function compileAll(
  filters: readonly AccessLogFilter[],
  findings: Findings,
  combine: (filters: readonly LogFilter[]) => LogFilter,
): LogFilter | undefined {
  const compiled = filters.map((each, index) => compileLogFilter(each, findings.at(`filters[${index}]`)));
  return compiled.every((each) => each !== undefined) ? combine(compiled) : undefined;
}

/** Without the runtime, a value is its default. */
function comparing(comparison: ComparisonFilter | undefined, read: (context: FormatContext) => number): LogFilter {
  const wanted = comparison?.value?.defaultValue ?? 0;
  switch (comparison?.op) {
    case Op.GE:
      return (context) => read(context) >= wanted;
    case Op.LE:
      return (context) => read(context) <= wanted;
    case Op.NE:
      return (context) => read(context) !== wanted;
    default:
      return (context) => read(context) === wanted;
  }
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
