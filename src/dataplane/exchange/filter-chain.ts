// The HTTP filters of a connection manager at work on one request: in their order before the route acts, in the opposite order before a response
// is sent.

import type { CompiledFilter } from "../compile/http-filters.ts";
import type { RouteFilter } from "../compile/route-filters.ts";
import type { FilterRun } from "../filters/http-filter.ts";
import type { Headers } from "../http1/headers.ts";
import type { Exchange } from "./exchange.ts";

/** Lets the filters see the request, and then `act`; not when one of them answered. */
export function runFilters(exchange: Exchange, act: () => void): void {
  const runs: FilterRun[] = [];
  for (const filter of exchange.hcm.filters) {
    const run = begin(filter, exchange);
    if (run !== undefined) runs.push(run);
  }
  if (runs.length === 0) {
    act();
    return;
  }
  exchange.filters = runs;
  exchange.isInFilters = true;
  runFrom(exchange, runs, 0, () => {
    exchange.isInFilters = false;
    act();
  });
}

function runFrom(exchange: Exchange, runs: readonly FilterRun[], from: number, act: () => void): void {
  for (let at = from; at < runs.length; at++) {
    let isResumed = false;
    const verdict = runs[at]?.onRequest?.(exchange, () => {
      if (isResumed || exchange.isDone) return;
      isResumed = true;
      runFrom(exchange, runs, at + 1, act);
    });
    if (verdict === "wait" || verdict === "answered" || exchange.isDone) return;
  }
  act();
}

function begin({ name, filter, config, isDisabled }: CompiledFilter, exchange: Exchange): FilterRun | undefined {
  const said: RouteFilter[] = [];
  for (const level of [exchange.choice, exchange.route, exchange.virtualHost, exchange.config]) {
    const found = level?.filters.get(name);
    if (found !== undefined) said.push(found);
  }
  // The most specific level that speaks of it decides whether it runs at all.
  if (said[0] === undefined ? isDisabled : said[0].isDisabled) return undefined;
  const routes = said.filter((each) => each.type === filter.routeType).map((each) => each.config);
  return filter.begin(config, routes, exchange);
}

export function filterResponse(exchange: Exchange, status: number, headers: Headers): void {
  const runs = exchange.filters as readonly FilterRun[];
  for (let at = runs.length - 1; at >= 0; at--) runs[at]?.onResponse?.(exchange, status, headers);
}

export function endFilters(exchange: Exchange): void {
  for (const run of exchange.filters ?? []) run.onEnd?.(exchange);
}
