// TLS towards clients: what of a DownstreamTlsContext becomes options of node:tls. What cannot be executed safely costs its filter chain, which is
// then closed to clients and not open with less protection.

import { createSecureContext, type SecureContextOptions } from "node:tls";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { FilterChain } from "../../gen/envoy/envoy/config/listener/v3/listener_components_pb.js";
import type { SdsSecretConfig } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContext,
  type DownstreamTlsContext,
  DownstreamTlsContextSchema,
} from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { unhandledFields } from "../fields.ts";
import { durationMs } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileSecretSource, type SecretSource } from "./secret-source.ts";
import { secureOptions, serverParameters } from "./tls-parameters.ts";
import { isFileOfTls } from "./tls-sources.ts";
import { compileCertificate, compileValidation, type Material, type Validation } from "./upstream-tls.ts";
import { faultOfValidation } from "./validation.ts";

export interface DownstreamTls {
  /** The bytes that it was made of, when they held nothing to report; the same bytes need not be compiled again. */
  readonly source: Buffer | undefined;
  /** Versions, cipher suites, curves. */
  readonly parameters: SecureContextOptions;
  readonly certificates: readonly Material[];
  /** What a Secret that holds the certificate is looked up by. */
  readonly certificateSecret: string | undefined;
  /** Of the secrets, those that do not come with all other resources. */
  readonly secretSources: readonly SecretSource[];
  readonly clients: ClientAuthentication;
  /** Those of the offered protocols that are spoken here, or behind it; empty: none is negotiated. */
  readonly alpn: readonly string[];
  /** A client who speaks none of them is sent away (RFC 7301 §3.2). Who passes bytes on cannot know what the server behind speaks. */
  readonly insistsOnAlpn: boolean;
  readonly handshakeTimeoutMs: number;
}

/** What is asked of clients. */
export interface ClientAuthentication {
  readonly isRequired: boolean;
  readonly validation: Validation | undefined;
  /** What a Secret that holds the authority is looked up by. */
  readonly validationSecret: string | undefined;
}

/** As Envoy's time for the first bytes; its own time-out of a handshake is none. */
const defaultHandshakeMs = 15_000;

const spoken = new Set(["h2", "http/1.1", "http/1.0"]);

/**
 * `unusable`: the chain takes its connections and closes them. A certificate that is broken leaves the settings before in service, as an Envoy does
 * that refuses the listener.
 * @param speaksHttp otherwise whatever is negotiated is spoken by somebody behind
 */
export function compileDownstreamTls(
  chain: FilterChain,
  findings: Findings,
  before: DownstreamTls | undefined,
  speaksHttp: boolean,
): DownstreamTls | "unusable" {
  const config = chain.transportSocket?.configType;
  const source = config?.case === "typedConfig" ? Buffer.from(config.value.value) : undefined;
  if (source !== undefined && before?.source?.equals(source)) return before;
  const reported = findings.all.length;
  const context = config?.case === "typedConfig" ? anyUnpack(config.value, DownstreamTlsContextSchema) : undefined;
  if (context === undefined) {
    findings.notExecuted("transport_socket", "; the filter chain is not served");
    return "unusable";
  }
  const place = findings.at("transport_socket");
  const common = context.commonTlsContext;
  const alpn = common?.alpnProtocols.filter((each) => !speaksHttp || spoken.has(each)) ?? [];
  const unsafe = reportUnhandled(context, place);
  if (alpn.length === 0 && (common?.alpnProtocols.length ?? 0) > 0) {
    place.notExecuted(`common_tls_context.alpn_protocols: ${common?.alpnProtocols.join(", ")}`, "; the filter chain is not served");
    return "unusable";
  }
  if (unsafe || context.requireSni) return "unusable";
  let fault: string | undefined;
  try {
    const tls = { ...settingsOf(context, chain, place, alpn), insistsOnAlpn: speaksHttp };
    fault = faultOf(tls);
    if (fault === undefined) return { ...tls, source: findings.all.length === reported ? source : undefined };
  } catch (error) {
    fault = (error as Error).message;
  }
  place.refused("common_tls_context", `${fault}; ${before === undefined ? "the filter chain is not served" : "the one before serves on"}`);
  return before ?? "unusable";
}

