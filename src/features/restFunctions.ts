// Functions of `serviceSpec.rest`: a route that calls one sends the request that the function's template makes. Gloo runs these in a
// filter that only its own Envoy has; here a script in Envoy's Lua filter does the same. See template/.
//
// The filter stands dormant in every listener, under the name of Gloo's: nothing is run for routes without a script, and the first
// route with one does not replace the listener, which would drain its connections.

import { packAny } from "../envoy/encode.ts";
import { LuaSchema } from "../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import type { DestinationSpec as RestCall } from "../gen/gloo/gloo/projects/gloo/api/v1/options/rest/rest_pb.js";
import { formatRef } from "../model/ref.ts";
import type { DestinationContext, DestinationDraft, Feature } from "../plugin/feature.ts";
import { extractorsOf } from "../plugin/functionParameters.ts";
import { scriptFilter, withScript } from "../plugin/scriptFilter.ts";
import { serviceSpecOf } from "../plugin/serviceSpec.ts";
import { transformationOf } from "../plugin/transformationTemplate.ts";
import { luaRuntime } from "../template/runtime.ts";

const config = {
  defaultSourceCode: { specifier: { case: "inlineString", value: luaRuntime } },
  // One machine for all listeners and filter chains.
  sharedVmId: scriptFilter,
  // A changed path must not lead to another route.
  clearRouteCache: false,
} as const;

export const restFunctions: Feature = {
  name: "rest",
  calls: ["rest"],
  httpFilters: () => [
    {
      place: { stage: "authz", position: "after" },
      filter: {
        name: scriptFilter,
        disabled: true,
        configType: { case: "typedConfig", value: packAny(LuaSchema, config) },
      },
    },
  ],
  destination(draft, context) {
    return context.call.case === "rest" ? withFunction(draft, context.call.value, context) : draft;
  },
};

function withFunction<D extends DestinationDraft>(draft: D, call: RestCall, context: DestinationContext): D {
  const { upstream, refuse } = context;
  const plugin = serviceSpecOf(upstream.spec)?.pluginType;
  if (plugin?.case !== "rest") {
    refuse("rest", `${formatRef(upstream.ref)} does not have a rest service spec`);
    return draft;
  }
  const { transformations } = plugin.value;
  const template = Object.hasOwn(transformations, call.functionName) ? transformations[call.functionName] : undefined;
  if (template === undefined) {
    const names = Object.keys(transformations).sort().slice(0, 20);
    const hint = names.length > 0 ? `the Upstream has ${names.join(", ")}` : "the Upstream has none; discovery fills them";
    refuse("rest.functionName", `unknown function ${call.functionName}`, { hint, elsewhere: true });
    return draft;
  }
  return withScript(draft, `rest function ${call.functionName}`, context, () => ({
    request: transformationOf(template, call.parameters && extractorsOf(call.parameters)),
    ...(call.responseTransformation && { response: transformationOf(call.responseTransformation) }),
  }));
}
