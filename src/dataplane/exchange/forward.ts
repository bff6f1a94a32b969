// A request that goes to an upstream: to which cluster, and whether it may be an upgrade.

import type { Forward } from "../compile/forward.ts";
import { headerValue } from "../http1/headers.ts";
import { reply } from "./answers.ts";
import { attempt } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import { mostKept } from "./request-body.ts";
import { rewriteRequest } from "./rewrite.ts";
import { settleLimits, startRouteTimer, startStreamTimer } from "./timers.ts";
import { mayUpgrade } from "./upgrade.ts";

export function forwardTo(exchange: Exchange, forward: Forward): void {
  exchange.forward = forward;
  const name = chooseCluster(exchange, forward);
  exchange.clusterName = name;
  const cluster = exchange.tables.cluster(name);
  if (cluster === undefined) {
    reply(exchange, forward.notFoundStatus, "", "NC", "cluster_not_found");
    return;
  }
  exchange.cluster = cluster;
  if (exchange.upgrade !== undefined && !mayUpgrade(exchange, exchange.upgrade, forward)) {
    // RFC 9931: what follows a refused upgrade may not be HTTP, so the connection ends here.
    exchange.closesAfter = true;
    reply(exchange, 403, "", "", "upgrade_failed");
    return;
  }
  exchange.retry = forward.retry;
  exchange.keepsBody = forward.retry !== undefined && exchange.bodySize <= mostKept(exchange);
  settleLimits(exchange, forward);
  rewriteRequest(exchange, forward);
  if (exchange.requestEnded || exchange.upgrade !== undefined) startRouteTimer(exchange);
  else startStreamTimer(exchange);
  attempt(exchange);
}

/** Before filters, which the choice may say something of. */
export function chooseWeighted(exchange: Exchange, { target }: Forward): void {
  if (target.kind !== "weighted") return;
  let point = exchange.random * target.total;
  exchange.choice = target.choices.find((each) => {
    point -= each.weight;
    return point < 0;
  });
}

function chooseCluster({ choice, headers }: Exchange, { target }: Forward): string {
  switch (target.kind) {
    case "cluster":
      return target.name;
    case "header":
      return headerValue(headers, target.header) ?? "";
    case "weighted":
      return choice === undefined ? "" : choice.name || (headerValue(headers, choice.header) ?? "");
  }
}
