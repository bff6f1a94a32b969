// The messages that we put into Any fields, for whoever prints configuration as JSON.
import { createRegistry, type Registry } from "@bufbuild/protobuf";
import { FileBasedMetadataConfigSchema } from "../gen/envoy/envoy/config/grpc_credential/v3/file_based_metadata_pb.js";
import { ConfigSchema } from "../gen/envoy/envoy/extensions/filters/http/aws_lambda/v3/aws_lambda_pb.js";
import { AwsRequestSigningSchema } from "../gen/envoy/envoy/extensions/filters/http/aws_request_signing/v3/aws_request_signing_pb.js";
import { HeaderMutationSchema } from "../gen/envoy/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { LuaSchema } from "../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { UpstreamCodecSchema } from "../gen/envoy/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.js";
import { TcpProxySchema } from "../gen/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { RedisSchema } from "../gen/envoy/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
import { ThriftSchema } from "../gen/envoy/envoy/extensions/health_checkers/thrift/v3/thrift_pb.js";
import { PreserveCaseFormatterConfigSchema } from "../gen/envoy/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../gen/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { DownstreamTlsContextSchema, UpstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";

/** What clusters, and the listeners that come with them, hold. */
export const clusterTypes: Registry = createRegistry(
  AwsRequestSigningSchema,
  ConfigSchema,
  DownstreamTlsContextSchema,
  FileBasedMetadataConfigSchema,
  HeaderMutationSchema,
  HttpProtocolOptionsSchema,
  LuaSchema,
  PreserveCaseFormatterConfigSchema,
  ProxyProtocolUpstreamTransportSchema,
  RawBufferSchema,
  RedisSchema,
  TcpProxySchema,
  ThriftSchema,
  UpstreamCodecSchema,
  UpstreamTlsContextSchema,
);
