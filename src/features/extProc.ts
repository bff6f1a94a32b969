// `extProc`, `extProcEarly`, `extProcLate`: a gRPC server of the user's sees requests and responses, and changes them. The server is named in the
// Settings or on the listener, which can turn it off; virtual hosts and routes turn it off for themselves or say more.
import { fromJson, type JsonObject, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { withFilterConfig } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { clusterName } from "../envoy/names.ts";
import { HeaderMutationRulesSchema } from "../gen/envoy/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js";
import type { GrpcServiceSchema } from "../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import { ExternalProcessorSchema, ExtProcPerRouteSchema } from "../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import type { ProcessingModeSchema } from "../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/processing_mode_pb.js";
import { ListStringMatcherSchema } from "../gen/envoy/envoy/type/matcher/v3/string_pb.js";
import { HeaderMutationRulesSchema as GlooRulesSchema } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js";
import type { ProcessingMode } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/filters/http/ext_proc/v3/processing_mode_pb.js";
import {
  ListStringMatcherSchema as GlooMatchersSchema,
  type ListStringMatcher,
} from "../gen/gloo/gloo/projects/gloo/api/external/envoy/type/matcher/v3/string_pb.js";
import type { GrpcService, RouteSettings, Settings } from "../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extproc/extproc_pb.js";
import { formatRef } from "../model/ref.ts";
import type { Feature, ListenerContext, OptionContext } from "../plugin/feature.ts";
import { type ProcessorField as Field, processorFilters, processorPlace, processorSettings } from "../plugin/leading.ts";

type ProcessorInit = MessageInitShape<typeof ExternalProcessorSchema>;
type PerRouteInit = MessageInitShape<typeof ExtProcPerRouteSchema>;
type GrpcInit = MessageInitShape<typeof GrpcServiceSchema>;

/** Up to three servers see a request, one after the other. */
export const extProcEarly: Feature = processing("extProcEarly");
export const extProc: Feature = processing("extProc");
export const extProcLate: Feature = processing("extProcLate");

function processing(field: Field): Feature {
  const filter = processorFilters[field];
  const off = `disableE${field.slice(1)}`;
  const perRoute = <D extends { readonly typedPerFilterConfig?: unknown }>(
    draft: D,
    own: RouteSettings | undefined,
    context: OptionContext,
  ): D => {
    const config = own && perRouteOf(own, field, context);
    if (!hasServer(field, context)) {
      if (config?.override?.case === "overrides")
        context.warn(field, "no server is there to process, so nothing is processed", {
          hint: `name one in ${field}.grpcService of the Settings or of the Gateway`,
        });
      return draft;
    }
    return config ? withFilterConfig(draft, filter, ExtProcPerRouteSchema, config) : draft;
  };
  return {
    name: field,
    glooName: "extproc",
    fields: { http: [field, off], virtualHost: [field], route: [field] },
    httpFilters(options, context) {
      const settings = processorSettings(field, options, context);
      const config = settings && processor(settings, field, context);
      if (!config) return [];
      const typedConfig = packAny(ExternalProcessorSchema, config);
      return [
        { place: processorPlace(settings, field), filter: { name: filter, configType: { case: "typedConfig", value: typedConfig } } },
      ];
    },
    virtualHost: (host, options, context) => perRoute(host, options[field], context),
    route: (route, options, _inherited, context) => perRoute(route, options[field], context),
  };
}

function hasServer(field: Field, context: OptionContext): boolean {
  const ref = processorSettings(field, context.http, context)?.grpcService?.extProcServerRef;
  return ref !== undefined && context.world.get("Upstream", ref) !== undefined;
}

function processor(settings: Settings, field: Field, context: ListenerContext): ProcessorInit | undefined {
  const grpcService = serverOf(settings.grpcService, `${field}.grpcService`, context);
  if (grpcService === undefined) return undefined;
  withoutAsyncMode(settings.asyncMode, field, context);
  checkAttributes(settings, field, context);
  const { failureModeAllow, processingMode, messageTimeout, maxMessageTimeout, statPrefix, mutationRules, forwardRules } = settings;
  const { disableClearRouteCache, filterMetadata, allowModeOverride } = settings;
  return {
    grpcService,
    ...(failureModeAllow !== undefined && { failureModeAllow }),
    ...(processingMode && { processingMode: modeOf(processingMode) }),
    requestAttributes: [...settings.requestAttributes],
    responseAttributes: [...settings.responseAttributes],
    ...(messageTimeout && { messageTimeout }),
    ...(maxMessageTimeout && { maxMessageTimeout }),
    ...(statPrefix !== undefined && { statPrefix }),
    // The messages have the same fields under the same names.
    ...(mutationRules && { mutationRules: fromJson(HeaderMutationRulesSchema, toJson(GlooRulesSchema, mutationRules), lenient) }),
    ...(disableClearRouteCache !== undefined && { disableClearRouteCache }),
    ...(forwardRules && {
      forwardRules: {
        ...(forwardRules.allowedHeaders && { allowedHeaders: matchers(forwardRules.allowedHeaders) }),
        ...(forwardRules.disallowedHeaders && { disallowedHeaders: matchers(forwardRules.disallowedHeaders) }),
      },
    }),
    ...(filterMetadata && { filterMetadata: filterMetadata as JsonObject }),
    ...(allowModeOverride !== undefined && { allowModeOverride }),
    ...metadataOf(settings),
  };
}

function perRouteOf({ override }: RouteSettings, field: Field, context: OptionContext): PerRouteInit | undefined {
  switch (override.case) {
    case "disabled":
      // Envoy knows only `true` here.
      return override.value ? { override: { case: "disabled", value: true } } : undefined;
    case "overrides": {
      const { processingMode, asyncMode, requestAttributes, responseAttributes, grpcService } = override.value;
      withoutAsyncMode(asyncMode, `${field}.overrides`, context);
      checkAttributes(override.value, `${field}.overrides`, context);
      const server = grpcService && serverOf(grpcService, `${field}.overrides.grpcService`, context);
      const value = {
        ...(processingMode && { processingMode: modeOf(processingMode) }),
        requestAttributes: [...requestAttributes],
        responseAttributes: [...responseAttributes],
        ...(server && { grpcService: server }),
        ...metadataOf(override.value),
      };
      return { override: { case: "overrides", value } };
    }
    default:
      context.warn(field, `${field} says nothing: neither disabled nor overrides`);
      return undefined;
  }
}

function serverOf(service: GrpcService | undefined, field: string, { world, refuse, warn }: OptionContext): GrpcInit | undefined {
  const ref = service?.extProcServerRef;
  if (ref === undefined) {
    refuse(`${field}.extProcServerRef`, "no server is named", { hint: "name the Upstream of the server that processes" });
    return undefined;
  }
  if (world.get("Upstream", ref) === undefined) {
    warn(`${field}.extProcServerRef`, `*v1.Upstream { ${formatRef(ref)} } not found`, {
      reason: "UpstreamNotFound",
      hint: "without it nothing is processed",
    });
    return undefined;
  }
  const { authority = "", timeout, initialMetadata, retryPolicy } = service ?? {};
  if (retryPolicy) warn(`${field}.retryPolicy`, "streams to the server are not tried again", { reason: "OptionNotSupported" });
  return {
    targetSpecifier: { case: "envoyGrpc", value: { clusterName: clusterName(ref), authority } },
    ...(timeout && { timeout }),
    initialMetadata: (initialMetadata ?? []).map(({ key, value }) => ({ key, value })),
  };
}

const attribute = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:'[^'\\]*'|"[^"\\]*")\])*$/;

