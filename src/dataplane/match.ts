// Which route a request takes: pure, and the same functions for serving and for `explain`.
//
// A virtual host is found by the Host header (exact, then the longest `*.suffix`, then the longest `prefix.*`, then `*`), its routes are tried in
// order. Where a host has many routes an index by exact path and by prefix names the few candidates; their order is kept.

import { type Headers, headerValue } from "./http1/headers.ts";

/** What a route may look at. Headers and path as on the wire (latin1); the path has its query. */
export interface RequestView {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: Headers;
  /** In [0, 1); the same for one request. */
  readonly random: number;
}

/** A header as matchers and formatters see it; pseudo headers included. */
export function viewHeader(request: RequestView, name: string): string | undefined {
  if (name.charCodeAt(0) === 0x3a) {
    switch (name) {
      case ":method":
        return request.method;
      case ":path":
        return request.path;
      case ":authority":
        return request.authority;
      case ":scheme":
        return request.scheme;
      default:
        return undefined;
    }
  }
  if (name === "host") return request.authority;
  return headerValue(request.headers, name);
}

export interface PathTest {
  readonly kind: "prefix" | "path" | "separated prefix" | "regex" | "connect";
  /** The literal, or the regular expression. */
  readonly value: string;
  /** What a matching path starts with, if that is certain; what the index goes by. */
  readonly literalPrefix: string;
  test(pathWithoutQuery: string): boolean;
}

export interface Condition {
  /** `header x-user exact "a"`. */
  readonly describe: string;
  test(request: RequestView): boolean;
}

export interface RouteTest {
  readonly path: PathTest;
  readonly conditions: readonly Condition[];
}

export interface Matchable {
  readonly name: string;
  readonly match: RouteTest;
}

export interface VirtualHostEntry<R extends Matchable> {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes: readonly R[];
  readonly index: RouteIndex | undefined;
}

/** From this many routes on, a host has an index. */
const indexFrom = 16;

export interface RouteIndex {
  readonly exact: ReadonlyMap<string, readonly number[]>;
  readonly prefixes: ReadonlyMap<string, readonly number[]>;
  /** Lengths that occur in `prefixes`, ascending. */
  readonly lengths: readonly number[];
}

export function virtualHostEntry<R extends Matchable>(name: string, domains: readonly string[], routes: readonly R[]): VirtualHostEntry<R> {
  return { name, domains, routes, index: routes.length >= indexFrom ? indexRoutes(routes) : undefined };
}

function indexRoutes(routes: readonly Matchable[]): RouteIndex {
  const exact = new Map<string, number[]>();
  const prefixes = new Map<string, number[]>();
  routes.forEach(({ match: { path } }, position) => {
    const isExact = path.kind === "path" && path.literalPrefix === path.value;
    const map = isExact ? exact : prefixes;
    const positions = map.get(path.literalPrefix);
    if (positions === undefined) map.set(path.literalPrefix, [position]);
    else positions.push(position);
  });
  return { exact, prefixes, lengths: [...new Set([...prefixes.keys()].map((key) => key.length))].sort((a, b) => a - b) };
}

/** Virtual hosts of one route configuration, by domain. */
export class DomainTable<R extends Matchable> {
  readonly #exact = new Map<string, VirtualHostEntry<R>>();
  readonly #suffixes = new Map<number, Map<string, VirtualHostEntry<R>>>();
  readonly #prefixes = new Map<number, Map<string, VirtualHostEntry<R>>>();
  readonly #suffixLengths: number[];
  readonly #prefixLengths: number[];
  /** Ports in Host headers do not count. */
  readonly ignorePort: boolean;
  #fallback: VirtualHostEntry<R> | undefined;

  constructor(hosts: readonly VirtualHostEntry<R>[], ignorePort: boolean) {
    this.ignorePort = ignorePort;
    for (const host of hosts) for (const domain of host.domains) this.#add(domain.toLowerCase(), host);
    const descending = (a: number, b: number) => b - a;
    this.#suffixLengths = [...this.#suffixes.keys()].sort(descending);
    this.#prefixLengths = [...this.#prefixes.keys()].sort(descending);
  }

  #add(domain: string, host: VirtualHostEntry<R>): void {
    if (domain === "*") this.#fallback ??= host;
    else if (domain.startsWith("*")) addByLength(this.#suffixes, domain.slice(1), host);
    else if (domain.endsWith("*")) addByLength(this.#prefixes, domain.slice(0, -1), host);
    else if (!this.#exact.has(domain)) this.#exact.set(domain, host);
  }

  find(authority: string): VirtualHostEntry<R> | undefined {
    const exactOnly = this.#exact.size > 0 || this.#suffixLengths.length > 0 || this.#prefixLengths.length > 0;
    if (!exactOnly) return this.#fallback;
    let host = authority.toLowerCase();
    if (this.ignorePort) host = withoutPort(host);
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    for (const length of this.#suffixLengths) {
      if (length >= host.length) continue;
      const found = this.#suffixes.get(length)?.get(host.slice(-length));
      if (found !== undefined) return found;
    }
    for (const length of this.#prefixLengths) {
      if (length >= host.length) continue;
      const found = this.#prefixes.get(length)?.get(host.slice(0, length));
      if (found !== undefined) return found;
    }
    return this.#fallback;
  }
}

function addByLength<V>(map: Map<number, Map<string, V>>, key: string, value: V): void {
  let inner = map.get(key.length);
  if (inner === undefined) {
    inner = new Map();
    map.set(key.length, inner);
  }
  if (!inner.has(key)) inner.set(key, value);
}

/** `host:80` is `host`, `[::1]:80` is `[::1]`. */
export function withoutPort(host: string): string {
  const colon = host.lastIndexOf(":");
  if (colon < 0 || host.indexOf("]", colon) >= 0) return host;
  return /^\d*$/.test(host.slice(colon + 1)) ? host.slice(0, colon) : host;
}

/** Path without query and fragment. */
export function pathOnly(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

/** The first route of a virtual host that takes the request. `path` is what paths are compared with: no query. */
export function matchRoute<R extends Matchable>(host: VirtualHostEntry<R>, request: RequestView, path: string): R | undefined {
  const { routes, index } = host;
  if (index === undefined) {
    for (const route of routes) if (takes(route.match, request, path)) return route;
    return undefined;
  }
  for (const position of candidates(index, path)) {
    const route = routes[position] as R;
    if (takes(route.match, request, path)) return route;
  }
  return undefined;
}

function takes(match: RouteTest, request: RequestView, path: string): boolean {
  if (!match.path.test(path)) return false;
  for (const condition of match.conditions) if (!condition.test(request)) return false;
  return true;
}

function candidates(index: RouteIndex, path: string): readonly number[] {
  const exact = index.exact.get(path);
  let found: readonly number[] | undefined = exact;
  let isMerged = false;
  for (const length of index.lengths) {
    if (length > path.length) break;
    const positions = index.prefixes.get(length === path.length ? path : path.slice(0, length));
    if (positions === undefined) continue;
    if (found === undefined) found = positions;
    else {
      found = [...found, ...positions];
      isMerged = true;
    }
  }
  if (found === undefined) return [];
  return isMerged ? (found as number[]).sort((a, b) => a - b) : found;
}
