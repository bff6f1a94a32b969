// Gateways, and the options of their listeners and connections.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { badDurations, type Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function listeners({ isWild, any, or, whole, seconds, texts, some, distinct, parts, ...words }: Words): Record<string, Values> {
  const labelSelector = (label: string) => ({ expressions: [{ key: label, operator: "Exists" }] });
  return {
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
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.default_host_for_http_10": words.host,
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.xff_num_trusted_hops": whole(0, 3, 4_294_967_295),
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.upgrades": words.upgrade(
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
    "healthcheck.options.gloo.solo.io.HealthCheck.path": or(any("/healthz"), "", "a"),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.memory_level": whole(1, 9, 0, 10),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.window_bits": whole(9, 15, 8, 16),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.content_length": whole(30, 5000, 0, 4_294_967_295),
    "solo.io.envoy.config.filter.http.gzip.v2.Gzip.content_type": distinct("text/html", "application/json", ...(isWild ? [""] : [])),
    "grpc_json.options.gloo.solo.io.GrpcJsonTranscoder": fc
      .tuple(
        isWild
          ? any({ protoDescriptorBin: words.descriptors }, { protoDescriptorBin: "AAEC" }, {})
          : any({ protoDescriptorBin: words.descriptors }),
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
      dnsFailureRefreshRate: words.within(2, 9),
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
    "extproc.options.gloo.solo.io.GrpcService.ext_proc_server_ref": words.toPlain,
    "extproc.options.gloo.solo.io.GrpcService.authority": texts("a.test"),
    "extproc.options.gloo.solo.io.Settings.stat_prefix": texts("processed"),
    "solo.io.envoy.config.core.v3.HeaderValue.key": words.header,
    "solo.io.envoy.config.core.v3.HeaderValue.value": words.headerValue,
    "stateful_session.options.gloo.solo.io.CookieBasedSessionState.Cookie.name": texts("session"),
    "stateful_session.options.gloo.solo.io.CookieBasedSessionState.Cookie.path": texts("/"),
    "stateful_session.options.gloo.solo.io.HeaderBasedSessionState.header_name": words.header,
  };
}
