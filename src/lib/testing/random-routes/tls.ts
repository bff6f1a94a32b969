// TLS of listeners.
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import { shop, type Words } from "./words.ts";

export function tls({ isWild, any, or, texts, some, secrets, files }: Words): Record<string, Values> {
  return {
    "gloo.solo.io.SslConfig.secret_ref": or(
      fc.constantFrom(secrets.tls),
      "missing",
      secrets.headers,
      secrets.authority,
      secrets.stapled,
    ).map((name) => ({ name, namespace: shop })),
    // What is in files, only Envoy can see.
    "gloo.solo.io.SslConfig.ssl_files": any(
      { tlsCert: files.certificate, tlsKey: files.key },
      { tlsCert: files.certificate, tlsKey: files.key, rootCa: files.authority },
      ...(isWild ? [{}, { tlsCert: files.certificate }] : []),
    ),
    "gloo.solo.io.SslConfig.sni_domains": some(texts("a.test", "*.b.test")),
    "gloo.solo.io.SslConfig.alpn_protocols": some(texts("h2", "http/1.1", "allow_empty")),
    "gloo.solo.io.SslConfig.verify_subject_alt_name": some(texts("a.test", "spiffe://a/b")),
    "gloo.solo.io.SslConfig.ocsp_staple_policy": isWild
      ? any("LENIENT_STAPLING", "STRICT_STAPLING", "MUST_STAPLE")
      : any("LENIENT_STAPLING"),
  };
}
