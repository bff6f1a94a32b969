// Random Gateways, VirtualServices, RouteTables, options, and what they name: what each field of the API means is in random-routes/.
import type { Flavour } from "./flavours.ts";
import { accessLogs } from "./random-routes/access-logs.ts";
import { authConfigs } from "./random-routes/auth-configs.ts";
import { authorization } from "./random-routes/authorization.ts";
import { destinations } from "./random-routes/destinations.ts";
import { listeners } from "./random-routes/listeners.ts";
import { rateLimits } from "./random-routes/rate-limits.ts";
import { refused, refusedFields } from "./random-routes/refused.ts";
import { routeOptions } from "./random-routes/route-options.ts";
import { routing } from "./random-routes/routing.ts";
import { leftOut, required, sharesOf } from "./random-routes/shape.ts";
import { tcp } from "./random-routes/tcp.ts";
import { tls } from "./random-routes/tls.ts";
import { tokens } from "./random-routes/tokens.ts";
import { tracing } from "./random-routes/tracing.ts";
import { transformations } from "./random-routes/transformations.ts";
import { type RouteSurroundings, wordsOf } from "./random-routes/words.ts";
import type { Rules } from "./randomMessages.ts";
import { upstreamRules } from "./randomUpstreams.ts";

/** `rarity`: one in so many of the wild values is a bad one. */
export function routeRules(flavour: Flavour, around: RouteSurroundings, rarity: number): Rules {
  const of = upstreamRules(flavour, around);
  const words = wordsOf(flavour, around, rarity);
  const parts = [
    routing,
    destinations,
    routeOptions,
    transformations,
    rateLimits,
    tls,
    listeners,
    accessLogs,
    tracing,
    authorization,
    authConfigs,
    tokens,
    tcp,
    refused,
  ];
  return {
    ...of,
    values: Object.assign({}, of.values, ...parts.map((part) => part(words))),
    required: new Set([...of.required, ...required]),
    left: new Set([...of.left, ...leftOut(words.isWild), ...(words.isWild ? [] : refusedFields)]),
    share: 40,
    innerShare: 15,
    shares: { ...sharesOf(words.isWild), ...Object.fromEntries(refusedFields.map((name) => [name, 1])) },
    number: words.whole(1, 100, 0, 65_536, 4_294_967_295),
    duration: words.duration,
  };
}
