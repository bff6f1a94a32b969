// The contract of an HTTP filter: how one of a connection manager's `http_filters` is executed. A filter is a file of this folder and a line in
// builtins.ts. It is compiled once, and asked at each request what it has to do with it.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { HttpFilter as FilterMessage } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { Findings } from "../compile/findings.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";

export interface HttpFilter<Config, RouteConfig> {
  /** Message names, without `type.googleapis.com/`: of its configuration in the connection manager, and of what routes say. */
  readonly configType: string;
  readonly routeType: string;
  /** It keeps requests out, so that nobody passes where it is not executed: see guard.ts. */
  readonly isGuard?: boolean;
  /**
   * Undefined: it has nothing to do unless a route says something. Fields that are not executed are findings.
   * @param filter what stands around the configuration
   */
  compile(config: Any, findings: Findings, filter: Pick<FilterMessage, "name" | "disabled">): Config | undefined;
  compileRoute(config: Any, findings: Findings): RouteConfig;
  /**
   * Its part of one request; undefined when it has none. Asked when its turn comes: filters before it may have changed the request.
   * @param routes what weighted cluster, route, virtual host and route configuration say, the most specific first
   */
  begin(config: Config | undefined, routes: readonly RouteConfig[], exchange: Exchange): FilterRun | undefined;
}

/** What became of a request: it goes on; it waits until `resume` is called; it has its answer. */
export type Verdict = "next" | "wait" | "answered";

/** A filter at work on one request. */
export interface FilterRun {
  /** For a filter that is not executed: an Envoy may let the request pass. */
  readonly standsIn?: boolean;
  /**
   * Before the route acts, in the order of the list. Headers and path of the exchange may be changed; `reply` of exchange/answers.ts answers;
   * `holdBody` of exchange/request-body.ts waits for the body.
   */
  onRequest?(exchange: Exchange, resume: () => void): Verdict;
  /** Before the head of a response is sent, whoever it is from; in the opposite order. What it returns changes the body. */
  onResponse?(exchange: Exchange, response: FilteredResponse): BodyChange | undefined;
  /** The exchange is over, however it ended. */
  onEnd?(exchange: Exchange): void;
}

/** The head of a response on its way through the filters, theirs to change. */
export interface FilteredResponse {
  status: number;
  readonly headers: Headers;
  /** Of the body; -1: not known. Set by whoever changes the body as it passes. */
  contentLength: number;
  /** It came in chunks of HTTP/1.1. */
  readonly isChunked: boolean;
  /** Nothing follows the head. */
  hasNoBody: boolean;
  /** Nothing can: the response to HEAD, 204, 304, and what is a tunnel from here on. */
  isBare: boolean;
}

/**
 * Either the head waits until the body is there, and both are changed; or the body is changed as it passes; or the head waits for as long as the
 * filter likes, which says itself when it goes on, and what of the body goes after it.
 */
export type BodyChange =
  | { readonly kind: "whole"; readonly change: (body: Buffer, trailers: Headers | undefined) => ChangedBody }
  | { readonly kind: "passing"; readonly into: (next: BodySink) => BodySink }
  | { readonly kind: "later"; readonly into: (goOn: () => BodySink) => BodySink };

export interface ChangedBody {
  readonly body: Buffer;
  /** Undefined, and nothing comes behind the body. */
  readonly trailers: Headers | undefined;
}

/** Where the body of a response goes. */
export interface BodySink {
  data(data: Buffer): void;
  /** All that is there for now was handed over; false when no more should come until `onDownstreamDrain`. */
  flush(): boolean;
  end(trailers: Headers | undefined): void;
}

// biome-ignore lint/suspicious/noExplicitAny: what a filter compiles is its own business, and only it is given it again
export type AnyHttpFilter = HttpFilter<any, any>;
