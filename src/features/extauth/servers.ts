// Servers that an AuthConfig names by their address: each gets a cluster of its own. What is said over TLS is verified, by the certificates
// of the Secret that is named, or else by public ones: who could answer in the place of the server would let in whom he likes.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { violationsOf } from "../../envoy/constraints.ts";
import { envoyResource, packAny } from "../../envoy/encode.ts";
import { socketAddress } from "../../envoy/endpoint.ts";
import { httpProtocolOptionsName } from "../../envoy/http-protocol-options.ts";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  ClusterSchema,
} from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { RoutingPriority } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import { SecretSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import {
  type SslParameters,
  SslParameters_ProtocolVersion as Version,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import { SslParameters_ProtocolVersion, UpstreamSslConfigSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import { isIpAddress } from "../../lib/ip.ts";
import { publicRoots } from "../../lib/publicRoots.ts";
import type { EnvoyResource } from "../../model/envoy-resource.ts";
import { Report } from "../../model/problem.ts";
import type { Ref } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { AuthConfigContext } from "../../plugin/feature.ts";
import { type CommonTlsContext, commonTlsContext, type SendSecret, withRootsApart, withSecretsApart } from "../../plugin/tlsContext.ts";
import { tlsSocket } from "../../plugin/upstreamTls.ts";
import type { World } from "../../plugin/world.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Server extends Address {
  readonly speaks: "http" | "grpc";
  readonly tls?: { readonly secretRef?: Ref | undefined; readonly sslParams?: SslParameters | undefined };
  readonly mostConnections?: number;
  readonly idleTimeout?: { readonly seconds: bigint; readonly nanos: number } | undefined;
}

export interface Url extends Address {
  readonly isTls: boolean;
  /** With the query. */
  readonly path: string;
  /** As requests name it. */
  readonly authority: string;
}

export function urlOf(text: string): Url | undefined {
  // What would be taken as something else than it says: spaces at the ends are left out, line breaks anywhere, and \ is a slash.
  if (!/^https?:\/\/[^\s\\/]/i.test(text) || /[\s\\\p{Cc}]/u.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname, port, pathname, search, host } = new URL(text);
  const isTls = protocol === "https:";
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (isTls ? 443 : 80) : Number(port),
    isTls,
    path: `${pathname}${search}`,
    authority: host,
  };
}

export function addressOf(text: string): Address | undefined {
  const [, inBrackets, plain, digits] = /^(?:\[([\da-f:.]+)\]|([^:\s/\p{Cc}]+)):(\d{1,5})$/iu.exec(text) ?? [];
  const port = Number(digits);
  return port > 0 && port < 65_536 ? { host: (inBrackets ?? plain) as string, port } : undefined;
}

/** No Upstream has that name. */
export function serverName({ namespace, name }: Ref, at: number): string {
  return `auth-config/${namespace}/${name}/${at}`;
}

/** The cluster, and Secrets that it refers to; nothing where it cannot be. */
export function serverResources(
  server: Server,
  at: number,
  config: Pick<Resource<"AuthConfig">, "key" | "ref">,
  { world, secretsApart }: AuthConfigContext,
): readonly EnvoyResource[] {
  const secrets: EnvoyResource[] = [];
  const send: SendSecret = (name, message) => secrets.push(envoyResource(SecretSchema, name, message, [config.key]));
  const name = serverName(config.ref, at);
  const cluster = clusterOf(name, server, world, secretsApart ? send : undefined);
  return "fault" in cluster ? [] : [...secrets, envoyResource(ClusterSchema, name, cluster.made, [config.key])];
}

/** Why it cannot be asked. */
export function serverFault(server: Server, world: World): string | undefined {
  const cluster = clusterOf("server", server, world, () => {});
  return "fault" in cluster ? cluster.fault : undefined;
}

function clusterOf(
  name: string,
  server: Server,
  world: World,
  send: SendSecret | undefined,
): { readonly made: Cluster } | { readonly fault: string } {
  const report = new Report(undefined);
  const tls = server.tls && tlsOf(server, server.tls, world, report, send);
  if (server.tls && tls === undefined) return { fault: report.problems[0]?.message ?? "its TLS cannot be set up" };
  const made = create(ClusterSchema, clusterInit(name, server, tls));
  const [violation] = violationsOf(ClusterSchema, made);
  return violation ? { fault: `Envoy would refuse ${violation.path} of its cluster: ${violation.message}` } : { made };
}

type TlsContext = Parameters<typeof tlsSocket>[0];

function clusterInit(name: string, server: Server, tls: TlsContext | undefined): MessageInitShape<typeof ClusterSchema> {
  const { host, port, speaks, mostConnections, idleTimeout } = server;
  const address = socketAddress(host, port);
  return {
    name,
    clusterDiscoveryType: { case: "type", value: isIpAddress(host) ? Cluster_DiscoveryType.STATIC : Cluster_DiscoveryType.STRICT_DNS },
    dnsLookupFamily: Cluster_DnsLookupFamily.V4_PREFERRED,
    connectTimeout: { seconds: 5n, nanos: 0 },
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address } } }] }] },
    ...((speaks === "grpc" || idleTimeout) && { typedExtensionProtocolOptions: { [httpProtocolOptionsName]: protocolOptions(server) } }),
    ...(mostConnections && { circuitBreakers: { thresholds: [{ priority: RoutingPriority.DEFAULT, maxConnections: mostConnections }] } }),
    ...(tls && { transportSocket: tlsSocket(tls) }),
  };
}

