// Problems → the status of a resource, in Gloo's form.
//
// Gloo puts what it found while it made the Proxy into `subresourceStatuses` and often leaves the culprit itself Accepted. Here a
// resource's own state is the worst of both, and the subresource of a proxy says what that proxy found about this resource (not
// everything it found, as Gloo's does: one bad route would rewrite the status of every VirtualService).
import type { Problem } from "../model/problem.ts";
import type { Kind } from "../model/resource.ts";
import { type State, type Status, worstState } from "../model/status.ts";

export const reportedBy = "gloo";

/** Gloo cuts reasons at this many bytes. */
const longest = 1024;

/**
 * `own`: found in the resource itself; `perProxy`: while `<proxy>_<namespace>` was made of it.
 *
 * Gloo calls an Upstream whose cluster is not sent a Warning, with the list of errors inside, and scripts wait for that.
 */
export function statusOf(own: readonly Problem[], perProxy: ReadonlyMap<string, readonly Problem[]> = new Map(), kind?: Kind): Status {
  if (kind === "Upstream" && own.some((each) => each.severity === "error"))
    return { state: "Warning", reason: shortened(`warning: \n  ${fullReasonOf(own)}`), reportedBy, subresourceStatuses: {} };
  const subresourceStatuses: Record<string, Omit<Status, "subresourceStatuses">> = {};
  for (const proxy of [...perProxy.keys()].sort()) {
    const problems = perProxy.get(proxy) ?? [];
    subresourceStatuses[`*v1.Proxy.${proxy}`] = { state: stateOf(problems), reason: reasonOf(problems), reportedBy };
  }
  const all = [...own, ...[...perProxy.values()].flat()];
  return { state: worstState(all.map(stateOfOne)), reason: reasonOf(all), reportedBy, subresourceStatuses };
}

export function stateOf(problems: readonly Problem[]): State {
  return worstState(problems.map(stateOfOne));
}

function stateOfOne({ severity }: Problem): State {
  return severity === "error" ? "Rejected" : "Warning";
}

/** Gloo's text: a list of errors, then the warnings; each said once, and in the order of the resource. */
export function reasonOf(problems: readonly Problem[]): string {
  return shortened(fullReasonOf(problems));
}

function fullReasonOf(problems: readonly Problem[]): string {
  const texts = (severity: Problem["severity"]) => [...new Set(problems.filter((each) => each.severity === severity).map(textOf))];
  const errors = texts("error");
  const warnings = texts("warning");
  const listed =
    errors.length === 0
      ? ""
      : `${errors.length} error${errors.length === 1 ? "" : "s"} occurred:\n${errors.map((each) => `\t* ${each}\n`).join("")}\n`;
  const noted = warnings.length === 0 ? "" : `warning: \n  ${warnings.join("\n")}`;
  return listed && noted ? `${listed}\n${noted}` : listed + noted;
}

function textOf({ statusText, message }: Problem): string {
  return statusText ?? message;
}

function shortened(text: string): string {
  if (Buffer.byteLength(text) <= longest) return text;
  const mark = "… (more: `headworks check`)";
  const cut = Buffer.from(text).subarray(0, longest - Buffer.byteLength(mark));
  return new TextDecoder("utf8", { fatal: false }).decode(cut).replace(/\uFFFD+$/, "") + mark;
}
