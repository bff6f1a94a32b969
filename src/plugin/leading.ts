// Who sees a request before all its checks are made, and may lead it to another route: processors in front of them (`extProcEarly`, and
// `extProc` where its `filterStage` says so), and authorization servers. Checks that come with a route are those of the route that a request had first: Envoy chooses its filters once.
import { fromBinary } from "@bufbuild/protobuf";
import type { Any, BoolValue } from "@bufbuild/protobuf/wkt";
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from "../gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ExtProcPerRouteSchema } from "../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import { FilterChainConfigPerRouteSchema } from "../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import type { Settings } from "../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extproc/extproc_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import { type FilterPlace, filterStages } from "../model/filter-stages.ts";
import type { OptionContext } from "./feature.ts";

export type ProcessorField = "extProcEarly" | "extProc" | "extProcLate";

/** Each has a name of its own, by which routes find theirs. */
export const processorFilters = {
  extProcEarly: "envoy.filters.http.ext_proc.early",
  extProc: "envoy.filters.http.ext_proc",
  extProcLate: "envoy.filters.http.ext_proc.late",
} as const satisfies Readonly<Record<ProcessorField, string>>;

export const authzFilter = "envoy.filters.http.ext_authz";

type Context = Pick<OptionContext, "world" | "http">;
type Configs = Readonly<Record<string, Any>>;

/** Those of the listener replace those of the Settings, all of them; the listener can turn them off. */
export function processorSettings(
  field: ProcessorField,
  options: HttpListenerOptions | undefined,
  { world }: Pick<Context, "world">,
): Settings | undefined {
  const own = options?.[`${field}Config`];
  if (own?.case === field) return own.value as Settings;
  return own?.case !== undefined && (own.value as BoolValue).value ? undefined : world.settings[field];
}

const usualPlaces: Readonly<Record<ProcessorField, FilterPlace>> = {
  extProcEarly: { stage: "fault", position: "before" },
  extProc: { stage: "authz", position: "after" },
  extProcLate: { stage: "route" },
};

const positions = ["during", "before", "after"] as const;

/** Only the one in the middle can be put elsewhere. */
export function processorPlace({ filterStage }: Settings, field: ProcessorField): FilterPlace {
  const stage = field === "extProc" ? filterStage && filterStages[filterStage.stage as number] : undefined;
  return stage ? { stage, position: positions[filterStage?.predicate as number] ?? "during" } : usualPlaces[field];
}

export interface EarlyProcessor {
  readonly field: ProcessorField;
  /** It may have the route chosen anew; otherwise it changes what the route is chosen by, if somebody has that done. */
  readonly choosesAnew: boolean;
  /** It may do so with another host, and so lead here whoever came for another virtual host. */
  readonly changesHost: boolean;
}

/** Those that are asked before all checks are made. */
export function earlyProcessors(context: Context): readonly EarlyProcessor[] {
  return (Object.keys(processorFilters) as ProcessorField[]).flatMap((field) => {
    const settings = processorSettings(field, context.http, context);
    const ref = settings?.grpcService?.extProcServerRef;
    if (settings === undefined || ref === undefined || context.world.get("Upstream", ref) === undefined) return [];
    if (filterStages.indexOf(processorPlace(settings, field).stage) > filterStages.indexOf("authn")) return [];
    const { disableClearRouteCache, mutationRules } = settings;
    // Unless it is allowed, Envoy ignores changes of the host.
    const changesHost = mutationRules?.allowAllRouting === true || mutationRules?.allowExpression !== undefined;
    return [{ field, choosesAnew: !disableClearRouteCache, changesHost }];
  });
}

/** @param levels the least specific first */
export function isProcessedBy({ field }: EarlyProcessor, ...levels: readonly Configs[]): boolean {
  const filter = processorFilters[field];
  const config = levels.findLast((each) => each[filter])?.[filter];
  if (config === undefined || !isOf(ExtProcPerRouteSchema, config)) return true;
  return fromBinary(ExtProcPerRouteSchema, config.value).override.case !== "disabled";
}

/** The server of `customAuth` is asked. */
export function asksOwnServer({ [authzFilter]: config }: Configs): boolean {
  if (config === undefined || !isOf(ExtAuthzPerRouteSchema, config)) return false;
  return fromBinary(ExtAuthzPerRouteSchema, config.value).override.case === "checkSettings";
}

/** A server is asked, which may set and remove any header: that of `customAuth`, or one that a chain of filters asks. */
export function asksServer(configs: Configs): boolean {
  return asksOwnServer(configs) || Object.values(configs).some((config) => filtersIn(config).some((each) => isOf(ExtAuthzSchema, each)));
}

function filtersIn(config: Any): readonly Any[] {
  if (!isOf(FilterChainConfigPerRouteSchema, config)) return [];
  const filters = fromBinary(FilterChainConfigPerRouteSchema, config.value).filterChain?.filters ?? [];
  return filters.flatMap(({ typedConfig }) => typedConfig ?? []);
}

function isOf({ typeName }: { readonly typeName: string }, { typeUrl }: Any): boolean {
  return typeUrl.endsWith(`/${typeName}`);
}
