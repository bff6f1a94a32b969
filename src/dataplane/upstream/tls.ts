// What node:tls needs for a host of a cluster.

import { type ConnectionOptions, createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import type { EndpointSpec } from "../compile/endpoints.ts";
import type { Material, UpstreamTls, Validation } from "../compile/upstream-tls.ts";
import { faultOfValidation, mergeValidation } from "../compile/validation.ts";
import { hasName } from "../tls/alternative-names.ts";
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

/**
 * The TLS of one host: the same but for the protocols that are offered. Secrets are the newest each time: a new one is for new connections, and costs
 * no old one.
 */
export class TlsClient {
  readonly #tls: UpstreamTls;
  readonly #secret: SecretLookup;
  readonly #servername: string;

  constructor(tls: UpstreamTls, spec: EndpointSpec, secret: SecretLookup) {
    this.#tls = tls;
    this.#secret = secret;
    this.#servername = tls.autoSni ? spec.hostname : tls.sni;
  }

  /** Undefined while a secret is not there: then nobody is connected to, as in Envoy. Throws when the settings cannot be used. */
  optionsFor(protocol: PoolProtocol | "tcp"): ConnectionOptions | undefined {
    const identity = this.#identity();
    if (identity === undefined) return undefined;
    const { validation } = identity;
    const fault = faultOfValidation(validation);
    if (fault !== undefined) throw new Error(fault);
    const names = validation?.subjectNames ?? [];
    const offered = offeredProtocols(this.#tls.alpn, protocol);
    return {
      ...(this.#servername !== "" && { servername: this.#servername }),
      ...(offered.length > 0 && { ALPNProtocols: offered }),
      secureContext: contextOf(this.#tls, identity),
      rejectUnauthorized: validation?.ca !== undefined && !validation.acceptUntrusted,
      // Envoy checks the chain, and names only where it is told which.
      checkServerIdentity: (_, peer) =>
        names.length === 0 || hasName(peer.subjectaltname, names) ? undefined : new Error("no subject alternative name matches"),
    };
  }

  #identity(): Identity | undefined {
    const { certificate, certificateSecret, validation, validationSecret } = this.#tls;
    const shown = certificate ?? (certificateSecret === undefined ? undefined : this.#secret(certificateSecret)?.certificate);
    const named = validationSecret === undefined ? undefined : this.#secret(validationSecret)?.validation;
    if (shown === undefined && certificateSecret !== undefined) return undefined;
    if (named === undefined && validationSecret !== undefined) return undefined;
    return { certificate: shown, validation: mergeValidation(validation, named) };
  }
}

/** Who we are, and whom we believe. */
interface Identity {
  readonly certificate: Material | undefined;
  readonly validation: Validation | undefined;
}

/** Authorities take their time to be read, and are the same for all hosts of a cluster. */
const contexts = new WeakMap<UpstreamTls, Known>();

interface Known {
  readonly certificate: Material | undefined;
  readonly ca: Validation["ca"];
  readonly context: SecureContext;
}

function contextOf(tls: UpstreamTls, { certificate, validation }: Identity): SecureContext {
  const known = contexts.get(tls);
  if (known !== undefined && known.certificate === certificate && known.ca === validation?.ca) return known.context;
  const context = createSecureContext({
    ...(certificate && { cert: certificate.certificate, key: certificate.key }),
    ...(validation?.ca !== undefined && { ca: validation.ca === "system" ? [...rootCertificates] : validation.ca }),
    ...(tls.minVersion && { minVersion: tls.minVersion }),
    ...(tls.maxVersion && { maxVersion: tls.maxVersion }),
    ...tls.suites,
  });
  contexts.set(tls, { certificate, ca: validation?.ca, context });
  return context;
}

/** What is configured, as far as it is what will be spoken; as Envoy, without a word of it: HTTP/2 names itself, HTTP/1.1 need not. */
function offeredProtocols(alpn: readonly string[], protocol: PoolProtocol | "tcp"): string[] {
  if (protocol === "tcp") return [...alpn];
  if (protocol === "http2") return ["h2"];
  if (protocol === "http1") return alpn.filter((each) => each === "http/1.1");
  const known = alpn.filter((each) => each === "h2" || each === "http/1.1");
  return known.length > 0 ? known : ["h2", "http/1.1"];
}
