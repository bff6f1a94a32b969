// Names of cipher suites and curves that BoringSSL in Envoy 1.40 takes (tlsContext.test.ts asks it). One unknown name makes Envoy
// refuse the whole cluster or listener.

/** The first of these names that Envoy does not know. */
export function unknownCipher(suites: readonly string[]): string | undefined {
  return suites.find((suite) => !cipherParts(suite).every((part) => ciphers.has(part)));
}

export function unknownCurve(names: readonly string[]): string | undefined {
  return names.find((name) => !curves.has(name));
}

/** A rule of a cipher list is a name, a group of equal preference `[a|b]`, a conjunction `a+b`, or one of these taken away: `!a`, `-a`. */
function cipherParts(rule: string): string[] {
  const bare = rule.replace(/^[!+-]/, "");
  return (bare.startsWith("[") && bare.endsWith("]") ? bare.slice(1, -1) : bare).split(/[|+]/);
}

/** What to suggest. The suites of TLS 1.3 are always on and cannot be listed. */
export const cipherSuites = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-PSK-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-SHA256",
  "ECDHE-RSA-AES128-SHA256",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "ECDHE-PSK-AES128-CBC-SHA",
  "ECDHE-PSK-AES256-CBC-SHA",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA",
  "AES256-SHA",
  "PSK-AES128-CBC-SHA",
  "PSK-AES256-CBC-SHA",
  "DES-CBC3-SHA",
] as const;

export const curveNames = ["X25519", "P-256", "P-384", "P-521", "X25519MLKEM768", "MLKEM1024"] as const;

const standardNames = [
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
  "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
  "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
  "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
  "TLS_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_RSA_WITH_AES_128_CBC_SHA",
  "TLS_RSA_WITH_AES_256_CBC_SHA",
];

const kinds = [
  "ALL",
  "HIGH",
  "ECDHE",
  "EECDH",
  "kECDHE",
  "kEECDH",
  "kRSA",
  "aRSA",
  "aECDSA",
  "AES",
  "AES128",
  "AES256",
  "AESGCM",
  "CHACHA20",
  "SHA",
  "SHA1",
];

/** Kinds of suites that are no suite by themselves, but may be taken away: `!aNULL`. */
const emptyKinds = ["aNULL", "eNULL", "MD5", "RC4", "DSS", "EXPORT"];

const ciphers: ReadonlySet<string> = new Set([...cipherSuites, ...standardNames, ...kinds, ...emptyKinds]);
const curves: ReadonlySet<string> = new Set([...curveNames, "x25519", "prime256v1", "secp384r1", "secp521r1"]);
