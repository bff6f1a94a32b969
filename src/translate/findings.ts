// Findings of one virtual host: each goes to the resource that holds the text, and once more to the VirtualService that serves it.
import type { Reason } from "../model/catalog.ts";
import { type Problem, type ProblemDetails, problem, type Severity } from "../model/problem.ts";
import { formatRef, parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { ModelRoute, OptionPlaces, Written } from "../model/virtual-host.ts";

export class Findings {
  readonly problems: Problem[] = [];
  readonly virtualService: ResourceKey;

  constructor(virtualService: ResourceKey) {
    this.virtualService = virtualService;
  }

  /** `via`: the route of the VirtualService that leads to where the finding is. */
  add(severity: Severity, at: Written, via: string, reason: Reason, message: string, details: Omit<ProblemDetails, "path"> = {}): void {
    this.problems.push(problem(severity, at.resource, reason, message, { ...details, path: at.path }));
    if (at.resource === this.virtualService) return;
    const { kind, ref } = parseResourceKey(at.resource);
    // The cure is for who mends it there.
    const { hint: _, ...rest } = details;
    this.problems.push(
      problem(severity, this.virtualService, "SubTableProblem", `${message} (in ${kind} ${formatRef(ref)})`, {
        ...rest,
        path: via,
        elsewhere: true,
        repeats: at.resource,
      }),
    );
  }

  onRoute(
    severity: Severity,
    route: ModelRoute,
    field: string,
    reason: Reason,
    message: string,
    details?: Omit<ProblemDetails, "path">,
  ): void {
    const at = { resource: route.at.resource, path: field ? `${route.at.path}.${field}` : route.at.path };
    this.add(severity, at, route.via, reason, message, details);
  }
}

/** Where a field below options is written: `timeout`, `cors.allowOriginRegex[0]`. */
export function optionAt(own: Written, places: OptionPlaces, field: string): Written {
  const [first = ""] = field.split(/[.[]/, 1);
  const elsewhere = places.get(first);
  if (elsewhere === undefined) return { resource: own.resource, path: `${own.path}.${field}` };
  return { resource: elsewhere.resource, path: elsewhere.path + field.slice(first.length) };
}