function protocolOptions({ speaks, idleTimeout }: Server) {
  const protocolConfig =
    speaks === "grpc" ? ({ case: "http2ProtocolOptions", value: {} } as const) : ({ case: "httpProtocolOptions", value: {} } as const);
  return packAny(HttpProtocolOptionsSchema, {
    ...(idleTimeout && { commonHttpProtocolOptions: { idleTimeout: { seconds: idleTimeout.seconds, nanos: idleTimeout.nanos } } }),
    upstreamProtocolOptions: { case: "explicitHttpConfig", value: { protocolConfig } },
  });
}

function tlsOf(
  { host, speaks }: Server,
  { secretRef, sslParams }: NonNullable<Server["tls"]>,
  world: World,
  report: Report,
  send: SendSecret | undefined,
): TlsContext | undefined {
  const kind = secretRef && world.get("Secret", secretRef)?.spec?.kind;
  const hasRoots = kind?.case === "tls" && kind.value.rootCa !== "";
  const ssl = create(UpstreamSslConfigSchema, {
    ...(secretRef && { sslSecrets: { case: "secretRef", value: secretRef } }),
    ...(hasRoots && { verifySubjectAltName: [host] }),
    ...(sslParams && {
      parameters: {
        minimumProtocolVersion: versions[sslParams.minimumProtocolVersion],
        maximumProtocolVersion: versions[sslParams.maximumProtocolVersion],
      },
    }),
    ...(speaks === "grpc" && { alpnProtocols: ["h2"] }),
  });
  const defaultParameters = world.settings.upstreamOptions?.sslParameters;
  const own = commonTlsContext(ssl, { needsCertificate: false, defaultParameters, path: "tlsConfig" }, world, report);
  if (own === undefined) return undefined;
  const common: CommonTlsContext = withSecretsApart(own, ssl, "auth-config", send);
  return {
    commonTlsContext: hasRoots ? common : withRootsApart(common, "auth-config/public-roots", publicRoots, [host], send),
    ...(!isIpAddress(host) && { sni: host }),
  };
}

const versions = {
  [Version.TLS_AUTO]: SslParameters_ProtocolVersion.TLS_AUTO,
  [Version.TLSv1_1]: SslParameters_ProtocolVersion.TLSv1_1,
  [Version.TLSv1_2]: SslParameters_ProtocolVersion.TLSv1_2,
  [Version.TLSv1_3]: SslParameters_ProtocolVersion.TLSv1_3,
} as const satisfies Record<Version, SslParameters_ProtocolVersion>;
