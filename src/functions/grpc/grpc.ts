// Functions of gRPC services with server reflection: their descriptors, by which Envoy offers the methods as JSON over HTTP.
import { clone, create, fromBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { setFault } from "../../envoy/grpc-transcoder.ts";
import { GrpcJsonTranscoderSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/grpc_json/grpc_json_pb.js";
import { type ServiceSpec, ServiceSpecSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import type { FoundFunctions, FunctionKind } from "../../plugin/function-kind.ts";
import type { Reflected } from "./reflection.ts";

export const grpc: FunctionKind = {
  kind: "grpc",
  refreshMs: 60_000,
  completes: ({ pluginType }) => pluginType.case === "grpcJsonTranscoder" && pluginType.value.descriptorSet.case === undefined,
  async ask({ target, begun, signal }) {
    // Loaded when there is somebody to ask: the client of gRPC is large.
    const { reflect } = await import("./reflection.ts");
    const reflected = await reflect(target, signal);
    if (reflected === undefined || reflected.services.length === 0) return { kind: "absent" };
    return { kind: "found", found: functionsOf(reflected, begun) };
  },
};

/** Throws for descriptors that Envoy would refuse. */
export function functionsOf({ services, files }: Reflected, begun: ServiceSpec | undefined): FoundFunctions {
  const writer = new BinaryWriter();
  // As they came: nothing that is in them is lost.
  for (const file of files) writer.tag(1, WireType.LengthDelimited).bytes(file);
  const bytes = writer.finish();
  const set = fromBinary(FileDescriptorSetSchema, bytes);
  const wanted = begun?.pluginType.case === "grpcJsonTranscoder" ? clone(GrpcJsonTranscoderSchema, begun.pluginType.value) : undefined;
  const transcoder = wanted ?? create(GrpcJsonTranscoderSchema);
  if (transcoder.services.length === 0) transcoder.services = [...services];
  const fault = setFault(set, transcoder.services);
  if (fault !== undefined) throw new Error(`what the server says of itself ${fault}`);
  transcoder.descriptorSet = { case: "protoDescriptorBin", value: bytes };
  transcoder.matchIncomingRequestRoute = true;
  const offered = new Set(transcoder.services);
  const count = set.file
    .flatMap(({ package: name, service }) => service.map((each) => ({ name: name === "" ? each.name : `${name}.${each.name}`, each })))
    .filter(({ name }) => offered.has(name))
    .reduce((sum, { each }) => sum + each.method.length, 0);
  return { spec: create(ServiceSpecSchema, { pluginType: { case: "grpcJsonTranscoder", value: transcoder } }), count, leftOut: [] };
}
