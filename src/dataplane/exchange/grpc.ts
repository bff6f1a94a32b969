// What is different for gRPC: an error is a status in the headers of an answer 200, and a client says itself how long it waits.

import { type Headers, headerValue, setHeader } from "../http1/headers.ts";

const contentType = "application/grpc";

export function isGrpc(headers: Headers): boolean {
  const type = headerValue(headers, "content-type");
  return type?.startsWith(contentType) === true && (type.length === contentType.length || type[contentType.length] === "+");
}

/** grpc-status for a status of HTTP, as Envoy gives it. */
const statuses: Readonly<Record<number, number>> = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 };
const unknownStatus = 2;

export function grpcStatusOfHttp(status: number): number {
  return statuses[status] ?? unknownStatus;
}

/** The other way round: what the status of an upstream would have been in HTTP. */
const httpStatuses: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

export function httpStatusOf(grpcStatus: string): number {
  return httpStatuses[Number(grpcStatus)] ?? 500;
}

/** Of deadlines that are the client's own. */
export const deadlineExceeded = 4;

/** Turns the headers of an answer of our own into those of an answer without messages. */
export function toTrailersOnly(headers: Headers, status: number, message: string, grpcStatus: number | undefined): void {
  setHeader(headers, "content-type", contentType);
  setHeader(headers, "grpc-status", String(grpcStatus ?? grpcStatusOfHttp(status)));
  if (message !== "") setHeader(headers, "grpc-message", percentEncoded(message));
}

/** As a header can hold it. */
export function percentEncoded(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a header cannot hold
  return text.replace(/[\x00-\x1f%\x7e-\xff]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** The `grpc-timeout` of a request, in whole milliseconds, rounded up; undefined when there is none that is one. */
export function grpcTimeoutMs(headers: Headers): number | undefined {
  const value = headerValue(headers, "grpc-timeout");
  const match = value === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(value);
  return match === null ? undefined : Math.ceil(Number(match[1]) * (unitMs[match[2] as string] as number));
}

/** What a route says of grpc-timeout; 0 is no limit. */
export interface GrpcTimeout {
  readonly maxMs: number;
  readonly offsetMs: number;
}

/** The route's time for a request of gRPC whose timeout counts (`max_grpc_timeout`). */
export function routeTimeoutMs(headers: Headers, { maxMs, offsetMs }: GrpcTimeout): number {
  let ms = grpcTimeoutMs(headers) ?? 0;
  // An offset that would leave nothing would mean no limit at all.
  if (offsetMs > 0 && offsetMs < ms) ms -= offsetMs;
  if (maxMs > 0 && (ms === 0 || ms > maxMs)) ms = maxMs;
  return ms === 0 ? Number.POSITIVE_INFINITY : ms;
}

/** The longest time of a stream whose client says how long it waits (`grpc_timeout_header_max`); undefined: it does not say. */
export function streamDurationMs(headers: Headers, { maxMs, offsetMs }: GrpcTimeout): number | undefined {
  const asked = grpcTimeoutMs(headers);
  if (asked === undefined) return undefined;
  const ms = maxMs > 0 ? Math.min(asked, maxMs) : asked;
  return Math.max(0, ms - (ms > 0 ? offsetMs : 0));
}
