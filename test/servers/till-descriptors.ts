// The descriptors of the gRPC service `till.v1.Till`, as `protoc` would write them.
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** In base64. What is asked and answered is the same: texts of these names. */
export function tillDescriptors(...fields: readonly string[]): string {
  const file: MessageInitShape<typeof FileDescriptorSetSchema> = {
    file: [
      {
        name: "till.proto",
        package: "till.v1",
        syntax: "proto3",
        messageType: [{ name: "Ask", field: fields.map((name, index) => textField(name, index + 1)) }],
        service: [{ name: "Till", method: [{ name: "Get", inputType: ".till.v1.Ask", outputType: ".till.v1.Ask" }] }],
      },
    ],
  };
  return Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, file))).toString("base64");
}

function textField(name: string, number: number) {
  return { name, number, jsonName: name, label: FieldDescriptorProto_Label.OPTIONAL, type: FieldDescriptorProto_Type.STRING };
}
