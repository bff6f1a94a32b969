// `grpcJsonTranscoder` of a listener: JSON requests become gRPC calls, by the descriptors given.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../envoy/encode.ts";
import { GrpcJsonTranscoderSchema } from "../gen/envoy/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import type {
  GrpcJsonTranscoder,
  GrpcJsonTranscoder_DescriptorConfigMap,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/grpc_json/grpc_json_pb.js";
import type { Feature, ListenerContext } from "../plugin/feature.ts";

type TranscoderInit = Exclude<MessageInitShape<typeof GrpcJsonTranscoderSchema>, { $typeName: string }>;

export const grpcJsonTranscoder: Feature = {
  name: "grpcJsonTranscoder",
  glooName: "grpc_json",
  fields: { http: ["grpcJsonTranscoder"] },
  httpFilters(options, context) {
    const wanted = options?.grpcJsonTranscoder;
    const config = wanted && transcoder(wanted, context);
    if (!config) return [];
    const filter = {
      name: "envoy.filters.http.grpc_json_transcoder",
      configType: { case: "typedConfig" as const, value: packAny(GrpcJsonTranscoderSchema, config) },
    };
    return [{ place: { stage: "outAuth", position: "before" }, filter }];
  },
};

function transcoder(wanted: GrpcJsonTranscoder, context: ListenerContext): TranscoderInit | undefined {
  const descriptorSet = descriptors(wanted, context);
  if (descriptorSet === undefined) return undefined;
  const { printOptions } = wanted;
  return {
    descriptorSet,
    services: [...wanted.services],
    ...(printOptions && {
      printOptions: {
        addWhitespace: printOptions.addWhitespace,
        alwaysPrintPrimitiveFields: printOptions.alwaysPrintPrimitiveFields,
        alwaysPrintEnumsAsInts: printOptions.alwaysPrintEnumsAsInts,
        preserveProtoFieldNames: printOptions.preserveProtoFieldNames,
      },
    }),
    matchIncomingRequestRoute: wanted.matchIncomingRequestRoute,
    ignoredQueryParameters: [...wanted.ignoredQueryParameters],
    autoMapping: wanted.autoMapping,
    ignoreUnknownQueryParameters: wanted.ignoreUnknownQueryParameters,
    convertGrpcStatus: wanted.convertGrpcStatus,
  };
}

function descriptors({ descriptorSet }: GrpcJsonTranscoder, context: ListenerContext): TranscoderInit["descriptorSet"] | undefined {
  switch (descriptorSet.case) {
    case "protoDescriptor":
      return { case: "protoDescriptor", value: descriptorSet.value };
    case "protoDescriptorBin":
      return { case: "protoDescriptorBin", value: descriptorSet.value };
    case "protoDescriptorConfigMap": {
      const value = fromConfigMap(descriptorSet.value, context);
      return value && { case: "protoDescriptorBin", value };
    }
    default:
      context.refuse("grpcJsonTranscoder", "no descriptors are given, with which Envoy refuses the listener", {
        hint: "add protoDescriptor, protoDescriptorBin or protoDescriptorConfigMap",
      });
      return undefined;
  }
}

function fromConfigMap({ configMapRef, key }: GrpcJsonTranscoder_DescriptorConfigMap, context: ListenerContext): Uint8Array | undefined {
  const fail = (message: string, elsewhere = true) => {
    context.refuse("grpcJsonTranscoder.protoDescriptorConfigMap", message, { elsewhere });
    return undefined;
  };
  if (configMapRef === undefined) return fail("a configmap ref must be provided", false);
  const shown = `configmap ${configMapRef.namespace}:${configMapRef.name}`;
  const data = context.world.get("Artifact", configMapRef)?.spec?.data;
  if (data === undefined) return fail(`${shown} cannot be found`);
  const keys = Object.keys(data);
  if (keys.length === 0) return fail(`${shown} does not contain any values`);
  if (key === "" && keys.length > 1) return fail(`key must be provided for ${shown} which contains multiple values`, false);
  const text = data[key || (keys[0] ?? "")];
  if (text === undefined) return fail(`${shown} does not contain a value for key ${key}`);
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(text)) return fail(`${shown} value is not base64-encoded`);
  return new Uint8Array(Buffer.from(text, "base64"));
}
