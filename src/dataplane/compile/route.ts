// One route: when it matches and what it does with a request.

import type { DirectResponseAction, RetryPolicy, Route } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { MetadataView } from "../formatter.ts";
import type { Matchable, PathTest } from "../match.ts";
import type { Findings } from "./findings.ts";
import { compileForward, type Forward } from "./forward.ts";
import { compileHeaderMutations, type HeaderMutations } from "./header-mutations.ts";
import { compileRedirect, type Redirect } from "./redirect.ts";
import { compileFiltersOfRoute, type FiltersOfRoute } from "./route-filters.ts";
import { compileRouteMatch } from "./route-match.ts";
import { compileRouteTracing, type RouteTracing } from "./tracing.ts";

export interface CompiledRoute extends Matchable, FiltersOfRoute {
  readonly action: Action;
  readonly requestMutations: HeaderMutations | undefined;
  readonly responseMutations: HeaderMutations | undefined;
  readonly metadata: MetadataView | undefined;
  readonly tracing: RouteTracing | undefined;
  /** How much of a body is kept for retries. */
  readonly bufferLimit: number | undefined;
}

export type Action =
  | ({ readonly kind: "forward" } & Forward)
  | ({ readonly kind: "redirect" } & Redirect)
  | { readonly kind: "direct"; readonly status: number; readonly body: Buffer }
  | { readonly kind: "unsupported" };

export function compileRoute(route: Route, hostRetry: RetryPolicy | undefined, findings: Findings): CompiledRoute {
  const match = compileRouteMatch(route.match ?? emptyMatch, findings.at("match"));
  const requestMutations = compileHeaderMutations(
    route.requestHeadersToAdd,
    route.requestHeadersToRemove,
    findings,
    "request_headers_to_add",
  );
  const responseMutations = compileHeaderMutations(
    route.responseHeadersToAdd,
    route.responseHeadersToRemove,
    findings,
    "response_headers_to_add",
  );
  const limit = route.requestBodyBufferLimit ?? route.perRequestBufferLimitBytes;
  return {
    name: route.name,
    match,
    action: compileAction(route, match.path, hostRetry, findings),
    requestMutations,
    responseMutations,
    ...compileFiltersOfRoute(route.typedPerFilterConfig, findings),
    metadata: route.metadata?.filterMetadata as MetadataView | undefined,
    tracing: compileRouteTracing(route.tracing, route.decorator, findings),
    bufferLimit: limit === undefined ? undefined : Number(limit),
  };
}

const emptyMatch = { $typeName: "envoy.config.route.v3.RouteMatch" } as never;

function compileAction(route: Route, path: PathTest, hostRetry: RetryPolicy | undefined, findings: Findings): Action {
  const { action } = route;
  try {
    switch (action.case) {
      case "route":
        return { kind: "forward", ...compileForward(action.value, path, hostRetry, findings.at("route")) };
      case "redirect":
        return { kind: "redirect", ...compileRedirect(action.value, path, findings.at("redirect")) };
      case "directResponse":
        return compileDirect(action.value, findings.at("direct_response"));
      default:
        if (action.case === undefined) findings.notExecuted("", " without an action; requests that it takes are answered with 500");
        return { kind: "unsupported" };
    }
  } catch (error) {
    findings.refused("", `${(error as Error).message}; requests that it takes are answered with 500`);
    return { kind: "unsupported" };
  }
}

function compileDirect(action: DirectResponseAction, findings: Findings): Action {
  const source = action.body?.specifier;
  let body = Buffer.alloc(0) as Buffer;
  if (source?.case === "inlineString") body = Buffer.from(source.value, "utf8");
  else if (source?.case === "inlineBytes") body = Buffer.from(source.value);
  else if (source?.case !== undefined) findings.notExecuted("body", "; the answer has no body");
  return { kind: "direct", status: action.status, body };
}
