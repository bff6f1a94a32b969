// What random Gateways, VirtualServices, RouteTables and options are made of: what each field of the API means.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { badDurations, type Flavour, flavoured, type Values } from "./flavours.ts";
import type { Rules } from "./randomMessages.ts";
import { type Surroundings, upstreamRules } from "./randomUpstreams.ts";

/** What routes name, beside what Upstreams do. */
export interface RouteSurroundings extends Surroundings {
  /** Names of Upstreams in `shop`, by what they are good for. */
  readonly upstreams: {
    readonly plain: readonly string[];
    readonly subsets: string;
    readonly aws: string;
    readonly azure: string;
    readonly rest: string;
    readonly grpc: string;
    /** It is there, and cannot be sent. */
    readonly broken: string;
  };
  readonly groups: readonly string[];
  /** Base64 of the descriptors of the gRPC service `till.v1.Till`. */
  readonly descriptors: string;
}

const shop = "shop";

export function routeRules(flavour: Flavour, around: RouteSurroundings, rarity: number): Rules {
  const { isWild, any, or, whole, real, seconds, texts, some, distinct, parts } = flavoured(flavour, rarity);
  const { upstreams, groups, secrets, sdsCluster } = around;
  const of = upstreamRules(flavour, around);
  const inShop = (...names: string[]) =>
    or(fc.constantFrom(...names), "missing", upstreams.broken).map((name) => ({ name, namespace: shop }));
  const toPlain = inShop(...upstreams.plain);
  const duration = seconds(1, 90, ...badDurations);
  const header = texts("x-a", "X-B", "x-c");
  const headerValue = texts("a", "b c", "%REQ(x-b)%", "%START_TIME%", "100%%", "%PROTOCOL% on %UPSTREAM_HOST%");
  const regex = or(
    any("a", "/[a-z]+", "(a|b)/.*", "^/v[0-9]+/(.*)$"),
    "",
    "(",
    "(?=a)",
    "\\1",
    "a{2000}",
    "(((((.{1,9}){1,9}){1,9}){1,9}){1,9})",
    "é",
    "\n",
  );
  const path = or(any("/", "/a", "/a/b", "/c.d", "/x~y"), "", "a", "/ ", "/\n", "//", "/a%2fb", "/%zz", "/#", "/../a");
  const host = texts("a.test", "b.test:8080", "10.0.0.1");
  const percent = real(0, 100, -1, 101, 1e9);
  const status = whole(200, 599, 0, 99, 199, 600, 1000, 4_294_967_295);
  const rewrite = fc.tuple(regex, texts("/x", "/\\1", "\\0")).map(([pattern, substitution]) => ({
    pattern: { regex: pattern },
    // A group that the expression does not have is a mistake.
    substitution: substitution === "/\\1" && !isWild && !String(pattern).includes("(") ? "/x" : substitution,
  }));
  const fraction = parts({ numerator: whole(0, 100, 101, 4_294_967_295), denominator: any("HUNDRED", "TEN_THOUSAND", "MILLION") });
  const cidr = parts(
    { addressPrefix: or(any("10.0.0.0", "192.168.0.0", "fd00::"), "", "a", "10.0.0"), prefixLen: whole(8, 32, 0, 33, 129) },
    ["addressPrefix", "prefixLen"],
  );
  const within = (base: number, max: number) =>
    fc.tuple(whole(1, base, 0), whole(base, max, 0)).map(([a, b]) => ({ baseInterval: `${a}s`, maxInterval: `${b}s` }));
  const upgrade = (...types: string[]) =>
    fc
      .subarray(types)
      .map((chosen) =>
        [...chosen, ...(isWild && chosen.length === 2 ? chosen : [])].map((type) => ({ [type]: { enabled: chosen.length === 1 } })),
      );
  const destination = fc.oneof(
    { weight: 8, arbitrary: toPlain.map((upstream): JsonObject => ({ upstream })) },
    { weight: 1, arbitrary: any({ kube: { ref: { name: "web", namespace: shop }, port: 80 } }) as fc.Arbitrary<JsonObject> },
    {
      weight: 1,
      arbitrary: parts({ serviceName: texts("web"), tags: distinct("a", "b"), dataCenters: distinct("dc1") }, ["serviceName"]).map(
        (consul) => ({ consul }),
      ),
    },
    {
      weight: 1,
      arbitrary: some(texts("a", "b"), 1, 1).map((values) => ({
        upstream: { name: upstreams.subsets, namespace: shop },
        subset: { values: { stage: (values as string[])[0] ?? "" } },
      })),
    },
    {
      weight: 1,
      arbitrary: parts(
        {
          logicalName: texts("resize"),
          invocationStyle: any("SYNC", "ASYNC"),
          unwrapAsAlb: fc.boolean(),
          wrapAsApiGateway: fc.boolean(),
          requestTransformation: fc.boolean(),
          responseTransformation: fc.boolean(),
        },
        ["logicalName"],
      ).map((aws) => ({ upstream: { name: upstreams.aws, namespace: shop }, destinationSpec: { aws } })),
    },
    {
      weight: 1,
      arbitrary: texts("hello").map((functionName) => ({
        upstream: { name: upstreams.azure, namespace: shop },
        destinationSpec: { azure: { functionName } },
      })),
    },
    {
      weight: 1,
      arbitrary: texts("getItem").map((functionName) => ({
        upstream: { name: upstreams.rest, namespace: shop },
        destinationSpec: { rest: { functionName, parameters: { headers: { "x-id": "{id}" } } } },
      })),
    },
    {
      weight: 1,
      arbitrary: texts("Get").map((name) => ({
        upstream: { name: upstreams.grpc, namespace: shop },
        destinationSpec: { grpc: { package: "till.v1", service: "Till", function: name, parameters: { path: "/x/{id}" } } },
      })),
    },
    ...(isWild
      ? [
          {
            weight: 1,
            arbitrary: any(
              {},
              { upstream: { name: "", namespace: "" } },
              { kube: { port: 1 } },
              { consul: {} },
              {
                upstream: { name: upstreams.plain[0] ?? "", namespace: shop },
                destinationSpec: { aws: { logicalName: "x" } },
                subset: { values: { no: "such" } },
              },
            ) as fc.Arbitrary<JsonObject>,
          },
        ]
      : []),
  );
  const transformation = any(
    { transformationTemplate: { headers: { "x-t": { text: '{{ header(":path") }}' } }, passthrough: {} } },
    { transformationTemplate: { body: { text: '{"a": "{{ default(b, "none") }}"}' } } },
    {
      transformationTemplate: {
        extractors: { id: { header: ":path", regex: "/(.*)", subgroup: 1 } },
        headers: { "x-id": { text: "{{ id }}" } },
        mergeExtractorsToBody: {},
      },
    },
    ...(isWild
      ? [
          { transformationTemplate: { body: { text: "{{ nope(" } } },
          { transformationTemplate: { extractors: { id: { header: ":path", regex: "(" } } } },
          {},
        ]
      : []),
  );
  const comparison = parts(
    { op: any("EQ", "GE", "LE"), value: parts({ defaultValue: whole(0, 599, 4_294_967_295), runtimeKey: texts("a.b") }, ["runtimeKey"]) },
    ["value"],
  ).map((made) => ({ comparison: made }));
  const headerMatch = parts({ invertMatch: fc.boolean() }).chain((base) =>
    fc
      .oneof(
        texts("a").map((exactMatch) => ({ exactMatch })),
        regex.map((text) => ({ safeRegexMatch: { regex: text } })),
        any({ rangeMatch: { start: 1, end: 5 } }, { presentMatch: true }) as fc.Arbitrary<JsonObject>,
        texts("a").map((prefixMatch) => ({ prefixMatch })),
        texts("a").map((suffixMatch) => ({ suffixMatch })),
      )
      .chain((match) => header.map((name): JsonObject => ({ name, ...base, ...match }))),
  );
  const plainFilter: fc.Arbitrary<JsonObject> = fc.oneof(
    comparison.map((statusCodeFilter) => ({ statusCodeFilter })),
    comparison.map((durationFilter) => ({ durationFilter })),
    any({ notHealthCheckFilter: {} }, { traceableFilter: {} }) as fc.Arbitrary<JsonObject>,
    parts({ runtimeKey: texts("a.b"), percentSampled: fraction, useIndependentRandomness: fc.boolean() }, ["runtimeKey"]).map(
      (runtimeFilter) => ({ runtimeFilter }),
    ),
    headerMatch.map((match) => ({ headerFilter: { header: match } })),
    some(or(fc.constantFrom("UH", "NR", "UF"), "NOPE", ""), 0, 2).map((flags) => ({ responseFlagFilter: { flags } })),
    any({ grpcStatusFilter: { statuses: ["OK", "UNAVAILABLE"], exclude: true } }, { grpcStatusFilter: {} }) as fc.Arbitrary<JsonObject>,
    ...(isWild ? [any({}, { headerFilter: {} }, { statusCodeFilter: {} }) as fc.Arbitrary<JsonObject>] : []),
  );
  const logFilter = fc.oneof(
    { weight: 4, arbitrary: plainFilter },
    { weight: 1, arbitrary: some(plainFilter, isWild ? 1 : 2, 3).map((filters): JsonObject => ({ andFilter: { filters } })) },
    { weight: 1, arbitrary: some(plainFilter, isWild ? 1 : 2, 3).map((filters): JsonObject => ({ orFilter: { filters } })) },
  );
  const anyValue = any(
    { stringValue: "%REQ(:path)%" },
    { kvlistValue: { values: [{ key: "k", value: { stringValue: "%START_TIME%" } }] } },
    ...(isWild ? [{ stringValue: "%NOPE%" }, { intValue: "3" }] : []),
  );
  const bucket = parts(
    { maxTokens: whole(1, 100, 0), tokensPerFill: whole(1, 100, 0), fillInterval: or(any("1s", "0.1s", "60s"), "0s", "0.01s", "-1s") },
    ["maxTokens"],
  );
  const key = {
    kty: "EC",
    crv: "P-256",
    x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
  };
  const provider = parts(
    {
      jwks: fc.oneof(
        or(
          any(key, {
            keys: [
              { ...key, kid: "a", alg: "ES256" },
              { kty: "oct", k: "c2VjcmV0" },
            ],
          }).map((each) => JSON.stringify(each)),
          "",
          "secret",
          "{}",
          '{"keys":[]}',
          JSON.stringify({ ...key, alg: "ES384" }),
          JSON.stringify({ kty: "oct", k: "" }),
        ).map((text): JsonObject => ({ local: { key: text } })),
        parts(
          {
            url: texts("https://a.test/keys", "ftp://a", "", "a b"),
            upstreamRef: toPlain,
            cacheDuration: duration,
            asyncFetch: any({}, { fastListener: true }),
          },
          ["url", "upstreamRef"],
        ).map((remote) => ({ remote })),
      ),
      issuer: texts("me", "https://me.test", " me\n", "é"),
      audiences: some(texts("a", "b")),
      tokenSource: parts({ headers: some(parts({ header, prefix: texts("T ", "") }, ["header"])), queryParams: some(texts("t", "")) }),
      keepToken: any(true),
      claimsToHeaders: some(
        parts({ claim: texts("sub", "a.b", "", "é"), header: or(header, "", "a b", "host", ":path"), append: any(true) }, [
          "claim",
          "header",
        ]),
      ),
      clockSkewSeconds: whole(1, 100, 0, 4_294_967_295),
      attachFailedStatusToMetadata: texts("why"),
    },
    ["jwks"],
  );
  const principal = parts(
    {
      claims: or(any({ sub: "a" }, { "a.b": "true", c: "true" }), {}, { "a..b": "c" }, { ok: "(" }, { "": "a" }),
      provider: texts("one", "nobody"),
      matcher: or(any("EXACT_STRING", "LIST_CONTAINS", "REGEX_MATCH"), "BOOLEAN"),
    },
    ["claims"],
  ).map((jwtPrincipal) => ({ jwtPrincipal }));
  const policy = parts(
    {
      principals: or<JsonObject[]>(fc.array(principal, { minLength: 1, maxLength: 2 }), [], [{}]),
      permissions: parts({ pathPrefix: path, methods: some(texts("GET", "get", "")) }),
      nestedClaimDelimiter: any(".", "::"),
    },
    ["principals"],
  );
  const labelSelector = (label: string) => ({ expressions: [{ key: label, operator: "Exists" }] });
  const values: Record<string, Values> = {
    ...of.values,
    // Matchers.
    "matchers.core.gloo.solo.io.Matcher.prefix": path,
    "matchers.core.gloo.solo.io.Matcher.exact": path,
    "matchers.core.gloo.solo.io.Matcher.regex": regex,
    "matchers.core.gloo.solo.io.Matcher.methods": isWild ? some(texts("GET", "POST", "get", "PURGE")) : distinct("GET", "POST", "PATCH"),
    "matchers.core.gloo.solo.io.HeaderMatcher": fc
      .record({ name: or(any("x-a", ":authority", "X-B"), "", "a b", "é", "\n"), value: texts("", "a", "b"), invertMatch: fc.boolean() })
      .chain((made) =>
        fc
          .oneof({ weight: 3, arbitrary: any({}) }, { weight: 1, arbitrary: regex.map((value) => ({ value, regex: true })) })
          .map((more) => ({ ...made, ...(more as JsonObject) })),
      ),
    "matchers.core.gloo.solo.io.QueryParameterMatcher": fc
      .tuple(
        texts("q", "page"),
        fc.oneof(
          { weight: 3, arbitrary: texts("", "1").map((value): JsonObject => ({ value })) },
          { weight: 1, arbitrary: regex.map((value): JsonObject => ({ value, regex: true })) },
        ),
      )
      .map(([name, more]) => ({ name, ...more })),
    // Routes.
    "gateway.solo.io.Route.name": texts("buy", "sell"),
    "gloo.solo.io.Destination": destination,
    "gloo.solo.io.WeightedDestination.weight": whole(1, 100, 0, 4_294_967_295),
    "gloo.solo.io.RouteAction.upstream_group": inShop(...groups),
    "gloo.solo.io.RouteAction.cluster_header": texts("x-cluster"),
    "dfp.options.gloo.solo.io.PerRouteConfig": any(
      { hostRewrite: "a.test" },
      { autoHostRewriteHeader: "x-host" },
      ...(isWild ? [{}, { hostRewrite: "" }, { autoHostRewriteHeader: "" }] : []),
    ),
    "gloo.solo.io.RedirectAction.host_redirect": host,
    "gloo.solo.io.RedirectAction.path_redirect": path,
    "gloo.solo.io.RedirectAction.prefix_rewrite": path,
    "gloo.solo.io.RedirectAction.port_redirect": whole(1, 65_535, 0, 70_000),
    "gloo.solo.io.DirectResponseAction.status": status,
    "gloo.solo.io.DirectResponseAction.body": or(any("", "no", "é\n"), "x".repeat(5000)),
    "solo.io.envoy.type.matcher.v3.RegexMatchAndSubstitute": rewrite,
    "solo.io.envoy.type.matcher.v3.RegexMatcher": regex.map((text) => ({ regex: text })),
    "solo.io.envoy.type.matcher.v3.StringMatcher": fc.oneof(
      ...["exact", "prefix", "suffix"].map((kind) =>
        texts("a", "https://a.test").map((text): JsonObject => ({ [kind]: text, ignoreCase: text === "a" })),
      ),
      regex.map((text): JsonObject => ({ safeRegex: { regex: text } })),
      ...(isWild ? [any({}) as fc.Arbitrary<JsonObject>] : []),
    ),
    "solo.io.envoy.type.v3.FractionalPercent": fraction,
    "solo.io.envoy.config.core.v3.RuntimeFractionalPercent": parts({ defaultValue: fraction, runtimeKey: texts("a.b") }, ["defaultValue"]),
    "solo.io.envoy.config.core.v3.CidrRange": cidr,
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.CidrRange": cidr,
    // Options of routes and virtual hosts.
    "gloo.solo.io.RouteOptions.prefix_rewrite": path,
    "gloo.solo.io.RouteOptions.host_rewrite": host,
    "gloo.solo.io.RouteOptions.host_rewrite_header": header,
    "gloo.solo.io.RouteOptions.upgrades": upgrade("websocket", "connect") as Values,
    "gloo.solo.io.RouteOptions.envoy_metadata": any(
      { "io.test": { a: "b" } },
      { "envoy.lb": { stage: "a" }, other: {} },
      ...(isWild ? [{ "": {} }] : []),
    ),
    "gloo.solo.io.RouteOptions.transformations": any({}),
    "fault.options.gloo.solo.io.RouteAbort.http_status": status,
    "fault.options.gloo.solo.io.RouteAbort.percentage": percent,
    "fault.options.gloo.solo.io.RouteDelay.percentage": percent,
    "retries.options.gloo.solo.io.RetryPolicy.retry_on": texts("5xx", "reset,connect-failure", "retriable-status-codes"),
    "retries.options.gloo.solo.io.RetryPolicy.num_retries": whole(1, 10, 0, 4_294_967_295),
    "retries.options.gloo.solo.io.RetryPolicy.retriable_status_codes": some(status),
    "retries.options.gloo.solo.io.RetryBackOff": within(5, 30),
    "retries.options.gloo.solo.io.RetryPolicy.PreviousPriorities.update_frequency": whole(1, 9, 0),
    "retries.options.gloo.solo.io.ResetHeader.name": header,
    "tracing.options.gloo.solo.io.RouteTracingSettings.route_descriptor": texts("route"),
    ...Object.fromEntries(
      ["client", "random", "overall"].map((each) => [`tracing.options.gloo.solo.io.TracePercentages.${each}_sample_percentage`, percent]),
    ),
    "shadowing.options.gloo.solo.io.RouteShadowing.upstream": toPlain,
    "shadowing.options.gloo.solo.io.RouteShadowing.percentage": percent,
    "shadowing.options.gloo.solo.io.RouteShadowing.host_rewrite_literal": host,
    "solo.io.envoy.api.v2.core.HeaderValue.key": header,
    "solo.io.envoy.api.v2.core.HeaderValue.value": headerValue,
    "headers.options.gloo.solo.io.HeaderValue.key": header,
    "headers.options.gloo.solo.io.HeaderValue.value": headerValue,
    "headers.options.gloo.solo.io.HeaderManipulation.request_headers_to_remove": some(header),
    "headers.options.gloo.solo.io.HeaderManipulation.response_headers_to_remove": some(header),
    "headers.options.gloo.solo.io.EarlyHeaderManipulation.headers_to_remove": some(header),
    "cors.options.gloo.solo.io.CorsPolicy.allow_origin": some(texts("*", "https://a.test"), isWild ? 0 : 1),
    "cors.options.gloo.solo.io.CorsPolicy.allow_origin_regex": some(regex),
    "cors.options.gloo.solo.io.CorsPolicy.max_age": texts("60", "1d"),
    "lbhash.options.gloo.solo.io.HashPolicy.header": header,
    "lbhash.options.gloo.solo.io.Cookie.name": texts("session"),
    "lbhash.options.gloo.solo.io.Cookie.path": texts("/"),
    "lbhash.options.gloo.solo.io.HashPolicy.source_ip": isWild ? any(true, false) : any(true),
    "local_ratelimit.options.gloo.solo.io.TokenBucket": bucket,
    "solo.io.envoy.extensions.filters.http.buffer.v3.Buffer.max_request_bytes": whole(1, 100_000, 0, 4_294_967_295),
    "ratelimit.api.solo.io.Action": fc.oneof(
      any({ sourceCluster: {} }, { destinationCluster: {} }, { remoteAddress: {} }) as fc.Arbitrary<JsonObject>,
      parts({ headerName: header, descriptorKey: texts("k") }, ["headerName", "descriptorKey"]).map((requestHeaders) => ({
        requestHeaders,
      })),
      parts({ descriptorValue: texts("v") }, ["descriptorValue"]).map((genericKey) => ({ genericKey })),
      fc
        .tuple(
          texts("v"),
          fc.boolean(),
          some(
            fc.oneof(
              header.map((name): JsonObject => ({ name, exactMatch: "a" })),
              regex.map((regexMatch): JsonObject => ({ name: "x-a", regexMatch })),
              any(
                { name: "x-a", rangeMatch: { start: 1, end: 2 } },
                { name: "x-a", presentMatch: true },
                { name: "x-a", prefixMatch: "a" },
                { name: "x-a", suffixMatch: "a" },
              ) as fc.Arbitrary<JsonObject>,
            ),
            1,
          ),
        )
        .map(([descriptorValue, expectMatch, headers]) => ({ headerValueMatch: { descriptorValue, expectMatch, headers } })),
      parts(
        {
          descriptorKey: texts("k"),
          metadataKey: any({ key: "a", path: [{ key: "b" }] }, ...(isWild ? [{}, { key: "a" }, { key: "a", path: [{}] }] : [])),
          defaultValue: texts("d"),
          source: any("DYNAMIC", "ROUTE_ENTRY"),
        },
        ["descriptorKey", "metadataKey"],
      ).map((metadata) => ({ metadata })),
      ...(isWild ? [any({}, { cel: { expression: "a", key: "b" } }) as fc.Arbitrary<JsonObject>] : []),
    ),
    "enterprise.gloo.solo.io.ExtAuthExtension": any(
      { disable: true },
      { disable: false },
      { customAuth: { contextExtensions: { a: "b" } } },
      {},
      ...(isWild ? [{ configRef: { name: "a", namespace: shop } }] : []),
    ),
    "stats.options.gloo.solo.io.VirtualCluster": parts(
      { name: texts("buys"), pattern: regex, method: or(any("", "get", "POST"), "NOPE") },
      ["name", "pattern"],
    ),
    "transformation.options.gloo.solo.io.Transformations": parts({
      requestTransformation: transformation,
      responseTransformation: transformation,
      clearRouteCache: fc.boolean(),
    }),
    "transformation.options.gloo.solo.io.TransformationStages": parts({
      early: parts({
        requestTransforms: some(
          parts({ requestTransformation: transformation, matcher: any({ prefix: "/a" }) }, ["requestTransformation"]),
        ),
      }),
      regular: parts({
        requestTransforms: some(parts({ requestTransformation: transformation, clearRouteCache: fc.boolean() }, ["requestTransformation"])),
        responseTransforms: some(parts({ responseTransformation: transformation }, ["responseTransformation"])),
      }),
    }),
    "gloo.solo.io.Extensions": any({}),
    "gateway.solo.io.DelegateOptionsRefs": some(
      or(any("options-0", "options-1"), "missing").map((name) => ({ name, namespace: "$own" })),
      1,
      2,
    ).map((delegateOptions) => ({ delegateOptions })),
    // TLS of listeners.
    "gloo.solo.io.SslConfig.secret_ref": or(
      fc.constantFrom(secrets.tls),
      "missing",
      secrets.headers,
      secrets.authority,
      secrets.stapled,
    ).map((name) => ({ name, namespace: shop })),
    // What is in files, only Envoy can see.
    "gloo.solo.io.SslConfig.ssl_files": any(
      { tlsCert: around.files.certificate, tlsKey: around.files.key },
      { tlsCert: around.files.certificate, tlsKey: around.files.key, rootCa: around.files.authority },
      ...(isWild ? [{}, { tlsCert: around.files.certificate }] : []),
    ),
    "gloo.solo.io.SslConfig.sni_domains": some(texts("a.test", "*.b.test")),
    "gloo.solo.io.SslConfig.alpn_protocols": some(texts("h2", "http/1.1", "allow_empty")),
    "gloo.solo.io.SslConfig.verify_subject_alt_name": some(texts("a.test", "spiffe://a/b")),
    "gloo.solo.io.SslConfig.ocsp_staple_policy": isWild
      ? any("LENIENT_STAPLING", "STRICT_STAPLING", "MUST_STAPLE")
      : any("LENIENT_STAPLING"),
    // Listeners.
    "gateway.solo.io.Gateway.proxy_names": any([]),
    "gloo.solo.io.ListenerOptions.per_connection_buffer_limit_bytes": whole(1024, 1_000_000, 0, 4_294_967_295),
    // Whatever else, the kernel decides.
    "solo.io.envoy.api.v2.core.SocketOption": any(
      { description: "keep alive", level: "1", name: "9", intValue: "1", state: "STATE_PREBIND" },
      { level: "6", name: "4", intValue: "30", state: "STATE_LISTENING" },
    ),
    "proxy_protocol.options.gloo.solo.io.ProxyProtocol.Rule": fc.record({
      tlvType: whole(0, 255, 256),
      onTlvPresent: parts({ metadataNamespace: texts("a"), key: texts("k") }, ["key"]),
    }),
    "proxy_protocol.options.gloo.solo.io.ProxyProtocol.allow_requests_without_proxy_protocol": isWild ? fc.boolean() : any(false),
    "als.options.gloo.solo.io.FileSink.path": or(any("/dev/null"), ""),
    "als.options.gloo.solo.io.FileSink.string_format": texts(
      "[%START_TIME%] %REQ(:METHOD)% %RESPONSE_CODE%\n",
      "%REQ_WITHOUT_QUERY(:PATH)%\n",
      "",
    ),
    "als.options.gloo.solo.io.FileSink.json_format": any(
      { path: "%REQ(:PATH)%", nested: { code: "%RESPONSE_CODE%", list: ["%PROTOCOL%", 1] } },
      ...(isWild ? [{ a: "%NOPE%" }, {}, { a: null }] : []),
    ),
    "als.options.gloo.solo.io.GrpcService.static_cluster_name": or(any(`${upstreams.plain[0]}_${shop}`, sdsCluster), "nobody", ""),
    "als.options.gloo.solo.io.GrpcService.log_name": texts("log"),
    "als.options.gloo.solo.io.GrpcService.filter_state_objects_to_log": some(texts("a.b")),
    ...Object.fromEntries(
      ["request_headers", "response_headers", "response_trailers"].map((each) => [
        `als.options.gloo.solo.io.GrpcService.additional_${each}_to_log`,
        some(header),
      ]),
    ),
    "als.options.gloo.solo.io.OpenTelemetryService.log_name": texts("spans"),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.endpoint": or(
      any("127.0.0.1:4317", "127.0.0.2:4318"),
      "",
      "127.0.0.1",
      ":1",
      "127.0.0.1:0",
      "127.0.0.1:70000",
      "a b:1",
    ),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.insecure": isWild ? fc.boolean() : any(true),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.headers": any(
      {},
      { "x-a": "b" },
      ...(isWild ? [{ "a b": "c" }, { "": "" }, { Host: "x" }, { "x-a": "\n" }] : []),
    ),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.authority": texts("a.test"),
    "opentelemetry.proto.common.v1.AnyValue": anyValue,
    "als.options.gloo.solo.io.AccessLogFilter": logFilter,
    "gateway.solo.io.HttpGateway.virtual_services": any([]),
    "gateway.solo.io.HttpGateway.virtual_service_selector": any({}),
    "gateway.solo.io.HttpGateway.virtual_service_expressions": isWild
      ? any({ expressions: [{ key: "world", operator: "In", values: [] }] }, labelSelector("world"))
      : any(labelSelector("world")),
    "gateway.solo.io.MatchedGateway.matcher": any({}),
    // What they select is put in by whoever makes the world.
    "selectors.core.gloo.solo.io.Selector": any({}),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.max_request_headers_kb": whole(1, 8192, 0, 8193),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.via": texts("us"),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.server_name": texts("us"),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.default_host_for_http_10": host,
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.xff_num_trusted_hops": whole(0, 3, 4_294_967_295),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.upgrades": upgrade(
      "websocket",
      "connect",
      ...(isWild ? ["connectTerminate"] : []),
    ) as Values,
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.max_headers_count": whole(1, 1000, 0),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.max_requests_per_connection": whole(1, 1000, 0),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.stream_idle_timeout": seconds(0, 90, "-1s"),
    "protocol.options.gloo.solo.io.Http2ProtocolOptions": parts({
      maxConcurrentStreams: whole(1, 2_147_483_647, 0, 4_294_967_295),
      initialStreamWindowSize: whole(65_535, 2_147_483_647, 1, 4_294_967_295),
      initialConnectionWindowSize: whole(65_535, 2_147_483_647, 1, 4_294_967_295),
      overrideStreamErrorOnInvalidHttpMessage: fc.boolean(),
    }),
    "solo.io.envoy.config.trace.v3.ZipkinConfig.collector_upstream_ref": toPlain,
    "solo.io.envoy.config.trace.v3.DatadogConfig.collector_upstream_ref": toPlain,
    "solo.io.envoy.config.trace.v3.OpenTelemetryConfig.collector_upstream_ref": toPlain,
    ...Object.fromEntries(
      ["Zipkin", "Datadog", "OpenTelemetry"].map((each) => [
        `solo.io.envoy.config.trace.v3.${each}Config.cluster_name`,
        or(any(`${upstreams.plain[0]}_${shop}`, sdsCluster), "nobody", ""),
      ]),
    ),
    "solo.io.envoy.config.trace.v3.ZipkinConfig.collector_endpoint": texts("/api/v2/spans"),
    "solo.io.envoy.config.trace.v3.DatadogConfig.service_name": texts("us"),
    "solo.io.envoy.config.trace.v3.DatadogConfig.collector_hostname": host,
    "solo.io.envoy.config.trace.v3.OpenTelemetryConfig.service_name": texts("us"),
    "solo.io.envoy.config.trace.v3.OpenCensusConfig": any({}),
    "tracing.options.gloo.solo.io.ListenerTracingSettings.request_headers_for_tags": isWild ? some(header) : distinct("x-a", "x-b"),
    "tracing.options.gloo.solo.io.TracingTagEnvironmentVariable": parts(
      { tag: texts("env"), name: texts("HOME"), defaultValue: texts("d") },
      ["tag", "name"],
    ),
    "tracing.options.gloo.solo.io.TracingTagLiteral": parts({ tag: texts("lit"), value: texts("v") }, ["tag", "value"]),
    "tracing.options.gloo.solo.io.TracingTagMetadata": parts(
      {
        tag: texts("meta"),
        kind: any("REQUEST", "ENDPOINT"),
        value: parts({ namespace: texts("io.test"), key: texts("a.b"), nestedFieldDelimiter: any("", ".") }, ["namespace", "key"]),
        defaultValue: texts("d"),
      },
      ["tag", "value"],
    ),
    "healthcheck.options.gloo.solo.io.HealthCheck.path": or(any("/healthz"), "", "a"),
    "enterprise.gloo.solo.io.Settings": parts(
      {
        extauthzServerRef: toPlain,
        grpcService: any({ authority: "a.test" }),
        requestTimeout: duration,
        failureModeAllow: fc.boolean(),
        requestBody: parts({
          maxRequestBytes: whole(0, 8192, 4_294_967_295),
          allowPartialMessage: fc.boolean(),
          packAsBytes: fc.boolean(),
        }),
        clearRouteCache: fc.boolean(),
        statusOnError: or(any(0, 403, 503), 99, 599),
        statPrefix: texts("auth"),
      },
      ["extauthzServerRef"],
    ).chain((made) =>
      (isWild && "requestBody" in made) || !("requestBody" in made)
        ? fc.constant(made)
        : parts({
            pathPrefix: path,
            request: any({ allowedHeaders: ["x-a"], allowedHeadersRegex: ["x-.*"], headersToAdd: { "x-b": "c" } }),
            response: any({ allowedUpstreamHeaders: ["x-a"], allowedClientHeaders: ["x-b"], allowedUpstreamHeadersToAppend: ["x-c"] }),
          }).map(({ ...httpService }) => {
            const { grpcService: _, ...rest } = made;
            return { ...rest, httpService };
          }),
    ),
    "ratelimit.options.gloo.solo.io.Settings.ratelimit_server_ref": toPlain,
    "ratelimit.options.gloo.solo.io.GrpcService.authority": texts("a.test"),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.memory_level": whole(1, 9, 0, 10),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.window_bits": whole(9, 15, 8, 16),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.content_length": whole(30, 5000, 0, 4_294_967_295),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.content_type": distinct("text/html", "application/json", ...(isWild ? [""] : [])),
    "grpc_json.options.gloo.solo.io.GrpcJsonTranscoder": fc
      .tuple(
        isWild
          ? any({ protoDescriptorBin: around.descriptors }, { protoDescriptorBin: "AAEC" }, {})
          : any({ protoDescriptorBin: around.descriptors }),
        or(any(["till.v1.Till"]), ["till.v1.None"], []),
        parts({
          printOptions: any({ addWhitespace: true, alwaysPrintPrimitiveFields: true }),
          matchIncomingRequestRoute: fc.boolean(),
          autoMapping: fc.boolean(),
          ignoredQueryParameters: distinct("q"),
          ignoreUnknownQueryParameters: fc.boolean(),
          convertGrpcStatus: fc.boolean(),
        }),
      )
      .map(([set, services, more]) => ({ ...(set as JsonObject), services, ...more })),
    "dfp.options.gloo.solo.io.DnsCacheConfig": parts({
      dnsLookupFamily: any("V4_PREFERRED", "V4_ONLY", "V6_ONLY", "AUTO", "ALL"),
      dnsRefreshRate: seconds(1, 90, ...badDurations),
      hostTtl: seconds(1, 90, ...badDurations),
      maxHosts: whole(1, 100, 0),
      dnsQueryTimeout: seconds(0, 9, "-1s"),
      dnsFailureRefreshRate: within(2, 9),
      dnsCacheCircuitBreaker: any({ maxPendingRequests: 5 }, {}),
      caresDns: parts(
        {
          resolvers: some(
            any(
              { socketAddress: { address: "127.0.0.1", portValue: 53 } },
              ...(isWild ? [{ socketAddress: { address: "a", portValue: 53 } }, { pipe: { path: "/x" } }, {}] : []),
            ),
            1,
          ),
          dnsResolverOptions: any({ useTcpForDnsLookups: true, noDefaultSearchDomain: true }),
        },
        ["resolvers"],
      ),
      preresolveHostnames: some(any({ address: "127.0.0.1", portValue: 80 }, ...(isWild ? [{ address: "", portValue: 0 }] : []))),
    }),
    "dfp.options.gloo.solo.io.FilterConfig.ssl_config": isWild ? any({}) : any({}),
    "connection_limit.options.gloo.solo.io.ConnectionLimit.max_active_connections": whole(1, 1000, 0),
    // Processing outside, sessions.
    "extproc.options.gloo.solo.io.GrpcService.ext_proc_server_ref": toPlain,
    "extproc.options.gloo.solo.io.GrpcService.authority": texts("a.test"),
    "extproc.options.gloo.solo.io.Settings.stat_prefix": texts("processed"),
    "solo.io.envoy.config.core.v3.HeaderValue.key": header,
    "solo.io.envoy.config.core.v3.HeaderValue.value": headerValue,
    "stateful_session.options.gloo.solo.io.CookieBasedSessionState.Cookie.name": texts("session"),
    "stateful_session.options.gloo.solo.io.CookieBasedSessionState.Cookie.path": texts("/"),
    "stateful_session.options.gloo.solo.io.HeaderBasedSessionState.header_name": header,
    // Tokens, and who may do what.
    "jwt.options.gloo.solo.io.VhostExtension.providers": parts({ one: provider, two: provider }, ["one"]),
    "rbac.options.gloo.solo.io.ExtensionSettings.policies": parts({ one: policy, two: policy }, ["one"]),
    // TCP.
    "gloo.solo.io.TcpHost.TcpAction.upstream_group": inShop(...groups),
    "gloo.solo.io.TcpHost.name": texts("one", "two"),
    "tcp.options.gloo.solo.io.TcpProxySettings.max_connect_attempts": whole(1, 9, 0),
    "tcp.options.gloo.solo.io.TcpProxySettings.TunnelingConfig.hostname": or(
      any("a.test:443", "%REQUESTED_SERVER_NAME%:443"),
      "",
      "%NOPE%",
    ),
    "tcp.options.gloo.solo.io.HeaderValue.key": header,
    "tcp.options.gloo.solo.io.HeaderValue.value": headerValue,
  };
  const enterprise = [
    "waf",
    "dlp",
    "caching",
    "wasm",
    "tap",
    "ratelimit_basic",
    "rate_limit_configs",
    "rate_limit_early_configs",
    "rate_limit_regular_configs",
    "proxy_latency",
    "leftmost_xff_address",
    "ai",
  ];
  const fieldsOfEnterprise = ["RouteOptions", "VirtualHostOptions", "HttpListenerOptions"].flatMap((message) =>
    enterprise.map((name) => `gloo.solo.io.${message}.${name}`),
  );
  const own = [
    "VirtualService",
    "RouteTable",
    "Gateway",
    "MatchableHttpGateway",
    "MatchableTcpGateway",
    "VirtualHostOption",
    "RouteOption",
    "ListenerOption",
    "HttpListenerOption",
  ].flatMap((message) => ["namespaced_statuses", "metadata", "target_refs"].map((name) => `gateway.solo.io.${message}.${name}`));
  for (const name of fieldsOfEnterprise) values[name] = any({});
  for (const name of ["proxy_latency", "leftmost_xff_address"])
    values[`gloo.solo.io.HttpListenerOptions.${name}`] = name === "proxy_latency" ? any({}) : any(true);
  return {
    ...of,
    values,
    required: new Set([
      ...of.required,
      "gateway.solo.io.VirtualService.virtual_host",
      "extproc.options.gloo.solo.io.Settings.grpc_service",
      "extproc.options.gloo.solo.io.GrpcService.ext_proc_server_ref",
      "extproc.options.gloo.solo.io.RouteSettings.override",
      "stateful_session.options.gloo.solo.io.StatefulSession.SessionState",
      "stateful_session.options.gloo.solo.io.CookieBasedSessionState.cookie",
      "stateful_session.options.gloo.solo.io.CookieBasedSessionState.Cookie.name",
      "stateful_session.options.gloo.solo.io.HeaderBasedSessionState.header_name",
      "gateway.solo.io.VirtualHost.routes",
      "gateway.solo.io.RouteTable.routes",
      "gateway.solo.io.Gateway.GatewayType",
      "gateway.solo.io.MatchedGateway.GatewayType",
      "gateway.solo.io.HybridGateway.matched_gateways",
      "gateway.solo.io.TcpGateway.tcp_hosts",
      "gateway.solo.io.MatchableHttpGateway.http_gateway",
      "gateway.solo.io.MatchableTcpGateway.tcp_gateway",
      "gateway.solo.io.Route.action",
      "gateway.solo.io.RouteOption.options",
      "gateway.solo.io.VirtualHostOption.options",
      "gateway.solo.io.ListenerOption.options",
      "gateway.solo.io.HttpListenerOption.options",
      "gloo.solo.io.TcpHost.destination",
      "gloo.solo.io.TcpHost.TcpAction.destination",
      "gloo.solo.io.RouteAction.destination",
      "gloo.solo.io.MultiDestination.destinations",
      "gloo.solo.io.WeightedDestination.destination",
      "gloo.solo.io.WeightedDestination.weight",
      "gloo.solo.io.UpstreamGroup.destinations",
      "gloo.solo.io.DirectResponseAction.status",
      "matchers.core.gloo.solo.io.Matcher.path_specifier",
      "fault.options.gloo.solo.io.RouteAbort.http_status",
      "fault.options.gloo.solo.io.RouteDelay.fixed_delay",
      "shadowing.options.gloo.solo.io.RouteShadowing.upstream",
      "headers.options.gloo.solo.io.HeaderValueOption.header",
      "headers.options.gloo.solo.io.HeaderValue.key",
      "solo.io.envoy.extensions.filters.http.csrf.v3.CsrfPolicy.filter_enabled",
      "solo.io.envoy.extensions.filters.http.buffer.v3.Buffer.max_request_bytes",
      "solo.io.envoy.extensions.filters.http.buffer.v3.BufferPerRoute.override",
      "cors.options.gloo.solo.io.CorsPolicy.allow_origin",
      "lbhash.options.gloo.solo.io.HashPolicy.KeyType",
      "lbhash.options.gloo.solo.io.Cookie.name",
      "retries.options.gloo.solo.io.ResetHeader.name",
      "retries.options.gloo.solo.io.RateLimitedRetryBackOff.reset_headers",
      "retries.options.gloo.solo.io.RetryPolicy.PreviousPriorities.update_frequency",
      "retries.options.gloo.solo.io.RetryPolicy.retry_on",
      "ratelimit.api.solo.io.RateLimitActions.actions",
      "gloo.solo.io.SslConfig.ssl_secrets",
      "als.options.gloo.solo.io.AccessLog.OutputDestination",
      "als.options.gloo.solo.io.FileSink.path",
      "als.options.gloo.solo.io.GrpcService.log_name",
      "als.options.gloo.solo.io.GrpcService.service_ref",
      "als.options.gloo.solo.io.OpenTelemetryService.log_name",
      "als.options.gloo.solo.io.OpenTelemetryService.destination",
      "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.endpoint",
      "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.insecure",
      "gloo.solo.io.ConnectionBalanceConfig.exact_balance",
      "healthcheck.options.gloo.solo.io.HealthCheck.path",
      "ratelimit.options.gloo.solo.io.Settings.ratelimit_server_ref",
      ...["Zipkin", "Datadog", "OpenTelemetry"].map((each) => `solo.io.envoy.config.trace.v3.${each}Config.collector_cluster`),
      "solo.io.envoy.config.trace.v3.ZipkinConfig.collector_endpoint",
      "solo.io.envoy.config.trace.v3.DatadogConfig.service_name",
      "tcp.options.gloo.solo.io.TcpProxySettings.TunnelingConfig.hostname",
      "tcp.options.gloo.solo.io.HeaderValueOption.header",
      "tcp.options.gloo.solo.io.HeaderValue.key",
    ]),
    left: new Set([
      ...of.left,
      ...own,
      ...fieldsOfEnterprise.filter((name) => !isWild || !/RouteOptions.waf|leftmost_xff_address$/.test(name)),
      "ratelimit.api.solo.io.RateLimitActions.set_actions",
      "ratelimit.api.solo.io.RateLimitActions.limit",
      "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.ssl_config",
      "gateway.solo.io.MatchableTcpGateway.Matcher.passthrough_cipher_suites",
      "gloo.solo.io.UpstreamGroup.namespaced_statuses",
      "gloo.solo.io.UpstreamGroup.metadata",
      "gateway.solo.io.DelegateAction.name",
      "gateway.solo.io.DelegateAction.namespace",
      ...(isWild ? [] : ["gloo.solo.io.SslConfig.sds"]),
    ]),
    share: 40,
    innerShare: 15,
    shares: {
      ...(isWild &&
        Object.fromEntries(["RouteOptions.waf", "HttpListenerOptions.leftmost_xff_address"].map((name) => [`gloo.solo.io.${name}`, 1]))),
      "gateway.solo.io.VirtualHost.options": 40,
      "gateway.solo.io.Route.matchers": 85,
      "gateway.solo.io.Route.options": 60,
      "gateway.solo.io.Route.route_action": 60,
      "gateway.solo.io.Route.delegate_action": 20,
      "gateway.solo.io.Gateway.use_proxy_proto": 5,
      "gateway.solo.io.Gateway.options": 40,
      "gateway.solo.io.Gateway.http_gateway": 60,
      "gateway.solo.io.HttpGateway.options": 70,
      "gateway.solo.io.HttpGateway.virtual_service_expressions": isWild ? 5 : 0,
      "gloo.solo.io.HttpListenerOptions.http_connection_manager_settings": 40,
      "gloo.solo.io.SslConfig.secret_ref": 80,
      "gloo.solo.io.SslConfig.sds": isWild ? 2 : 0,
      "gloo.solo.io.RouteAction.single": 60,
      "matchers.core.gloo.solo.io.Matcher.connect_matcher": 3,
      "matchers.core.gloo.solo.io.Matcher.prefix": 60,
      "tcp.options.gloo.solo.io.TcpProxySettings.tunneling_config": 50,
      "tcp.options.gloo.solo.io.TcpProxySettings.TunnelingConfig.headers_to_add": 80,
      "solo.io.envoy.config.trace.v3.OpenTelemetryConfig.grpc_service": 80,
      "solo.io.envoy.config.trace.v3.GrpcService.authority": 80,
      "solo.io.envoy.config.trace.v3.DatadogConfig.remote_config": 60,
      "solo.io.envoy.config.trace.v3.DatadogRemoteConfig.polling_interval": 60,
      "solo.io.envoy.config.trace.v3.DatadogRemoteConfig.disabled": 60,
    },
    number: whole(1, 100, 0, 65_536, 4_294_967_295),
    duration,
  };
}
