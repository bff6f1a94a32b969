// Whether a change of an object is let into the cluster: by what it newly breaks, and by nothing that was broken before. It is a help for
// users and no gate: what is let in all the same is judged again when it is served, and costs itself only.
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../lib/kubernetes/object.ts";
import type { Change } from "../model/change.ts";
import type { Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { Admission, Review } from "./review.ts";

export interface Judging {
  /** As the source would read it; undefined for what is none of ours, or in a namespace that is not read. */
  readonly resourceOf: (object: KubeObject) => Resource | undefined;
  /** Findings that the change would bring; undefined while nobody can know. */
  readonly tryOut: (change: Exclude<Change, { kind: "reset" }>) => readonly Problem[] | undefined;
  readonly settings: Spec<"Settings">;
}

const allowed: Admission = { allowed: true };

/** What they delete goes because its namespace or its owner has gone. They would ask again for ever, and the namespace would never end. */
const undertakers = ["namespace-controller", "generic-garbage-collector"].map((each) => `system:serviceaccount:kube-system:${each}`);

export function judge(review: Review, judging: Judging): Admission {
  const { operation, object, oldObject, user } = review;
  const isDeleted = operation === "DELETE";
  if (operation === "CONNECT" || (isDeleted && undertakers.includes(user))) return allowed;
  const judged = isDeleted ? (oldObject ?? object) : object;
  const resource = judged && judging.resourceOf(judged);
  if (resource === undefined || (operation === "UPDATE" && object && oldObject && isUntouched(object, oldObject))) return allowed;
  // Who deletes it has heard of its findings; they go with it.
  if (object?.metadata.deletionTimestamp !== undefined) return allowed;
  const problems = judging.tryOut(isDeleted ? { kind: "delete", key: resource.key } : { kind: "apply", resource });
  if (problems === undefined) return { allowed: true, warnings: ["headworks has not read the cluster yet; this was not looked at"] };
  const { alwaysAccept = true, allowWarnings = true } = judging.settings.gateway?.validation ?? {};
  const told = problems.filter((each) => !each.repeats);
  const refuses = told.filter(({ severity }) => severity === "error" || !allowWarnings);
  const inWords = (found: readonly Problem[]) => found.map((each) => textOf(each, resource.key));
  if (alwaysAccept || refuses.length === 0) return told.length === 0 ? allowed : { allowed: true, warnings: inWords(told) };
  const what = isDeleted ? `without this ${resource.kind}` : `with this ${resource.kind}`;
  const list = inWords(refuses).map((each) => `  ${each}`);
  return { allowed: false, message: `${what}:\n${list.join("\n")}` };
}

/** `HW2030 … (hint) at virtualHost.routes[0]`, with the name of the resource where it is another one. */
function textOf({ code, message, hint, path, resource, severity }: Problem, touched: ResourceKey): string {
  const whose = resource === undefined || resource === touched ? "" : `${resource}: `;
  return `${severity} ${code} ${whose}${message}${hint ? ` (${hint})` : ""}${path ? ` at ${path}` : ""}`;
}

/** Only the status has changed, or what no one here reads. */
function isUntouched(object: KubeObject, old: KubeObject): boolean {
  const read = ({ metadata: { labels, annotations }, status: _, ...rest }: KubeObject) => ({ ...rest, metadata: { labels, annotations } });
  return isDeepStrictEqual(read(object), read(old));
}
