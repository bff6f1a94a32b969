// The HTTP filters of a connection manager at work on one request: in their order before the route acts, in the opposite order before a response
// is sent.

import type { CompiledFilter } from "../compile/http-filters.ts";
import { noRouteFilters, type RouteFilter } from "../compile/route-filters.ts";
import type { BodySink, FilteredResponse, FilterRun } from "../filters/http-filter.ts";
import type { Exchange, RouteLevels } from "./exchange.ts";
import { HeldBody } from "./held-body.ts";

/** Lets the filters see the request, and then `act`; not when one of them answered. */
export function runFilters(exchange: Exchange, act: (exchange: Exchange) => void): void {
  const { hcm } = exchange;
  const filters = isSilent(exchange) ? hcm.activeFilters : hcm.filters;
  if (filters.length === 0) act(exchange);
  else runFrom(exchange, filters, 0, act);
}

/** No level of the route says anything of any filter, as is mostly so. */
function isSilent({ route, virtualHost, config, choice }: Exchange): boolean {
  return (
    (route === undefined || route.filters === noRouteFilters) &&
    (virtualHost === undefined || virtualHost.filters === noRouteFilters) &&
    (config === undefined || config.filters === noRouteFilters) &&
    (choice === undefined || choice.filters === noRouteFilters)
  );
}

function runFrom(exchange: Exchange, filters: readonly CompiledFilter[], from: number, act: (exchange: Exchange) => void): void {
  exchange.isInFilters = true;
  for (let at = from; at < filters.length; at++) {
    const run = begin(filters[at] as CompiledFilter, exchange);
    if (run === undefined) continue;
    exchange.filters ??= [];
    exchange.filters.push(run);
    let isResumed = false;
    const verdict = run.onRequest?.(exchange, () => {
      if (isResumed || exchange.isDone || exchange.headSent) return;
      isResumed = true;
      runBehind(exchange, filters, at, act);
    });
    if (verdict === "wait" || verdict === "answered" || exchange.isDone) return;
    if (isReroutedIn(exchange, filters)) {
      runBehind(exchange, filters, at, act);
      return;
    }
  }
  exchange.isInFilters = false;
  act(exchange);
}

/** Filters that had nothing to do on the first route may have on this one. */
function isReroutedIn({ firstRoute, hcm }: Exchange, filters: readonly CompiledFilter[]): boolean {
  return firstRoute !== undefined && filters !== hcm.filters;
}

function runBehind(exchange: Exchange, filters: readonly CompiledFilter[], at: number, act: (exchange: Exchange) => void): void {
  const all = exchange.hcm.filters;
  if (isReroutedIn(exchange, filters)) runFrom(exchange, all, all.indexOf(filters[at] as CompiledFilter) + 1, act);
  else runFrom(exchange, filters, at + 1, act);
}

function begin({ name, filter, config, isDisabled }: CompiledFilter, exchange: Exchange): FilterRun | undefined {
  const said = saidOf(name, exchange, exchange.config);
  // The most specific level that speaks of it decides whether it runs at all. Envoy asks the first route alone, so that who gets routed again by a forged
  // header could pass by what protects the second: here a filter is off when both say so.
  const { firstRoute } = exchange;
  if (isOff(said, isDisabled) && (firstRoute === undefined || isOff(saidOf(name, firstRoute, exchange.config), isDisabled)))
    return undefined;
  const routes = said.filter((each) => each.type === filter.routeType).map((each) => each.config);
  return filter.begin(config, routes, exchange);
}

function isOff([decides]: readonly RouteFilter[], isDisabled: boolean): boolean {
  return decides === undefined ? isDisabled : decides.isDisabled;
}

function saidOf(name: string, { choice, route, virtualHost }: RouteLevels, config: Exchange["config"]): RouteFilter[] {
  const said: RouteFilter[] = [];
  // Without a route, no level says anything.
  if (route === undefined) return said;
  for (const level of [choice, route, virtualHost, config]) {
    const found = level?.filters.get(name);
    if (found !== undefined) said.push(found);
  }
  return said;
}

/** Lets the filters see a response; `deliver` sends its head once they have. Returns where its body goes. */
export function filterResponse(
  exchange: Exchange,
  response: FilteredResponse,
  deliver: (response: FilteredResponse) => BodySink,
): BodySink {
  const runs = exchange.filters as readonly FilterRun[];
  return filterFrom(exchange, runs, runs.length - 1, response, deliver);
}

function filterFrom(
  exchange: Exchange,
  runs: readonly FilterRun[],
  from: number,
  response: FilteredResponse,
  deliver: (response: FilteredResponse) => BodySink,
): BodySink {
  for (let at = from; at >= 0; at--) {
    const change = runs[at]?.onResponse?.(exchange, response);
    if (change === undefined) continue;
    if (change.kind === "later") return change.into(() => filterFrom(exchange, runs, at - 1, response, deliver));
    if (change.kind === "passing") return change.into(filterFrom(exchange, runs, at - 1, response, deliver));
    return new HeldBody(exchange, response, change, (changed) => filterFrom(exchange, runs, at - 1, changed, deliver));
  }
  return deliver(response);
}

export function endFilters(exchange: Exchange): void {
  for (const run of exchange.filters ?? []) run.onEnd?.(exchange);
}
