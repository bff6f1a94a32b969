// Routes may name functions that nobody wrote down: discovery finds them while Headworks runs. Before it has asked, that such a function
// is missing is no error of the route. Where functions are written down, or nobody is asked, it is.
import { type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import { fdsMode, isChosen } from "../discovery/function-plan.ts";
import type { Problem } from "../model/problem.ts";
import { type Ref, type ResourceKey, resourceKey } from "../model/ref.ts";
import { type ApiKind, kinds, type Resource, type Spec } from "../model/resource.ts";
import { serviceSpecOf, takesServiceSpec } from "../plugin/serviceSpec.ts";
import { apiTypes } from "../sources/any-types.ts";

/** What the problems were found in. */
export interface ProblemsIn {
  readonly resourceOf: (key: ResourceKey) => Resource | undefined;
  readonly settings: Spec<"Settings">;
}

/** The same problems in the same order: what discovery may mend is a warning. */
export function withAwaited(problems: readonly Problem[], where: ProblemsIn): readonly Problem[] {
  const awaited = new Set(
    problems.filter((problem) => {
      const upstream = problem.severity === "error" ? calledUpstream(where, problem.resource, problem.path) : undefined;
      return upstream !== undefined && awaitsFunctions(upstream, where);
    }),
  );
  if (awaited.size === 0) return problems;
  const isRepeated = ({ repeats, message }: Problem) =>
    repeats !== undefined && awaited.values().some((each) => each.resource === repeats && message.startsWith(each.message));
  return problems.map((each) => (awaited.has(each) || isRepeated(each) ? { ...each, severity: "warning", hint } : each));
}

const hint = "discovery asks for its functions while Headworks runs; whether this is one of them is not known here";

/** The Upstream of the destination that calls a function at this place. */
function calledUpstream({ resourceOf }: ProblemsIn, key: ResourceKey | undefined, path = ""): Resource<"Upstream"> | undefined {
  const destination = /^(.+)\.destinationSpec\.(rest|aws)(\.functionName|\.logicalName)?$/.exec(path)?.[1];
  const caller = destination === undefined || key === undefined ? undefined : resourceOf(key);
  if (destination === undefined || caller?.spec === undefined) return undefined;
  const steps = destination.split(/[.[\]]+/).filter((step) => step !== "");
  const at = steps.reduce<unknown>((holder, step) => (holder as Readonly<Record<string, unknown>> | undefined)?.[step], specOf(caller));
  const ref = (at as { readonly upstream?: Ref } | undefined)?.upstream;
  return ref && (resourceOf(resourceKey("Upstream", ref)) as Resource<"Upstream"> | undefined);
}

/** In the spelling of paths. Undefined where it holds something of a plug-in's own types, which are not known here: then its errors stay. */
function specOf({ kind, spec }: Resource): JsonValue | undefined {
  const info = kinds[kind as ApiKind];
  try {
    return info && toJson(info.schema, spec as Message as never, { registry: apiTypes() });
  } catch {
    return undefined;
  }
}

function awaitsFunctions(upstream: Resource<"Upstream">, { resourceOf, settings }: ProblemsIn): boolean {
  const labelsOf = (name: string) => resourceOf(resourceKey("Namespace", { namespace: "", name }))?.labels;
  return hasNoFunctions(upstream) && isChosen(upstream, fdsMode(settings), labelsOf);
}

function hasNoFunctions({ spec }: Resource<"Upstream">): boolean {
  if (spec?.upstreamType.case === "aws") return spec.upstreamType.value.lambdaFunctions.length === 0;
  if (spec === undefined || !takesServiceSpec(spec)) return false;
  const plugin = serviceSpecOf(spec)?.pluginType;
  return plugin?.case === undefined || (plugin.case === "rest" && Object.keys(plugin.value.transformations).length === 0);
}
