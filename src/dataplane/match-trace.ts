// Why a request takes the virtual host and the route that it takes: the answers of match.ts, with their reasons.

import {
  type Condition,
  type DomainTable,
  type Matchable,
  type RequestView,
  type RouteTest,
  type VirtualHostEntry,
  viewHeader,
  withoutPort,
} from "./match.ts";

/** One test of a route that does not hold. */
export interface FailedTest {
  readonly kind: "path" | "method" | "header" | "query" | "cookie" | "other";
  /** `prefix "/admin"`, `header x-user exact "alice"`. */
  readonly wanted: string;
  /** What the request has, where that can be told: of a header that it has not, undefined, too. */
  readonly found?: string;
}

export interface RouteTrace<R> {
  readonly position: number;
  readonly route: R;
  /** Empty: the route takes the request. Where the path is another, nothing else is looked at. */
  readonly failed: readonly FailedTest[];
}

/** Each route of a virtual host in turn, those behind the one that takes the request too. The first without a failed test takes it. */
export function traceRoutes<R extends Matchable>(host: VirtualHostEntry<R>, request: RequestView, path: string): RouteTrace<R>[] {
  return host.routes.map((route, position) => ({ position, route, failed: failedTests(route.match, request, path) }));
}

function failedTests({ path, conditions }: RouteTest, request: RequestView, requestPath: string): readonly FailedTest[] {
  if (!path.test(requestPath)) return [{ kind: "path", wanted: `${path.kind} ${JSON.stringify(path.value)}` }];
  return conditions.filter((condition) => !condition.test(request)).map((condition) => failedCondition(condition, request));
}

function failedCondition({ describe }: Condition, request: RequestView): FailedTest {
  const [, header] = /^header (\S+) /.exec(describe) ?? [];
  if (header !== undefined) {
    const found = viewHeader(request, header);
    const kind = header === ":method" ? "method" : "header";
    const wanted = kind === "method" ? describe.slice("header :".length) : describe;
    return { kind, wanted, ...(found !== undefined && { found }) };
  }
  if (describe.startsWith("query parameter ")) return { kind: "query", wanted: describe };
  return { kind: describe.startsWith("cookie ") ? "cookie" : "other", wanted: describe };
}

export type DomainKind = "exact" | "suffix" | "prefix" | "every";

export interface DomainMatch<R extends Matchable> {
  readonly host: VirtualHostEntry<R>;
  readonly domain: string;
  readonly kind: DomainKind;
}

export interface NearDomain<R extends Matchable> {
  readonly host: VirtualHostEntry<R>;
  readonly domain: string;
  /** `matches too, and is less specific`. */
  readonly because: string;
}

export interface DomainTrace<R extends Matchable> {
  /** What domains were compared with. */
  readonly name: string;
  readonly found: DomainMatch<R> | undefined;
  /** Domains that match too, the most specific first, and those that nearly do. */
  readonly near: readonly NearDomain<R>[];
}

const nearest = 5;

/** The same answer as {@link DomainTable.find}. */
export function traceDomains<R extends Matchable>(
  hosts: readonly VirtualHostEntry<R>[],
  table: DomainTable<R>,
  authority: string,
): DomainTrace<R> {
  const lower = authority.toLowerCase();
  const name = table.ignorePort ? withoutPort(lower) : lower;
  const host = table.find(authority);
  const all = hosts.flatMap((each) => each.domains.map((domain) => ({ host: each, domain })));
  const matching = all
    .flatMap((each) => {
      const match = domainMatch(each.domain.toLowerCase(), name);
      return match === undefined ? [] : [{ ...each, ...match }];
    })
    .sort((a, b) => b.rank - a.rank);
  const first = matching.find((each) => each.host === host);
  const found = first && { host: first.host, domain: first.domain, kind: first.kind };
  const others = matching
    .filter((each) => each !== first)
    .map((each) => ({ host: each.host, domain: each.domain, because: "matches too, and is less specific" }));
  const missed = all.flatMap((each) => {
    const because = nearMiss(each.domain.toLowerCase(), name);
    return because === undefined || each.host === host ? [] : [{ ...each, because }];
  });
  return { name, found, near: [...missed, ...others].slice(0, nearest) };
}

/** Envoy's order: exact, the longest `*.suffix`, the longest `prefix.*`, `*`. */
function domainMatch(domain: string, name: string): { readonly kind: DomainKind; readonly rank: number } | undefined {
  if (domain === "*") return { kind: "every", rank: 0 };
  const { length } = domain;
  if (domain.startsWith("*"))
    return name.length >= length && name.endsWith(domain.slice(1)) ? { kind: "suffix", rank: 1e6 + length } : undefined;
  if (domain.endsWith("*"))
    return name.length >= length && name.startsWith(domain.slice(0, -1)) ? { kind: "prefix", rank: 1e3 + length } : undefined;
  return domain === name ? { kind: "exact", rank: 1e9 } : undefined;
}

/** What people run into: ports, and stars that stand for nothing. */
function nearMiss(domain: string, name: string): string | undefined {
  if (domainMatch(domain, name) !== undefined || domain === "*") return undefined;
  const [ofDomain, ofName] = [withoutPort(domain), withoutPort(name)];
  if (domainMatch(ofDomain, ofName) !== undefined) {
    if (ofDomain === domain) return `has no port, and the request says ${JSON.stringify(name)}`;
    return ofName === name ? `has a port, and the request says ${JSON.stringify(name)}` : "has another port";
  }
  if (domain.startsWith("*.") && domain.slice(2) === ofName) return "the star stands for at least one character";
  if (domain.startsWith("www.") ? domain.slice(4) === ofName : ofName.startsWith("www.") && ofName.slice(4) === ofDomain)
    return "differs by www.";
  return undefined;
}
