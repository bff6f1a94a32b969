// The configurations of filters that tests give to both data planes.

import { DatadogConfigSchema } from "../../src/gen/envoy/envoy/config/trace/v3/datadog_pb.js";
import { OpenTelemetryConfigSchema } from "../../src/gen/envoy/envoy/config/trace/v3/opentelemetry_pb.js";
import { ZipkinConfigSchema } from "../../src/gen/envoy/envoy/config/trace/v3/zipkin_pb.js";
import {
  HttpGrpcAccessLogConfigSchema,
  TcpGrpcAccessLogConfigSchema,
} from "../../src/gen/envoy/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { OpenTelemetryAccessLogConfigSchema } from "../../src/gen/envoy/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import { BrotliSchema } from "../../src/gen/envoy/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js";
import { GzipSchema } from "../../src/gen/envoy/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js";
import { ZstdSchema } from "../../src/gen/envoy/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js";
import {
  ApiKeyAuthPerRouteSchema,
  ApiKeyAuthSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import { BufferPerRouteSchema, BufferSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import {
  CompressorPerRouteSchema,
  CompressorSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/compressor/v3/compressor_pb.js";
import { CsrfPolicySchema } from "../../src/gen/envoy/envoy/extensions/filters/http/csrf/v3/csrf_pb.js";
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import {
  ExternalProcessorSchema,
  ExtProcPerRouteSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import { HTTPFaultSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import {
  FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { GrpcJsonTranscoderSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import { GrpcWebSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { HealthCheckSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/health_check/v3/health_check_pb.js";
import {
  JwtAuthenticationSchema,
  PerRouteConfigSchema as JwtPerRouteSchema,
} from "../../src/gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { LocalRateLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { LuaPerRouteSchema, LuaSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { RateLimitPerRouteSchema, RateLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { RBACPerRouteSchema, RBACSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { ConnectionLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js";
import { LocalRateLimitSchema as NetworkLocalRateLimitSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit_pb.js";
import { SniClusterSchema } from "../../src/gen/envoy/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster_pb.js";
import { TcpProxySchema } from "../../src/gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";

export const filterSchemas = [
  ApiKeyAuthPerRouteSchema,
  ApiKeyAuthSchema,
  BrotliSchema,
  BufferPerRouteSchema,
  BufferSchema,
  CompressorPerRouteSchema,
  CompressorSchema,
  ConnectionLimitSchema,
  CsrfPolicySchema,
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
  ExtProcPerRouteSchema,
  ExternalProcessorSchema,
  FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
  GrpcJsonTranscoderSchema,
  GrpcWebSchema,
  GzipSchema,
  HTTPFaultSchema,
  HealthCheckSchema,
  HttpGrpcAccessLogConfigSchema,
  JwtAuthenticationSchema,
  JwtPerRouteSchema,
  LocalRateLimitSchema,
  LuaPerRouteSchema,
  LuaSchema,
  NetworkLocalRateLimitSchema,
  OpenTelemetryAccessLogConfigSchema,
  OpenTelemetryConfigSchema,
  RateLimitPerRouteSchema,
  RateLimitSchema,
  SetFilterStateSchema,
  SniClusterSchema,
  TcpGrpcAccessLogConfigSchema,
  TcpProxySchema,
  RBACPerRouteSchema,
  RBACSchema,
  DatadogConfigSchema,
  ZipkinConfigSchema,
  ZstdSchema,
] as const;
