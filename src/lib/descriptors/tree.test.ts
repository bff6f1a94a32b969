import { globSync } from "node:fs";
import { join } from "node:path";
import {
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescService,
  toBinary,
} from "@bufbuild/protobuf";
import { fileDesc as theirs } from "@bufbuild/protobuf/codegenv2";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import type { FileDesc } from "./tree.ts";

describe.each(["gloo", "envoy"])("the descriptors of %s", async (tree) => {
  const folder = join(import.meta.dirname, "../../gen", tree);
  const { fileDesc }: { fileDesc: FileDesc } = await import(join(folder, "descriptors.js"));
  const files = globSync("**/*_pb.js", { cwd: folder }).map((name) => fileDesc(name.replace(/_pb\.js$/, ".proto")));
  const types = new Map(files.flatMap((file) => [...nestedTypes(file)]).map((each) => [each.typeName, each]));

  test("there are many", () => {
    expect(files.length).toBeGreaterThan(100);
    expect(types.size).toBeGreaterThan(500);
  });

  test("are what protobuf-es makes of the files", () => {
    const made = new Map<DescFile, DescFile>();
    const make = (ours: DescFile): DescFile => {
      if (ours.name.startsWith("google/protobuf/")) return ours;
      const b64 = Buffer.from(toBinary(FileDescriptorProtoSchema, ours.proto)).toString("base64");
      const file = made.get(ours) ?? theirs(b64, ours.dependencies.map(make));
      made.set(ours, file);
      return file;
    };
    for (const ours of files) {
      const file = make(ours);
      expect(ofFile(ours)).toEqual(ofFile(file));
      expect([...nestedTypes(ours)].map(ofType)).toEqual([...nestedTypes(file)].map(ofType));
    }
  });

  test("refer to each other, each being there once", () => {
    for (const each of types.values()) {
      if (each.kind !== "message") continue;
      for (const field of each.fields) {
        if (field.parent !== each) throw new Error(`${field} has another parent`);
        for (const type of [field.message, field.enum])
          if (type !== undefined && type !== (types.get(type.typeName) ?? type)) throw new Error(`${field} has a ${type} of its own`);
      }
    }
  });
});

function ofFile(file: DescFile) {
  const { kind, name, edition, deprecated, proto } = file;
  const parts = [file.messages, file.enums, file.services, file.extensions, file.dependencies].map((each) => each.map(String));
  return { kind, name, edition, deprecated, proto, parts, text: String(file) };
}

function ofType(type: DescMessage | DescEnum | DescService | DescExtension) {
  const { kind, name, typeName, deprecated, proto, file } = type;
  const common = { kind, name, typeName, deprecated, proto, file: String(file), text: String(type) };
  switch (type.kind) {
    case "message":
      return {
        ...common,
        parent: String(type.parent),
        fields: type.fields.map(ofField),
        field: Object.entries(type.field).map(String),
        members: type.members.map(String),
        oneofs: type.oneofs.map((each) => ({
          ...each,
          proto: each.proto,
          parent: String(each.parent),
          fields: each.fields.map(String),
          toString: String(each),
        })),
        nested: [type.nestedMessages, type.nestedEnums, type.nestedExtensions].map((each) => each.map(String)),
      };
    case "enum":
      return {
        ...common,
        parent: String(type.parent),
        open: type.open,
        sharedPrefix: type.sharedPrefix,
        values: type.values.map((each) => ({ ...each, parent: String(each.parent), toString: String(each) })),
        value: Object.entries(type.value).map(String),
      };
    case "service":
      return {
        ...common,
        methods: type.methods.map((each) => ({
          ...each,
          parent: String(each.parent),
          input: String(each.input),
          output: String(each.output),
          toString: String(each),
        })),
        method: Object.entries(type.method).map(String),
      };
    case "extension":
      return { ...common, ...ofField(type), extendee: String(type.extendee) };
  }
}

function ofField(given: DescField | DescExtension) {
  const field = plain(given);
  const [parent, message, choice, oneof] = [field.parent, field.message, field.enum, field.oneof].map(String);
  const byDefault = "getDefaultValue" in field ? field.getDefaultValue?.() : undefined;
  return {
    ...field,
    file: undefined,
    extendee: undefined,
    parent,
    message,
    enum: choice,
    oneof,
    getDefaultValue: byDefault,
    toString: String(field),
  };
}

/** Getters, too, as properties. */
function plain(field: DescField | DescExtension): DescField | DescExtension {
  const { proto, message, enum: choice } = field;
  return { ...field, proto, message, enum: choice, toString: () => String(field) } as typeof field;
}
