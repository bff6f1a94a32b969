// What can go wrong between us and a Kubernetes API, sorted by what to do about it.

/**
 * - `unreachable`: no answer, or none that is whole; later, perhaps.
 * - `busy`: 429, 5xx: it answers, and cannot now.
 * - `expired`: 410, the resourceVersion is too old: list again.
 * - `denied`: 401, 403: somebody has to give us a right or a credential.
 * - `missing`: 404. `conflict`: 409. `invalid`: any other refusal of what we asked.
 */
export type KubeFault = "unreachable" | "busy" | "expired" | "denied" | "missing" | "conflict" | "invalid";

export interface KubeErrorDetails {
  /** Of the answer; 0 where there was none. */
  readonly status?: number;
  /** The API's own word: `Forbidden`, `AlreadyExists`, `Expired`. */
  readonly reason?: string;
  /** What was asked: `list upstreams.gloo.solo.io in gloo-system`. */
  readonly request: string;
  /** The server wants to be left alone for so long. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class KubeError extends Error {
  override readonly name = "KubeError";
  readonly fault: KubeFault;
  readonly status: number;
  readonly reason: string;
  readonly request: string;
  readonly retryAfterMs: number | undefined;

  /** `message` says what happened, without what was asked: `not allowed: … cannot list resource "upstreams"`. */
  constructor(fault: KubeFault, message: string, { status = 0, reason = "", request, retryAfterMs, cause }: KubeErrorDetails) {
    super(`${request}: ${message}`, cause === undefined ? undefined : { cause });
    this.fault = fault;
    this.status = status;
    this.reason = reason;
    this.request = request;
    this.retryAfterMs = retryAfterMs;
  }

  /** Trying the same again may succeed by itself. */
  get isTransient(): boolean {
    return this.fault === "unreachable" || this.fault === "busy";
  }
}

/** The error of an answer that is none of success: a `Status` object, or whatever a proxy in between has made of it. */
export function errorOfAnswer(status: number, body: string, request: string, retryAfter: string | undefined): KubeError {
  const { reason, message } = statusOf(body);
  return errorOfStatus(
    { code: status, reason, message, ...(retryAfter !== undefined && { retryAfterMs: secondsOf(retryAfter) }) },
    request,
  );
}

/** The error of a `Status` object, which may also come inside of a watch. */
export function errorOfStatus(
  status: { readonly code?: number; readonly reason?: string; readonly message?: string; readonly retryAfterMs?: number | undefined },
  request: string,
): KubeError {
  const { code = 0, reason = "", message = "", retryAfterMs } = status;
  const words = message === "" ? `answered ${code}${reason && ` ${reason}`}` : message;
  return new KubeError(faultOf(code, reason), words, {
    status: code,
    reason,
    request,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

function faultOf(code: number, reason: string): KubeFault {
  if (code === 410 || reason === "Expired" || reason === "Gone") return "expired";
  if (code === 401 || code === 403) return "denied";
  if (code === 404) return "missing";
  if (code === 409) return "conflict";
  if (code === 429 || code >= 500 || code === 408) return "busy";
  return "invalid";
}

function statusOf(body: string): { readonly reason: string; readonly message: string } {
  try {
    const { reason, message } = JSON.parse(body) as Record<string, unknown>;
    return { reason: typeof reason === "string" ? reason : "", message: typeof message === "string" ? message : "" };
  } catch {
    // A proxy's HTML page, as a rule: its first words.
    const words = body
      .replace(/<[^>]*>/g, " ")
      .replace(/\s+/g, " ")
      .trim();
    return { reason: "", message: words.length > 200 ? `${words.slice(0, 200)}…` : words };
  }
}

function secondsOf(retryAfter: string): number | undefined {
  const seconds = /^\d{1,5}$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
