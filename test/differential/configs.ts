// Configurations that both planes run: one that has each rule once, and random ones.

import fc from "fast-check";
import type { HcmInit, RouteConfigInit, RouteInit, VirtualHostInit } from "../../src/dataplane/testing/resources.ts";

type Match = NonNullable<RouteInit["match"]>;
type Action = NonNullable<RouteInit["action"]>;
type HeaderOption = NonNullable<RouteInit["requestHeadersToAdd"]>[number];

export function inline(virtualHosts: readonly VirtualHostInit[], more: RouteConfigInit = {}): HcmInit {
  return { routeSpecifier: { case: "routeConfig", value: { name: "routes", virtualHosts: [...virtualHosts], ...more } } } as HcmInit;
}

const prefix = (value: string): { match: Match } => ({ match: { pathSpecifier: { case: "prefix", value } } });
const forward = (cluster: string, more: object = {}): { action: Action } =>
  ({ action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster }, ...more } } }) as { action: Action };
const add = (key: string, value: string, appendAction = 0): HeaderOption => ({ header: { key, value }, appendAction });
const regex = (source: string) => ({ regex: source });

const everyRule: readonly RouteInit[] = [
  {
    ...prefix("/direct"),
    action: { case: "directResponse", value: { status: 200, body: { specifier: { case: "inlineString", value: "hi é" } } } },
  },
  { ...prefix("/zero"), action: { case: "directResponse", value: { status: 418 } } },
  { ...prefix("/https"), action: { case: "redirect", value: { schemeRewriteSpecifier: { case: "httpsRedirect", value: true } } } },
  {
    ...prefix("/moved"),
    action: {
      case: "redirect",
      value: { hostRedirect: "b.example", pathRewriteSpecifier: { case: "pathRedirect", value: "/zz" }, stripQuery: true, responseCode: 3 },
    },
  },
  { ...prefix("/port"), action: { case: "redirect", value: { portRedirect: 8443, responseCode: 1 } } },
  {
    ...prefix("/swap"),
    action: { case: "redirect", value: { pathRewriteSpecifier: { case: "prefixRewrite", value: "/new" }, responseCode: 4 } },
  },
  {
    ...prefix("/numbers"),
    action: {
      case: "redirect",
      value: {
        pathRewriteSpecifier: { case: "regexRewrite", value: { pattern: regex("/(\\w+)/(\\d+)"), substitution: "/\\2/\\1" } },
        responseCode: 2,
      },
    },
  },
  { ...prefix("/byheader"), action: { case: "route", value: { clusterSpecifier: { case: "clusterHeader", value: "x-cluster" } } } },
  { ...prefix("/dead"), ...forward("dead") },
  { ...prefix("/empty"), ...forward("empty") },
  { ...prefix("/slow"), ...forward("a", { timeout: { nanos: 150_000_000 } }) },
  {
    ...prefix("/rewrite"),
    ...forward("a", {
      prefixRewrite: "/new",
      hostRewriteSpecifier: { case: "hostRewriteLiteral", value: "h.example" },
      appendXForwardedHost: true,
    }),
  },
  {
    match: { pathSpecifier: { case: "safeRegex", value: regex("/items/\\d+/.*") } },
    ...forward("b", { regexRewrite: { pattern: regex("/items/(\\d+)"), substitution: "/i/\\1/\\\\" } }),
  },
  {
    ...prefix("/headers"),
    ...forward("a"),
    requestHeadersToRemove: ["x-gone"],
    requestHeadersToAdd: [
      add("x-absent", "%REQ(nope)%"),
      add("x-made", "%PROTOCOL% %REQ(:path)% %REQ(:authority)% %REQ(nope?x-there)% %REQ(x-there):0% 100%%"),
      add("x-over", "new", 2),
      add("x-more", "2"),
      add("x-there", "2", 1),
      add("x-not-there", "2", 3),
      add("x-remote", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ],
    responseHeadersToRemove: ["content-type"],
    responseHeadersToAdd: [add("x-code", "%RESPONSE_CODE% %RESPONSE_FLAGS%"), add("x-level", "route"), add("server", "mine", 2)],
  },
  {
    ...prefix("/retry"),
    ...forward("a", {
      retryPolicy: { retryOn: "5xx,connect-failure", numRetries: 2, retryBackOff: { baseInterval: { nanos: 1_000_000 } } },
    }),
  },
  { ...prefix("/ok"), ...forward("a") },
  { match: { pathSpecifier: { case: "path", value: "*" } }, ...forward("b") },
];

const oneHost: VirtualHostInit = {
  name: "all",
  domains: ["a.example", "a.example:*"],
  routes: [...everyRule],
  requestHeadersToAdd: [add("x-level", "host")],
  responseHeadersToAdd: [add("x-level", "host"), add("x-host-code", "%RESPONSE_CODE%|%RESPONSE_FLAGS%")],
};

export const fixedManagers: readonly HcmInit[] = [
  inline([{ ...oneHost, domains: ["a.example"] }]),
  {
    ...inline([{ ...oneHost, domains: ["a.example"] }], {
      requestHeadersToAdd: [add("x-level", "config", 2)],
      responseHeadersToAdd: [add("x-level", "config", 2)],
      ignorePortInHostMatching: true,
      mostSpecificHeaderMutationsWins: true,
    }),
    useRemoteAddress: true,
    normalizePath: true,
    mergeSlashes: true,
    via: "edge",
    alwaysSetRequestIdInResponse: true,
    httpProtocolOptions: { acceptHttp10: true },
  } as HcmInit,
  {
    ...inline([{ ...oneHost, domains: ["*"], includeRequestAttemptCount: true, includeAttemptCountInResponse: true }]),
    useRemoteAddress: true,
    xffNumTrustedHops: 1,
    skipXffAppend: true,
    preserveExternalRequestId: true,
    serverName: "gateway",
    serverHeaderTransformation: 1,
    stripPortMode: { case: "stripAnyHostPort", value: true },
    pathWithEscapedSlashesAction: 4,
  } as HcmInit,
];

// — random ones —

const literal = fc.constantFrom("/", "/api", "/api/", "/api/v1", "/api/v1/pets", "/API", "/12", "/x", "/pets");
const pathMatch: fc.Arbitrary<Match> = fc
  .record({
    kind: fc.constantFrom("prefix", "prefix", "path", "pathSeparatedPrefix", "safeRegex"),
    value: literal,
    source: fc.constantFrom("/api/.*", "/[a-z0-9/]+", "/api/v\\d+/?", "/(api|pets).*", "/api/v1/p?ets", "(?i)/api.*"),
    caseSensitive: fc.constantFrom(undefined, true, false),
  })
  .map(({ kind, value, source, caseSensitive }): Match => {
    if (kind === "safeRegex") return { pathSpecifier: { case: "safeRegex", value: regex(source) } };
    const isSeparated = kind === "pathSeparatedPrefix";
    const clean = isSeparated ? value.replace(/\/$/, "") || "/api" : value;
    return { pathSpecifier: { case: kind as "prefix", value: clean }, caseSensitive };
  });

const stringMatch = fc.constantFrom(
  { matchPattern: { case: "exact", value: "alice" } },
  { matchPattern: { case: "prefix", value: "ali" } },
  { matchPattern: { case: "suffix", value: "2" } },
  { matchPattern: { case: "contains", value: "LIC" }, ignoreCase: true },
  { matchPattern: { case: "safeRegex", value: regex("[a-z]+") } },
  { matchPattern: { case: "exact", value: "alice,bob" } },
);

const headerMatch = fc
  .record({
    name: fc.constantFrom("x-user", "X-Version", "x-empty", "x-none", ":method", ":path", ":authority"),
    kind: fc.constantFrom("presentMatch", "stringMatch", "rangeMatch", "none"),
    present: fc.boolean(),
    string: stringMatch,
    invertMatch: fc.boolean(),
    treatMissingHeaderAsEmpty: fc.boolean(),
  })
  .map(({ name, kind, present, string, invertMatch, treatMissingHeaderAsEmpty }) => {
    const common = { name, invertMatch, treatMissingHeaderAsEmpty };
    if (kind === "none") return common;
    if (kind === "presentMatch") return { ...common, headerMatchSpecifier: { case: "presentMatch", value: present } };
    if (kind === "rangeMatch") return { ...common, headerMatchSpecifier: { case: "rangeMatch", value: { start: -5n, end: 12n } } };
    return { ...common, headerMatchSpecifier: { case: "stringMatch", value: string } };
  });

const queryMatch = fc
  .record({ name: fc.constantFrom("k", "debug", "none"), isPresent: fc.boolean(), string: stringMatch })
  .map(({ name, isPresent, string }) =>
    isPresent
      ? { name, queryParameterMatchSpecifier: { case: "presentMatch", value: true } }
      : {
          name,
          queryParameterMatchSpecifier: {
            case: "stringMatch",
            value: string.matchPattern.case === "suffix" ? { matchPattern: { case: "exact", value: "v" } } : string,
          },
        },
  );

const headerOption = fc
  .record({
    key: fc.constantFrom("x-user", "x-new", "x-made"),
    value: fc.constantFrom("1", "%REQ(x-user)%", "%REQ(:path)%", "a %REQ(:method)% b", ""),
    appendAction: fc.constantFrom(0, 1, 2, 3),
    keepEmptyValue: fc.boolean(),
  })
  .map(({ key, value, appendAction, keepEmptyValue }) => ({ header: { key, value }, appendAction, keepEmptyValue }));

const cluster = fc.constantFrom("a", "b", "c");

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        cluster,
        rewrite: fc.constantFrom(
          {},
          {},
          { prefixRewrite: "/new" },
          { prefixRewrite: "/" },
          { regexRewrite: { pattern: regex("/(\\w+)"), substitution: "/<\\1>" } },
          { regexRewrite: { pattern: regex("a"), substitution: "b" } },
        ),
        host: fc.constantFrom(
          {},
          {},
          { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: "re.example" } },
          { hostRewriteSpecifier: { case: "hostRewriteHeader", value: "x-user" } },
        ),
        timeout: fc.constantFrom({}, { timeout: { seconds: 3n } }, { timeout: {} }),
      })
      .map(({ cluster: name, rewrite, host, timeout }) => forward(name, { ...rewrite, ...host, ...timeout }).action),
  },
  {
    weight: 1,
    arbitrary: cluster.map(
      (name) =>
        ({
          case: "route",
          value: {
            clusterSpecifier: {
              case: "weightedClusters",
              value: {
                clusters: [
                  { name: "dead", weight: 0 },
                  { name, weight: 5, requestHeadersToAdd: [{ header: { key: "x-new", value: "weighted" } }] },
                ],
              },
            },
          },
        }) as Action,
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        scheme: fc.constantFrom({}, { schemeRewriteSpecifier: { case: "httpsRedirect", value: true } }),
        host: fc.constantFrom({}, { hostRedirect: "to.example" }),
        port: fc.constantFrom({}, { portRedirect: 99 }),
        path: fc.constantFrom(
          {},
          { pathRewriteSpecifier: { case: "pathRedirect", value: "/p?z=1" } },
          { pathRewriteSpecifier: { case: "prefixRewrite", value: "/q" } },
        ),
        stripQuery: fc.boolean(),
        responseCode: fc.constantFrom(0, 1, 2, 3, 4),
      })
      .map(
        ({ scheme, host, port, path, stripQuery, responseCode }) =>
          ({ case: "redirect", value: { ...scheme, ...host, ...port, ...path, stripQuery, responseCode } }) as Action,
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        status: fc.constantFrom(200, 204, 403, 503),
        body: fc.constantFrom({}, { body: { specifier: { case: "inlineString", value: "direct" } } }),
      })
      .map(({ status, body }) => ({ case: "directResponse", value: { status, ...(status === 204 ? {} : body) } }) as Action),
  },
);

