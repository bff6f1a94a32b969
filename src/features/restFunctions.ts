// Functions of `serviceSpec.rest`: a route that calls one sends the request that the function's template makes. Gloo runs these in a
// filter that only its own Envoy has; here it is a transformation as those of routes are (transformations.ts). See template/.

import type { DestinationSpec as RestCall } from "../gen/gloo/gloo/projects/gloo/api/v1/options/rest/rest_pb.js";
import { formatRef } from "../model/ref.ts";
import type { DestinationContext, DestinationDraft, Feature } from "../plugin/feature.ts";
import { extractorsOf } from "../plugin/functionParameters.ts";
import { withScript } from "../plugin/scriptFilter.ts";
import { serviceSpecOf } from "../plugin/serviceSpec.ts";
import { transformationOf } from "../plugin/transformationTemplate.ts";

export const restFunctions: Feature = {
  name: "rest",
  calls: ["rest"],
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
    request: transformationOf(template, { more: call.parameters ? extractorsOf(call.parameters) : [] }),
    ...(call.responseTransformation && { response: transformationOf(call.responseTransformation) }),
  }));
}
