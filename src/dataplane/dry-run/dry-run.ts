// What the embedded data plane would do with a request, without doing it: the very steps of serving, from the filter chain to the head that an
// upstream would get, with a client that nobody is and clusters that send nothing. With them, why: match-trace.ts.
//
// Filters that ask another service (or would wait for one) are taken to let the request pass, and are named; so are those that are not executed here.

import type { EndpointSpec } from "../compile/endpoints.ts";
import type { CompiledChain, FilterChains } from "../compile/filter-chains.ts";
import type { Finding } from "../compile/findings.ts";
import type { Forward } from "../compile/forward.ts";
import { asForMost } from "../compile/fraction.ts";
import type { CompiledHcm } from "../compile/hcm.ts";
import type { CompiledFilter } from "../compile/http-filters.ts";
import type { CompiledListener } from "../compile/listener.ts";
import type { Action, CompiledRoute } from "../compile/route.ts";
import type { CompiledRouteConfig } from "../compile/route-config.ts";
import { Exchange } from "../exchange/exchange.ts";
import { makeReady, matchedPath, takeRoute } from "../exchange/receive.ts";
import type { Tables } from "../exchange/tables.ts";
import type { FilterRun, HttpFilter } from "../filters/http-filter.ts";
import { HeadFault, parseRequestHead, type RequestHead } from "../http1/request-head.ts";
import { type DomainTrace, type RouteTrace, traceDomains, traceRoutes } from "../match-trace.ts";
import { chooseChain } from "../tls/choose-chain.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";
import type { OutgoingRequest } from "../upstream/stream.ts";
import { DryClient } from "./client.ts";
import { RecordingCluster, type Sent } from "./cluster.ts";
import type { DryListener, DryResources } from "./resources.ts";

export interface DryRequest {
  readonly method: string;
  /** Path and query as they are sent. Text of the wire, as are the next two: one character a byte. */
  readonly target: string;
  readonly authority: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly isTls: boolean;
  /** SNI; empty: none. */
  readonly serverName: string;
  /** ALPN. */
  readonly protocols: readonly string[];
}

export interface DryRun {
  /** The chain that takes the connection. */
  readonly chain: CompiledChain | undefined;
  readonly config: CompiledRouteConfig | undefined;
  /** As routes see it: after the connection manager has put it right. */
  readonly seen: { readonly method: string; readonly path: string; readonly authority: string } | undefined;
  readonly domains: DomainTrace<CompiledRoute> | undefined;
  readonly routes: readonly RouteTrace<CompiledRoute>[];
  /** The route that takes the request; it may be that it does not come to act. */
  readonly route: CompiledRoute | undefined;
  /** HTTP filters with a part in it. */
  readonly filters: readonly DryFilter[];
  /** What is configured for such a request and not executed here: an Envoy would. */
  readonly notExecuted: readonly string[];
  readonly outcome: Outcome;
}

export interface DryFilter {
  readonly name: string;
  /** `waits`: for another service, or for a while; it is taken to let the request pass. */
  readonly did: "passed" | "waits" | "answered";
}

export type Outcome =
  /** The connection is closed, or TLS fails. */
  | { readonly kind: "closed"; readonly because: string }
  | Answered
  | {
      readonly kind: "sent";
      readonly cluster: string;
      /** Undefined: there are no endpoints. */
      readonly host: EndpointSpec | undefined;
      readonly request: OutgoingRequest;
    };

export interface Answered {
  readonly kind: "answered";
  readonly by: "connectionManager" | "filter" | "route";
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  /** Envoy's word for why: `route_not_found`. */
  readonly details: string;
  readonly flags: string;
  /** The cluster that it was about. */
  readonly cluster: string | undefined;
}

export function dryRun(resources: DryResources, { compiled }: DryListener, request: DryRequest): DryRun {
  const run = tried(resources, compiled, request);
  return { ...run, notExecuted: notExecuted(resources, compiled.findings, run) };
}

type Tried = Omit<DryRun, "notExecuted">;

