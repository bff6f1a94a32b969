// Ends TLS for the connections of one filter chain. The certificate is the newest each time: a new one is for new connections, and costs no old one.

import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from "node:tls";
import { authorityOptions, type ClientAuthentication, certificateOptions, type DownstreamTls } from "../compile/downstream-tls.ts";
import type { Material, Validation } from "../compile/upstream-tls.ts";
import { faultOfValidation, mergeValidation } from "../compile/validation.ts";
import type { SecretLookup } from "../upstream/tls.ts";
import { hasName } from "./alternative-names.ts";
import type { Hello } from "./client-hello.ts";

export interface TerminatorOptions {
  readonly secret: SecretLookup;
  /** The handshake is done, and the client may come in. */
  readonly onSecure: (socket: TLSSocket) => void;
}

export class Terminator {
  readonly #tls: DownstreamTls;
  readonly #options: TerminatorOptions;
  #server: Server | undefined;
  /** Without ALPN, for clients who speak nothing of what is offered and are not sent away. */
  #silent: Server | undefined;
  #certificates: readonly Material[] = [];
  /** What a secret says of clients. */
  #authority: Validation | undefined;

  constructor(tls: DownstreamTls, options: TerminatorOptions) {
    this.#tls = tls;
    this.#options = options;
  }

  /** Begins the handshake. What was read of the connection must have been put back. */
  accept(socket: Socket, { protocols }: Hello): void {
    const newest = this.#newestServer();
    const { alpn } = this.#tls;
    const hasNoneInCommon = protocols.length > 0 && !protocols.some((each) => alpn.includes(each));
    const server = hasNoneInCommon && newest !== undefined && this.#silent !== undefined ? this.#silent : newest;
    if (server === undefined) socket.destroy();
    else server.emit("connection", socket);
  }

  /** Undefined while a secret is not there, as in Envoy. */
  #newestServer(): Server | undefined {
    const { certificateSecret, clients } = this.#tls;
    const named = certificateSecret === undefined ? undefined : this.#options.secret(certificateSecret)?.certificate;
    const certificates = named === undefined ? this.#tls.certificates : this.#sameOr([named]);
    const authority = clients.validationSecret === undefined ? undefined : this.#options.secret(clients.validationSecret)?.validation;
    if (certificates.length === 0 || (clients.validationSecret !== undefined && authority === undefined)) return undefined;
    if (this.#server !== undefined && certificates === this.#certificates && authority === this.#authority) return this.#server;
    this.#certificates = certificates;
    this.#authority = authority;
    const validation = mergeValidation(clients.validation, authority);
    try {
      const fault = faultOfValidation(validation);
      if (fault !== undefined) throw new Error(fault);
      const context = { ...this.#tls.parameters, ...certificateOptions(certificates), ...authorityOptions(validation) };
      const server = this.#createServer(context, this.#tls.alpn, validation);
      this.#silent = this.#tls.alpn.length === 0 || this.#tls.insistsOnAlpn ? undefined : this.#createServer(context, [], validation);
      this.#server = server;
    } catch {
      // A secret that does not go with these settings: the server before, if there is one, serves on. What is wrong with a secret itself was
      // reported when it came.
    }
    return this.#server;
  }

  #sameOr(certificates: readonly Material[]): readonly Material[] {
    return certificates[0] === this.#certificates[0] ? this.#certificates : certificates;
  }

  #createServer(context: SecureContextOptions, alpn: readonly string[], validation: Validation | undefined): Server {
    const { clients, handshakeTimeoutMs } = this.#tls;
    const certificates = this.#certificates;
    const server = createServer({
      ...context,
      requestCert: clients.isRequired || validation !== undefined,
      rejectUnauthorized: clients.isRequired && isVerifying(validation),
      handshakeTimeout: handshakeTimeoutMs,
      highWaterMark: 65_536,
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    });
    server.on("secureConnection", (socket) => {
      if (isWelcome(socket, clients, validation)) this.#options.onSecure(socket);
      else socket.destroy();
    });
    server.on("tlsClientError", (_, socket) => void socket.destroy());
    if (certificates.some(({ ocspStaple }) => ocspStaple !== undefined)) {
      server.on("OCSPRequest", (certificate: Buffer, _: Buffer, done: (error: Error | null, staple: Buffer | null) => void) =>
        done(null, stapleOf(certificates, certificate)),
      );
    }
    return server;
  }
}

function isVerifying(validation: Validation | undefined): boolean {
  return validation?.ca !== undefined && !validation.acceptUntrusted;
}

/** A certificate that is shown must be good, even where none is required. */
function isWelcome(socket: TLSSocket, clients: ClientAuthentication, validation: Validation | undefined): boolean {
  if (!clients.isRequired && validation === undefined) return true;
  const peer = socket.getPeerCertificate();
  if (peer === null || Object.keys(peer).length === 0) return !clients.isRequired;
  if (isVerifying(validation) && !socket.authorized) return false;
  const names = validation?.subjectNames ?? [];
  return names.length === 0 || hasName(peer.subjectaltname, names);
}

function stapleOf(certificates: readonly Material[], certificate: Buffer): Buffer | null {
  return certificates.find((each) => new X509Certificate(each.certificate).raw.equals(certificate))?.ocspStaple ?? null;
}
