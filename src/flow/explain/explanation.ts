// What `explain` says of one request: the types of its JSON. Only ever added to; what must change in meaning gets a new `schemaVersion`.

export const explanationVersion = 1;

export interface Explanation {
  readonly schemaVersion: typeof explanationVersion;
  /** Somebody answers: an upstream, or the configuration itself. */
  readonly answers: boolean;
  readonly request: ExplainedRequest;
  readonly proxy: string;
  /** Absent: nobody listens there. */
  readonly listener?: ExplainedListener;
  /** Those of the listener. */
  readonly filterChains: readonly ExplainedChain[];
  readonly virtualHost?: ExplainedHost;
  /** Other virtual hosts that the request might have been meant for. */
  readonly near: readonly NearHost[];
  /** All of the virtual host, in the order in which they are tried. */
  readonly routes: readonly ExplainedRoute[];
  /** Of the route that takes the request and of its virtual host. */
  readonly options: readonly ExplainedOption[];
  /** HTTP filters with a part in it. */
  readonly filters: readonly { readonly name: string; readonly did: "passed" | "waits" | "answered" }[];
  /** Where requests of that route go. */
  readonly destinations: readonly ExplainedDestination[];
  /** What an upstream gets, where one does. */
  readonly sends?: ExplainedSending;
  readonly answer: ExplainedAnswer;
  /** For people: what was assumed, or may surprise. */
  readonly notes: readonly string[];
}

export interface ExplainedRequest {
  readonly method: string;
  readonly url: string;
  readonly host: string;
  readonly path: string;
  /** As routes see them, where the connection manager has changed them. */
  readonly seenHost?: string;
  readonly seenPath?: string;
}

/** Where something is written. */
export interface Written {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** In the resource: `virtualHost.routes[2].options.timeout`. */
  readonly path?: string;
  /** In a file. */
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

export interface ExplainedListener {
  /** Envoy's. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly from?: Written;
}

export interface ExplainedChain {
  /** Empty: all. */
  readonly serverNames: readonly string[];
  readonly tls: boolean;
  readonly takes: boolean;
  /** Who wrote its TLS. */
  readonly from: readonly Written[];
}

export interface ExplainedHost {
  /** Envoy's. */
  readonly name: string;
  readonly routeConfiguration: string;
  /** Which of its domains it is found by, and as what. */
  readonly domain: string;
  readonly matchedAs: "exact" | "suffix" | "prefix" | "every";
  readonly from?: Written;
}

export interface NearHost {
  readonly name: string;
  readonly domain: string;
  readonly because: string;
  readonly from?: Written;
}

export interface ExplainedRoute {
  /** Envoy's; what access logs say. */
  readonly name: string;
  /** Of the routes of the VirtualService with those that it delegates to; and which of the matchers of that route. */
  readonly index?: number;
  readonly matcher?: number;
  readonly matches: string;
  /**
   * `taken`: it takes the request. `failed`: it was tried before that one. `behind`: it matches, and comes too late. `behindFailed`: it comes
   * later, and does not match. `leftOut`: it cannot be used, and is not sent to proxies.
   */
  readonly verdict: "taken" | "failed" | "behind" | "behindFailed" | "leftOut";
  readonly failed: readonly ExplainedTest[];
  readonly from?: Written;
  /** The route of the VirtualService that leads to the RouteTable. */
  readonly via?: Written;
}

export interface ExplainedTest {
  readonly kind: "path" | "method" | "header" | "query" | "cookie" | "other";
  readonly wanted: string;
  /** What the request has; absent, too, where it has nothing. */
  readonly found?: string;
}

export interface ExplainedOption {
  readonly field: string;
  readonly level: "route" | "virtualHost" | "destination";
  /** In JSON, as it would be written. */
  readonly value: unknown;
  readonly from?: Written;
  /** Of a virtual host: the route has the same option, too. Most options of a route outrank it, some are added to it. */
  readonly alsoOnRoute?: true;
}

export interface ExplainedDestination {
  /** Envoy's; empty: the request names it in a header. */
  readonly cluster: string;
  /** Of all weights, in percent. */
  readonly share: number;
  /** This one is followed here. */
  readonly isFollowed: boolean;
  readonly upstream?: Written & { readonly type: string };
  readonly balancing?: string;
  readonly endpoints: readonly ExplainedEndpoint[];
  /** False: they are only found while it runs. */
  readonly areEndpointsKnown: boolean;
}

export interface ExplainedEndpoint {
  readonly address: string;
  /** As the configuration says; health checks are not asked. */
  readonly health: "healthy" | "degraded" | "unhealthy";
  readonly priority: number;
  readonly weight: number;
}

export interface ExplainedSending {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly scheme: string;
  readonly headers: {
    readonly added: readonly ExplainedHeader[];
    readonly changed: readonly ExplainedHeader[];
    readonly removed: readonly string[];
  };
}

export interface ExplainedHeader {
  readonly name: string;
  readonly value: string;
}

export interface ExplainedAnswer {
  /**
   * `upstream`: whatever it says. `redirect`, `directResponse`: the route. `fallback`: the route is invalid, and `invalidConfigPolicy` answers.
   * `filter`: one of `filters`. `proxy`: the proxy itself, mostly since it does not know where to. `nobody`: there is no connection.
   */
  readonly by: "upstream" | "redirect" | "directResponse" | "fallback" | "filter" | "proxy" | "nobody";
  readonly status?: number;
  readonly location?: string;
  readonly body?: string;
  readonly headers?: readonly ExplainedHeader[];
  readonly because?: string;
}