function tried(resources: DryResources, { chains, address }: CompiledListener, request: DryRequest): Tried {
  const port = address?.kind === "tcp" ? address.port : 0;
  const { isTls, protocols } = request;
  const chain = chains && chooseChain(chains, { isTls, serverName: request.serverName.toLowerCase(), protocols, localPort: port });
  const closed = closedBecause(chains, chain, request);
  if (chain?.serves.kind !== "http" || closed !== undefined) return nothing(chain, { kind: "closed", because: closed ?? "" });
  const { hcm } = chain.serves;
  const head = headOf(request, hcm);
  if (head instanceof HeadFault) return nothing(chain, refused(head));
  return new Attempt(resources, chain, hcm, head, new DryClient(port, request.isTls)).run();
}

function closedBecause(
  chains: FilterChains | undefined,
  chain: CompiledChain | undefined,
  { isTls, serverName }: DryRequest,
): string | undefined {
  if (chains === undefined) return "the listener has no HTTP";
  if (chain === undefined)
    return isTls ? `no filter chain takes connections for ${serverName || "clients without SNI"}` : "every filter chain wants TLS";
  if (chain.serves.kind === "tcp") return "the filter chain passes connections on and knows nothing of HTTP";
  if (chain.serves.kind === "closed") return "what serves the filter chain is not executed";
  if (chain.tls === "unusable") return "the TLS settings of the filter chain cannot be used";
  if (chain.tls === undefined) return isTls ? "the filter chain does not speak TLS" : undefined;
  return isTls ? undefined : "the filter chain wants TLS";
}

function notExecuted(
  resources: DryResources,
  ofListener: readonly Finding[],
  { config, domains, route, outcome }: Tried,
): readonly string[] {
  const host = domains?.found?.host.name ?? "";
  const hints = new Set(["", host, `${host} ${route?.name}`]);
  const cluster = outcome.kind === "sent" ? resources.cluster(outcome.cluster)?.compiled.findings : undefined;
  const all = [...ofListener, ...(config?.findings ?? []).filter(({ hint }) => hints.has(hint)), ...(cluster ?? [])];
  return [...new Set(all.map(({ message }) => message))];
}

function headOf({ method, target, authority, headers }: DryRequest, { limits }: CompiledHcm): RequestHead | HeadFault {
  const named = headers.some(([name]) => name.toLowerCase() === "host");
  const lines = [...(named ? [] : [`Host: ${authority}`]), ...headers.map(([name, value]) => `${name}: ${value}`)];
  return parseRequestHead(`${method} ${target} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}`, limits);
}

const nothing = (chain: CompiledChain | undefined, outcome: Outcome): Tried => ({
  chain,
  config: undefined,
  seen: undefined,
  domains: undefined,
  routes: [],
  route: undefined,
  filters: [],
  outcome,
});

const refused = ({ status, reason }: HeadFault): Outcome => ({
  kind: "answered",
  by: "connectionManager",
  status,
  headers: [],
  body: "",
  details: reason,
  flags: "DPE",
  cluster: undefined,
});

/** A request without chance: what becomes of most, and of several destinations the one that most take. */
class DryExchange extends Exchange {
  point = 0.5;
  override get random(): number {
    return this.point;
  }
}

type Seen = Pick<DryRun, "seen" | "domains" | "routes" | "route">;

class Attempt implements Tables {
  readonly #resources: DryResources;
  readonly #chain: CompiledChain;
  readonly #client: DryClient;
  readonly #exchange: DryExchange;
  readonly #filters: { name: string; did: DryFilter["did"] }[] = [];
  #seen: Seen = { seen: undefined, domains: undefined, routes: [], route: undefined };
  #sent: Sent | undefined;

