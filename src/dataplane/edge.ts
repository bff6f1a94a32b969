// What a connection manager does to every request before routing and to every response after it: who the client is, what it may not claim, and
// the headers that Envoy adds. In Envoy this is conn_manager_utility.cc; the order here is its order.

import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { CompiledHcm } from "./compile/hcm.ts";
import type { Peer } from "./downstream/client.ts";
import { type Headers, hasHeader, headerValue, removeHeader, setHeader } from "./http1/headers.ts";
import { withTraceReason } from "./tracing/request-id.ts";

/** Only Envoy itself may say these things; a client that says them is not heard. */
const internalHeaders = new Set([
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-upstream-alt-stat-name",
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-upstream-rq-timeout-alt-response",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-force-trace",
  "x-envoy-ip-tags",
  "x-envoy-original-url",
  "x-envoy-hedge-on-per-try-timeout",
  "x-envoy-internal",
]);

/** From outside, these too. */
const edgeHeaders = new Set([
  "x-envoy-decorator-operation",
  "x-envoy-downstream-service-cluster",
  "x-envoy-downstream-service-node",
  "x-envoy-original-path",
  "x-envoy-original-host",
]);

/** Writes to `headers`; returns the address that counts as the client's and the scheme it used. */
export function receiveHeaders(
  headers: Headers,
  hcm: CompiledHcm,
  peer: Pick<Peer, "remoteAddress" | "localPort" | "isTls">,
  internalOnly: readonly string[],
): { readonly remoteAddress: string; readonly scheme: string } {
  for (let i = 0; i < headers.length; ) {
    const name = headers[i] as string;
    if (name.charCodeAt(0) === 0x78 && isForbidden(name, hcm)) headers.splice(i, 2);
    else i += 2;
  }
  for (const name of internalOnly) removeHeader(headers, name);

  let remoteAddress = peer.remoteAddress;
  const forwardedFor = headerValue(headers, "x-forwarded-for");
  const proto = headerValue(headers, "x-forwarded-proto");
  const spoken = peer.isTls ? "https" : "http";
  let scheme = proto ?? spoken;
  if (hcm.useRemoteAddress) {
    if (hcm.trustedHops > 0) remoteAddress = lastAddress(forwardedFor, hcm.trustedHops - 1) ?? remoteAddress;
    if (!hcm.skipXffAppend) {
      // Behind a local proxy the loopback address says nothing; Envoy names itself instead.
      const own = isLoopback(peer.remoteAddress) ? ownAddress() : peer.remoteAddress;
      setHeader(headers, "x-forwarded-for", forwardedFor === undefined || forwardedFor === "" ? own : `${forwardedFor},${own}`);
    }
    if (hcm.trustedHops === 0 || proto === undefined) {
      scheme = spoken;
      setHeader(headers, "x-forwarded-proto", scheme);
    }
    setHeader(headers, "x-envoy-external-address", remoteAddress);
  } else {
    remoteAddress = lastAddress(forwardedFor, hcm.trustedHops) ?? remoteAddress;
    if (proto === undefined) headers.push("x-forwarded-proto", scheme);
  }
  if (scheme !== "http" && scheme !== "https") scheme = "http";
  if (hcm.appendXForwardedPort && !hasHeader(headers, "x-forwarded-port")) headers.push("x-forwarded-port", String(peer.localPort));
  if (hcm.generateRequestId) {
    if (hcm.useRemoteAddress && !hcm.preserveRequestId) setHeader(headers, "x-request-id", randomUUID());
    else {
      const given = headerValue(headers, "x-request-id");
      if (given === undefined) headers.push("x-request-id", randomUUID());
      // It is kept, but whether a request is traced is not for strangers to say.
      else if (hcm.useRemoteAddress) setHeader(headers, "x-request-id", withTraceReason(given, undefined));
    }
  }
  if (hcm.via !== "") appendVia(headers, hcm.via);
  return { remoteAddress, scheme };
}

function isForbidden(name: string, hcm: CompiledHcm): boolean {
  if (name === "x-forwarded-client-cert") return !hcm.keepsClientCertHeader;
  if (!name.startsWith("x-envoy-")) return false;
  if (internalHeaders.has(name)) return true;
  return hcm.useRemoteAddress && edgeHeaders.has(name);
}

/** The address that is `skip` hops before the last one in X-Forwarded-For; undefined when there is none that is an address. */
function lastAddress(forwardedFor: string | undefined, skip: number): string | undefined {
  if (forwardedFor === undefined) return undefined;
  const parts = forwardedFor.split(",");
  const found = parts[parts.length - 1 - skip]?.trim();
  return found !== undefined && isIP(found) !== 0 ? found : undefined;
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

let own: string | undefined;

/** The first address of this machine that is not loopback, as Envoy's local address. */
export function ownAddress(): string {
  own ??=
    Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .find((each) => each.family === "IPv4" && !each.internal)?.address ?? "127.0.0.1";
  return own;
}

function appendVia(headers: Headers, via: string): void {
  const before = headerValue(headers, "via");
  setHeader(headers, "via", before === undefined ? via : `${before}, ${via}`);
}

/** Writes to the headers of a response on its way to the client. */
export function sendHeaders(headers: Headers, hcm: CompiledHcm, isLocal: boolean): void {
  if (!hasHeader(headers, "date")) headers.push("date", httpDate());
  switch (hcm.serverHeader) {
    case "overwrite":
      setHeader(headers, "server", hcm.serverName);
      break;
    case "appendIfAbsent":
      if (!hasHeader(headers, "server")) headers.push("server", hcm.serverName);
      break;
    default:
      if (isLocal && !hasHeader(headers, "server")) headers.push("server", hcm.serverName);
  }
  if (hcm.via !== "") appendVia(headers, hcm.via);
}

let dateSecond = 0;
let dateText = "";

/** Now, for the Date header; made once a second. */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1_000).toUTCString();
  }
  return dateText;
}
