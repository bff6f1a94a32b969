// Random Upstreams with every option of the API. `good` ones keep to the ranges that the API tells its users; a few are refused all the
// same, because options contradict each other. `wild` ones also have values at the edges of the ranges and beyond.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";
import { UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { type Rules, randomMessage } from "./randomMessages.ts";

/** What the Upstreams name and others have to provide. */
export interface Surroundings {
  /** Files of PEM on Envoy's machine. */
  readonly files: { readonly certificate: string; readonly key: string; readonly authority: string; readonly staple: string };
  /** Names of Secrets in `shop`, by what is in them. */
  readonly secrets: {
    readonly tls: string;
    readonly stapled: string;
    readonly authority: string;
    readonly headers: string;
    readonly azure: string;
    readonly aws: string;
  };
  /** A cluster of the bootstrap that an SDS server is behind. */
  readonly sdsCluster: string;
}

export type Flavour = "good" | "wild";

/** The `spec` of Upstreams. */
export function randomUpstream(flavour: Flavour, surroundings: Surroundings): fc.Arbitrary<JsonObject> {
  return randomMessage(UpstreamSchema, upstreamRules(flavour, surroundings));
}

export function upstreamRules(flavour: Flavour, { files, secrets, sdsCluster }: Surroundings): Rules {
  const isWild = flavour === "wild";
  const any = (...values: JsonValue[]): fc.Arbitrary<JsonValue> => fc.constantFrom(...values);
  /** Bad values are rare: an Upstream has so many that one would hide the next. */
  const or = <T extends JsonValue>(good: fc.Arbitrary<T>, ...bad: T[]): fc.Arbitrary<T> =>
    isWild && bad.length > 0 ? fc.oneof({ weight: 40, arbitrary: good }, { weight: 1, arbitrary: fc.constantFrom(...bad) }) : good;
  const number = or(fc.integer({ min: 1, max: 100 }), 0, 65_535, 65_536, 4_294_967_295);
  const whole = (min: number, max: number, ...bad: number[]) => or(fc.integer({ min, max }), ...bad);
  const real = (min: number, max: number, ...bad: number[]) => or(fc.double({ min, max, noNaN: true }), ...bad);
  const seconds = (min: number, max: number, ...bad: string[]) =>
    or(
      fc.integer({ min, max }).map((s) => `${s}s`),
      ...bad,
    );
  const badDurations = ["0s", "0.001s", "-1s", "315576000000s"];
  const nonsense = ["", "\n", "a b", "é", "%", "%NOPE%", "%REQ(x)%", ":path", "Host", "a,", "\\1", "x".repeat(300)];
  const texts = (...good: string[]) =>
    isWild
      ? fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...nonsense) })
      : fc.constantFrom(...good);
  const ref = (...names: string[]) => or(fc.constantFrom(...names), "missing", secrets.azure).map((name) => ({ name, namespace: "shop" }));
  const some = <T extends JsonValue>(element: fc.Arbitrary<T>, minLength = 0, maxLength = 2) =>
    fc.array(element, { minLength, maxLength }) as fc.Arbitrary<JsonValue>;
  const distinct = (...values: string[]) => fc.subarray(values, { maxLength: 3 }) as fc.Arbitrary<JsonValue>;
  /** Two values of which the first may not be above the second. */
  const ordered = (min: number, max: number, fields: readonly [string, string], least = 0): fc.Arbitrary<JsonValue> =>
    fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map(([a, b]) => {
      const pair = isWild && (a + b) % 20 === 0 ? [a, b] : [Math.min(a, b), Math.max(a, b)];
      return { [fields[0]]: pair[0] ?? 0, [fields[1]]: (pair[1] ?? 0) + (isWild ? 0 : least) };
    });
  const values: Record<string, fc.Arbitrary<JsonValue>> = {
    // Options of the Upstream itself.
    "gloo.solo.io.Upstream.initial_stream_window_size": whole(65_535, 2_147_483_647, 1, 65_534, 2_147_483_648),
    "gloo.solo.io.Upstream.initial_connection_window_size": whole(65_535, 2_147_483_647, 1, 65_534, 2_147_483_648),
    "gloo.solo.io.Upstream.max_concurrent_streams": whole(1, 2_147_483_647, 0, 2_147_483_648),
    "gloo.solo.io.Upstream.http_proxy_hostname": texts("origin.test:443", "10.0.0.1:80"),
    "gloo.solo.io.Upstream.dns_refresh_rate": seconds(1, 90, ...badDurations),
    "gloo.solo.io.Upstream.proxy_protocol_version": or(fc.constantFrom("V1", "V2"), "V3", "", "toString"),
    "gloo.solo.io.HeaderValue.key": texts("x-a", "Proxy-Authorization"),
    "gloo.solo.io.HeaderValue.value": texts("a", "Basic abc", "100%%"),
    "gloo.solo.io.PreconnectPolicy.per_upstream_preconnect_ratio": real(1, 3, 0, -1, 4),
    "gloo.solo.io.PreconnectPolicy.predictive_preconnect_ratio": real(1, 3, 0, -1, 4),
    // TLS.
    "gloo.solo.io.UpstreamSslConfig.secret_ref": ref(secrets.tls, secrets.stapled, secrets.authority),
    "gloo.solo.io.UpstreamSslConfig.sni": texts("a.test", "b.test"),
    "gloo.solo.io.UpstreamSslConfig.verify_subject_alt_name": some(texts("a.test", "spiffe://a/b")),
    "gloo.solo.io.UpstreamSslConfig.alpn_protocols": some(texts("h2", "http/1.1")),
    "gloo.solo.io.SSLFiles": any(
      { tlsCert: files.certificate, tlsKey: files.key },
      { rootCa: files.authority },
      { tlsCert: files.certificate, tlsKey: files.key, ocspStaple: files.staple },
      { tlsCert: files.certificate, tlsKey: files.key, rootCa: files.authority },
      ...(isWild ? [{}, { tlsCert: files.certificate }, { tlsKey: files.key }] : []),
    ),
    "gloo.solo.io.SDSConfig": fc
      .tuple(
        any({ clusterName: sdsCluster }, {}, { targetUri: "127.0.0.1:1" }, credentials(files.certificate)),
        any({ certificatesSecretName: "cert" }, { validationContextName: "roots" }, ...(isWild ? [{}] : [])),
        any({ validationContextName: "roots" }),
      )
      .map((parts) => Object.assign({}, ...parts) as JsonObject),
    "gloo.solo.io.SslParameters.cipher_suites": distinct(
      "ECDHE-RSA-AES128-GCM-SHA256",
      "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
      "AES256-SHA",
      ...(isWild ? ["NOPE"] : []),
    ),
    "gloo.solo.io.SslParameters.ecdh_curves": distinct("X25519", "P-256", "P-384", ...(isWild ? ["P-1"] : [])),
    // Load balancing.
    "gloo.solo.io.LoadBalancerConfig.healthy_panic_threshold": real(0, 100, -1, 101),
    "gloo.solo.io.LoadBalancerConfig.update_merge_window": seconds(0, 5, "-1s", "0.001s"),
    "gloo.solo.io.LoadBalancerConfig.LeastRequest.choice_count": whole(2, 20, 0, 1, 4_294_967_295),
    "gloo.solo.io.LoadBalancerConfig.SlowStartConfig.aggression": real(0.1, 3, 0, -1),
    "gloo.solo.io.LoadBalancerConfig.SlowStartConfig.min_weight_percent": real(0, 100, -1, 101),
    // Rings are made in memory: small ones, and those that are too large.
    "gloo.solo.io.LoadBalancerConfig.RingHashConfig": fc.oneof(
      { weight: 20, arbitrary: ordered(1, 2000, ["minimumRingSize", "maximumRingSize"]) },
      { weight: 5, arbitrary: any({}, { minimumRingSize: 64 }, { maximumRingSize: 1024 }) },
      { weight: isWild ? 1 : 0, arbitrary: any({ minimumRingSize: 9_000_000 }, { maximumRingSize: 9_000_000 }, { maximumRingSize: 1 }) },
    ),
    // Health checks.
    // Envoy acknowledges clusters when they are warm, and for that waits for the first check: of whoever else listens at these ports.
    "solo.io.envoy.api.v2.core.HealthCheck.timeout": seconds(1, 2, ...badDurations),
    "solo.io.envoy.api.v2.core.HealthCheck.interval": seconds(1, 60, ...badDurations),
    "solo.io.envoy.api.v2.core.HealthCheck.initial_jitter": or(fc.constantFrom("0s", "0.010s"), "-1s"),
    "solo.io.envoy.api.v2.core.HealthCheck.event_log_path": any("", "/dev/null"),
    "solo.io.envoy.api.v2.core.HealthCheck.HttpHealthCheck.host": texts("a.test", "a.test:80"),
    "solo.io.envoy.api.v2.core.HealthCheck.HttpHealthCheck.path": texts("/", "/healthz?deep=1"),
    "solo.io.envoy.api.v2.core.HealthCheck.HttpHealthCheck.service_name": texts("a"),
    "solo.io.envoy.api.v2.core.HealthCheck.HttpHealthCheck.request_headers_to_remove": some(texts("x-b")),
    "solo.io.envoy.api.v2.core.HealthCheck.HttpHealthCheck.method": or(
      fc.constantFrom("METHOD_UNSPECIFIED", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"),
      "CONNECT",
    ),
    "solo.io.envoy.api.v2.core.HeaderValue.key": texts("x-a", "X-B"),
    "solo.io.envoy.api.v2.core.HeaderValue.value": texts("a", "%START_TIME%", "100%%"),
    "solo.io.envoy.api.v2.core.HeaderValueOption.header_secret_ref": ref(secrets.headers),
    "solo.io.envoy.type.Int64Range": ordered(100, 599, ["start", "end"], 1),
    "solo.io.envoy.api.v2.core.HealthCheck.Payload": or(any({ text: "50494e47" }, { text: "00" }), {}, { text: "0g" }, { text: "" }),
    "solo.io.envoy.api.v2.core.HealthCheck.GrpcHealthCheck.authority": texts("a.test"),
    "solo.io.envoy.api.v2.core.HealthCheck.CustomHealthCheck": any(
      {
        name: "envoy.health_checkers.redis",
        typedConfig: { "@type": "type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis", key: "a" },
      },
      {
        name: "envoy.health_checkers.thrift",
        typedConfig: {
          "@type": "type.googleapis.com/envoy.extensions.health_checkers.thrift.v3.Thrift",
          methodName: "ping",
          transport: "FRAMED",
          protocol: "BINARY",
        },
      },
      ...(isWild
        ? [
            { name: "envoy.health_checkers.redis", config: { key: "a" } },
            { name: "envoy.health_checkers.redis" },
            {
              name: "envoy.health_checkers.thrift",
              typedConfig: { "@type": "type.googleapis.com/envoy.extensions.health_checkers.thrift.v3.Thrift" },
            },
          ]
        : []),
    ),
    "solo.io.envoy.api.v2.core.HealthCheck.interval_jitter_percent": whole(0, 100, 4_294_967_295),
    ...Object.fromEntries(
      [
        "max_ejection_percent",
        "enforcing_consecutive_5xx",
        "enforcing_success_rate",
        "enforcing_consecutive_gateway_failure",
        "enforcing_consecutive_local_origin_failure",
        "enforcing_local_origin_success_rate",
      ].map((name) => [`solo.io.envoy.api.v2.cluster.OutlierDetection.${name}`, whole(0, 100, 101)]),
    ),
    // Connections.
    "gloo.solo.io.ConnectionConfig.per_connection_buffer_limit_bytes": whole(0, 1_000_000, 4_294_967_295),
    "gloo.solo.io.ConnectionConfig.TcpKeepAlive.keepalive_probes": whole(0, 127, 128, 4_294_967_295),
    // Types.
    "static.options.gloo.solo.io.Host.addr": or(
      fc.constantFrom("127.0.0.1", "::1", "localhost", "a.test"),
      "",
      "http://a.test",
      "a.test:80",
      "10.0.0",
    ),
    "static.options.gloo.solo.io.Host.port": or(fc.constantFrom(1, 80, 443, 65_535), 0, 70_000),
    "static.options.gloo.solo.io.Host.sni_addr": texts("sni.test"),
    "static.options.gloo.solo.io.Host.load_balancing_weight": whole(1, 128, 0, 4_294_967_295),
    "static.options.gloo.solo.io.Host.metadata": any(
      {},
      { "envoy.lb": { a: "b" } },
      { "io.test": { n: 1 } },
      { "envoy.transport_socket_match": { a: true } },
    ),
    "pipe.options.gloo.solo.io.UpstreamSpec.path": or(
      fc.constantFrom("/tmp/nobody.sock", "@nobody"),
      "",
      `/${"s".repeat(200)}`,
      "relative",
    ),
    "kubernetes.options.gloo.solo.io.UpstreamSpec.service_name": or(fc.constantFrom("web", "many"), "missing", ""),
    "kubernetes.options.gloo.solo.io.UpstreamSpec.service_namespace": or(fc.constant("shop"), ""),
    "kubernetes.options.gloo.solo.io.UpstreamSpec.service_port": or(fc.constant(80), 0, 81, 70_000),
    "consul.options.gloo.solo.io.UpstreamSpec.service_name": texts("web"),
    "aws.options.gloo.solo.io.UpstreamSpec.region": texts("eu-west-1", "us-east-1"),
    "aws.options.gloo.solo.io.UpstreamSpec.secret_ref": ref(secrets.aws),
    "aws.options.gloo.solo.io.UpstreamSpec.role_arn": texts("arn:aws:iam::123456789012:role/a"),
    "aws.options.gloo.solo.io.UpstreamSpec.aws_account_id": texts("123456789012"),
    "aws_ec2.options.gloo.solo.io.UpstreamSpec.region": texts("eu-west-1"),
    "aws_ec2.options.gloo.solo.io.UpstreamSpec.secret_ref": ref(secrets.aws),
    "azure.options.gloo.solo.io.UpstreamSpec.function_app_name": texts("app"),
    "azure.options.gloo.solo.io.UpstreamSpec.secret_ref": ref(secrets.azure),
    "gcp.options.gloo.solo.io.UpstreamSpec.host": texts("a.run.test"),
    "ai.options.gloo.solo.io.SingleAuthToken": any(
      { inline: "token" },
      { secretRef: { name: secrets.headers, namespace: "shop" } },
      { passthrough: {} },
    ),
    "ai.options.gloo.solo.io.UpstreamSpec.CustomHost.host": texts("llm.test"),
    "ai.options.gloo.solo.io.UpstreamSpec.CustomHost.port": or(fc.constantFrom(80, 443), 0, 70_000),
    "ai.options.gloo.solo.io.UpstreamSpec.AzureOpenAI.endpoint": texts("app.openai.test"),
    // Failover.
    "gloo.solo.io.LbEndpoint.address": or(fc.constantFrom("127.0.0.2", "::1"), "localhost", "a.test", "", "10.0.0"),
    "gloo.solo.io.LbEndpoint.port": or(fc.constantFrom(80, 443), 0, 70_000),
    "gloo.solo.io.LbEndpoint.HealthCheckConfig.port_value": or(fc.constantFrom(0, 80), 70_000),
    "gloo.solo.io.LbEndpoint.HealthCheckConfig.path": isWild ? any("", "/x") : any(""),
    "gloo.solo.io.LbEndpoint.HealthCheckConfig.method": isWild ? any("", "GET") : any(""),
    "gloo.solo.io.LbEndpoint.load_balancing_weight": whole(1, 128, 0),
    "gloo.solo.io.LocalityLbEndpoints.load_balancing_weight": whole(1, 128, 0),
    "gloo.solo.io.LbEndpoint.metadata": any({}, { "envoy.lb": { a: "b" } }),
    "gloo.solo.io.Failover.Policy.overprovisioning_factor": whole(100, 200, 0),
  };
  return {
    values,
    required: new Set([
      "gloo.solo.io.Upstream.upstream_type",
      "static.options.gloo.solo.io.UpstreamSpec.hosts",
      "static.options.gloo.solo.io.Host.addr",
      "static.options.gloo.solo.io.Host.port",
      "pipe.options.gloo.solo.io.UpstreamSpec.path",
      ...["service_name", "service_namespace", "service_port"].map((name) => `kubernetes.options.gloo.solo.io.UpstreamSpec.${name}`),
      "consul.options.gloo.solo.io.UpstreamSpec.service_name",
      "aws.options.gloo.solo.io.UpstreamSpec.region",
      "aws.options.gloo.solo.io.UpstreamSpec.secret_ref",
      "aws_ec2.options.gloo.solo.io.UpstreamSpec.region",
      "azure.options.gloo.solo.io.UpstreamSpec.function_app_name",
      "gcp.options.gloo.solo.io.UpstreamSpec.host",
      "ai.options.gloo.solo.io.UpstreamSpec.llm",
      ...["OpenAI", "Mistral", "Anthropic", "Gemini", "AzureOpenAI"].map(
        (name) => `ai.options.gloo.solo.io.UpstreamSpec.${name}.auth_token_source`,
      ),
      ...["OpenAI", "Mistral", "Anthropic"].map((name) => `ai.options.gloo.solo.io.UpstreamSpec.${name}.auth_token`),
      "ai.options.gloo.solo.io.UpstreamSpec.AzureOpenAI.endpoint",
      ...["timeout", "interval", "healthy_threshold", "unhealthy_threshold", "health_checker"].map(
        (name) => `solo.io.envoy.api.v2.core.HealthCheck.${name}`,
      ),
      "solo.io.envoy.api.v2.core.HealthCheck.CustomHealthCheck.config_type",
      "solo.io.envoy.api.v2.core.HeaderValueOption.header_option",
      "solo.io.envoy.api.v2.core.HeaderValue.key",
      "solo.io.envoy.api.v2.cluster.OutlierDetection.interval",
      "gloo.solo.io.HeaderValue.key",
      "gloo.solo.io.LbEndpoint.address",
      "gloo.solo.io.LbEndpoint.port",
    ]),
    // Whoever writes an Upstream does not write these.
    left: new Set(["gloo.solo.io.Upstream.namespaced_statuses", "gloo.solo.io.Upstream.metadata"]),
    share: 25,
    innerShare: 50,
    shares: {
      "gloo.solo.io.Upstream.static": 60,
      "gloo.solo.io.Upstream.kube": 20,
      "gloo.solo.io.Upstream.consul": 20,
      "gloo.solo.io.Upstream.pipe": 10,
      "gloo.solo.io.Upstream.aws": 10,
      "gloo.solo.io.Upstream.azure": 5,
      "gloo.solo.io.Upstream.aws_ec2": 5,
      "gloo.solo.io.Upstream.gcp": 5,
      "gloo.solo.io.Upstream.ai": 10,
      "gloo.solo.io.Upstream.failover": 10,
      "gloo.solo.io.Upstream.http_proxy_hostname": 10,
      "gloo.solo.io.Upstream.dns_refresh_rate": 5,
      "solo.io.envoy.api.v2.core.HealthCheck.grpc_health_check": 5,
      "solo.io.envoy.api.v2.core.HealthCheck.HttpHealthCheck.response_assertions": isWild ? 10 : 1,
      "static.options.gloo.solo.io.Host.health_check_config": isWild ? 5 : 1,
      "gloo.solo.io.LbEndpoint.health_check_config": isWild ? 30 : 10,
      "ai.options.gloo.solo.io.UpstreamSpec.multi": isWild ? 30 : 2,
      "ai.options.gloo.solo.io.UpstreamSpec.vertexai": 2,
      "ai.options.gloo.solo.io.UpstreamSpec.bedrock": isWild ? 20 : 2,
    },
    text: texts("a", "b.test"),
    number,
    real: real(1, 3, -1, 0, 101),
    duration: seconds(1, 90, ...badDurations),
  };
}

function credentials(file: string): JsonObject {
  return { targetUri: "127.0.0.1:1", callCredentials: { fileCredentialSource: { tokenFileName: file, header: "x-token" } } };
}
