// Upgrades: who may ask for one, and whether the upstream agreed to the one that was asked for.

import type { Forward } from "../compile/forward.ts";
import { headerValue } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { acceptOf } from "../http1/websocket.ts";
import { reply, resetText } from "./answers.ts";
import type { Exchange } from "./exchange.ts";

export function mayUpgrade(exchange: Exchange, upgrade: string, forward: Forward): boolean {
  const type = upgrade.toLowerCase();
  return forward.upgrades.get(type) ?? exchange.hcm.upgrades.get(type) ?? false;
}

/** From here on bytes go both ways until somebody ends it; false when the upstream agreed to something else, and that was answered. */
export function acceptUpgrade(exchange: Exchange, head: ResponseHead): boolean {
  if (!isExpectedUpgrade(exchange, head)) {
    exchange.dropUpstream();
    reply(exchange, 502, resetText(exchange, "protocol error"), "UPE", "upgrade_mismatch");
    return false;
  }
  exchange.isTunnel = true;
  exchange.client.beginTunnel();
  exchange.client.request.clear();
  exchange.client.try.clear();
  return true;
}

function isExpectedUpgrade(exchange: Exchange, head: ResponseHead): boolean {
  if (exchange.upgrade === undefined || head.upgrade?.toLowerCase() !== exchange.upgrade.toLowerCase()) return false;
  if (!exchange.isWebSocket) return true;
  const key = headerValue(exchange.headers, "sec-websocket-key");
  if (key === undefined) return false;
  return headerValue(head.headers, "sec-websocket-accept") === acceptOf(key);
}
