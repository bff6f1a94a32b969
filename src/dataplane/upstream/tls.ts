// What node:tls needs for a host of a cluster.

import { type ConnectionOptions, type PeerCertificate, rootCertificates } from "node:tls";
import type { EndpointSpec } from "../compile/endpoints.ts";
import type { Material, UpstreamTls, Validation } from "../compile/upstream-tls.ts";
import type { PoolProtocol } from "./pool.ts";

/** Secrets that were published: certificates and validation contexts by name. */
export type SecretLookup = (
  name: string,
) => { readonly certificate?: Material | undefined; readonly validation?: Validation | undefined } | undefined;

const versions = new WeakMap<UpstreamTls, number>();
let nextVersion = 1;

/** Tells hosts apart that need different connections: by the transport and, where it follows from the host, the name. */
export function tlsVersion(tls: UpstreamTls, spec: EndpointSpec): string {
  let version = versions.get(tls);
  if (version === undefined) {
    version = nextVersion++;
    versions.set(tls, version);
  }
  return `tls${version} ${tls.autoSni ? spec.hostname : ""}`;
}

/** The TLS of one host: the same but for the protocols that are offered. */
export class TlsClient {
  readonly #alpn: readonly string[];
  readonly #options: ConnectionOptions;

  constructor(tls: UpstreamTls, spec: EndpointSpec, secret: SecretLookup) {
    this.#alpn = tls.alpn;
    this.#options = tlsOptions(tls, spec, secret);
  }

  optionsFor(protocol: PoolProtocol): ConnectionOptions {
    const offered = offeredProtocols(this.#alpn, protocol);
    return offered.length === 0 ? this.#options : { ...this.#options, ALPNProtocols: offered };
  }
}

/** What is configured, as far as it is what will be spoken; as Envoy, without a word of it: HTTP/2 names itself, HTTP/1.1 need not. */
function offeredProtocols(alpn: readonly string[], protocol: PoolProtocol): string[] {
  if (protocol === "http2") return ["h2"];
  if (protocol === "http1") return alpn.filter((each) => each === "http/1.1");
  const known = alpn.filter((each) => each === "h2" || each === "http/1.1");
  return known.length > 0 ? known : ["h2", "http/1.1"];
}

function tlsOptions(tls: UpstreamTls, spec: EndpointSpec, secret: SecretLookup): ConnectionOptions {
  const certificate = tls.certificate ?? (tls.certificateSecret === undefined ? undefined : secret(tls.certificateSecret)?.certificate);
  const validation = (tls.validationSecret === undefined ? undefined : secret(tls.validationSecret)?.validation) ?? tls.validation;
  const names = tls.validation?.subjectNames ?? validation?.subjectNames ?? [];
  const servername = tls.autoSni ? spec.hostname : tls.sni;
  const checks = validation?.ca !== undefined && !validation.acceptUntrusted;
  return {
    ...(servername !== "" && { servername }),
    ...(certificate && { cert: certificate.certificate, key: certificate.key }),
    ...(validation?.ca !== undefined && { ca: validation.ca === "system" ? [...rootCertificates] : validation.ca }),
    ...(tls.minVersion && { minVersion: tls.minVersion }),
    ...(tls.maxVersion && { maxVersion: tls.maxVersion }),
    ...tls.suites,
    rejectUnauthorized: checks,
    // Envoy checks the chain, and names only where it is told which.
    checkServerIdentity: (_, peer) =>
      names.length === 0 || alternativeNames(peer).some((name) => names.some((each) => each.test(name)))
        ? undefined
        : new Error("no subject alternative name matches"),
  };
}

/** The names in a certificate, without their kinds. */
export function alternativeNames(peer: PeerCertificate): string[] {
  return (peer.subjectaltname ?? "").split(", ").map((entry) => entry.slice(entry.indexOf(":") + 1));
}
