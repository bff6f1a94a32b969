// Scripts for Envoy's Lua filter, which stands in the place of Gloo's transformation filter.
import { withFilterConfig } from "../envoy/drafts.ts";
import { LuaPerRouteSchema } from "../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { TemplateFault } from "../template/ast.ts";
import { luaScripts, type Transformations } from "../template/lua.ts";
import type { DestinationContext, DestinationDraft } from "./feature.ts";
import { ParameterFault } from "./functionParameters.ts";

/** The name of Gloo's filter, in whose place the Lua filter stands. */
export const scriptFilter = "io.solo.transformation";

/** The draft with a script for the filter; without, and a word to the user, where the script cannot be made. */
export function withScript<D extends DestinationDraft>(
  draft: D,
  what: string,
  { refuse, warn }: DestinationContext,
  transformations: () => Transformations,
): D {
  try {
    return withFilterConfig(draft, scriptFilter, LuaPerRouteSchema, { filterContext: { ...luaScripts(transformations()) } });
  } catch (fault) {
    if (fault instanceof ParameterFault) refuse("", fault.message);
    else if (fault instanceof TemplateFault)
      warn("", `${what} cannot be called, the request is forwarded as it is: ${fault.message}`, { reason: "OptionNotSupported" });
    else throw fault;
    return draft;
  }
}
