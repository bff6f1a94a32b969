// What access logs can say of a client's TLS.

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { TlsView } from "../formatter.ts";
import { alternativeNames } from "../tls/alternative-names.ts";

const views = new WeakMap<Socket, TlsView>();

/** Undefined for a plain connection. Looked up once for a connection, and only when somebody asks. */
export function tlsView(socket: Socket): TlsView | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  let view = views.get(socket);
  if (view === undefined) {
    view = read(socket);
    views.set(socket, view);
  }
  return view;
}

function read(socket: TLSSocket): TlsView {
  const peer = socket.getPeerX509Certificate();
  const names = alternativeNames(peer?.subjectAltName);
  const namesOf = (wanted: string) => names.flatMap(({ kind, value }) => (kind === wanted ? [value] : []));
  const peerNames = { uris: namesOf("URI"), dnsNames: namesOf("DNS") };
  return {
    version: socket.getProtocol() ?? "",
    cipher: socket.getCipher()?.name ?? "",
    peerSubject: distinguishedName(peer?.subject),
    peerIssuer: distinguishedName(peer?.issuer),
    peerSerial: peer?.serialNumber.toLowerCase() ?? "",
    peerFingerprint256: peer?.fingerprint256.replaceAll(":", "").toLowerCase() ?? "",
    peerNames,
    peerUriSans: peerNames.uris.join(),
    peerDnsSans: peerNames.dnsNames.join(),
  };
}

/** RFC 2253: the most specific part first. */
function distinguishedName(lines: string | undefined): string {
  return (lines ?? "").split("\n").reverse().join();
}
