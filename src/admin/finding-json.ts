// One finding in JSON; apart from views.ts because `check` needs it, and none of what views.ts loads.
import type { Finding } from "../control-plane.ts";
import { parseResourceKey } from "../model/ref.ts";
import type { FindingView } from "./contract.ts";

/** `scrub` takes out what must not be shown. */
export function findingJson({ problem, place }: Finding, scrub: (text: string) => string = (text) => text): FindingView {
  const resource = problem.resource && parseResourceKey(problem.resource);
  return {
    severity: problem.severity,
    code: problem.code,
    reason: problem.reason,
    message: scrub(problem.message),
    ...(problem.hint && { hint: scrub(problem.hint) }),
    ...(resource && { resource: { kind: resource.kind, ...resource.ref } }),
    ...(problem.path && { path: problem.path }),
    ...(place && { place }),
  };
}
