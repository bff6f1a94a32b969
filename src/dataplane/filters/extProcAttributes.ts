// Attributes of requests and responses that a processor is told: those of Envoy's that can be said here. They are expressions in Envoy; here they are
// names.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Exchange } from "../exchange/exchange.ts";
import { headerValue } from "../http1/headers.ts";
import { pathOnly } from "../match.ts";
import { sanitized } from "./authorization.ts";

/** Undefined: there is none. */
type Attribute = (exchange: Exchange) => JsonValue | undefined;

const known: Readonly<Record<string, Attribute>> = {
  "request.path": ({ path }) => sanitized(path),
  "request.url_path": ({ path }) => sanitized(pathOnly(path)),
  "request.query": ({ path }) => sanitized(path.split("?").slice(1).join("?")),
  "request.host": ({ authority }) => sanitized(authority),
  "request.scheme": ({ scheme }) => scheme,
  "request.method": ({ method }) => method,
  "request.protocol": ({ protocol }) => protocol,
  "request.id": header("x-request-id"),
  "request.referer": header("referer"),
  "request.useragent": header("user-agent"),
  "request.size": ({ contentLength, bytesReceived }) => (contentLength >= 0 ? contentLength : bytesReceived),
  "request.time": ({ startedAt }) => new Date(startedAt).toISOString().replace("Z", "+00:00"),
  "response.code": ({ responseStatus }) => (responseStatus === 0 ? undefined : responseStatus),
  "response.code_details": ({ responseDetails }) => responseDetails || undefined,
  "source.address": ({ remoteAddress, remotePort }) => socketAddress(remoteAddress, remotePort),
  "source.port": ({ remotePort }) => remotePort,
  "destination.address": ({ localAddress, localPort }) => socketAddress(localAddress, localPort),
  "destination.port": ({ localPort }) => localPort,
  "connection.mtls": ({ tls }) => tls !== undefined && tls.peerFingerprint256 !== "",
  "connection.requested_server_name": ({ serverName }) => serverName,
  "connection.tls_version": ({ tls }) => tls?.version,
  "connection.subject_peer_certificate": ({ tls }) => tls?.peerSubject,
  "connection.uri_san_peer_certificate": ({ tls }) => tls?.peerNames.uris[0],
  "connection.dns_san_peer_certificate": ({ tls }) => tls?.peerNames.dnsNames[0],
  "connection.sha256_peer_certificate_digest": ({ tls }) => tls?.peerFingerprint256,
  "upstream.address": ({ upstreamHost }) => upstreamHost || undefined,
  "upstream.port": ({ pickedHost }) => pickedHost?.port,
  "upstream.request_attempt_count": ({ attempts }) => attempts,
  "xds.cluster_name": ({ upstreamCluster }) => upstreamCluster || undefined,
  "xds.route_name": ({ routeName }) => routeName,
  "xds.virtual_host_name": ({ virtualHostName }) => virtualHostName,
};

export type Attributes = (exchange: Exchange) => JsonObject;

/** @param onUnknown told of the index of what is not known here */
export function compileAttributes(names: readonly string[], onUnknown: (index: number) => void): Attributes | undefined {
  if (names.length === 0) return undefined;
  const all = names.flatMap((name, index): (readonly [string, Attribute])[] => {
    const attribute = Object.hasOwn(known, name) ? known[name] : ofHeader(name);
    if (attribute === undefined) onUnknown(index);
    return attribute === undefined ? [] : [[name, attribute]];
  });
  return (exchange) => {
    const said: JsonObject = {};
    for (const [name, attribute] of all) {
      const value = attribute(exchange);
      if (value !== undefined) said[name] = value;
    }
    return said;
  };
}

/** `request.headers['x-user']`. */
function ofHeader(name: string): Attribute | undefined {
  const [, side, , wanted] = /^(request|response)\.headers\[(['"])([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\2\]$/.exec(name) ?? [];
  if (wanted === undefined) return undefined;
  const lower = wanted.toLowerCase();
  if (side === "request") return header(lower);
  return ({ responseHeaders }) => optional(responseHeaders && headerValue([...responseHeaders], lower));
}

function header(name: string): Attribute {
  return ({ headers }) => optional(headerValue(headers, name));
}

function optional(wire: string | undefined): string | undefined {
  return wire === undefined ? undefined : sanitized(wire);
}

function socketAddress(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
