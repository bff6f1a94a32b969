// What routes, virtual hosts, weighted clusters and route configurations say of HTTP filters: `typed_per_filter_config`.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { FilterConfigSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { compileLambdaRoute, formFilter, type LambdaRoute, lambdaFilter } from "../filters/awsLambda.ts";
import { httpFilters } from "../filters/builtins.ts";
import type { Findings } from "./findings.ts";

/** By the name of the filter in the connection manager. */
export type RouteFilters = ReadonlyMap<string, RouteFilter>;

export interface RouteFilter {
  readonly isDisabled: boolean;
  /** Undefined: it says only whether the filter runs. */
  readonly config: unknown;
  /** Message name of the configuration. */
  readonly type: string;
}

/** Of a route or a weighted cluster. */
export interface FiltersOfRoute {
  /** The function that is called, where the cluster is Lambda. */
  readonly lambda: LambdaRoute | undefined;
  readonly filters: RouteFilters;
}

export const noRouteFilters: RouteFilters = new Map();

/** @param known names that somebody else takes care of */
export function compileRouteFilters(
  configs: Readonly<Record<string, Any>>,
  findings: Findings,
  known: readonly string[] = [],
): RouteFilters {
  const compiled = new Map<string, RouteFilter>();
  for (const [name, any] of Object.entries(configs)) {
    if (known.includes(name)) continue;
    const place = findings.at(`typed_per_filter_config[${JSON.stringify(name)}]`);
    const filter = compileRouteFilter(any, place);
    if (filter === undefined) place.notExecuted("");
    else compiled.set(name, filter);
  }
  return compiled.size === 0 ? noRouteFilters : compiled;
}

function compileRouteFilter(any: Any, findings: Findings): RouteFilter | undefined {
  const wrapper = anyUnpack(any, FilterConfigSchema);
  const inner = wrapper === undefined ? any : wrapper.config;
  if (inner === undefined) return { isDisabled: wrapper?.disabled ?? false, config: undefined, type: "" };
  const type = messageName(inner);
  const filter = httpFilters.find(({ routeType }) => routeType === type);
  if (filter === undefined) return undefined;
  try {
    return { isDisabled: wrapper?.disabled ?? false, config: filter.compileRoute(inner, findings), type };
  } catch (error) {
    findings.refused("", (error as Error).message);
    return { isDisabled: true, config: undefined, type };
  }
}

export function messageName({ typeUrl }: Pick<Any, "typeUrl">): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** What is said of filters; those of Lambda are of the cluster. */
export function compileFiltersOfRoute(configs: Readonly<Record<string, Any>>, findings: Findings): FiltersOfRoute {
  const lambda = compileLambdaRoute(configs);
  return { lambda, filters: compileRouteFilters(configs, findings, lambda === undefined ? [] : [formFilter, lambdaFilter]) };
}