  constructor(resources: DryResources, chain: CompiledChain, hcm: CompiledHcm, head: RequestHead, client: DryClient) {
    this.#resources = resources;
    this.#chain = chain;
    this.#client = client;
    const filters = hcm.filters.map((each) => this.#watched(each));
    const activeFilters = filters.filter((_, index) => hcm.activeFilters.includes(hcm.filters[index] as CompiledFilter));
    const seen = { ...hcm, filters, activeFilters };
    this.#exchange = new DryExchange(head, client, seen, this);
  }

  run(): Tried {
    const exchange = this.#exchange;
    if (makeReady(exchange)) {
      this.#trace();
      if (this.#seen.route?.action.kind === "forward") exchange.point = pointOfMost(this.#seen.route.action);
      asForMost(() => takeRoute(exchange));
    }
    const outcome = this.#outcome();
    if (!exchange.isDone) exchange.end();
    return { chain: this.#chain, config: exchange.config, ...this.#seen, filters: this.#filters, outcome };
  }

  /** Before the route acts on it: what it looks like then is what routes are told apart by. */
  #trace(): void {
    const exchange = this.#exchange;
    const { config, method, path, authority } = exchange;
    const domains = config && traceDomains(config.hosts, config.domains, authority);
    const host = domains?.found?.host;
    const routes = config && host ? traceRoutes(host, exchange, matchedPath(exchange, config)) : [];
    const route = routes.find(({ failed }) => failed.length === 0)?.route;
    this.#seen = { seen: { method, path, authority }, domains, routes, route };
  }

  #outcome(): Outcome {
    const { answer } = this.#client;
    const exchange = this.#exchange;
    if (this.#sent !== undefined) return { kind: "sent", cluster: exchange.clusterName, ...this.#sent };
    return {
      kind: "answered",
      by: this.#filters.some(({ did }) => did === "answered") ? "filter" : actedBy(exchange.route?.action, exchange.responseDetails),
      status: answer?.status ?? 0,
      headers: answer?.headers ?? [],
      body: answer?.body ?? "",
      details: exchange.responseDetails,
      flags: exchange.responseFlags,
      cluster: exchange.clusterName || undefined,
    };
  }

  #watched(compiled: CompiledFilter): CompiledFilter {
    const { name, filter } = compiled;
    const begin: HttpFilter<unknown, unknown>["begin"] = (config, routes, exchange) => {
      const run = filter.begin(config, routes, exchange);
      return run && this.#watchedRun(name, run);
    };
    return { ...compiled, filter: Object.create(filter, { begin: { value: begin } }) };
  }

  /** It is made for this request alone, so it can be told what else to do. */
  #watchedRun(name: string, run: FilterRun): FilterRun {
    const onRequest = run.onRequest?.bind(run);
    if (onRequest === undefined) return run;
    const watched: FilterRun["onRequest"] = (exchange) => {
      const before = exchange.route;
      const verdict = run.standsIn ? "wait" : onRequest(exchange, () => undefined);
      // Filters may change what routes look at.
      if (exchange.route !== before) this.#trace();
      const isAnswered = verdict === "answered" || exchange.isDone || exchange.headSent;
      this.#filters.push({ name, did: isAnswered ? "answered" : verdict === "wait" ? "waits" : "passed" });
      return isAnswered ? "answered" : "next";
    };
    return Object.assign(run, { onRequest: watched });
  }

  // — what the exchange asks —

  routeConfig(name: string): CompiledRouteConfig | undefined {
    return this.#resources.routeConfig(name);
  }

  cluster(name: string): ClusterRuntime | undefined {
    const found = this.#resources.cluster(name);
    return (
      found &&
      new RecordingCluster(found, (sent, waiter) => {
        if (waiter === this.#exchange) this.#sent = sent;
      })
    );
  }
}

function actedBy(action: Action | undefined, details: string): Answered["by"] {
  return details === "direct_response" && (action?.kind === "redirect" || action?.kind === "direct") ? "route" : "connectionManager";
}

/** Where chance has to fall for the heaviest of several destinations. */
function pointOfMost({ target }: Forward): number {
  if (target.kind !== "weighted" || target.total === 0) return 0.5;
  let before = 0;
  let best = { weight: 0, middle: 0 };
  for (const { weight } of target.choices) {
    if (weight > best.weight) best = { weight, middle: before + weight / 2 };
    before += weight;
  }
  return best.middle / target.total;
}
