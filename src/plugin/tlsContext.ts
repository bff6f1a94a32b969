// The TLS settings of Upstreams and of Gateways → the part of Envoy's TLS context that both sides share.
//
// Key material stands inside of the cluster or listener, as Gloo sends it and `translate` prints it. What serves proxies takes it out
// (`withSecretsApart`): a certificate that is renewed is then a Secret that is sent, and no cluster or listener changes.
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import type { DataSourceSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import { ApiConfigSource_ApiType, type ApiConfigSourceSchema, ApiVersion } from "../gen/envoy/envoy/config/core/v3/config_source_pb.js";
import type { GrpcServiceSchema } from "../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import { FileBasedMetadataConfigSchema } from "../gen/envoy/envoy/config/grpc_credential/v3/file_based_metadata_pb.js";
import { TlsParameters_TlsProtocol, type TlsParametersSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { SdsSecretConfigSchema, SecretSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { CommonTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import {
  type SDSConfig,
  type SslConfig,
  type SslParameters,
  SslParameters_ProtocolVersion,
  type UpstreamSslConfig,
} from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import { ocspFault } from "../lib/ocsp.ts";
import { certificatesOf, keyPairFault, rootCaFault } from "../lib/pem.ts";
import type { Report } from "../model/problem.ts";
import type { Ref } from "../model/ref.ts";
import { curveNames, cipherSuites as knownSuites, unknownCipher, unknownCurve } from "./tlsNames.ts";
import type { World } from "./world.ts";

export type CommonTlsContext = Exclude<MessageInitShape<typeof CommonTlsContextSchema>, Message>;

/** What TLS settings of both sides have in common. */
export type TlsSettings = Pick<
  UpstreamSslConfig | SslConfig,
  "sslSecrets" | "verifySubjectAltName" | "parameters" | "alpnProtocols" | "oneWayTls"
>;

export interface TlsOptions {
  /** Servers cannot be without one; clients can. */
  readonly needsCertificate: boolean;
  /** Where the settings do not say. */
  readonly defaultParameters?: SslParameters | undefined;
  /** Path of the settings, for findings: `sslConfig`. */
  readonly path: string;
}

/** The context, or undefined after an error. */
export function commonTlsContext(settings: TlsSettings, options: TlsOptions, world: World, report: Report): CommonTlsContext | undefined {
  const tlsParams = tlsParameters(settings.parameters ?? options.defaultParameters, options, report);
  if (tlsParams === "bad") return undefined;
  const alpnFault = faultOfAlpn(settings.alpnProtocols);
  if (alpnFault !== undefined) {
    report.error("TlsAlpn", alpnFault, { path: `${options.path}.alpnProtocols` });
    return undefined;
  }
  const shared: CommonTlsContext = {
    ...(tlsParams && { tlsParams }),
    ...(settings.alpnProtocols.length > 0 && { alpnProtocols: settings.alpnProtocols }),
  };
  if (settings.sslSecrets.case === "sds") {
    const sds = sdsContext(settings.sslSecrets.value, settings.verifySubjectAltName, options, report);
    return sds && { ...shared, ...sds };
  }
  const material = materialOf(settings, options, world, report);
  if (!material) return undefined;
  // One-way: only the server shows a certificate. As a server we ask for none; as a client we show none, and still verify.
  const rootCa = settings.oneWayTls && options.needsCertificate ? undefined : material.rootCa;
  const certificate = settings.oneWayTls && !options.needsCertificate ? {} : certificateOf(material);
  if (settings.verifySubjectAltName.length > 0 && !material.rootCa) {
    report.error("TlsRootCaMissing", "a root_ca must be provided if verify_subject_alt_name is not empty", {
      path: `${options.path}.verifySubjectAltName`,
      hint: "add rootCa (ca.crt in a Kubernetes secret): a name can only be believed in a certificate that was verified",
    });
    return undefined;
  }
  return { ...shared, ...certificate, ...validationOf(rootCa, settings.verifySubjectAltName) };
}

/** Sends a Secret under a name. */
export type SendSecret = (name: string, secret: MessageInitShape<typeof SecretSchema>) => void;

/** The same context with references in place of what comes from a Secret; that is sent apart. `side` parts the names of clients and servers. */
export function withSecretsApart(
  context: CommonTlsContext,
  { sslSecrets }: TlsSettings,
  side: "cluster" | "listener" | "auth-config",
  send: SendSecret | undefined,
): CommonTlsContext {
  if (send === undefined || sslSecrets.case !== "secretRef") return context;
  const name = `${side}/${sslSecrets.value.namespace}/${sslSecrets.value.name}`;
  const { tlsCertificates: [certificate] = [], tlsCertificates: _, validationContextType: validation, ...rest } = context;
  if (certificate) send(name, { name, type: { case: "tlsCertificate", value: certificate } });
  const own: CommonTlsContext = { ...rest, ...(certificate && { tlsCertificateSdsSecretConfigs: [secretOnAds(name)] }) };
  if (validation?.case !== "validationContext") return { ...own, ...(validation && { validationContextType: validation }) };
  const authority = `${name}/ca`;
  const { trustedCa, matchSubjectAltNames = [] } = validation.value ?? {};
  send(authority, { name: authority, type: { case: "validationContext", value: { ...(trustedCa && { trustedCa }) } } });
  const byReference = secretOnAds(authority);
  return {
    ...own,
    validationContextType:
      matchSubjectAltNames.length === 0
        ? { case: "validationContextSdsSecretConfig", value: byReference }
        : {
            case: "combinedValidationContext",
            value: { defaultValidationContext: { matchSubjectAltNames }, validationContextSdsSecretConfig: byReference },
          },
  };
}

/** The same context, which believes a certificate for one of the names that one of `roots` has signed. They are sent apart, under a name. */
export function withRootsApart(
  context: CommonTlsContext,
  name: string,
  roots: string,
  names: readonly string[],
  send: SendSecret | undefined,
): CommonTlsContext {
  if (send === undefined) return { ...context, ...validationOf(inline(roots), names) };
  send(name, { name, type: { case: "validationContext", value: { trustedCa: inline(roots) } } });
  return {
    ...context,
    validationContextType: {
      case: "combinedValidationContext",
      value: { defaultValidationContext: matchedNames(names), validationContextSdsSecretConfig: secretOnAds(name) },
    },
  };
}

function secretOnAds(name: string): MessageInitShape<typeof SdsSecretConfigSchema> {
  return { name, sdsConfig: { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: "ads", value: {} } } };
}

/** Envoy joins the list with commas and takes it apart again; one that is then no list in the sense of TLS ends its process (seen with 1.40). */
function faultOfAlpn(protocols: readonly string[]): string | undefined {
  const names = protocols.flatMap((protocol) => protocol.split(","));
  const longest = names.find((name) => Buffer.byteLength(name) > 255);
  if (longest !== undefined) return `an ALPN protocol has at most 255 bytes; "${longest.slice(0, 20)}…" is longer`;
  if (names.includes("")) return "an ALPN protocol has at least one character; one of these is empty";
  const bytes = names.reduce((sum, name) => sum + 1 + Buffer.byteLength(name), 0);
  return bytes > 65_535 ? `ALPN protocols have at most 65535 bytes together; these have ${bytes}` : undefined;
}

type DataSource = MessageInitShape<typeof DataSourceSchema>;

interface TlsMaterial {
  readonly certificateChain?: DataSource;
  readonly privateKey?: DataSource;
  readonly rootCa?: DataSource;
  readonly ocspStaple?: DataSource;
}

function materialOf(settings: TlsSettings, options: TlsOptions, world: World, report: Report): TlsMaterial | undefined {
  const { sslSecrets } = settings;
  const noCertificate = () => {
    report.error("TlsCertificateMissing", "no certificate information found", { path: options.path });
    return undefined;
  };
  switch (sslSecrets.case) {
    case "secretRef": {
      const material = secretMaterial(sslSecrets.value, options, world, report);
      return material && options.needsCertificate && !material.certificateChain ? noCertificate() : material;
    }
    case "sslFiles": {
      const { tlsCert, tlsKey, rootCa, ocspStaple } = sslSecrets.value;
      const path = `${options.path}.sslFiles`;
      if (tlsCert === "" && tlsKey === "" && (rootCa === "" || options.needsCertificate)) {
        report.error("TlsCertificateMissing", "Invalid TLS secret: tls: failed to find any PEM data in certificate input", {
          path,
          hint: "name the files: tlsCert and tlsKey, rootCa, or all three",
        });
        return undefined;
      }
      if ((tlsCert === "") !== (tlsKey === "")) {
        report.error("TlsKeyPairIncomplete", "both or none of cert chain and private key must be provided", { path });
        return undefined;
      }
      // Gloo 1.22 reads the paths as if they were certificates and refuses; the files are on the proxy's machine, so Envoy reads them.
      return {
        ...(tlsCert !== "" && { certificateChain: file(tlsCert), privateKey: file(tlsKey) }),
        ...(rootCa !== "" && { rootCa: file(rootCa) }),
        ...(ocspStaple !== "" && { ocspStaple: file(ocspStaple) }),
      };
    }
    default:
      return options.needsCertificate ? noCertificate() : {};
  }
}

function secretMaterial(ref: Ref, options: TlsOptions, world: World, report: Report): TlsMaterial | undefined {
  const path = `${options.path}.secretRef`;
  const secret = world.get("Secret", ref);
  const kind = secret?.spec?.kind;
  if (!kind) {
    // Gloo's words for both; whoever looks for a Secret that is there looks in vain, unless told.
    const hint = secret && { hint: "the Secret is there, and cannot be used as it is written: mend that; this heals by itself then" };
    report.error("TlsSecretNotFound", `SSL secret not found: list did not find secret ${ref.namespace}.${ref.name}`, { path, ...hint });
    return undefined;
  }
  const printed = `name:"${ref.name}" namespace:"${ref.namespace}"`;
  if (kind.case !== "tls") {
    report.error("TlsSecretOfOtherKind", `${printed} is not a TLS secret`, {
      path,
      hint: "a TLS secret has tls.crt and tls.key, or ca.crt",
    });
    return undefined;
  }
  const { certChain, privateKey, rootCa, ocspStaple } = kind.value;
  const stapleFault = ocspStaple.length > 0 ? ocspFault(ocspStaple) : undefined;
  if (stapleFault !== undefined) {
    report.error("TlsSecretInvalid", `${printed} has an OCSP staple that Envoy refuses: ${stapleFault}`, {
      path,
      hint: "tls.ocsp-staple is the DER of one OCSP response; leave it out to do without",
    });
    return undefined;
  }
  const fault =
    (certChain !== "" || privateKey !== "" || rootCa === "" ? keyPairFault(certChain, privateKey) : undefined) ??
    (rootCa !== "" ? rootCaFault(rootCa) : undefined);
  if (fault !== undefined) {
    report.error("TlsSecretInvalid", `${printed} is not a valid TLS secret: ${fault}`, { path });
    return undefined;
  }
  return {
    ...(certChain !== "" && { certificateChain: inline(`${certificatesOf(certChain).join("\n")}\n`), privateKey: inline(privateKey) }),
    ...(rootCa !== "" && { rootCa: inline(rootCa) }),
    ...(ocspStaple.length > 0 && { ocspStaple: { specifier: { case: "inlineBytes" as const, value: ocspStaple } } }),
  };
}

function file(filename: string): DataSource {
  return { specifier: { case: "filename", value: filename } };
}

function inline(text: string): DataSource {
  return { specifier: { case: "inlineString", value: text } };
}

function certificateOf({ certificateChain, privateKey, ocspStaple }: TlsMaterial): CommonTlsContext {
  if (!certificateChain || !privateKey) return {};
  return { tlsCertificates: [{ certificateChain, privateKey, ...(ocspStaple && { ocspStaple }) }] };
}

function validationOf(rootCa: DataSource | undefined, names: readonly string[]): CommonTlsContext {
  if (!rootCa) return {};
  return {
    validationContextType: { case: "validationContext", value: { trustedCa: rootCa, ...matchedNames(names) } },
  };
}

function matchedNames(names: readonly string[]) {
  return { matchSubjectAltNames: names.map((name) => ({ matchPattern: { case: "exact" as const, value: name } })) };
}

function sdsContext(
  sds: SDSConfig,
  names: readonly string[],
  { path: settingsPath, needsCertificate }: TlsOptions,
  report: Report,
): CommonTlsContext | undefined {
  const path = `${settingsPath}.sds`;
  const { certificatesSecretName, validationContextName } = sds;
  if (certificatesSecretName === "" && validationContextName === "") {
    report.error("SdsNamesMissing", "at least one of certificates_secret_name or validation_context_name must be provided", { path });
    return undefined;
  }
  if (certificatesSecretName === "" && needsCertificate) {
    const hint = "name the secret with the certificate that clients are shown";
    report.error("SdsNamesMissing", "certificates_secret_name must be provided: a server has a certificate", { path, hint });
    return undefined;
  }
  if (names.length > 0 && validationContextName === "") {
    report.error("SdsNamesMissing", "must provide validation context name if verifying SAN", { path });
    return undefined;
  }
  const validation = sdsSecret(validationContextName, sds);
  return {
    ...(certificatesSecretName !== "" && { tlsCertificateSdsSecretConfigs: [sdsSecret(certificatesSecretName, sds)] }),
    ...(validationContextName !== "" && {
      validationContextType:
        names.length === 0
          ? { case: "validationContextSdsSecretConfig", value: validation }
          : {
              case: "combinedValidationContext",
              value: { defaultValidationContext: matchedNames(names), validationContextSdsSecretConfig: validation },
            },
    }),
  };
}

function sdsSecret(name: string, sds: SDSConfig): MessageInitShape<typeof SdsSecretConfigSchema> {
  return secretFrom(name, { grpcServices: [sdsService(name, sds)] });
}

/** A Secret that an SDS server other than ours is asked for. */
export function secretFrom(
  name: string,
  server: MessageInitShape<typeof ApiConfigSourceSchema>,
): MessageInitShape<typeof SdsSecretConfigSchema> {
  return {
    name,
    sdsConfig: {
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: {
        case: "apiConfigSource",
        value: { apiType: ApiConfigSource_ApiType.GRPC, transportApiVersion: ApiVersion.V3, ...server },
      },
    },
  };
}

function sdsService(name: string, { sdsBuilder, targetUri }: SDSConfig): MessageInitShape<typeof GrpcServiceSchema> {
  if (sdsBuilder.case !== "callCredentials") {
    const named = sdsBuilder.case === "clusterName" ? sdsBuilder.value : "";
    if (named === "" && targetUri !== "") return { targetSpecifier: { case: "googleGrpc", value: { targetUri, statPrefix: name } } };
    // The cluster is in the bootstrap of proxies that have an SDS server beside them, under this name in Gloo's charts.
    return { targetSpecifier: { case: "envoyGrpc", value: { clusterName: named === "" ? "gateway_proxy_sds" : named } } };
  }
  const source = sdsBuilder.value.fileCredentialSource;
  const credentials = "envoy.grpc_credentials.file_based_metadata";
  return {
    targetSpecifier: {
      case: "googleGrpc",
      value: {
        targetUri,
        statPrefix: "sds",
        channelCredentials: { credentialSpecifier: { case: "localCredentials", value: {} } },
        credentialsFactoryName: credentials,
        callCredentials: [
          {
            credentialSpecifier: {
              case: "fromPlugin",
              value: {
                name: credentials,
                configType: {
                  case: "typedConfig",
                  value: packAny(FileBasedMetadataConfigSchema, {
                    secretData: file(source?.tokenFileName ?? ""),
                    headerKey: source?.header ?? "",
                  }),
                },
              },
            },
          },
        ],
      },
    },
  };
}

const versions = {
  [SslParameters_ProtocolVersion.TLS_AUTO]: TlsParameters_TlsProtocol.TLS_AUTO,
  [SslParameters_ProtocolVersion.TLSv1_0]: TlsParameters_TlsProtocol.TLSv1_0,
  [SslParameters_ProtocolVersion.TLSv1_1]: TlsParameters_TlsProtocol.TLSv1_1,
  [SslParameters_ProtocolVersion.TLSv1_2]: TlsParameters_TlsProtocol.TLSv1_2,
  [SslParameters_ProtocolVersion.TLSv1_3]: TlsParameters_TlsProtocol.TLSv1_3,
} as const satisfies Record<SslParameters_ProtocolVersion, TlsParameters_TlsProtocol>;

function tlsParameters(
  parameters: SslParameters | undefined,
  { path: settingsPath, needsCertificate }: TlsOptions,
  report: Report,
): MessageInitShape<typeof TlsParametersSchema> | undefined | "bad" {
  if (!parameters) return undefined;
  const path = `${settingsPath}.parameters`;
  const { minimumProtocolVersion, maximumProtocolVersion, cipherSuites, ecdhCurves } = parameters;
  for (const version of [minimumProtocolVersion, maximumProtocolVersion]) {
    if (!(version in versions)) {
      report.error("TlsVersionUnknown", `tls version ${version} not found`, { path });
      return "bad";
    }
  }
  const cipher = unknownCipher(cipherSuites);
  const curve = unknownCurve(ecdhCurves);
  if (cipher !== undefined) {
    report.error("TlsCipherUnknown", `Envoy knows no cipher suite ${cipher}`, {
      path: `${path}.cipherSuites`,
      hint: `it knows ${knownSuites.join(", ")}`,
    });
  }
  if (curve !== undefined) {
    report.error("TlsCipherUnknown", `Envoy knows no curve ${curve}`, {
      path: `${path}.ecdhCurves`,
      hint: `it knows ${curveNames.join(", ")}`,
    });
  }
  if (cipher !== undefined || curve !== undefined) return "bad";
  return {
    tlsMinimumProtocolVersion: versions[minimumProtocolVersion],
    // As a client Envoy goes up to TLS 1.2 unless it is told: with a minimum of 1.3 alone, no handshake would ever succeed.
    tlsMaximumProtocolVersion:
      !needsCertificate &&
      maximumProtocolVersion === SslParameters_ProtocolVersion.TLS_AUTO &&
      minimumProtocolVersion === SslParameters_ProtocolVersion.TLSv1_3
        ? TlsParameters_TlsProtocol.TLSv1_3
        : versions[maximumProtocolVersion],
    cipherSuites,
    ecdhCurves,
  };
}
