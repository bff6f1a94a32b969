// What the configuration of external processing says, on the connection manager and on routes. What is not executed of it is a finding, and closes what
// it is about.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { HeaderValue } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { GrpcService } from "../../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import {
  type ExternalProcessor,
  ExternalProcessorSchema,
  type ExtProcOverrides,
  ExtProcOverridesSchema,
  ExtProcPerRouteSchema,
  type HeaderForwardingRules,
  type MetadataOptions,
  ExternalProcessor_RouteCacheAction as RouteAction,
} from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import type { ProcessingMode } from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/processing_mode_pb.js";
import { durationMs } from "../compile/durations.ts";
import { Findings } from "../compile/findings.ts";
import { compileGrpcService } from "../compile/services.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import { breaksLines, wireText } from "../text.ts";
import type { GrpcTarget } from "../upstream/ask-grpc.ts";
import { compileNames } from "./extAuthzHttp.ts";
import { type Attributes, compileAttributes } from "./extProcAttributes.ts";
import { compileMutationRules, type MutationRules } from "./extProcHeaders.ts";
import { type Modes, modesOf, unknownMode } from "./extProcModes.ts";
import { answered } from "./guard.ts";

export interface Processing {
  /** Something in it is not executed: requests get the answer of an error, or pass as they would in spite of one. */
  readonly isClosed: boolean;
  readonly target: GrpcTarget | undefined;
  readonly modes: Modes;
  readonly allowsOnError: boolean;
  readonly statusOnError: number;
  readonly onlyObserves: boolean;
  readonly sendsBodyEarly: boolean;
  readonly messageMs: number;
  /** 0: a processor cannot ask for more time. */
  readonly mostMessageMs: number;
  readonly lingerMs: number;
  readonly rules: MutationRules;
  readonly isForwarded: (name: string) => boolean;
  readonly requestAttributes: Attributes | undefined;
  readonly responseAttributes: Attributes | undefined;
  readonly forwardedMetadata: readonly string[];
  readonly receivedMetadata: readonly string[];
  readonly takesModes: boolean;
  /** Empty: any. */
  readonly allowedModes: readonly ProcessingMode[];
  readonly takesAnswers: boolean;
  readonly routeAction: RouteAction;
  /** Of counters: `ext_proc.` and what the configuration adds. */
  readonly prefix: string;
}

/** What a route says, as far as it does. */
export interface RouteProcessing {
  readonly isDisabled: boolean;
  readonly isClosed: boolean;
  readonly modes?: Modes;
  readonly target?: GrpcTarget;
  readonly metadata: readonly string[];
  readonly allowsOnError?: boolean;
  readonly forwardedMetadata?: readonly string[];
  readonly receivedMetadata?: readonly string[];
}

const defaultMessageMs = 200;
const defaultLingerMs = 5_000;

const type = "envoy.extensions.filters.http.ext_proc.v3";

const handled: HandledFields = {
  [`${type}.ExternalProcessor`]: [
    "grpc_service",
    "failure_mode_allow",
    "processing_mode",
    "request_attributes",
    "response_attributes",
    "message_timeout",
    "stat_prefix",
    "mutation_rules",
    "max_message_timeout",
    "forward_rules",
    "allow_mode_override",
    "disable_immediate_response",
    "metadata_options",
    "observability_mode",
    "disable_clear_route_cache",
    "route_cache_action",
    "deferred_close_timeout",
    "send_body_without_waiting_for_header_response",
    "allowed_override_modes",
    "status_on_error",
    // for logs and spans alone
    "filter_metadata",
    "emit_client_span",
  ],
  [`${type}.MetadataOptions`]: ["forwarding_namespaces", "receiving_namespaces"],
  [`${type}.MetadataOptions.MetadataNamespaces`]: ["untyped"],
  [`${type}.ExtProcOverrides`]: [
    "processing_mode",
    "grpc_service",
    "metadata_options",
    "grpc_initial_metadata",
    "failure_mode_allow",
    "emit_client_span",
    // Envoy does not execute them either.
    "async_mode",
    "request_attributes",
    "response_attributes",
  ],
};

/** Collects what is not executed, with what comes of it. */
class Closing {
  isClosed = false;
  readonly #findings: Findings;
  readonly #consequence: string;

  constructor(findings: Findings, consequence: string) {
    this.#findings = findings;
    this.#consequence = consequence;
  }

  field(path: string): void {
    this.isClosed = true;
    this.#findings.notExecuted(path, this.#consequence);
  }

  mode(mode: ProcessingMode | undefined, path: string): Modes {
    const unknown = unknownMode(mode);
    if (unknown !== undefined) this.field(`${path}.${unknown}`);
    return modesOf(mode);
  }

