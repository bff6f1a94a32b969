// Functions of the deprecated `serviceSpec.grpc`: a route names a method; its request becomes `POST /<hash>/<upstream>/<service>/<method>`
// with the route's parameters in the body, and the transcoder makes a gRPC call of that. Gloo puts the transcoder of every such Upstream
// into every listener; here each route that calls a method has it.
import { hash } from "node:crypto";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type FileDescriptorSet, FileDescriptorSetSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { withFilterConfig } from "../envoy/drafts.ts";
import { dormantTranscoder, setFault, transcoderFilter } from "../envoy/grpc-transcoder.ts";
import { GrpcJsonTranscoderSchema } from "../gen/envoy/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import type { DestinationSpec as GrpcCall, ServiceSpec as GrpcSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/options/grpc/grpc_pb.js";
import { formatRef, type Ref } from "../model/ref.ts";
import type { DestinationContext, DestinationDraft, Feature } from "../plugin/feature.ts";
import { extractorsOfPatterns } from "../plugin/functionParameters.ts";
import { withScript } from "../plugin/scriptFilter.ts";
import { serviceSpecOf } from "../plugin/serviceSpec.ts";

export const grpcFunctions: Feature = {
  name: "grpc",
  calls: ["grpc"],
  upstream(cluster, { upstream, ref }, { report }) {
    const plugin = serviceSpecOf(upstream)?.pluginType;
    if (plugin?.case !== "grpc" || plugin.value.grpcServices.length === 0) return cluster;
    const set = withHttpRules(plugin.value, ref);
    if (typeof set !== "string") return cluster;
    const path = `${upstream.upstreamType.case}.serviceSpec.grpc.descriptors`;
    const hint = "descriptors hold the base64 text of a FileDescriptorSet; grpcJsonTranscoder is the current form";
    report.warn("OptionInvalid", `${set}; routes cannot call the methods of this Upstream`, { path, hint });
    return cluster;
  },
  destination(draft, context) {
    return context.call.case === "grpc" ? withMethod(draft, context.call.value, context) : draft;
  },
};

function withMethod<D extends DestinationDraft>(draft: D, call: GrpcCall, context: DestinationContext): D {
  const { upstream, refuse, http, matchedPath } = context;
  const plugin = serviceSpecOf(upstream.spec)?.pluginType;
  const set = plugin?.case === "grpc" ? withHttpRules(plugin.value, upstream.ref) : "";
  if (plugin?.case !== "grpc" || typeof set === "string") {
    refuse("grpc", `upstream ${formatRef(upstream.ref)} was not recorded for grpc route`, { elsewhere: true });
    return draft;
  }
  const service = fullName(call.package, call.service);
  const known = plugin.value.grpcServices.map((each) => fullName(each.packageName, each.serviceName));
  if (!known.includes(service)) {
    refuse("grpc.service", `the Upstream ${formatRef(upstream.ref)} has no service ${service}`, {
      hint: `it has ${known.join(", ")}`,
      elsewhere: true,
    });
    return draft;
  }
  if (call.parameters === undefined && matchedPath === undefined) {
    refuse("grpc", "missing path for grpc route");
    return draft;
  }
  const { path, headers } = call.parameters ?? { path: `${matchedPath}?{query_string}`, headers: {} };
  const scripted = withScript(draft, `grpc function ${service}/${call.function}`, context, () => ({
    request: {
      extractors: extractorsOfPatterns(path, headers),
      headers: [
        [":method", "POST"],
        [":path", `${httpPath(upstream.ref, service, call.function)}?{{ default(query_string, "")}}`],
      ],
      append: [],
      remove: [],
      body: { kind: "mergeExtractors" },
      parsesBody: true,
      ignoresBadBody: false,
      advanced: false,
    },
  }));
  return withFilterConfig(scripted, http?.grpcJsonTranscoder ? transcoderFilter : dormantTranscoder, GrpcJsonTranscoderSchema, {
    descriptorSet: { case: "protoDescriptorBin", value: toBinary(FileDescriptorSetSchema, set) },
    services: known,
    matchIncomingRequestRoute: true,
  });
}

function fullName(packageName: string, service: string): string {
  return packageName === "" ? service : `${packageName}.${service}`;
}

/** Gloo's: nobody but the route and the transcoder see it. */
function httpPath({ namespace, name }: Ref, service: string, method: string): string {
  return `/${hash("sha1", namespace + name + service, "hex").slice(0, 8)}/${name}/${service}/${method}`;
}

/** The Upstream's descriptors with an HTTP rule for each method of its services; a text when they cannot be used. */
function withHttpRules({ descriptors, grpcServices }: GrpcSpec, ref: Ref): FileDescriptorSet | string {
  let set: FileDescriptorSet;
  try {
    set = fromBinary(FileDescriptorSetSchema, decoded(descriptors));
  } catch {
    return "parsing grpc spec as a proto descriptor set: descriptors is not a valid FileDescriptorSet";
  }
  const names = grpcServices.map((each) => fullName(each.packageName, each.serviceName));
  const fault = setFault(set, names);
  if (fault !== undefined) return `parsing grpc spec as a proto descriptor set: descriptors ${fault}`;
  for (const file of set.file)
    for (const service of file.service) {
      const name = fullName(file.package, service.name);
      if (!names.includes(name)) continue;
      for (const method of service.method) {
        const others = (method.options?.$unknown ?? []).filter(({ no }) => no !== httpRuleField);
        const rule = { no: httpRuleField, wireType: WireType.LengthDelimited, data: httpRule(httpPath(ref, name, method.name)) };
        const own = method.options ?? fromBinary(MethodOptionsSchema, new Uint8Array());
        method.options = { ...own, $unknown: [...others, rule] };
      }
    }
  return set;
}

/** The extension `google.api.http` of MethodOptions. */
const httpRuleField = 72_295_728;

/** `{post: path, body: "*"}`, with its length in front. */
function httpRule(path: string): Uint8Array {
  const rule = new BinaryWriter().tag(4, WireType.LengthDelimited).string(path).tag(7, WireType.LengthDelimited).string("*").finish();
  return new BinaryWriter().bytes(rule).finish();
}

/** Discovery of old wrote base64 text into the bytes; people write the set itself. */
function decoded(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString("latin1");
  return /^[A-Za-z0-9+/\r\n]+={0,2}\s*$/.test(text) ? new Uint8Array(Buffer.from(text, "base64")) : bytes;
}