/** Throws for files that cannot be read. */
function settingsOf(
  context: DownstreamTlsContext,
  chain: FilterChain,
  place: Findings,
  alpn: readonly string[],
): Omit<DownstreamTls, "source" | "insistsOnAlpn"> {
  const common = context.commonTlsContext;
  const secretSources: SecretSource[] = [];
  const secretKey: SecretKey = (secret, path) => {
    const { key, unsupported } = compileSecretSource(secret, secretSources);
    if (unsupported !== undefined) place.notExecuted(`common_tls_context.${path}: ${unsupported}`, "; the filter chain is not served");
    return key;
  };
  return {
    parameters: {
      ...serverParameters(common?.tlsParams, place.at("common_tls_context.tls_params")),
      secureOptions: secureOptions(
        context.sessionTicketKeysType.case === "disableStatelessSessionResumption" && context.sessionTicketKeysType.value,
      ),
      ...(context.sessionTimeout && { sessionTimeout: Math.max(1, Math.floor(durationMs(context.sessionTimeout) / 1_000)) }),
    },
    certificates: common?.tlsCertificates.map(compileCertificate).filter((each) => each !== undefined) ?? [],
    certificateSecret: secretKey(common?.tlsCertificateSdsSecretConfigs[0], "tls_certificate_sds_secret_configs[0]"),
    clients: { isRequired: context.requireClientCertificate ?? false, ...validationOf(common, place, secretKey) },
    secretSources,
    alpn,
    handshakeTimeoutMs: chain.transportSocketConnectTimeout ? durationMs(chain.transportSocketConnectTimeout) : defaultHandshakeMs,
  };
}

/** True when what is not executed would have protected something. */
function reportUnhandled(context: DownstreamTlsContext, findings: Findings): boolean {
  let isUnsafe = false;
  for (const path of unhandledFields(DownstreamTlsContextSchema, context, handledFields)) {
    if (isFileOfTls(path)) continue;
    const protects = path.includes("validation") || path === "require_sni" || path.includes("custom_");
    findings.notExecuted(path, protects ? "; the filter chain is not served" : "");
    isUnsafe ||= protects;
  }
  return isUnsafe;
}

/** What a secret is looked up by; one that never comes is noted. */
type SecretKey = (secret: SdsSecretConfig | undefined, path: string) => string | undefined;

function validationOf(
  common: CommonTlsContext | undefined,
  findings: Findings,
  secretKey: SecretKey,
): Omit<ClientAuthentication, "isRequired"> {
  const type = common?.validationContextType;
  const place = findings.at("common_tls_context");
  switch (type?.case) {
    case "validationContext":
      return { validation: compileValidation(type.value, place.at("validation_context")), validationSecret: undefined };
    case "validationContextSdsSecretConfig":
      return { validation: undefined, validationSecret: secretKey(type.value, "validation_context_sds_secret_config") };
    case "combinedValidationContext": {
      const { defaultValidationContext, validationContextSdsSecretConfig } = type.value;
      return {
        validation: defaultValidationContext && compileValidation(defaultValidationContext, place.at("combined_validation_context")),
        validationSecret: secretKey(validationContextSdsSecretConfig, "combined_validation_context"),
      };
    }
    default:
      return { validation: undefined, validationSecret: undefined };
  }
}

/** Why node:tls does not take the settings. */
function faultOf(tls: Omit<DownstreamTls, "source">): string | undefined {
  if (tls.certificates.length === 0 && tls.certificateSecret === undefined) return "there is no certificate";
  // With a secret, it may bring what is missing here.
  const fault = tls.clients.validationSecret === undefined ? faultOfValidation(tls.clients.validation) : undefined;
  if (fault !== undefined) return fault;
  try {
    createSecureContext({ ...tls.parameters, ...certificateOptions(tls.certificates), ...authorityOptions(tls.clients.validation) });
    return undefined;
  } catch (error) {
    return `the TLS settings cannot be used: ${(error as Error).message}`;
  }
}

export function certificateOptions(certificates: readonly Material[]): SecureContextOptions {
  return { cert: certificates.map(({ certificate }) => certificate), key: certificates.map(({ key }) => key) };
}

export function authorityOptions(validation: Validation | undefined): SecureContextOptions {
  return validation?.ca === undefined || validation.ca === "system" ? {} : { ca: validation.ca };
}
