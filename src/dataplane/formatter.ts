// Envoy's command operators: `%REQ(x-user)%` in header values and access logs, compiled once to closures.

import { headerValue } from "./http1/headers.ts";
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
  readonly routeName: string;
  readonly virtualHostName: string;
  readonly clusterName: string;
  /** `address:port`. */
  readonly upstreamHost: string;
  readonly responseStatus: number;
  readonly responseHeaders: readonly string[] | undefined;
  readonly responseFlags: string;
  readonly responseDetails: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly attempts: number;
}

export type Formatter = (context: FormatContext) => string;
type Operator = (context: FormatContext) => string | undefined;

const pattern = /%(?:%|([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::(\d+))?%)/g;

/** Compiles a format. An operator that is not known is handed to `onUnknown` and yields `absent`. */
export function compileFormat(format: string, absent: string, onUnknown: (operator: string) => void): Formatter {
  const parts: (string | Formatter)[] = [];
  let from = 0;
  for (const match of format.matchAll(pattern)) {
    if (match.index > from) parts.push(wireText(format.slice(from, match.index)));
    from = match.index + match[0].length;
    if (match[1] === undefined) {
      parts.push("%");
      continue;
    }
    const operator = operatorOf(match[1], match[2]);
    if (operator === undefined) {
      onUnknown(match[0]);
      parts.push(absent);
      continue;
    }
    const limit = match[3] === undefined ? undefined : Number(match[3]);
    parts.push((context) => {
      const value = operator(context);
      if (value === undefined || value === "") return absent;
      return limit === undefined ? value : value.slice(0, limit);
    });
  }
  if (from < format.length) parts.push(wireText(format.slice(from)));
  const [only] = parts;
  if (parts.length === 0) return () => "";
  if (parts.length === 1 && only !== undefined) return typeof only === "string" ? () => only : only;
  return (context) => {
    let text = "";
    for (const part of parts) text += typeof part === "string" ? part : part(context);
    return text;
  };
}

const plain: Readonly<Record<string, Operator>> = {
  PROTOCOL: (c) => c.protocol,
  DOWNSTREAM_REMOTE_ADDRESS: (c) => join(c.remoteAddress, c.remotePort),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (c) => c.remoteAddress,
  DOWNSTREAM_REMOTE_PORT: (c) => String(c.remotePort),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: (c) => join(c.directRemoteAddress, c.directRemotePort),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: (c) => c.directRemoteAddress,
  DOWNSTREAM_DIRECT_REMOTE_PORT: (c) => String(c.directRemotePort),
  DOWNSTREAM_LOCAL_ADDRESS: (c) => join(c.localAddress, c.localPort),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (c) => c.localAddress,
  DOWNSTREAM_LOCAL_PORT: (c) => String(c.localPort),
  ROUTE_NAME: (c) => c.routeName,
  VIRTUAL_HOST_NAME: (c) => c.virtualHostName,
  UPSTREAM_CLUSTER: (c) => c.clusterName,
  UPSTREAM_CLUSTER_RAW: (c) => c.clusterName,
  UPSTREAM_HOST: (c) => c.upstreamHost,
  UPSTREAM_REMOTE_ADDRESS: (c) => c.upstreamHost,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (c) => c.upstreamHost.slice(0, Math.max(0, c.upstreamHost.lastIndexOf(":"))),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (c) => String(c.attempts),
  RESPONSE_CODE: (c) => String(c.responseStatus),
  RESPONSE_FLAGS: (c) => c.responseFlags || "-",
  RESPONSE_CODE_DETAILS: (c) => c.responseDetails,
  BYTES_RECEIVED: (c) => String(c.bytesReceived),
  BYTES_SENT: (c) => String(c.bytesSent),
  DURATION: (c) => String(Math.round(c.durationMs)),
  REQUEST_DURATION: (c) => String(Math.round(c.durationMs)),
  REQUESTED_SERVER_NAME: () => undefined,
  CONNECTION_TERMINATION_DETAILS: () => undefined,
  UPSTREAM_TRANSPORT_FAILURE_REASON: () => undefined,
  DOWNSTREAM_PEER_SUBJECT: () => undefined,
};

function operatorOf(name: string, argument: string | undefined): Operator | undefined {
  if (argument === undefined) {
    if (name === "START_TIME") return (c) => new Date(c.startedAt).toISOString();
    return Object.hasOwn(plain, name) ? plain[name] : undefined;
  }
  switch (name) {
    case "REQ": {
      const [first = "", second] = argument.toLowerCase().split("?");
      if (second === undefined) return (c) => firstValue(c.request, first);
      return (c) => firstValue(c.request, first) ?? firstValue(c.request, second);
    }
    case "RESP": {
      const [first = "", second] = argument.toLowerCase().split("?");
      return (c) => {
        const headers = c.responseHeaders as string[] | undefined;
        if (headers === undefined) return undefined;
        return headerValue(headers, first) ?? (second === undefined ? undefined : headerValue(headers, second));
      };
    }
    case "START_TIME": {
      const write = dateFormat(argument);
      return write && ((c) => write(new Date(c.startedAt)));
    }
    case "QUERY_PARAM":
      return (c) => queryParameter(c.request.path, argument);
    default:
      return undefined;
  }
}

/** Unlike matchers, operators see only the first of several values. */
export function firstValue(request: RequestView, name: string): string | undefined {
  if (name.charCodeAt(0) === 0x3a || name === "host") return viewHeader(request, name);
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

function join(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

const two = (value: number) => String(value).padStart(2, "0");

const dateParts: Readonly<Record<string, (date: Date) => string>> = {
  Y: (d) => String(d.getUTCFullYear()),
  m: (d) => two(d.getUTCMonth() + 1),
  d: (d) => two(d.getUTCDate()),
  H: (d) => two(d.getUTCHours()),
  M: (d) => two(d.getUTCMinutes()),
  S: (d) => two(d.getUTCSeconds()),
  F: (d) => d.toISOString().slice(0, 10),
  T: (d) => d.toISOString().slice(11, 19),
  s: (d) => String(Math.floor(d.getTime() / 1000)),
  f: (d) => `${String(d.getUTCMilliseconds()).padStart(3, "0")}000000`,
  "%": () => "%",
};

/** A strftime format; undefined when it holds a conversion that is not known. */
function dateFormat(format: string): ((date: Date) => string) | undefined {
  const parts = format.match(/%E?\d?[a-zA-Z%]|[^%]+|%/g) ?? [];
  const writers = parts.map((part): ((date: Date) => string) | undefined => {
    if (!part.startsWith("%")) return () => part;
    const fraction = /^%(\d)f$/.exec(part);
    if (fraction) return (date) => (dateParts.f as (date: Date) => string)(date).slice(0, Number(fraction[1]));
    const seconds = /^%E(\d)S$/.exec(part);
    if (seconds)
      return (date) =>
        `${two(date.getUTCSeconds())}.${String(date.getUTCMilliseconds()).padStart(3, "0").padEnd(9, "0").slice(0, Number(seconds[1]))}`;
    const letter = part.slice(1);
    return Object.hasOwn(dateParts, letter) ? dateParts[letter] : undefined;
  });
  if (writers.includes(undefined)) return undefined;
  return (date) => writers.map((write) => (write as (date: Date) => string)(date)).join("");
}
