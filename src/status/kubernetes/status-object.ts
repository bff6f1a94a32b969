// A judgement as the `status` of an object in a cluster. docs/decisions/0020-crds.md has the shape and its reasons.
import { type Problem, rejects } from "../../model/problem.ts";
import type { State, Status } from "../../model/status.ts";

/** What is to be said about a resource. */
export interface Verdict {
  readonly status: Status;
  readonly problems: readonly Problem[];
  /** Which version of the object this is about; undefined where it is not known. */
  readonly generation?: number;
  /** Of Upstreams: the field of `spec` that says the type. */
  readonly type?: string;
}

export interface Condition {
  readonly type: "Accepted";
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}

/** What is written. */
export interface ObjectStatus {
  readonly state: State;
  readonly type?: string;
  readonly conditions: readonly Condition[];
  readonly statuses: Readonly<Record<string, Status>>;
}

/** Bytes that a message may have. */
const longest = 1024;

/**
 * `namespace`: of this installation, the key below `statuses`. `before`: the status that is stored, for the time of the last transition;
 * it is read for nothing else, as anybody may have written it.
 */
export function statusObject(verdict: Verdict, namespace: string, before: unknown, now: string): ObjectStatus {
  const { status, type } = verdict;
  return {
    state: status.state,
    ...(type !== undefined && { type }),
    conditions: [conditionOf(verdict, before, now)],
    statuses: { [namespace]: status },
  };
}

function conditionOf({ status: { state }, problems, generation }: Verdict, before: unknown, now: string): Condition {
  const [first] = worstFirst(problems);
  const holds = state === "Pending" ? "Unknown" : state === "Rejected" ? "False" : "True";
  const stored = acceptedOf(before);
  const since = stored?.status === holds ? stored.lastTransitionTime : undefined;
  return {
    type: "Accepted",
    status: holds,
    reason: state === "Pending" ? "Pending" : (first?.reason ?? "Accepted"),
    message: first === undefined ? "" : messageOf(first, problems.length - 1),
    ...(generation !== undefined && { observedGeneration: generation }),
    lastTransitionTime: typeof since === "string" && !Number.isNaN(Date.parse(since)) ? since : now,
  };
}

/** What makes it Rejected before other errors, errors before warnings; else in the order in which they were found. */
function worstFirst(problems: readonly Problem[]): readonly Problem[] {
  const rank = (each: Problem) => (each.severity === "warning" ? 2 : rejects([each]) ? 0 : 1);
  return [...problems].sort((a, b) => rank(a) - rank(b));
}

/** `HW1003 unknown field "upstrem" (did you mean "upstream"?) at virtualHost.routes[0]; 2 more`. */
export function messageOf({ code, message, hint, path }: Problem, more: number): string {
  const place = path ? ` at ${path}` : "";
  const rest = more > 0 ? `; ${more} more: headworks check` : "";
  return cut(`${code} ${message}${hint ? ` (${hint})` : ""}${place}${rest}`);
}

function cut(text: string): string {
  if (Buffer.byteLength(text) <= longest) return text;
  const bytes = Buffer.from(text).subarray(0, longest - 3);
  return `${new TextDecoder().decode(bytes).replace(/\uFFFD+$/, "")}…`;
}

function acceptedOf(status: unknown): Readonly<Record<string, unknown>> | undefined {
  const conditions = isRecord(status) ? status.conditions : undefined;
  return Array.isArray(conditions) ? conditions.find((each) => isRecord(each) && each.type === "Accepted") : undefined;
}

/** True when the stored status says all of this already. `isShared`: what is beside `statuses` is another installation's. */
export function isStored(stored: unknown, wanted: ObjectStatus, isShared: boolean): boolean {
  if (!isRecord(stored)) return false;
  const statuses = isRecord(stored.statuses) ? stored.statuses : {};
  for (const [namespace, status] of Object.entries(wanted.statuses)) if (!same(statuses[namespace], status)) return false;
  if (isShared) return true;
  const [condition] = wanted.conditions;
  return stored.state === wanted.state && stored.type === wanted.type && same(acceptedOf(stored), condition);
}

/** Equal, whatever the order of the fields; an empty value is one that is not there. */
function same(a: unknown, b: unknown): boolean {
  if (isRecord(a) && isRecord(b)) return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => same(a[key], b[key]));
  if (a === b) return true;
  return isEmpty(a) && isEmpty(b);
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "" || (isRecord(value) && Object.values(value).every(isEmpty));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
