// Versions, cipher suites and curves of TLS: Envoy's names for them, and what node:tls calls them.

import { constants } from "node:crypto";
import { getCiphers, type SecureContextOptions } from "node:tls";
import type { TlsParameters } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { Findings } from "./findings.ts";

/** By the number in TlsParameters.TlsProtocol; the first leaves it to the side. */
export const tlsVersions = [undefined, "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;

/** Of TLS 1.2, what Envoy's servers offer when nothing is said. */
const defaultSuites = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
];

/** Of TLS 1.3: not to be chosen in Envoy. */
const modernSuites = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/** The settings of a server. */
export function serverParameters(parameters: TlsParameters | undefined, findings: Findings): SecureContextOptions {
  const minVersion = tlsVersions[parameters?.tlsMinimumProtocolVersion ?? 0] ?? "TLSv1.2";
  const maxVersion = tlsVersions[parameters?.tlsMaximumProtocolVersion ?? 0] ?? "TLSv1.3";
  const suites = cipherSuites(parameters?.cipherSuites ?? [], findings);
  // Versions before 1.2 are signed with what OpenSSL calls level 0; who asks for them asks for that.
  const level = minVersion === "TLSv1" || minVersion === "TLSv1.1" ? ["@SECLEVEL=0"] : [];
  const curves = parameters?.ecdhCurves ?? [];
  return {
    minVersion,
    maxVersion,
    ciphers: [...(suites.length > 0 ? suites : defaultSuites), ...level, ...modernSuites].join(":"),
    honorCipherOrder: true,
    ...(curves.length > 0 && { ecdhCurve: curves.join(":") }),
  };
}

/** Of a client: what is not said is left to node:tls. */
export function upstreamSuites(
  parameters: TlsParameters | undefined,
  findings: Findings,
): Pick<SecureContextOptions, "ciphers" | "ecdhCurve"> {
  const suites = cipherSuites(parameters?.cipherSuites ?? [], findings);
  const curves = parameters?.ecdhCurves ?? [];
  return {
    ...(suites.length > 0 && { ciphers: [...suites, ...modernSuites].join(":") }),
    ...(curves.length > 0 && { ecdhCurve: curves.join(":") }),
  };
}

/** `[A|B]` are of equal preference, which OpenSSL does not know: then the first is preferred. */
function cipherSuites(names: readonly string[], findings: Findings): string[] {
  const known = new Set(getCiphers());
  return names
    .flatMap((name) => name.replace(/^\[|\]$/g, "").split("|"))
    .filter((name) => {
      const isKnown = known.has(name.replace(/^[!+-]/, "").toLowerCase());
      if (!isKnown) findings.notExecuted(`cipher_suites: ${name}`);
      return isKnown;
    });
}

/** Of a server. As in Envoy, clients cannot negotiate again: that costs a server far more than them. */
export function secureOptions(hasNoTickets: boolean): number {
  return constants.SSL_OP_NO_RENEGOTIATION | (hasNoTickets ? constants.SSL_OP_NO_TICKET : 0);
}
