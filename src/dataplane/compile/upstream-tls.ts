// TLS towards upstreams: what of an UpstreamTlsContext becomes options of node:tls.

import type { SecureContextOptions } from "node:tls";
import type { DataSource } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { CertificateValidationContext, TlsCertificate } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { type UpstreamTlsContext, UpstreamTlsContextSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { unhandledFields } from "../fields.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileStringMatcher, type StringTest } from "./strings.ts";
import { tlsVersions, upstreamSuites } from "./tls-parameters.ts";

export interface UpstreamTls {
  readonly sni: string;
  /** SNI from the endpoint's host name. */
  readonly autoSni: boolean;
  readonly certificate: Material | undefined;
  /** Name of a Secret that holds the certificate. */
  readonly certificateSecret: string | undefined;
  readonly validation: Validation | undefined;
  readonly validationSecret: string | undefined;
  readonly alpn: readonly string[];
  readonly minVersion: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined;
  readonly maxVersion: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined;
  /** Cipher suites and curves, in the words of node:tls. */
  readonly suites: Pick<SecureContextOptions, "ciphers" | "ecdhCurve">;
}

export interface Material {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly ocspStaple?: Buffer | undefined;
}

export interface Validation {
  /** Without one, certificates are not checked, as in Envoy. */
  readonly ca: Buffer | "system" | undefined;
  readonly subjectNames: readonly StringTest[];
  readonly acceptUntrusted: boolean;
}

export function compileUpstreamTls(context: UpstreamTlsContext, findings: Findings): UpstreamTls {
  for (const path of unhandledFields(UpstreamTlsContextSchema, context, handledFields)) findings.notExecuted(path);
  const common = context.commonTlsContext;
  const [certificate] = common?.tlsCertificates ?? [];
  const type = common?.validationContextType;
  let validation: Validation | undefined;
  let validationSecret: string | undefined;
  if (type?.case === "validationContext") validation = compileValidation(type.value, findings);
  else if (type?.case === "validationContextSdsSecretConfig") validationSecret = type.value.name;
  else if (type?.case === "combinedValidationContext") {
    validationSecret = type.value.validationContextSdsSecretConfig?.name;
    if (type.value.defaultValidationContext) validation = compileValidation(type.value.defaultValidationContext, findings);
  }
  return {
    sni: context.sni,
    autoSni: context.autoHostSni,
    certificate: certificate && compileCertificate(certificate),
    certificateSecret: common?.tlsCertificateSdsSecretConfigs[0]?.name,
    validation,
    validationSecret,
    alpn: common?.alpnProtocols ?? [],
    minVersion: tlsVersions[common?.tlsParams?.tlsMinimumProtocolVersion ?? 0],
    maxVersion: tlsVersions[common?.tlsParams?.tlsMaximumProtocolVersion ?? 0],
    suites: upstreamSuites(common?.tlsParams, findings.at("common_tls_context.tls_params")),
  };
}

export function compileCertificate(certificate: TlsCertificate): Material | undefined {
  const chain = bytesOf(certificate.certificateChain);
  const key = bytesOf(certificate.privateKey);
  return chain && key && { certificate: chain, key, ocspStaple: bytesOf(certificate.ocspStaple) };
}

export function compileValidation(context: CertificateValidationContext, findings: Findings): Validation {
  const names: StringTest[] = [];
  context.matchTypedSubjectAltNames.forEach(({ matcher }, index) => {
    const compiled = matcher && compileStringMatcher(matcher);
    if (compiled === undefined) findings.notExecuted(`match_typed_subject_alt_names[${index}]`);
    else names.push(compiled);
  });
  context.matchSubjectAltNames.forEach((matcher, index) => {
    const compiled = compileStringMatcher(matcher);
    if (compiled === undefined) findings.notExecuted(`match_subject_alt_names[${index}]`);
    else names.push(compiled);
  });
  return {
    ca: bytesOf(context.trustedCa) ?? (context.systemRootCerts === undefined ? undefined : "system"),
    subjectNames: names,
    acceptUntrusted: context.trustChainVerification === 1,
  };
}

function bytesOf(source: DataSource | undefined): Buffer | undefined {
  const specifier = source?.specifier;
  if (specifier?.case === "inlineBytes") return Buffer.from(specifier.value);
  if (specifier?.case === "inlineString") return Buffer.from(specifier.value, "utf8");
  return undefined;
}
