// Envoy's command operators: `%REQ(x-user)%` in header values and access logs, compiled once to closures. What each operator says is in
// format-operators.ts.

import { isUtf8 } from "node:buffer";
import type { JsonValue } from "@bufbuild/protobuf";
import { operatorOf } from "./format-operators.ts";
import { type RequestView, viewHeader } from "./match.ts";
import { wireText } from "./text.ts";

/** What operators can tell about; the fields after `startedAt` fill up while the request lives. */
export interface FormatContext {
  readonly request: RequestView;
  readonly protocol: string;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly directRemoteAddress: string;
  readonly directRemotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** SNI. */
  readonly serverName: string;
  readonly tls: TlsView | undefined;
  readonly routeName: string;
  readonly virtualHostName: string;
  readonly upstreamCluster: string;
  /** `address:port`. */
  readonly upstreamHost: string;
  readonly upstreamHostName: string;
  /** Our end of the connection to it. */
  readonly upstreamLocal: AddressView | undefined;
  readonly upstreamProtocol: string;
  readonly upstreamFailure: string;
  readonly responseStatus: number;
  readonly responseHeaders: readonly string[] | undefined;
  readonly responseTrailers: readonly string[] | undefined;
  readonly responseFlags: string;
  readonly responseDetails: string;
  /** Of the span that it has in a trace. */
  readonly traceIds?: { readonly traceId: string; readonly id: string } | undefined;
  /** It is among those that are traced, whether or not anybody is told of it. */
  readonly isTraced?: boolean;
  /** What the client calls its request. */
  readonly streamId?: string;
  /** Undefined: `DownstreamEnd`, a request that is over. */
  readonly accessLogType?: string;
  /** A load balancer asks whether it may send more. */
  readonly isHealthCheck?: boolean;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly attempts: number;
  /** What filters have found out, by their names. */
  readonly dynamicMetadata: MetadataView | undefined;
  readonly routeMetadata: MetadataView | undefined;
  /** Milliseconds from the beginning; undefined when it did not happen. */
  readonly times: TimesView;
}

export interface TlsView {
  readonly version: string;
  readonly cipher: string;
  readonly peerSubject: string;
  readonly peerIssuer: string;
  readonly peerSerial: string;
  readonly peerFingerprint256: string;
  /** Alternative names of the client's certificate. */
  readonly peerNames: { readonly uris: readonly string[]; readonly dnsNames: readonly string[] };
  readonly peerUriSans: string;
  readonly peerDnsSans: string;
}

export interface AddressView {
  readonly address: string;
  readonly port: number;
}

export interface TimesView {
  /** The request was read whole. */
  readonly requestEnd: number | undefined;
  /** The request was sent whole. */
  readonly upstreamRequestEnd: number | undefined;
  /** The response began. */
  readonly responseBegin: number | undefined;
}

export type MetadataView = Readonly<Record<string, Readonly<Record<string, JsonValue>>>>;

export type Formatter = (context: FormatContext) => string;

export interface Operator {
  /** Undefined, or empty: it has nothing to say. */
  readonly text: (context: FormatContext) => string | undefined;
  /** In JSON, what is no text. */
  readonly json?: (context: FormatContext) => JsonValue | undefined;
}

const pattern = /%(?:%|([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::(\d+))?%)/g;

/** Compiles a format. An operator that is not known is handed to `onUnknown` and yields `absent`. */
export function compileFormat(
  format: string,
  absent: string,
  onUnknown: (operator: string) => void,
  write: (value: string) => string = asItIs,
): Formatter {
  const parts: (string | Formatter)[] = [];
  for (const part of partsOf(format)) {
    if (typeof part === "string") {
      parts.push(part);
      continue;
    }
    const operator = operatorOf(part.name, part.argument);
    if (operator === undefined) {
      onUnknown(part.source);
      parts.push(absent);
      continue;
    }
    const { limit } = part;
    parts.push((context) => {
      const value = operator.text(context);
      if (value === undefined) return absent;
      return write(limit === undefined ? value : value.slice(0, limit));
    });
  }
  const [only] = parts;
  if (parts.length === 0) return () => "";
  if (parts.length === 1 && only !== undefined) return typeof only === "string" ? () => only : only;
  return (context) => {
    let text = "";
    for (const part of parts) text += typeof part === "string" ? part : part(context);
    return text;
  };
}

function asItIs(value: string): string {
  return value;
}

/** Beyond all that text of the wire has: bytes that JSON must escape, since they are no UTF-8. */
const escaped = 0xe000;

function readable(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII starts at NUL
  if (/^[\x00-\x7f]*$/.test(value) || isUtf8(Buffer.from(value, "latin1"))) return value;
  return value.replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(escaped + byte.charCodeAt(0)));
}

/** A value of {@link compileJsonFormat}, or more of them, as JSON in text of the wire. */
export function jsonText(value: JsonValue): string {
  return JSON.stringify(value).replace(/[\ue080-\ue0ff]/g, (char) => `\\u00${(char.charCodeAt(0) - escaped).toString(16)}`);
}

/** A value of a JSON format: one operator alone keeps its type, and is null where it has nothing to say. */
export function compileJsonFormat(
  format: string,
  absent: string,
  onUnknown: (operator: string) => void,
): (context: FormatContext) => JsonValue {
  const [first, ...others] = partsOf(format);
  if (first === undefined || typeof first === "string" || others.length > 0) return compileFormat(format, absent, onUnknown, readable);
  const operator = operatorOf(first.name, first.argument);
  if (operator === undefined) {
    onUnknown(first.source);
    return () => null;
  }
  const { json, text } = operator;
  if (json !== undefined) return (context) => json(context) ?? null;
  const { limit } = first;
  return (context) => {
    const value = text(context);
    if (value === undefined) return null;
    return readable(limit === undefined ? value : value.slice(0, limit));
  };
}

interface Command {
  readonly source: string;
  readonly name: string;
  readonly argument: string | undefined;
  readonly limit: number | undefined;
}

function* partsOf(format: string): Generator<string | Command> {
  let from = 0;
  for (const match of format.matchAll(pattern)) {
    if (match.index > from) yield wireText(format.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[1] === undefined) yield "%";
    else yield { source: match[0], name: match[1], argument: match[2], limit: match[3] === undefined ? undefined : Number(match[3]) };
  }
  if (from < format.length) yield wireText(format.slice(from));
}

/** Unlike matchers, operators see only the first of several values. */
export function firstValue(request: RequestView, name: string): string | undefined {
  if (name.charCodeAt(0) === 0x3a || name === "host") return viewHeader(request, name) || undefined;
  for (let i = 0; i < request.headers.length; i += 2) if (request.headers[i] === name) return request.headers[i + 1];
  return undefined;
}

/** The first value of a query parameter, as written; undefined when it is absent. */
export function queryParameter(path: string, name: string): string | undefined {
  const start = path.indexOf("?");
  if (start < 0) return undefined;
  const hash = path.indexOf("#", start);
  const query = path.slice(start + 1, hash < 0 ? path.length : hash);
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if ((equals < 0 ? pair : pair.slice(0, equals)) === name) return equals < 0 ? "" : pair.slice(equals + 1);
  }
  return undefined;
}
