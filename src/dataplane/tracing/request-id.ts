// Whether a request is traced is written into its identifier, so that all proxies on its way decide alike: a digit of the UUID says why.

/** Undefined: it is not, or not yet. */
export type TraceReason = "sampled" | "forced" | "client" | undefined;

const place = 14;
const digits = { "9": "sampled", a: "forced", b: "client" } as const;
const none = "4";

export function traceReasonOf(requestId: string): TraceReason {
  return requestId.length === 36 ? digits[requestId[place] as keyof typeof digits] : undefined;
}

/** What is no UUID stays as it is. */
export function withTraceReason(requestId: string, reason: TraceReason): string {
  if (requestId.length !== 36) return requestId;
  const digit = Object.entries(digits).find(([, each]) => each === reason)?.[0] ?? none;
  return requestId.slice(0, place) + digit + requestId.slice(place + 1);
}

/** What samples are drawn by, the same everywhere; undefined for what is no UUID. */
export function luckOf(requestId: string): number | undefined {
  const head = requestId.slice(0, 8);
  return /^[0-9a-f]{8}$/i.test(head) ? Number.parseInt(head, 16) % 10_000 : undefined;
}