/** Envoy reads them as expressions, and refuses the listener for one that is none. */
function checkAttributes(
  attributes: { readonly requestAttributes: readonly string[]; readonly responseAttributes: readonly string[] },
  field: string,
  { refuse }: OptionContext,
): void {
  for (const list of ["requestAttributes", "responseAttributes"] as const)
    for (const [i, name] of attributes[list].entries())
      if (!attribute.test(name)) {
        const hint = "write the name of an attribute: request.path, request.headers['x-user'], source.address";
        refuse(`${field}.${list}[${i}]`, `${JSON.stringify(name)} is no attribute, and Envoy would refuse it`, { hint });
      }
}

function withoutAsyncMode(wanted: boolean | undefined, field: string, { warn }: OptionContext): void {
  if (wanted) warn(`${field}.asyncMode`, "asyncMode has no effect: Envoy waits for the server", { reason: "OptionNotSupported" });
}

const lenient = { ignoreUnknownFields: true };

function matchers(written: ListStringMatcher) {
  return fromJson(ListStringMatcherSchema, toJson(GlooMatchersSchema, written), lenient);
}

function modeOf(mode: ProcessingMode): MessageInitShape<typeof ProcessingModeSchema> {
  return {
    requestHeaderMode: mode.requestHeaderMode as number,
    responseHeaderMode: mode.responseHeaderMode as number,
    requestBodyMode: mode.requestBodyMode as number,
    responseBodyMode: mode.responseBodyMode as number,
    requestTrailerMode: mode.requestTrailerMode as number,
    responseTrailerMode: mode.responseTrailerMode as number,
  };
}

interface Namespaces {
  readonly metadataContextNamespaces: readonly string[];
  readonly typedMetadataContextNamespaces: readonly string[];
}

/** What the server gets to know of what filters before it found out. */
function metadataOf({ metadataContextNamespaces: untyped, typedMetadataContextNamespaces: typed }: Namespaces) {
  if (untyped.length + typed.length === 0) return {};
  return { metadataOptions: { forwardingNamespaces: { untyped: [...untyped], typed: [...typed] } } };
}
