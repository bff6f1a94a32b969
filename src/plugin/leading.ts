// Who sees a request before all its checks are made, and may lead it to another route: the processor in front of them (`extProcEarly`), and
// authorization servers. Checks that come with a route are those of the route that a request had first: Envoy chooses its filters once.
import { fromBinary } from "@bufbuild/protobuf";
import type { Any, BoolValue } from "@bufbuild/protobuf/wkt";
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from "../gen/envoy/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ExtProcPerRouteSchema } from "../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import { FilterChainConfigPerRouteSchema } from "../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import type { Settings } from "../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extproc/extproc_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
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

export interface EarlyProcessor {
  /** It may have the route chosen anew; otherwise it changes what the route is chosen by, if somebody has that done. */
  readonly choosesAnew: boolean;
  /** It may do so with another host, and so lead here whoever came for another virtual host. */
  readonly changesHost: boolean;
}

/** Undefined where none is asked before the checks. */
export function earlyProcessor(context: Context): EarlyProcessor | undefined {
  const settings = processorSettings("extProcEarly", context.http, context);
  const ref = settings?.grpcService?.extProcServerRef;
  if (settings === undefined || ref === undefined || context.world.get("Upstream", ref) === undefined) return undefined;
  const { disableClearRouteCache, mutationRules } = settings;
  const choosesAnew = !disableClearRouteCache;
  // Unless it is allowed, Envoy ignores changes of the host.
  const changesHost = mutationRules?.allowAllRouting === true || mutationRules?.allowExpression !== undefined;
  return { choosesAnew, changesHost };
}

/** @param levels the least specific first */
export function isProcessedEarly(...levels: readonly Configs[]): boolean {
  const config = levels.findLast((each) => each[processorFilters.extProcEarly])?.[processorFilters.extProcEarly];
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
