// Tracing of a connection manager and of its routes: which requests, under which names, with which tags. Where spans go is in tracers.ts.

import type { Decorator, Tracing as RouteMessage } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { HttpConnectionManager_Tracing as Message } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { FractionalPercent, Percent } from "../../gen/envoy/envoy/type/v3/percent_pb.js";
import { compileFormat, type Formatter } from "../formatter.ts";
import { wireText } from "../text.ts";
import type { Tracer } from "../tracing/tracer.ts";
import { type CustomTag, compileCustomTags } from "./custom-tags.ts";
import type { Findings } from "./findings.ts";
import { compileTracer } from "./tracers.ts";

/** So many of so many. */
export interface Share {
  readonly part: number;
  readonly whole: number;
}

export interface Sampling {
  /** Of those whose clients ask for it. */
  readonly client: Share;
  readonly random: Share;
  /** Of all that would be traced. */
  readonly overall: Share;
}

interface Names {
  readonly tags: readonly CustomTag[];
  /** Undefined: the name that the tracer gives it. */
  readonly operation: Formatter | undefined;
  readonly upstreamOperation: Formatter | undefined;
}

export interface CompiledTracing extends Sampling, Names {
  /** Undefined: nothing is reported, but requests are chosen all the same. */
  readonly tracer: Tracer | undefined;
  readonly isVerbose: boolean;
  readonly mostPath: number;
  /** Tries at upstreams have spans of their own. */
  readonly spansTries: boolean;
  readonly propagates: boolean;
}

export interface RouteTracing {
  /** In the place of what the connection manager says. */
  readonly sampling: Sampling | undefined;
  readonly names: Names | undefined;
  readonly decorator: { readonly operation: string; readonly propagates: boolean } | undefined;
}

export function compileTracing(message: Message | undefined, findings: Findings, startsChildren: boolean): CompiledTracing | undefined {
  if (message === undefined) return undefined;
  const { clientSampling, randomSampling, overallSampling, verbose, maxPathTagLength, provider, spawnUpstreamSpan } = message;
  return {
    client: whole(clientSampling),
    random: { part: Math.round((randomSampling?.value ?? 100) * 100), whole: 10_000 },
    overall: whole(overallSampling),
    ...compileNames(message, findings),
    tracer: provider && compileTracer(provider, findings.at("provider")),
    isVerbose: verbose,
    mostPath: maxPathTagLength ?? 256,
    spansTries: spawnUpstreamSpan ?? startsChildren,
    propagates: !message.noContextPropagation,
  };
}

/** As Envoy, which counts these in whole percents. */
function whole(percent: Percent | undefined): Share {
  return { part: Math.trunc(percent?.value ?? 100), whole: 100 };
}

export function compileRouteTracing(
  tracing: RouteMessage | undefined,
  decorator: Decorator | undefined,
  findings: Findings,
): RouteTracing | undefined {
  if (tracing === undefined && decorator === undefined) return undefined;
  return {
    sampling: tracing && {
      client: fractional(tracing.clientSampling),
      random: fractional(tracing.randomSampling),
      overall: fractional(tracing.overallSampling),
    },
    names: tracing && compileNames(tracing, findings.at("tracing")),
    decorator: decorator && { operation: wireText(decorator.operation), propagates: decorator.propagate ?? true },
  };
}

function fractional(percent: FractionalPercent | undefined): Share {
  return { part: percent?.numerator ?? 100, whole: [100, 10_000, 1_000_000][percent?.denominator ?? 0] ?? 100 };
}

function compileNames(
  { customTags, operation, upstreamOperation }: Pick<Message, "customTags" | "operation" | "upstreamOperation">,
  findings: Findings,
): Names {
  const format = (text: string, field: string) =>
    text === "" ? undefined : compileFormat(text, "", (operator) => findings.operator(field, operator));
  return {
    tags: compileCustomTags(customTags, findings),
    operation: format(operation, "operation"),
    upstreamOperation: format(upstreamOperation, "upstream_operation"),
  };
}
