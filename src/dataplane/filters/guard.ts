// Filters that keep requests out fail closed: where the configuration of one cannot be executed here, nobody passes, since whom it would have refused is
// not known. That holds for the filter chain, or for the route, virtual host or weighted cluster, whose configuration it is, and for nothing else.

import type { Findings } from "../compile/findings.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { AnyHttpFilter, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";

/** A part of a configuration that is not executed here, and without which the rest would let in whom it should not. */
export class NotExecutable extends Error {
  readonly field: string;

  constructor(field: string) {
    super(`${field} is not executed`);
    this.field = field;
  }
}

/** Stands where a configuration could not be compiled. */
const closed = Symbol("closed");

export interface Guard<RouteConfig> {
  /** What a route says leaves no part to the configuration of the connection manager. */
  readonly replaces: (route: RouteConfig) => boolean;
}

export function guarding<Config, RouteConfig>(filter: HttpFilter<Config, RouteConfig>, { replaces }: Guard<RouteConfig>): AnyHttpFilter {
  const orClosed = <Compiled>(findings: Findings, compile: () => Compiled): Compiled | typeof closed => {
    try {
      return compile();
    } catch (error) {
      if (error instanceof NotExecutable) findings.notExecuted(error.field, answered(refused));
      else findings.refused("", `${(error as Error).message}${answered(refused)}`);
      return closed;
    }
  };
  const guarded: HttpFilter<Config | typeof closed, RouteConfig | typeof closed> = {
    ...filter,
    isGuard: true,
    compile: (config, findings, around) => orClosed(findings, () => filter.compile(config, findings, around)),
    compileRoute: (config, findings) => orClosed(findings, () => filter.compileRoute(config, findings)),
    begin(config, routes, exchange) {
      const [first] = routes;
      if (first === closed) return new ClosedRun(refused);
      if (config === closed && (first === undefined || !replaces(first))) return new ClosedRun(refused);
      const compiled = routes.filter((each): each is Exclude<typeof each, typeof closed> => each !== closed);
      return filter.begin(config === closed ? undefined : config, compiled, exchange);
    },
  };
  return guarded;
}

/** A filter that keeps requests out and is not executed here. */
export function neverExecuted(configType: string, routeType: string): AnyHttpFilter {
  const filter: HttpFilter<typeof closed, typeof closed> = {
    configType,
    routeType,
    compile(_, findings, { name, disabled }) {
      // Where it is off it needs no word; a route that turns it on finds it closed all the same.
      if (!disabled) findings.notExecuted("", ` (${name})${answered(refused)}`);
      return closed;
    },
    compileRoute(_, findings) {
      findings.notExecuted("", answered(refused));
      return closed;
    },
    begin: () => undefined,
  };
  return guarding(filter, { replaces: () => false });
}

/** For a finding: what comes of it. */
export function answered(status: number): string {
  return `; requests that it is about are answered with ${status}`;
}

export const refused = 403;

/** Lets nobody pass. */
export class ClosedRun implements FilterRun {
  readonly standsIn = true;
  readonly #status: number;

  constructor(status: number) {
    this.#status = status;
  }

  onRequest(exchange: Exchange): Verdict {
    reply(exchange, this.#status, "", "", "filter_not_executed");
    return "answered";
  }
}
