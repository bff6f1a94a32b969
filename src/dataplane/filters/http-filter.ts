// The contract of an HTTP filter: how one of a connection manager's `http_filters` is executed. A filter is a file of this folder and a line in
// builtins.ts. It is compiled once, and asked at each request what it has to do with it.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { Findings } from "../compile/findings.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";

export interface HttpFilter<Config, RouteConfig> {
  /** Message names, without `type.googleapis.com/`: of its configuration in the connection manager, and of what routes say. */
  readonly configType: string;
  readonly routeType: string;
  /** Undefined: it has nothing to do unless a route says something. Fields that are not executed are findings. */
  compile(config: Any, findings: Findings): Config | undefined;
  compileRoute(config: Any, findings: Findings): RouteConfig;
  /**
   * Its part of one request; undefined when it has none.
   * @param routes what weighted cluster, route, virtual host and route configuration say, the most specific first
   */
  begin(config: Config | undefined, routes: readonly RouteConfig[], exchange: Exchange): FilterRun | undefined;
}

/** What became of a request: it goes on; it waits until `resume` is called; it has its answer. */
export type Verdict = "next" | "wait" | "answered";

/** A filter at work on one request. */
export interface FilterRun {
  /**
   * Before the route acts, in the order of the list. Headers and path of the exchange may be changed; `reply` of exchange/answers.ts answers;
   * `holdBody` of exchange/request-body.ts waits for the body.
   */
  onRequest?(exchange: Exchange, resume: () => void): Verdict;
  /** Before the head of a response is sent, whoever it is from; in the opposite order. */
  onResponse?(exchange: Exchange, status: number, headers: Headers): void;
  /** The exchange is over, however it ended. */
  onEnd?(exchange: Exchange): void;
}

// biome-ignore lint/suspicious/noExplicitAny: what a filter compiles is its own business, and only it is given it again
export type AnyHttpFilter = HttpFilter<any, any>;
