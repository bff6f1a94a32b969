// A request before it goes anywhere: who sent it, what its path is, which route takes it, and what that route does.

import type { Action, CompiledRoute } from "../compile/route.ts";
import type { CompiledRouteConfig, CompiledVirtualHost } from "../compile/route-config.ts";
import { receiveHeaders } from "../edge.ts";
import { matchRoute, pathOnly } from "../match.ts";
import { preparePath } from "../path.ts";
import { redirect, redirectTo, reply } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { runFilters } from "./filter-chain.ts";
import { chooseWeighted, forwardTo } from "./forward.ts";
import { beginTrace } from "./trace.ts";

export function receive(exchange: Exchange): void {
  if (makeReady(exchange)) takeRoute(exchange);
}

/** Everything before a route is looked for. False when the request got its answer. */
export function makeReady(exchange: Exchange): boolean {
  const hcm = exchange.hcm;
  if (exchange.authority === "") {
    reply(exchange, 400, "", "DPE", "missing_host_header");
    return false;
  }
  // `OPTIONS *` is about the proxy itself, which has nothing to say; no route is about it.
  if (exchange.path.charCodeAt(0) !== 0x2f) {
    reply(exchange, 404, "", "", "path_not_absolute");
    return false;
  }
  const routes = hcm.routes;
  const config = routes.kind === "inline" ? routes.config : exchange.tables.routeConfig(routes.name);
  exchange.config = config;
  const received = receiveHeaders(exchange.headers, hcm, exchange.client, config?.internalOnlyHeaders ?? []);
  exchange.isReceived = true;
  exchange.remoteAddress = received.remoteAddress;
  exchange.scheme = received.scheme;
  stripHost(exchange);
  return normalizePath(exchange);
}

function stripHost(exchange: Exchange): void {
  const { stripPort, stripTrailingDot } = exchange.hcm;
  if (stripPort === "any" || (stripPort === "matching" && exchange.authority.endsWith(`:${exchange.client.localPort}`))) {
    exchange.authority = exchange.authority.replace(/:\d*$/, "");
  }
  if (stripTrailingDot) exchange.authority = exchange.authority.replace(/\.(?=:\d*$|$)/, "");
}

/** False when the path got its answer. */
function normalizePath(exchange: Exchange): boolean {
  const { hcm } = exchange;
  if (!hcm.normalizePath && !hcm.mergeSlashes && hcm.escapedSlashes === "keep") return true;
  const prepared = preparePath(exchange.path, hcm);
  switch (prepared.kind) {
    case "refused":
      reply(exchange, 400, "", "DPE", "path_normalization_failed");
      return false;
    case "redirect":
      redirect(exchange, 307, prepared.path);
      return false;
    default:
      exchange.path = prepared.path;
      return true;
  }
}

export function takeRoute(exchange: Exchange): void {
  findRoute(exchange);
  if (exchange.hcm.tracing !== undefined) beginTrace(exchange, exchange.hcm.tracing);
  if (exchange.hcm.filters.length === 0) act(exchange);
  else runFilters(exchange, act);
}

/** Filters see requests that no route takes, too. */
function findRoute(exchange: Exchange): void {
  const { config } = exchange;
  const host = config?.domains.find(exchange.authority) as CompiledVirtualHost | undefined;
  if (config === undefined || host === undefined) return;
  exchange.virtualHostName = host.name;
  if (host.requiresTls && exchange.scheme !== "https") {
    exchange.needsTls = true;
    return;
  }
  const route = matchRoute(host, exchange, matchedPath(exchange, config)) as CompiledRoute | undefined;
  if (route === undefined) return;
  exchange.virtualHost = host;
  exchange.route = route;
  if (route.action.kind === "forward") chooseWeighted(exchange, route.action);
}

/** Once more: a filter has changed what routes look at. */
export function findRouteAgain(exchange: Exchange): void {
  const { virtualHost, route, choice } = exchange;
  exchange.firstRoute ??= { virtualHost, route, choice };
  exchange.virtualHostName = "";
  exchange.virtualHost = undefined;
  exchange.route = undefined;
  exchange.choice = undefined;
  exchange.needsTls = false;
  findRoute(exchange);
}

/** What paths of routes are compared with. */
export function matchedPath({ path }: Exchange, { ignorePathParameters }: CompiledRouteConfig): string {
  const plain = pathOnly(path);
  return ignorePathParameters ? plain.replace(/;.*$/, "") : plain;
}

function act(exchange: Exchange): void {
  if (exchange.needsTls) redirect(exchange, 301, `https://${exchange.authority}${exchange.path}`);
  else if (exchange.route === undefined) reply(exchange, 404, "", "NR", "route_not_found");
  else actAs(exchange, exchange.route.action);
}

function actAs(exchange: Exchange, action: Action): void {
  switch (action.kind) {
    case "forward":
      forwardTo(exchange, action);
      break;
    case "redirect":
      redirectTo(exchange, action);
      break;
    case "direct":
      reply(exchange, action.status, action.body.toString("latin1"), "", "direct_response");
      break;
    default:
      reply(exchange, 500, "", "", "route_not_executed");
  }
}
