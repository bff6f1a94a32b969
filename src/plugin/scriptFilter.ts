// The Lua filters that stand in the place of Gloo's transformation filter, one for each stage. They stand dormant in every listener: nothing
// is run for routes without a program, and the first route with one does not replace the listener, which would drain its connections.
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { withFilterConfig } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { LuaPerRouteSchema, LuaSchema } from "../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import type { FilterPlace } from "../model/filter-stages.ts";
import { TemplateFault } from "../template/ast.ts";
import { luaRuntime } from "../template/lua/runtime.ts";
import { PlanFault } from "../template/plan-fault.ts";
import { type StageProgram, stageProgram } from "../template/program.ts";
import type { StagePlan, Transformation } from "../template/transformation.ts";
import type { DestinationContext, DestinationDraft, PlacedFilter } from "./feature.ts";
import { ParameterFault } from "./functionParameters.ts";

export type TransformationStage = "early" | "regular" | "postRouting";

/** The name of Gloo's filter, in whose place the Lua filter of the regular stage stands. */
export const scriptFilter = "io.solo.transformation";

export const scriptFilters: Readonly<Record<TransformationStage, { readonly name: string; readonly place: FilterPlace }>> = {
  early: { name: `${scriptFilter}.early`, place: { stage: "fault", position: "after" } },
  regular: { name: scriptFilter, place: { stage: "authz", position: "after" } },
  // Behind all others but the router. Gloo's is among the router's own filters.
  postRouting: { name: `${scriptFilter}.post_routing`, place: { stage: "route", position: "during" } },
};

/** One machine of each worker for all listeners and routes: Envoy shares those of one name and one script. */
const sharedVmId = scriptFilter;
const script = { specifier: { case: "inlineString" as const, value: luaRuntime } };

/**
 * The script is large, and there may be a thousand filter chains: only the filter of the regular stage, which most transformations use, has
 * it. Of the others each route brings it along.
 */
function hasScript(stage: TransformationStage): boolean {
  return stage === "regular";
}

/** The same in every filter chain, so packed once. */
const dormant: readonly PlacedFilter[] = (Object.keys(scriptFilters) as TransformationStage[]).map((stage) => {
  const { name, place } = scriptFilters[stage];
  // A changed path must not lead to another route, unless the user asks for it.
  const value = packAny(LuaSchema, { ...(hasScript(stage) && { defaultSourceCode: script, sharedVmId }), clearRouteCache: false });
  return { place, filter: { name, disabled: true, configType: { case: "typedConfig", value } } };
});

export function dormantScripts(): readonly PlacedFilter[] {
  return dormant;
}

/** With the plan of a stage. Throws a `PlanFault` where it cannot be carried out. Returns the program, too. */
export function withStage<D extends DestinationDraft>(draft: D, stage: TransformationStage, plan: StagePlan): readonly [D, string] {
  const program = JSON.stringify(stageProgram(plan));
  const config = {
    filterContext: { program, stage },
    ...(!hasScript(stage) && { override: { case: "sourceCode" as const, value: script }, sharedVmId }),
  };
  return [withFilterConfig(draft, scriptFilters[stage].name, LuaPerRouteSchema, config), program];
}

/** Without what a less specific level says about the stage. */
export function withoutStage<D extends DestinationDraft>(draft: D, stage: TransformationStage): D {
  return withFilterConfig(draft, scriptFilters[stage].name, LuaPerRouteSchema, { override: { case: "disabled", value: true } });
}

/** What the early stage does to the route of a request, which is before anybody has checked anything. */
export function earlyStage(configs: Readonly<Record<string, Any>>): "chooses anew" | "changes" | undefined {
  const config = configs[scriptFilters.early.name];
  if (config === undefined || !config.typeUrl.endsWith(`/${LuaPerRouteSchema.typeName}`)) return undefined;
  // The program stands in it as JSON, where quotes of a text are escaped; the script, which is large, has none.
  return Buffer.from(config.value.buffer, config.value.byteOffset, config.value.byteLength).includes(`"clearsRoute":true`)
    ? "chooses anew"
    : "changes";
}

/** Whether it gives requests another host, by which another virtual host may be chosen if the route is chosen anew later on. */
export function changesHostEarly(configs: Readonly<Record<string, Any>>): boolean {
  const config = configs[scriptFilters.early.name];
  if (config === undefined || !config.typeUrl.endsWith(`/${LuaPerRouteSchema.typeName}`)) return false;
  const bytes = Buffer.from(config.value.buffer, config.value.byteOffset, config.value.byteLength);
  // Other things may have these names, too; nearly all programs have none of them.
  if (![...hostHeaders].some((name) => bytes.includes(`"name":"${name}"`))) return false;
  const { program } = fromBinary(LuaPerRouteSchema, config.value).filterContext ?? {};
  const { entries } = JSON.parse(program as string) as StageProgram;
  return entries.some(({ request }) => [...(request?.set ?? []), ...(request?.append ?? [])].some(({ name }) => hostHeaders.has(name)));
}

/** To Envoy they are one. */
const hostHeaders: ReadonlySet<string> = new Set(["host", ":authority"]);

export function isHostHeader(name: string): boolean {
  return hostHeaders.has(name.toLowerCase());
}

/** The draft with a change of requests and responses that a function asks for; without, and a word to the user, where that cannot be. */
export function withScript<D extends DestinationDraft>(
  draft: D,
  what: string,
  { refuse }: DestinationContext,
  transformations: () => { readonly request?: Transformation; readonly response?: Transformation },
): D {
  try {
    return withStage(draft, "regular", { entries: [transformations()] })[0];
  } catch (fault) {
    if (fault instanceof ParameterFault) refuse("", fault.message);
    else if (fault instanceof TemplateFault)
      refuse("", `${what} cannot be called, the request is forwarded as it is: ${describe(fault)}`, {
        reason: "TemplateInvalid",
        elsewhere: true,
      });
    else throw fault;
    return draft;
  }
}

/** With the part of the template that it is in. */
function describe(fault: TemplateFault): string {
  return fault instanceof PlanFault ? `${fault.field.replace(/^entries\[0\]\./, "")}: ${fault.message}` : fault.message;
}
