import { readFileSync } from "node:fs";
import { toBinary } from "@bufbuild/protobuf";
import { fileDesc as theirs } from "@bufbuild/protobuf/codegenv2";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { file_envoy_config_cluster_v3_cluster as cluster } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { file_envoy_config_route_v3_route_components as route } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { file_gloo_projects_gloo_api_v1_upstream as upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";

test.each([cluster, route, upstream])("the descriptor of $name is what protobuf-es makes of it", (ours) => {
  const b64 = Buffer.from(toBinary(FileDescriptorProtoSchema, ours.proto)).toString("base64");
  const file = theirs(b64, [...ours.dependencies]);
  expect(ours.messages.map(outline)).toEqual(file.messages.map(outline));
  expect(ours.enums.map(({ typeName }) => typeName)).toEqual(file.enums.map(({ typeName }) => typeName));
  expect(ours.dependencies).toEqual(file.dependencies);
});

test("generated code hydrates its descriptors here", () => {
  expect(readFileSync(new URL("../gen/envoy/envoy/config/cluster/v3/cluster_pb.js", import.meta.url), "utf8")).toContain(
    "lib/file-desc.js",
  );
});

/** Names, numbers and referenced types, all the way down. */
function outline(message: (typeof cluster.messages)[number]): unknown {
  return {
    name: message.typeName,
    fields: message.fields.map(({ name, jsonName, number, fieldKind, message: of, enum: choice, oneof }) => [
      name,
      jsonName,
      number,
      fieldKind,
      of?.typeName,
      choice?.typeName,
      oneof?.name,
    ]),
    nested: message.nestedMessages.map(outline),
    enums: message.nestedEnums.map(({ typeName }) => typeName),
  };
}
