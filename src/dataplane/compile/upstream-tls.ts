// TLS towards upstreams: what of an UpstreamTlsContext becomes options of node:tls. What cannot be executed and would have protected something costs
// the cluster: requests are refused rather than sent to somebody who was not looked at.

import type { SecureContextOptions } from "node:tls";
import type { CertificateValidationContext, TlsCertificate } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { SdsSecretConfig } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { type UpstreamTlsContext, UpstreamTlsContextSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { unhandledFields } from "../fields.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileSecretSource, type SecretSource } from "./secret-source.ts";
import { compileStringMatcher, type StringTest } from "./strings.ts";
import { tlsVersions, upstreamSuites } from "./tls-parameters.ts";
import { bytesOf, isFileOfTls } from "./tls-sources.ts";

export interface UpstreamTls {
  readonly sni: string;
  /** SNI from the endpoint's host name. */
  readonly autoSni: boolean;
  readonly certificate: Material | undefined;
  /** What a Secret that holds the certificate is looked up by. */
  readonly certificateSecret: string | undefined;
  readonly validation: Validation | undefined;
  readonly validationSecret: string | undefined;
  /** Of those, the ones that do not come with all other resources. */
  readonly secretSources: readonly SecretSource[];
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

/**
 * Throws for files that cannot be read.
 *
 * @param fail requests must not be sent for what is at the path
 */
export function compileUpstreamTls(context: UpstreamTlsContext, findings: Findings, fail: (path: string) => void): UpstreamTls {
  for (const path of unhandledFields(UpstreamTlsContextSchema, context, handledFields)) {
    if (isFileOfTls(path)) continue;
    if (path.includes("validation") || path.includes("custom_")) fail(path);
    else findings.notExecuted(path);
  }
  const common = context.commonTlsContext;
  const secretSources: SecretSource[] = [];
  const secretKey = (secret: SdsSecretConfig | undefined, path: string) => {
    const { key, unsupported } = compileSecretSource(secret, secretSources);
    if (unsupported !== undefined) fail(`common_tls_context.${path}: ${unsupported}`);
    return key;
  };
  const [certificate] = common?.tlsCertificates ?? [];
  const type = common?.validationContextType;
  let validation: Validation | undefined;
  let validationSecret: string | undefined;
  if (type?.case === "validationContext") validation = compileValidation(type.value, findings);
  else if (type?.case === "validationContextSdsSecretConfig")
    validationSecret = secretKey(type.value, "validation_context_sds_secret_config");
  else if (type?.case === "combinedValidationContext") {
    validationSecret = secretKey(type.value.validationContextSdsSecretConfig, "combined_validation_context");
    if (type.value.defaultValidationContext) validation = compileValidation(type.value.defaultValidationContext, findings);
  }
  return {
    sni: context.sni,
    autoSni: context.autoHostSni,
    certificate: certificate && compileCertificate(certificate),
    certificateSecret: secretKey(common?.tlsCertificateSdsSecretConfigs[0], "tls_certificate_sds_secret_configs[0]"),
    validation,
    validationSecret,
    secretSources,
    alpn: common?.alpnProtocols ?? [],
    minVersion: tlsVersions[common?.tlsParams?.tlsMinimumProtocolVersion ?? 0],
    maxVersion: tlsVersions[common?.tlsParams?.tlsMaximumProtocolVersion ?? 0],
    suites: upstreamSuites(common?.tlsParams, findings.at("common_tls_context.tls_params")),
  };
}

/** Throws for files that cannot be read. */
export function compileCertificate(certificate: TlsCertificate): Material | undefined {
  const chain = bytesOf(certificate.certificateChain);
  const key = bytesOf(certificate.privateKey);
  return chain && key && { certificate: chain, key, ocspStaple: bytesOf(certificate.ocspStaple) };
}

/** Throws for files that cannot be read. */
export function compileValidation(context: CertificateValidationContext, findings: Findings): Validation {
  const names: StringTest[] = [];
  context.matchTypedSubjectAltNames.forEach(({ matcher }, index) => {
    const compiled = matcher && compileStringMatcher(matcher);
    if (compiled === undefined) findings.notExecuted(`match_typed_subject_alt_names[${index}]`, "; no name matches it");
    names.push(compiled ?? nobody);
  });
  context.matchSubjectAltNames.forEach((matcher, index) => {
    const compiled = compileStringMatcher(matcher);
    if (compiled === undefined) findings.notExecuted(`match_subject_alt_names[${index}]`, "; no name matches it");
    names.push(compiled ?? nobody);
  });
  return {
    ca: bytesOf(context.trustedCa) ?? (context.systemRootCerts === undefined ? undefined : "system"),
    subjectNames: names,
    acceptUntrusted: context.trustChainVerification === 1,
  };
}

/** A test that cannot be made is passed by nobody: a list without it would be passed by everybody. */
const nobody: StringTest = { test: () => false, describe: "nobody" };