  target(service: GrpcService | undefined): GrpcTarget | undefined {
    const kind = service?.targetSpecifier.case;
    if (kind !== "envoyGrpc") {
      this.field(kind === "googleGrpc" ? "grpc_service.google_grpc" : "grpc_service");
      return undefined;
    }
    return compileGrpcService(service, this.#findings.at("grpc_service"));
  }
}

export function compileProcessing(any: Any, findings: Findings, isOff: boolean): Processing {
  const message = anyUnpack(any, ExternalProcessorSchema);
  if (message === undefined) throw new Error("is no ExternalProcessor");
  const allowsOnError = message.failureModeAllow;
  const statusOnError = message.statusOnError?.code || 500;
  const passes = allowsOnError || message.observabilityMode;
  const consequence = passes ? "; requests pass unprocessed, as failure_mode_allow has it" : answered(statusOnError);
  // Where it is off it needs no word; a route that turns it on finds it closed all the same.
  const closing = new Closing(isOff ? new Findings() : findings, consequence);
  for (const path of unhandledFields(ExternalProcessorSchema, message, handled)) closing.field(path);
  const modes = closing.mode(message.processingMode, "processing_mode");
  const attributes = (names: readonly string[], field: string) => compileAttributes(names, (index) => closing.field(`${field}[${index}]`));
  const compiled: Omit<Processing, "isClosed"> = {
    target: closing.target(message.grpcService),
    modes,
    allowsOnError,
    statusOnError,
    onlyObserves: message.observabilityMode,
    sendsBodyEarly: message.sendBodyWithoutWaitingForHeaderResponse,
    messageMs: durationMs(message.messageTimeout) ?? defaultMessageMs,
    mostMessageMs: durationMs(message.maxMessageTimeout) ?? 0,
    lingerMs: durationMs(message.deferredCloseTimeout) ?? defaultLingerMs,
    rules: compileMutationRules(message.mutationRules),
    isForwarded: compileForwarding(message.forwardRules),
    requestAttributes: attributes(message.requestAttributes, "request_attributes"),
    responseAttributes: attributes(message.responseAttributes, "response_attributes"),
    ...namespacesOf(message.metadataOptions),
    takesModes: takesModes(message),
    allowedModes: message.allowedOverrideModes,
    takesAnswers: !message.disableImmediateResponse,
    routeAction: message.disableClearRouteCache ? RouteAction.RETAIN : message.routeCacheAction,
    prefix: message.statPrefix === "" ? "ext_proc." : `ext_proc.${message.statPrefix}.`,
  };
  return { ...compiled, isClosed: closing.isClosed };
}

function takesModes({ allowModeOverride, sendBodyWithoutWaitingForHeaderResponse: isEarly, processingMode }: ExternalProcessor): boolean {
  const { request, response } = modesOf(processingMode);
  return allowModeOverride && !isEarly && request.body !== "duplex" && response.body !== "duplex";
}

function compileForwarding(rules: HeaderForwardingRules | undefined): (name: string) => boolean {
  const [allowed, disallowed] = [compileNames(rules?.allowedHeaders), compileNames(rules?.disallowedHeaders)];
  return (name) => !disallowed?.(name) && (allowed === undefined || allowed(name));
}

function namespacesOf(options: MetadataOptions | undefined) {
  return {
    forwardedMetadata: options?.forwardingNamespaces?.untyped ?? [],
    receivedMetadata: options?.receivingNamespaces?.untyped ?? [],
  };
}

export function compileRouteProcessing(any: Any, findings: Findings): RouteProcessing {
  const message = anyUnpack(any, ExtProcPerRouteSchema);
  if (message === undefined) throw new Error("is no ExtProcPerRoute");
  const { override } = message;
  if (override.case !== "overrides") return { isDisabled: override.case === "disabled" && override.value, isClosed: false, metadata: [] };
  return compileOverrides(override.value, findings.at("overrides"));
}

function compileOverrides(said: ExtProcOverrides, findings: Findings): RouteProcessing {
  const { processingMode, grpcService, metadataOptions: options, failureModeAllow: allowsOnError } = said;
  const closing = new Closing(findings, "; requests that it is about are answered as when processing fails");
  for (const path of unhandledFields(ExtProcOverridesSchema, said, handled)) closing.field(path);
  const modes = processingMode && closing.mode(processingMode, "processing_mode");
  const target = grpcService && closing.target(grpcService);
  return {
    isDisabled: false,
    metadata: initialMetadata(said.grpcInitialMetadata, findings),
    ...(modes && { modes }),
    ...(target && { target }),
    ...(allowsOnError !== undefined && { allowsOnError }),
    ...(options?.forwardingNamespaces && { forwardedMetadata: options.forwardingNamespaces.untyped }),
    ...(options?.receivingNamespaces && { receivedMetadata: options.receivingNamespaces.untyped }),
    isClosed: closing.isClosed,
  };
}

function initialMetadata(list: readonly HeaderValue[], findings: Findings): string[] {
  return list.flatMap(({ key, value }, index) => {
    if (!breaksLines(key) && !breaksLines(value)) return [key.toLowerCase(), wireText(value)];
    findings.refused(`grpc_initial_metadata[${index}]`, "a control character");
    return [];
  });
}

/** What holds for a request: what routes say, the most specific first, and the connection manager. Undefined: it is off. */
export function processingOf(config: Processing | undefined, routes: readonly RouteProcessing[]): Processing | undefined {
  const [first] = routes;
  if (config === undefined || first?.isDisabled) return undefined;
  const said = routes.filter(({ isDisabled }) => !isDisabled);
  const chosen = <Key extends keyof RouteProcessing & keyof Processing>(key: Key): Processing[Key] => {
    const level = said.find((each) => each[key] !== undefined);
    return (level === undefined ? config[key] : level[key]) as Processing[Key];
  };
  if (said.length === 0) return config;
  const target = chosen("target");
  return {
    ...config,
    isClosed: config.isClosed || said.some(({ isClosed }) => isClosed),
    modes: chosen("modes"),
    allowsOnError: chosen("allowsOnError"),
    forwardedMetadata: chosen("forwardedMetadata"),
    receivedMetadata: chosen("receivedMetadata"),
    target: target && { ...target, metadata: merged(target.metadata, said.map(({ metadata }) => metadata).reverse()) },
  };
}

/** The most specific wins. */
function merged(base: readonly string[], levels: readonly (readonly string[])[]): string[] {
  const all: string[] = [...base];
  for (const level of levels)
    for (let i = 0; i < level.length; i += 2) {
      const at = all.findIndex((name, index) => index % 2 === 0 && name === level[i]);
      if (at < 0) all.push(level[i] as string, level[i + 1] as string);
      else all[at + 1] = level[i + 1] as string;
    }
  return all;
}