const route: fc.Arbitrary<RouteInit> = fc
  .record({
    match: pathMatch,
    headers: fc.array(headerMatch, { maxLength: 1 }),
    queryParameters: fc.array(queryMatch, { maxLength: 1 }),
    isPlain: fc.boolean(),
    action,
    requestHeadersToAdd: fc.array(headerOption, { maxLength: 2 }),
    responseHeadersToAdd: fc.array(headerOption, { maxLength: 2 }),
    remove: fc.constantFrom([], ["x-user"]),
  })
  .map(
    (each) =>
      ({
        match: { ...each.match, ...(each.isPlain ? {} : { headers: each.headers, queryParameters: each.queryParameters }) },
        action: each.action,
        requestHeadersToAdd: each.requestHeadersToAdd,
        requestHeadersToRemove: each.remove,
        responseHeadersToAdd: each.responseHeadersToAdd,
      }) as unknown as RouteInit,
  );

const domains = ["a.example", "b.example:8080", "*.wild.example", "*.x.wild.example", "pre.*", "*", "b.example"];

/** A connection manager with up to three virtual hosts of up to 24 routes: from 16 on, routes are found by an index. */
export const randomManager: fc.Arbitrary<HcmInit> = fc
  .record({
    order: fc.shuffledSubarray(domains, { minLength: 2 }),
    routes: fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.array(route, { minLength: 1, maxLength: 8 }) },
        { weight: 1, arbitrary: fc.array(route, { minLength: 16, maxLength: 24 }) },
      ),
      {
        minLength: 3,
        maxLength: 3,
      },
    ),
    level: fc.array(headerOption, { maxLength: 2 }),
    options: fc.record({
      useRemoteAddress: fc.boolean(),
      normalizePath: fc.boolean(),
      mergeSlashes: fc.boolean(),
    }),
    ignorePortInHostMatching: fc.boolean(),
    mostSpecificHeaderMutationsWins: fc.boolean(),
  })
  .map(({ order, routes, level, options, ignorePortInHostMatching, mostSpecificHeaderMutationsWins }) => {
    const hosts: VirtualHostInit[] = [0, 1, 2].map((index) => ({
      name: `host-${index}`,
      domains: order.filter((_, position) => position % 3 === index),
      routes: routes[index] as RouteInit[],
      requestHeadersToAdd: index === 0 ? (level as HeaderOption[]) : [],
      responseHeadersToAdd: index === 1 ? (level as HeaderOption[]) : [],
    }));
    return {
      ...inline(
        hosts.filter((each) => (each.domains as string[]).length > 0),
        { ignorePortInHostMatching, mostSpecificHeaderMutationsWins, responseHeadersToAdd: level as HeaderOption[] },
      ),
      ...options,
    } as HcmInit;
  });
