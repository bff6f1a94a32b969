// What routes change: headers, host and path of a request on its way to the upstream, headers of a response on its way back.

import type { Forward } from "../compile/forward.ts";
import { mutateHeaders } from "../compile/header-mutations.ts";
import type { CompiledVirtualHost } from "../compile/route-config.ts";
import { firstValue } from "../formatter.ts";
import { type Headers, headerValue, setHeader } from "../http1/headers.ts";
import { pathOnly } from "../match.ts";
import type { Exchange } from "./exchange.ts";
import { isGrpc } from "./grpc.ts";

/** Envoy's order: the router's own headers, the mutations of the route, then its rewrites. */
export function rewriteRequest(exchange: Exchange, forward: Forward): void {
  const { headers } = exchange;
  const host = exchange.virtualHost as CompiledVirtualHost;
  tellTimeout(exchange);
  if (exchange.choice?.requestMutations !== undefined) mutateHeaders(headers, exchange.choice.requestMutations, exchange, exchange);
  const levels = [exchange.route?.requestMutations, host.requestMutations, exchange.config?.requestMutations];
  if (exchange.config?.mostSpecificWins) levels.reverse();
  for (const mutations of levels) if (mutations !== undefined) mutateHeaders(headers, mutations, exchange, exchange);

  if (forward.host !== undefined || exchange.choice?.host !== undefined) {
    const rewritten = exchange.choice?.host ?? rewriteHost(exchange, forward);
    if (rewritten !== undefined && rewritten !== "") setAuthority(exchange, rewritten);
  }
  exchange.pathBefore = exchange.path;
  if (forward.rewritePath !== undefined) {
    const path = pathOnly(exchange.path);
    const rewritten = forward.rewritePath(path) + exchange.path.slice(path.length);
    if (exchange.hcm.envoyHeaders) setHeader(headers, "x-envoy-original-path", exchange.path);
    exchange.path = rewritten;
  }
}

/** Tells the upstream how long somebody waits for it. */
export function tellTimeout(exchange: Exchange): void {
  const { timeoutMs } = exchange;
  const perTry = exchange.forward?.retry?.perTryMs ?? Number.POSITIVE_INFINITY;
  if (timeoutMs === Number.POSITIVE_INFINITY) return;
  const left = exchange.attempts === 0 ? timeoutMs : Math.max(0, timeoutMs - exchange.durationMs);
  const expected = Math.ceil(Math.min(perTry, left));
  if (exchange.hcm.envoyHeaders) setHeader(exchange.headers, "x-envoy-expected-rq-timeout-ms", String(expected));
  if (exchange.forward?.maxGrpc !== undefined && isGrpc(exchange.headers)) setHeader(exchange.headers, "grpc-timeout", `${expected}m`);
}

function rewriteHost(exchange: Exchange, forward: Forward): string | undefined {
  const rewrite = forward.host;
  switch (rewrite?.kind) {
    case "literal":
      return rewrite.host;
    case "header":
      return firstValue(exchange, rewrite.header);
    case "path":
      return rewrite.rewrite(pathOnly(exchange.path));
    default:
      return undefined;
  }
}

export function setAuthority(exchange: Exchange, authority: string): void {
  if (exchange.forward?.appendXForwardedHost) {
    const before = headerValue(exchange.headers, "x-forwarded-host");
    setHeader(exchange.headers, "x-forwarded-host", before === undefined ? exchange.authority : `${before},${exchange.authority}`);
  }
  if (exchange.hcm.envoyHeaders && authority !== exchange.authority)
    setHeader(exchange.headers, "x-envoy-original-host", exchange.authority);
  exchange.authority = authority;
}

export function mutateResponse(exchange: Exchange, headers: Headers): void {
  if (exchange.choice?.responseMutations !== undefined) mutateHeaders(headers, exchange.choice.responseMutations, exchange);
  const levels = [exchange.route?.responseMutations, exchange.virtualHost?.responseMutations, exchange.config?.responseMutations];
  if (exchange.config?.mostSpecificWins) levels.reverse();
  for (const mutations of levels) if (mutations !== undefined) mutateHeaders(headers, mutations, exchange);
}

export function tellRequestId(exchange: Exchange, headers: Headers): void {
  // Only one that counts: what a client says before its request was looked at does not.
  const id = exchange.isReceived ? headerValue(exchange.headers, "x-request-id") : undefined;
  if (id !== undefined) setHeader(headers, "x-request-id", id);
}
