// The filter chains of a listener: which connections they take, with which certificate, and what the chain does.

import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { create, isFieldSet, toBinary } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import type { FilterChainMatchSchema, FilterChainSchema } from "../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import { DownstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { Matcher } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import {
  SslConfig_OcspStaplePolicy as OcspStaplePolicy,
  type SslConfig,
  SslConfigSchema,
} from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import { type Problem, Report } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { type CommonTlsContext, commonTlsContext, type SendSecret, withSecretsApart } from "../plugin/tlsContext.ts";
import type { World } from "../plugin/world.ts";

export type ChainDraft = Exclude<MessageInitShape<typeof FilterChainSchema>, Message>;
type MatchInit = Exclude<MessageInitShape<typeof FilterChainMatchSchema>, Message>;

/** TLS settings and where they are written: `sslConfig` of a VirtualService. */
export interface PlacedSsl {
  readonly ssl: SslConfig;
  readonly resource: ResourceKey;
  readonly path: string;
  /** Who names the certificate, where that is written elsewhere. */
  readonly secrets?: PlacedSsl;
}

/** Settings that differ only in their server names share a chain. */
export interface SslGroup {
  readonly members: readonly PlacedSsl[];
  readonly serverNames: readonly string[];
}

export function groupSsl(all: readonly PlacedSsl[]): readonly SslGroup[] {
  const groups = Map.groupBy(all, ({ ssl }) =>
    Buffer.from(toBinary(SslConfigSchema, create(SslConfigSchema, { ...ssl, sniDomains: [] }))).toString("base64"),
  );
  return [...groups.values()].map((members) => ({
    members,
    // One member without names takes every name.
    serverNames: members.some(({ ssl }) => ssl.sniDomains.length === 0) ? [] : distinctNames(members.flatMap(({ ssl }) => ssl.sniDomains)),
  }));
}

/**
 * The groups with what the Gateway says for all: whatever its members leave out. Only then are names of the Gateway those of a group
 * that takes every name.
 */
export function withDefaults(groups: readonly SslGroup[], defaults: PlacedSsl | undefined): readonly SslGroup[] {
  if (defaults === undefined) return groups;
  return groups.map(({ members, serverNames }) => ({
    members: members.map((member) => ({
      ...(member.ssl.sslSecrets.case === undefined ? { ...member, secrets: defaults } : member),
      ssl: withMissingFields(member.ssl, defaults.ssl),
    })),
    serverNames: serverNames.length > 0 ? serverNames : distinctNames(defaults.ssl.sniDomains),
  }));
}

/** Field by field; a oneof is one. */
function withMissingFields(own: SslConfig, defaults: SslConfig): SslConfig {
  const merged: Record<string, unknown> = { ...own };
  for (const member of SslConfigSchema.members) {
    const name = member.localName;
    const isWritten = member.kind === "oneof" ? own[name as "sslSecrets"].case !== undefined : isFieldSet(own, member);
    if (!isWritten) merged[name] = defaults[name as keyof SslConfig];
  }
  return create(SslConfigSchema, merged as never);
}

/** Each name once, as Envoy compares them: without regard to case. */
export function distinctNames(names: readonly string[]): readonly string[] {
  const first = new Map<string, string>();
  for (const name of names) if (!first.has(name.toLowerCase())) first.set(name.toLowerCase(), name);
  return [...first.values()];
}

/** Envoy takes a star for the first label, and refuses the listener for any other. */
export function isUsableServerName(name: string): boolean {
  return !name.replace(/^\*\./, "").includes("*");
}

/** Which connections a chain takes; undefined for all. */
export function chainMatch(serverNames: readonly string[] | undefined, matcher: Matcher | undefined): MatchInit | undefined {
  const ranges = matcher?.sourcePrefixRanges ?? [];
  if (serverNames === undefined && ranges.length === 0) return undefined;
  return {
    ...(serverNames && serverNames.length > 0 && { serverNames: [...serverNames] }),
    ...(ranges.length > 0 && {
      sourcePrefixRanges: ranges.map(({ addressPrefix, prefixLen }) => ({
        addressPrefix,
        ...(prefixLen !== undefined && { prefixLen }),
      })),
    }),
  };
}

/** The transport socket that terminates TLS, or what is wrong, said of whoever wrote the settings. */
export function downstreamTls(
  { ssl, resource, path }: PlacedSsl,
  world: World,
  sendSecret: SendSecret | undefined,
): { readonly socket?: ChainDraft["transportSocket"]; readonly problems: readonly Problem[] } {
  const report = new Report(resource);
  const allowsEmpty = ssl.alpnProtocols.length === 1 && ssl.alpnProtocols[0] === "allow_empty";
  const common = commonTlsContext(
    { ...ssl, alpnProtocols: allowsEmpty ? [] : ssl.alpnProtocols },
    { needsCertificate: true, path },
    world,
    report,
  );
  if (common === undefined) return { problems: report.problems };
  if (ssl.ocspStaplePolicy === OcspStaplePolicy.MUST_STAPLE && common.tlsCertificates?.some(({ ocspStaple }) => ocspStaple === undefined)) {
    report.error("TlsInvalid", "ocspStaplePolicy is MUST_STAPLE, and there is no OCSP staple", {
      path: `${path}.ocspStaplePolicy`,
      hint: "add tls.ocsp-staple to the secret, or ocspStaple to sslFiles; LENIENT_STAPLING does without",
    });
    return { problems: report.problems };
  }
  const isVerified = common.validationContextType !== undefined;
  // Envoy asks for a certificate also where it need not be shown.
  const own: CommonTlsContext = ssl.oneWayTls ? { ...common, validationContextType: { case: undefined } } : common;
  const protocols = allowsEmpty ? [] : ssl.alpnProtocols.length > 0 ? ssl.alpnProtocols : ["h2", "http/1.1"];
  const value = packAny(DownstreamTlsContextSchema, {
    commonTlsContext: { ...withSecretsApart(own, ssl, "listener", sendSecret), alpnProtocols: protocols },
    ...clientCertificate(ssl, isVerified, world),
    ...(ssl.disableTlsSessionResumption && { sessionTicketKeysType: { case: "disableStatelessSessionResumption", value: true } }),
    ocspStaplePolicy: ssl.ocspStaplePolicy as number,
  });
  return { socket: { name: "envoy.transport_sockets.tls", configType: { case: "typedConfig", value } }, problems: report.problems };
}

/** A root certificate means that clients must show one, unless `oneWayTls`; then Gloo writes that they need not. */
function clientCertificate(ssl: SslConfig, isVerified: boolean, world: World): { readonly requireClientCertificate?: boolean } {
  if (!ssl.oneWayTls) return isVerified ? { requireClientCertificate: true } : {};
  return isVerified || namesRootCa(ssl, world) ? { requireClientCertificate: false } : {};
}

function namesRootCa({ sslSecrets }: SslConfig, world: World): boolean {
  if (sslSecrets.case === "sslFiles") return sslSecrets.value.rootCa !== "";
  if (sslSecrets.case !== "secretRef") return false;
  const kind = world.get("Secret", sslSecrets.value)?.spec?.kind;
  return kind?.case === "tls" && kind.value.rootCa !== "";
}
