// PEM: the text form of certificates and keys, and whether the two belong together. The error texts are those of Go's crypto/tls,
// which Gloo shows its users. No text ever holds key material.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const keyBlock = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/;

/** The certificates of a PEM text and nothing else of it (an `EC PARAMETERS` block makes Envoy refuse the chain), one per block. */
export function certificatesOf(pem: string): string[] {
  return pem.match(certificateBlock) ?? [];
}

/** What is wrong with a certificate chain and its private key; undefined when they are a pair. */
export function keyPairFault(chain: string, key: string): string | undefined {
  const [leaf, ...rest] = certificatesOf(chain);
  if (leaf === undefined) return "tls: failed to find any PEM data in certificate input";
  if (!keyBlock.test(key)) return "tls: failed to find any PEM data in key input";
  let certificate: X509Certificate;
  try {
    for (const each of rest) new X509Certificate(each);
    certificate = new X509Certificate(leaf);
  } catch {
    return "x509: malformed certificate";
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    return "tls: failed to parse private key";
  }
  return certificate.checkPrivateKey(privateKey) ? undefined : "tls: private key does not match public key";
}

/** What is wrong with a list of trusted certificates; undefined when all can be read. */
export function rootCaFault(pem: string): string | undefined {
  const certificates = certificatesOf(pem);
  if (certificates.length === 0) return "tls: failed to find any PEM data in root CA input";
  try {
    for (const each of certificates) new X509Certificate(each);
    return undefined;
  } catch {
    return "x509: malformed certificate";
  }
}
