// `stagedTransformations` and `transformations` of a virtual host, route or weighted destination: templates that change requests and responses.
// Gloo runs them in a filter that only its own Envoy has; here each stage is a Lua filter that runs a program (plugin/scriptFilter.ts,
// template/). The most specific level that says anything counts as a whole, as in Gloo.
import type { Feature, OptionContext } from "../plugin/feature.ts";
import { dormantScripts, isHostHeader, type TransformationStage, withoutStage, withStage } from "../plugin/scriptFilter.ts";
import { PlanFault } from "../template/plan-fault.ts";
import type { StagePlan } from "../template/transformation.ts";
import { warnOfLimits } from "./transformations/limits.ts";
import { planOf, type Source, sourcesOf, type TransformationOptions } from "./transformations/plan.ts";

const fields = ["transformations", "stagedTransformations"];
const stages: readonly TransformationStage[] = ["early", "regular", "postRouting"];

export const transformations: Feature = {
  name: "transformations",
  glooName: "transformation",
  fields: { route: fields, virtualHost: fields, weightedDestination: fields },
  httpFilters: dormantScripts,
  virtualHost: (host, options, context) => withStages(host, options, undefined, () => false, context),
  route: (route, options, inherited, context) => withStages(route, options, inherited, (stage) => hasStage(inherited, stage), context),
  // What its route says is not known here: what the destination does not say is switched off.
  weightedDestination: (cluster, options, context) => withStages(cluster, options, undefined, () => true, context),
};

function withStages<D extends { readonly typedPerFilterConfig?: unknown }>(
  draft: D,
  options: TransformationOptions,
  inherited: TransformationOptions | undefined,
  hidesBelow: (stage: TransformationStage) => boolean,
  context: OptionContext,
): D {
  let result = draft;
  for (const stage of stages) {
    const sources = sourcesOf(stage, options, inherited);
    if (sources.length === 0) {
      if (hidesBelow(stage)) result = withoutStage(result, stage);
      continue;
    }
    const next = withSources(result, stage, sources, options, context);
    if (next === undefined) return draft;
    result = next;
  }
  return result;
}

/** Undefined where a template cannot be used. */
function withSources<D extends { readonly typedPerFilterConfig?: unknown }>(
  draft: D,
  stage: TransformationStage,
  sources: readonly Source[],
  options: TransformationOptions,
  context: OptionContext,
): D | undefined {
  const settings = context.world.settings.gloo;
  const staged = options.stagedTransformations;
  const defaults = {
    escapes: staged?.escapeCharacters ?? settings?.transformationEscapeCharacters ?? false,
    logs: staged?.logRequestResponseInfo ?? settings?.logTransformationRequestResponseInfo ?? false,
    clearsRoutes: stage !== "postRouting",
  };
  const made = planOf(sources, defaults);
  const elsewhere = stage === "early" ? sources.map(leadsElsewhere).find((at) => at !== undefined) : undefined;
  if (elsewhere !== undefined) {
    context.refuse(elsewhere, "an early transformation that changes the host would lead past the checks of other virtual hosts", {
      hint: "leave clearRouteCache out, or lead by the path or a header: the checks of a request are those of the virtual host that it came for",
    });
    return undefined;
  }
  try {
    const plan: StagePlan = made.plan();
    if (plan.entries.length === 0 && !plan.responses?.length) return draft;
    const [next, program] = withStage(draft, stage, plan);
    warnOfLimits(stage, sources, program, context);
    return next;
  } catch (fault) {
    if (!(fault instanceof PlanFault)) throw fault;
    for (const { field, message } of [fault, ...fault.more]) context.refuse(made.fieldOf(field), message, { reason: "TemplateInvalid" });
    return undefined;
  }
}

/** Where a request is given another host before anybody has checked anything, and the route is chosen anew. */
function leadsElsewhere({ requests, field, isList }: Source): string | undefined {
  const at = requests.findIndex(({ clearRouteCache, requestTransformation: change }) => {
    const template = change?.transformationType.case === "transformationTemplate" ? change.transformationType.value : undefined;
    const names = template ? [...Object.keys(template.headers), ...template.headersToAppend.map(({ key }) => key)] : [];
    return clearRouteCache && names.some(isHostHeader);
  });
  return at < 0 ? undefined : `${field}${isList ? `.requestTransforms[${at}]` : ""}.clearRouteCache`;
}

function hasStage(options: TransformationOptions | undefined, stage: TransformationStage): boolean {
  return options !== undefined && sourcesOf(stage, options, undefined).length > 0;
}
