// Where a secret comes from: with all other resources, or from an SDS server of the user's own.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ApiConfigSource_ApiType } from "../../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import type { GrpcService_GoogleGrpc } from "../../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import { FileBasedMetadataConfigSchema } from "../../gen/envoy/envoy/config/grpc_credential/v3/file_based_metadata_pb.js";
import type { SdsSecretConfig } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";

/** A secret of the user's own server. */
export interface SecretSource {
  /** What it is looked up by: unlike any name of a secret that is published. */
  readonly key: string;
  readonly name: string;
  readonly server: SdsServer;
}

export interface SdsServer {
  /** As it is configured. */
  readonly target: string;
  readonly dial: { readonly host: string; readonly port: number } | { readonly path: string };
  /** A header of each call, with what is in a file. */
  readonly token: { readonly header: string; readonly prefix: string; readonly file: string } | undefined;
}

/** Collects the sources as it reads them. Returns what the secret is looked up by; or what of the configuration is not executed. */
export function compileSecretSource(
  secret: SdsSecretConfig | undefined,
  sources: SecretSource[],
): { readonly key: string | undefined; readonly unsupported?: string } {
  const source = secret?.sdsConfig?.configSourceSpecifier;
  if (secret === undefined || source === undefined || source.case === undefined || source.case === "ads" || source.case === "self")
    return { key: secret?.name };
  const { name } = secret;
  if (source.case !== "apiConfigSource") return { key: name, unsupported: "a file of secrets" };
  const { apiType, grpcServices } = source.value;
  const service = grpcServices[0]?.targetSpecifier;
  if (apiType !== ApiConfigSource_ApiType.GRPC || service?.case !== "googleGrpc")
    return { key: name, unsupported: "an SDS server that is not named by an address" };
  const server = serverOf(service.value);
  if (server === undefined) return { key: name, unsupported: "an SDS server with credentials of that kind" };
  const key = `sds ${server.target} ${server.token?.file ?? ""} ${name}`;
  sources.push({ key, name, server });
  return { key };
}

function serverOf({ targetUri, channelCredentials, callCredentials }: GrpcService_GoogleGrpc): SdsServer | undefined {
  const dial = dialOf(targetUri);
  const channel = channelCredentials?.credentialSpecifier.case;
  if (dial === undefined || (channel !== undefined && channel !== "localCredentials") || callCredentials.length > 1) return undefined;
  const [call] = callCredentials;
  if (call === undefined) return { target: targetUri, dial, token: undefined };
  const plugin = call.credentialSpecifier.case === "fromPlugin" ? call.credentialSpecifier.value.configType : undefined;
  const config = plugin?.case === "typedConfig" ? anyUnpack(plugin.value, FileBasedMetadataConfigSchema) : undefined;
  const file = config?.secretData?.specifier;
  if (config === undefined || file?.case !== "filename") return undefined;
  const header = config.headerKey.toLowerCase() || "authorization";
  return { target: targetUri, dial, token: { header, prefix: config.headerPrefix, file: file.value } };
}

/** Names as gRPC writes them: `host:port`, `dns:///host:port`, `unix:/path`. */
function dialOf(target: string): SdsServer["dial"] | undefined {
  const path = /^unix:(?:\/\/)?(.+)$/.exec(target)?.[1];
  if (path !== undefined) return { path };
  const [, v6, host, port = "443"] = /^(?:dns:(?:\/\/[^/]*\/)?|ipv[46]:)?(?:\[([^\]]+)\]|([^:/[\]]+))(?::(\d+))?$/.exec(target) ?? [];
  const name = v6 ?? host;
  return name === undefined || Number(port) > 65_535 ? undefined : { host: name, port: Number(port) };
}
