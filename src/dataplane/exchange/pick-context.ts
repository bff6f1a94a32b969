// What of a request says which host should get it.

import { noContext, type PickContext } from "../balancing/candidate.ts";
import { isHashing } from "../balancing/policies.ts";
import type { Exchange } from "./exchange.ts";

/** Made once: all tries of a request look for the same host. */
export function pickContext(exchange: Exchange): PickContext {
  if (exchange.picksBy !== undefined) return exchange.picksBy;
  const { balancing } = exchange.cluster?.config ?? {};
  if (balancing === undefined || (balancing.subsets === undefined && !isHashing(balancing.policy))) return noContext;
  const subset = exchange.choice?.subset ?? exchange.forward?.subset;
  exchange.picksBy = { hash: isHashing(balancing.policy) ? hashOf(exchange) : undefined, subset };
  return exchange.picksBy;
}

function hashOf(exchange: Exchange): bigint | undefined {
  const { remoteAddress, directRemoteAddress, directRemotePort, localAddress, localPort } = exchange;
  return exchange.forward?.hash?.({
    request: exchange,
    remoteAddress,
    connection: `${directRemoteAddress}:${directRemotePort}${localAddress}:${localPort}`,
    setCookie: (value) => {
      exchange.cookies = [...exchange.cookies, value];
    },
  });
}
