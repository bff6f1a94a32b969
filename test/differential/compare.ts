// Two answers to the same request, as far as a client and an upstream can tell them apart.

import { type EchoRequest, type RawResponse, rawRequest } from "../../src/dataplane/testing/raw.ts";

/** What is compared. Values that must differ (dates, identifiers, durations) only count as present. */
export interface Outcome {
  readonly status: number | "closed";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isWhole: boolean;
  /** What the upstream got, when it was the one that answered. */
  readonly forwarded: Forwarded | undefined;
}

export interface Forwarded {
  readonly upstream: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function outcomeOf(port: number, bytes: string): Promise<Outcome> {
  const response = await rawRequest(port, bytes, { isHead: bytes.startsWith("HEAD ") });
  if (response === undefined) return { status: "closed", headers: {}, body: "", isWhole: true, forwarded: undefined };
  const forwarded = forwardedOf(response);
  const headers = joined(response.headers);
  if (forwarded !== undefined) headers["content-length"] = "of the echo";
  return {
    status: response.status,
    headers,
    body: forwarded === undefined ? response.body : "",
    isWhole: response.isWhole,
    forwarded: forwarded && { ...forwarded, headers: joined(forwarded.headers) },
  };
}

function forwardedOf(response: RawResponse): EchoRequest | undefined {
  if (!response.body.startsWith('{"upstream"')) return undefined;
  return JSON.parse(response.body) as EchoRequest;
}

const varying = new Set(["date", "x-request-id", "x-envoy-upstream-service-time"]);

/** Order between names does not matter; several lines of a name are the same as one with commas (RFC 9110 §5.3), but for Set-Cookie. */
function joined(headers: readonly (readonly [string, string])[]): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, value] of [...headers].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    // On a retry, what is left of the 15 s.
    const shown = varying.has(name) || (name === "x-envoy-expected-rq-timeout-ms" && /^14\d{3}$|^15000$/.test(value)) ? "(varies)" : value;
    all[name] = Object.hasOwn(all, name) ? `${all[name]},${shown}` : shown;
  }
  return all;
}

/** One line for each thing that differs. */
export function differences(envoy: Outcome, embedded: Outcome): string[] {
  const found: string[] = [];
  compareValue("", envoy, embedded, found);
  return found;
}

function compareValue(path: string, envoy: unknown, embedded: unknown, found: string[]): void {
  if (isRecord(envoy) && isRecord(embedded)) {
    for (const key of new Set([...Object.keys(envoy), ...Object.keys(embedded)]))
      compareValue(`${path}.${key}`, envoy[key], embedded[key], found);
    return;
  }
  if (JSON.stringify(envoy) !== JSON.stringify(embedded))
    found.push(`${path}: Envoy ${JSON.stringify(envoy)}, embedded ${JSON.stringify(embedded)}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
