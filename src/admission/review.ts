// AdmissionReview, as the API server asks and wants to be answered:
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
import type { KubeObject } from "../lib/kubernetes/object.ts";

export interface Review {
  readonly uid: string;
  readonly operation: "CREATE" | "UPDATE" | "DELETE" | "CONNECT";
  /** Who asks for it: `system:serviceaccount:shop:deployer`. */
  readonly user: string;
  /** Undefined where it is deleted. */
  readonly object: KubeObject | undefined;
  /** Undefined where it is new. */
  readonly oldObject: KubeObject | undefined;
}

export interface Admission {
  readonly allowed: boolean;
  /** Why not. */
  readonly message?: string;
  readonly warnings?: readonly string[];
}

/** What the API server shows of warnings, and a little less than it takes. */
const mostWarnings = 10;
const longestWarning = 256;

/** Throws an Error with words for whoever sent it, if it is no AdmissionReview of version 1. */
export function parseReview(text: string): Review {
  const review = JSON.parse(text) as unknown;
  if (isDeeperThan(mostLevels, review)) throw new Error(`the AdmissionReview is nested deeper than ${mostLevels} levels`);
  if (!isRecord(review) || review.kind !== "AdmissionReview") throw new Error("this is no AdmissionReview");
  if (review.apiVersion !== "admission.k8s.io/v1")
    throw new Error(`admission.k8s.io/v1 is understood here, and not ${String(review.apiVersion)}`);
  const { request } = review;
  if (!isRecord(request)) throw new Error("the AdmissionReview has no request");
  const { uid, operation, userInfo } = request;
  if (typeof uid !== "string" || uid === "") throw new Error("the request has no uid");
  if (operation !== "CREATE" && operation !== "UPDATE" && operation !== "DELETE" && operation !== "CONNECT")
    throw new Error(`the request is for ${String(operation)}, which is no operation`);
  const user = isRecord(userInfo) && typeof userInfo.username === "string" ? userInfo.username : "";
  return { uid, operation, user, object: objectOf(request.object), oldObject: objectOf(request.oldObject) };
}

export function answer(uid: string, { allowed, message, warnings = [] }: Admission): string {
  const shown = warnings.slice(0, mostWarnings).map((each) => cut(each, longestWarning));
  if (warnings.length > mostWarnings) shown[mostWarnings - 1] = `${warnings.length - mostWarnings + 1} more findings: headworks check`;
  return JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: {
      uid,
      allowed,
      ...(message !== undefined && { status: { code: 422, reason: "Invalid", message } }),
      ...(shown.length > 0 && { warnings: shown }),
    },
  });
}

function objectOf(value: unknown): KubeObject | undefined {
  if (!isRecord(value) || !isRecord(value.metadata) || typeof value.metadata.name !== "string") return undefined;
  return value as unknown as KubeObject;
}

/** More than any kind has; who reads the object goes down level by level, and so does its stack. */
const mostLevels = 100;

function isDeeperThan(levels: number, value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((each) => (typeof each === "object" && each !== null ? Object.values(each) : []));
  }
  return false;
}

/** One line: these are headers of HTTP. */
function cut(text: string, length: number): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
