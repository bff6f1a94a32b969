// Listeners with TLS for tests, and a client that tells how it went.

import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../../envoy/encode.ts";
import type { ListenerSchema } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { TlsInspectorSchema } from "../../gen/envoy/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { DownstreamTlsContextSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { KeyPair } from "./certificates.ts";
import { parseRaw } from "./raw.ts";
import { type HcmInit, listenerMessage } from "./resources.ts";

export type ListenerInit = MessageInitShape<typeof ListenerSchema>;

export interface TlsChain {
  readonly names?: readonly string[];
  readonly certificate?: KeyPair;
  /** Clients must show a certificate of this authority. */
  readonly clientsOf?: KeyPair;
  readonly required?: boolean;
  /** More of the CommonTlsContext. */
  readonly common?: object;
  /** More of the DownstreamTlsContext. */
  readonly context?: object;
  readonly hcm?: HcmInit;
  /** No TLS. */
  readonly plain?: boolean;
  readonly match?: object;
}

export function tlsListener(port: number, chains: readonly TlsChain[], more: { readonly fallback?: TlsChain } = {}): ListenerInit {
  const message = listenerMessage(port, {}, "127.0.0.1", "tls") as Record<string, unknown>;
  return {
    ...message,
    listenerFilters: [{ name: "tls_inspector", configType: { case: "typedConfig", value: packAny(TlsInspectorSchema, {}) } }],
    filterChains: chains.map(filterChain),
    ...(more.fallback && { defaultFilterChain: filterChain(more.fallback) }),
  } as ListenerInit;
}

function filterChain(chain: TlsChain) {
  const [made] = (listenerMessage(0, chain.hcm) as { filterChains: object[] }).filterChains;
  const match = { ...(chain.names && { serverNames: [...chain.names] }), ...chain.match };
  return {
    ...made,
    ...(Object.keys(match).length > 0 && { filterChainMatch: match }),
    ...(!chain.plain && { transportSocket: { name: "tls", configType: { case: "typedConfig", value: contextOf(chain) } } }),
  };
}

function contextOf({ certificate, clientsOf, required, common, context }: TlsChain) {
  return packAny(DownstreamTlsContextSchema, {
    ...(clientsOf && { requireClientCertificate: required ?? true }),
    commonTlsContext: {
      alpnProtocols: ["h2", "http/1.1"],
      ...(certificate && { tlsCertificates: [{ certificateChain: inline(certificate.certificate), privateKey: inline(certificate.key) }] }),
      ...(clientsOf && {
        validationContextType: { case: "validationContext", value: { trustedCa: inline(clientsOf.certificate) } },
      }),
      ...common,
    },
    ...context,
  } as never);
}

export function inline(text: string) {
  return { specifier: { case: "inlineString" as const, value: text } };
}

export interface TlsOutcome {
  /** Of the answer; "refused" when there was none: no handshake, or a closed connection. */
  readonly status: number | "refused";
  readonly body: string;
  /** The name that the certificate is for. */
  readonly shown: string;
  readonly protocol: string;
  readonly version: string;
}

const refused: TlsOutcome = { status: "refused", body: "", shown: "", protocol: "", version: "" };

/** One request over a connection of its own. Whoever the server is, it is believed: tests look at what it showed. */
export function askTls(port: number, options: ConnectionOptions = {}, request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"): Promise<TlsOutcome> {
  return new Promise((resolve) => {
    const socket = connectTls(port, options);
    let text = "";
    let seen = refused;
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("secureConnect", () => {
      seen = { ...refused, shown: shownBy(socket), protocol: String(socket.alpnProtocol || ""), version: socket.getProtocol() ?? "" };
      socket.write(request, "latin1");
    });
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const answer = parseRaw(text, false, false);
      if (answer === undefined) return;
      seen = { ...seen, status: answer.status, body: answer.body };
      socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(seen.status === "refused" ? refused : seen));
  });
}

export function connectTls(port: number, options: ConnectionOptions): TLSSocket {
  return connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["http/1.1"], ...options });
}

export function shownBy(socket: TLSSocket): string {
  return String(socket.getPeerCertificate().subject?.CN ?? "");
}
