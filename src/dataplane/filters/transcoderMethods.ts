// What a transcoder was configured with: methods of gRPC by the requests of HTTP that call them.

import { readFileSync } from "node:fs";
import {
  createFileRegistry,
  type DescMessage,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  type GrpcJsonTranscoder,
  GrpcJsonTranscoderSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import { http } from "../../gen/envoy/google/api/annotations_pb.js";
import type { HttpRule } from "../../gen/envoy/google/api/http_pb.js";
import type { Findings } from "../compile/findings.ts";
import { unhandledFields } from "../fields.ts";
import { type Binding, type PathTemplate, parseTemplate, type Unescape, unescaped } from "./transcoderPaths.ts";

export interface Transcoder {
  readonly registry: FileRegistry;
  readonly rules: readonly Rule[];
  readonly print: PrintOptions;
  readonly keepsRoute: boolean;
  readonly ignoresUnknown: boolean;
  readonly convertsStatus: boolean;
  readonly rejectsUnknownMethod: boolean;
  readonly rejectsUnknownParameters: boolean;
  readonly rejectsCollisions: boolean;
  readonly bodyLimit: number | undefined;
  /** Names of enum values count whatever their case. */
  readonly ignoresCase: boolean;
}

/** One way to call a method. */
export interface Rule {
  /** `*`: any. */
  readonly httpMethod: string;
  readonly template: PathTemplate;
  readonly method: DescMethod;
  /** The field that the body is; empty: the message as a whole. */
  readonly body: readonly string[];
  /** The field that the response is; empty: the message as a whole. */
  readonly responseBody: string;
}

export interface PrintOptions {
  readonly isSpaced: boolean;
  readonly alwaysEmitImplicit: boolean;
  readonly enumAsInteger: boolean;
  readonly useProtoFieldName: boolean;
  /** How messages of a stream are told apart. */
  readonly stream: "array" | "lines" | "events";
}

/** A request that is a call. */
export interface Called {
  readonly rule: Rule;
  readonly bindings: readonly Binding[];
}

/** Undefined: nothing is transcoded. Throws for descriptors that cannot be used, as an Envoy refuses them. */
export function compileTranscoder(config: GrpcJsonTranscoder, findings: Findings): (Transcoder & { find: Find }) | undefined {
  for (const path of unhandledFields(GrpcJsonTranscoderSchema, config, handled)) findings.notExecuted(path);
  if (config.services.length === 0) return undefined;
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorsOf(config)));
  const rules = config.services
    .flatMap((name) => {
      const service = registry.getService(name);
      if (service === undefined) throw new Error(`the descriptors have no service ${name}`);
      return service.methods.flatMap((method) => rulesOf(method, config.autoMapping));
    })
    .sort((a, b) => (a.template.rank < b.template.rank ? -1 : a.template.rank > b.template.rank ? 1 : 0));
  const validation = config.requestValidationOptions;
  const { printOptions: print } = config;
  return {
    registry,
    rules,
    print: {
      isSpaced: print?.addWhitespace ?? false,
      alwaysEmitImplicit: print?.alwaysPrintPrimitiveFields ?? false,
      enumAsInteger: print?.alwaysPrintEnumsAsInts ?? false,
      useProtoFieldName: print?.preserveProtoFieldNames ?? false,
      stream: print?.streamNewlineDelimited ? "lines" : print?.streamSseStyleDelimited ? "events" : "array",
    },
    keepsRoute: config.matchIncomingRequestRoute,
    ignoresUnknown: config.ignoreUnknownQueryParameters,
    convertsStatus: config.convertGrpcStatus,
    rejectsUnknownMethod: validation?.rejectUnknownMethod ?? false,
    rejectsUnknownParameters: validation?.rejectUnknownQueryParameters ?? false,
    rejectsCollisions: validation?.rejectBindingBodyFieldCollisions ?? false,
    bodyLimit: config.maxRequestBodySize,
    ignoresCase: config.caseInsensitiveEnumParsing,
    find: finder(rules, config),
  };
}

export type Find = (httpMethod: string, path: string) => Called | undefined;

const handled = {
  "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder": [
    "proto_descriptor",
    "proto_descriptor_bin",
    "services",
    "print_options",
    "match_incoming_request_route",
    "ignored_query_parameters",
    "auto_mapping",
    "ignore_unknown_query_parameters",
    "convert_grpc_status",
    "url_unescape_spec",
    "query_param_unescape_plus",
    "request_validation_options",
    "max_request_body_size",
    "case_insensitive_enum_parsing",
    // no effect here: a template that fits is found whatever the verb, and answers have one limit for all
    "match_unregistered_custom_verb",
    "max_response_body_size",
  ],
};

function descriptorsOf({ descriptorSet }: GrpcJsonTranscoder): Uint8Array {
  switch (descriptorSet.case) {
    case "protoDescriptorBin":
      return descriptorSet.value;
    case "protoDescriptor":
      return readFileSync(descriptorSet.value);
    default:
      throw new Error("there are no descriptors");
  }
}

/** `google.api.http` of a method, with its other bindings; without it, where that is wanted, its gRPC path. */
function rulesOf(method: DescMethod, mapsAll: boolean): Rule[] {
  if (!hasOption(method, http)) {
    if (!mapsAll) return [];
    const path = `/${method.parent.typeName}/${method.name}`;
    return [{ httpMethod: "POST", template: parseTemplate(path), method, body: [], responseBody: "" }];
  }
  const rule = getOption(method, http);
  return [rule, ...rule.additionalBindings].flatMap((each) => ruleOf(method, each));
}

function ruleOf(method: DescMethod, { pattern, body, responseBody }: HttpRule): Rule[] {
  if (pattern.case === undefined) return [];
  const [httpMethod, path] =
    pattern.case === "custom" ? [pattern.value.kind, pattern.value.path] : [pattern.case.toUpperCase(), pattern.value];
  const template = parseTemplate(path);
  return [{ httpMethod, template, method, body: body === "" || body === "*" ? [] : body.split("."), responseBody }];
}

const unescapes: readonly Unescape[] = ["except reserved", "except slash", "all"];

function finder(rules: readonly Rule[], config: GrpcJsonTranscoder): Find {
  const keeps = unescapes[config.urlUnescapeSpec] ?? "except reserved";
  const ignored = new Set(config.ignoredQueryParameters);
  return (httpMethod, path) => {
    const mark = path.indexOf("?");
    const plain = mark < 0 ? path : path.slice(0, mark);
    for (const rule of rules) {
      if (rule.httpMethod !== httpMethod && rule.httpMethod !== "*") continue;
      const found = rule.template.match(plain, keeps);
      if (found === undefined) continue;
      const query = mark < 0 ? [] : parametersOf(path.slice(mark + 1), ignored, config.queryParamUnescapePlus);
      return { rule, bindings: [...found, ...query] };
    }
    return undefined;
  };
}

function parametersOf(query: string, ignored: ReadonlySet<string>, plusIsSpace: boolean): Binding[] {
  return query.split("&").flatMap((pair) => {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, equals);
    if (equals <= 0 || ignored.has(name)) return [];
    return [{ field: name.split("."), value: unescaped(pair.slice(equals + 1), "all", plusIsSpace) }];
  });
}

/** `google.api.HttpBody`: bytes with their type, in the place of JSON. */
export function isHttpBody(message: DescMessage | undefined): boolean {
  return message?.typeName === "google.api.HttpBody";
}
