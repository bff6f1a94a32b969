// The routes of a virtual host, each with its test of the request and the place where it is written.
import type { CompiledRoute } from "../../dataplane/compile/route.ts";
import type { DryRun } from "../../dataplane/dry-run/dry-run.ts";
import type { FailedTest, RouteTrace } from "../../dataplane/match-trace.ts";
import { unicodeText } from "../../dataplane/text.ts";
import type { ModelRoute, ModelVirtualHost } from "../../model/virtual-host.ts";
import type { Where } from "./explain.ts";
import type { ExplainedRoute, ExplainedTest } from "./explanation.ts";

/** A route of Envoy, and which route of the model it was made from. */
export interface PlacedRoute {
  readonly traced: RouteTrace<CompiledRoute>;
  readonly origin: RouteOrigin | undefined;
}

interface RouteOrigin {
  readonly route: ModelRoute;
  readonly index: number;
  readonly matcher: number;
}

export function placedRoutes({ routes, domains }: DryRun, model: ModelVirtualHost | undefined): readonly PlacedRoute[] {
  const host = domains?.found?.host.name ?? "";
  return routes.map((traced) => ({ traced, origin: model && originOf(traced.route.name, host, model) }));
}

/** The names of routes carry their positions: `<virtual host>-route-3-matcher-0`, `<virtual host>-route-3-<its name>-matcher-0`. */
function originOf(name: string, host: string, model: ModelVirtualHost): RouteOrigin | undefined {
  if (!name.startsWith(host)) return undefined;
  const [, index, matcher] = /^-route-(\d+)(?:-.*)?-matcher-(\d+)$/s.exec(name.slice(host.length)) ?? [];
  const route = model.routes[Number(index)];
  return route && { route, index: Number(index), matcher: Number(matcher) };
}

export function routesOf(
  placed: readonly PlacedRoute[],
  model: ModelVirtualHost | undefined,
  taken: CompiledRoute | undefined,
  where: Where,
): readonly ExplainedRoute[] {
  const takenAt = placed.findIndex(({ traced }) => traced.route === taken);
  const sent = placed.map(({ traced, origin }, at): ExplainedRoute => {
    const isBehind = takenAt >= 0 && at > takenAt;
    const holds = traced.failed.length === 0;
    return {
      name: traced.route.name,
      ...(origin && { index: origin.index, matcher: origin.matcher }),
      matches: matchText(traced.route),
      verdict: at === takenAt ? "taken" : isBehind ? (holds ? "behind" : "behindFailed") : "failed",
      failed: traced.failed.map(testOf),
      ...(origin && model && placesOf(origin, model, where)),
    };
  });
  const missing = model === undefined ? [] : leftOut(placed, model, where);
  return missing.length === 0
    ? sent
    : [...sent, ...missing].sort((a, b) => (a.index ?? 0) - (b.index ?? 0) || (a.matcher ?? 0) - (b.matcher ?? 0));
}

function placesOf({ route, matcher }: RouteOrigin, model: ModelVirtualHost, where: Where): Pick<ExplainedRoute, "from" | "via"> {
  const from = where(route.at.resource, `${route.at.path}.matchers[${matcher}]`);
  return route.at.resource === model.resource ? { from } : { from, via: where(model.resource, route.via) };
}

/** Matchers that could not be translated: Envoy would have refused them. */
function leftOut(placed: readonly PlacedRoute[], model: ModelVirtualHost, where: Where): readonly ExplainedRoute[] {
  const there = new Set(placed.map(({ origin }) => `${origin?.index} ${origin?.matcher}`));
  return model.routes.flatMap((route, index) =>
    route.route.matchers.flatMap((_, matcher): ExplainedRoute[] => {
      if (there.has(`${index} ${matcher}`)) return [];
      const places = placesOf({ route, index, matcher }, model, where);
      return [{ name: "", index, matcher, matches: "", verdict: "leftOut", failed: [], ...places }];
    }),
  );
}

/** `prefix /api, method POST|PUT`. */
function matchText({ match: { path, conditions } }: CompiledRoute): string {
  const kind = path.kind === "path" ? "exact" : path.kind;
  return [`${kind} ${unicodeText(path.value)}`, ...conditions.map(({ describe }) => conditionText(describe))].join(", ");
}

function testOf({ kind, wanted, found }: FailedTest): ExplainedTest {
  const text = kind === "path" ? unicodeText(wanted.replace(/^path /, "exact ")) : conditionText(wanted);
  return { kind, wanted: text, ...(found !== undefined && { found: unicodeText(found) }) };
}

/** Methods come as an expression of those that are listed. */
function conditionText(condition: string): string {
  return unicodeText(condition.replace(/^(?:header :)?method regex "([^"]*)"$/, "method $1").replace(/^header :/, ""));
}
