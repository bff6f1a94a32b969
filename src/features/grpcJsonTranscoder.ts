// `grpcJsonTranscoder`: JSON requests become gRPC calls, by the descriptors given. On a listener for all its requests, in the
// `serviceSpec` of an Upstream for requests to that Upstream; there it wins.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { bytesFault, descriptorFault, dormantTranscoder, transcoderFilter } from "../envoy/grpc-transcoder.ts";
import { GrpcJsonTranscoderSchema } from "../gen/envoy/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import type {
  GrpcJsonTranscoder,
  GrpcJsonTranscoder_DescriptorConfigMap,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/grpc_json/grpc_json_pb.js";
import type { Feature, OptionFinding, PlacedFilter } from "../plugin/feature.ts";
import { serviceSpecOf } from "../plugin/serviceSpec.ts";
import type { World } from "../plugin/world.ts";

type TranscoderInit = Exclude<MessageInitShape<typeof GrpcJsonTranscoderSchema>, { $typeName: string }>;

/** Says what is wrong; `field` is below the transcoder. */
type Refuse = (field: string, message: string, details?: OptionFinding) => void;

export const grpcJsonTranscoder: Feature = {
  name: "grpcJsonTranscoder",
  glooName: "grpc_json",
  fields: { http: ["grpcJsonTranscoder"] },
  httpFilters(options, { world, refuse }) {
    const wanted = options?.grpcJsonTranscoder;
    // Without services nothing is transcoded, and the descriptors are not looked at.
    if (wanted === undefined) return [filterOf(dormantTranscoder, true, { descriptorSet: { case: "protoDescriptorBin", value: none } })];
    const config = transcoder(wanted, world, (field, ...rest) => refuse(below("grpcJsonTranscoder", field), ...rest));
    return config ? [filterOf(transcoderFilter, false, config)] : [];
  },
  /** Only judges: what is wrong is said once, on the Upstream, whose other requests are served. */
  upstream(cluster, { upstream }, { world, report }) {
    const wanted = ownTranscoder(upstream);
    if (!wanted) return cluster;
    const at = `${upstream.upstreamType.case}.serviceSpec.grpcJsonTranscoder`;
    transcoder(wanted, world, (field, message, details) => {
      const { hint, elsewhere } = details ?? {};
      const text = `${message}; requests to this Upstream are not transcoded`;
      report.warn("OptionInvalid", text, { path: below(at, field), ...(hint && { hint }), ...(elsewhere && { elsewhere }) });
    });
    return cluster;
  },
  destination(draft, { upstream, world, http }) {
    const wanted = upstream.spec && ownTranscoder(upstream.spec);
    const config = wanted && transcoder(wanted, world, () => {});
    return config
      ? withFilterConfig(draft, http?.grpcJsonTranscoder ? transcoderFilter : dormantTranscoder, GrpcJsonTranscoderSchema, config)
      : draft;
  },
};

const none = new Uint8Array();

/** Discovery may have left one without descriptors: the Upstream is a gRPC service, and nothing more is known. */
function ownTranscoder(upstream: Parameters<typeof serviceSpecOf>[0]): GrpcJsonTranscoder | undefined {
  const plugin = serviceSpecOf(upstream)?.pluginType;
  return plugin?.case === "grpcJsonTranscoder" && plugin.value.descriptorSet.case !== undefined ? plugin.value : undefined;
}

function filterOf(name: string, disabled: boolean, config: TranscoderInit): PlacedFilter {
  const value = packAny(GrpcJsonTranscoderSchema, config);
  return {
    place: { stage: "outAuth", position: "before" },
    filter: { name, ...(disabled && { disabled }), configType: { case: "typedConfig", value } },
  };
}

function transcoder(wanted: GrpcJsonTranscoder, world: World, refuse: Refuse): TranscoderInit | undefined {
  const descriptorSet = descriptors(wanted, world, refuse);
  if (descriptorSet === undefined) return undefined;
  if (descriptorSet.case === "protoDescriptorBin") {
    // Without services nothing is transcoded, and Envoy does not look at what is in the set.
    const fault = wanted.services.length > 0 ? descriptorFault(descriptorSet.value, wanted.services) : bytesFault(descriptorSet.value);
    if (fault !== undefined) {
      const field = wanted.descriptorSet.case ?? "";
      refuse(field, `${field} ${fault}`, { hint: "protoc --include_imports --descriptor_set_out makes such a set" });
      return undefined;
    }
  }
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

type Descriptors =
  | { readonly case: "protoDescriptor"; readonly value: string }
  | { readonly case: "protoDescriptorBin"; readonly value: Uint8Array };

function descriptors({ descriptorSet }: GrpcJsonTranscoder, world: World, refuse: Refuse): Descriptors | undefined {
  switch (descriptorSet.case) {
    case "protoDescriptor":
      return { case: "protoDescriptor", value: descriptorSet.value };
    case "protoDescriptorBin":
      return { case: "protoDescriptorBin", value: descriptorSet.value };
    case "protoDescriptorConfigMap": {
      const value = fromConfigMap(descriptorSet.value, world, refuse);
      return value && { case: "protoDescriptorBin", value };
    }
    default:
      refuse("", "no descriptors are given, with which Envoy refuses the listener", {
        hint: "add protoDescriptor, protoDescriptorBin or protoDescriptorConfigMap",
      });
      return undefined;
  }
}

function fromConfigMap(
  { configMapRef, key }: GrpcJsonTranscoder_DescriptorConfigMap,
  world: World,
  refuse: Refuse,
): Uint8Array | undefined {
  const fail = (message: string, elsewhere = true) => {
    refuse("protoDescriptorConfigMap", message, { elsewhere });
    return undefined;
  };
  if (configMapRef === undefined) return fail("a configmap ref must be provided", false);
  const shown = `configmap ${configMapRef.namespace}:${configMapRef.name}`;
  const data = world.get("Artifact", configMapRef)?.spec?.data;
  if (data === undefined) return fail(`${shown} cannot be found`);
  const keys = Object.keys(data);
  if (keys.length === 0) return fail(`${shown} does not contain any values`);
  if (key === "" && keys.length > 1) return fail(`key must be provided for ${shown} which contains ${keys.length} values`, false);
  const used = key || (keys[0] ?? "");
  const text = Object.hasOwn(data, used) ? data[used] : undefined;
  if (!text) return fail(`${shown} does not contain a value for key ${used}`);
  if (!isBase64(text))
    return fail(`config map ${configMapRef.namespace}:${configMapRef.name} contains a value for key ${used} but is not base64-encoded`);
  return new Uint8Array(Buffer.from(text, "base64"));
}

function isBase64(text: string): boolean {
  const dense = text.replace(/[\r\n]/g, "");
  return dense.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(dense);
}

function below(place: string, field: string): string {
  return field === "" ? place : `${place}.${field}`;
}
