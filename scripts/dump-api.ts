// Prints our protos as one JSON table: every message, field, enum, service and resource, and the facts of the published CRDs.
//
//   npm run -s dump-api
//
// The form is the one in which the API of Gloo Edge was written down, so that the two can be compared byte for byte.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  create,
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type FileRegistry,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { resource } from "../src/gen/gloo/solo-kit/api/v1/solo-kit_pb.js";
import { compileProtos } from "./protos.ts";

export interface Field {
  readonly name: string;
  readonly json: string;
  readonly number: number;
  readonly type: string;
  readonly label: "optional" | "repeated" | "map";
  readonly kind?: "message" | "enum";
  readonly oneof?: string;
  readonly deprecated?: true;
}

export interface ApiTable {
  readonly messages: Record<string, { file: string; fields: Field[]; reserved?: (number | string)[] }>;
  readonly enums: Record<string, { file: string; values: Record<string, number>; deprecated?: true; deprecated_values?: string[] }>;
  readonly services: Record<string, { file: string; methods: Record<string, [input: string, output: string, streams: string]> }>;
  readonly resources: Record<string, { short_name: string; plural_name: string; skip_hashing_annotations?: true }>;
  readonly left_out_files: readonly string[];
  readonly crds: Record<string, Crd>;
}

/** What a published CRD says of its kind, besides the schema. */
export interface Crd {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly versions: readonly { readonly name: string }[];
}

/** Files that only carry annotations, and those of Google that every protobuf library has: not part of the API. */
export const leftOutFiles = [
  "envoy/annotations/deprecation.proto",
  "extproto/ext.proto",
  "google/api/annotations.proto",
  "google/api/http.proto",
  "google/protobuf/any.proto",
  "google/protobuf/descriptor.proto",
  "google/protobuf/duration.proto",
  "google/protobuf/empty.proto",
  "google/protobuf/struct.proto",
  "google/protobuf/timestamp.proto",
  "google/protobuf/wrappers.proto",
  "google/rpc/status.proto",
  "udpa/annotations/migrate.proto",
  "udpa/annotations/sensitive.proto",
  "udpa/annotations/status.proto",
  "udpa/annotations/versioning.proto",
  "validate/validate.proto",
  "xds/annotations/v3/migrate.proto",
  "xds/annotations/v3/security.proto",
  "xds/annotations/v3/sensitive.proto",
  "xds/annotations/v3/status.proto",
  "xds/annotations/v3/versioning.proto",
];

if (import.meta.main) process.stdout.write(`${print(apiTable(ourRegistry()))}\n`);

/** Our own protos with all their descriptors. */
export function ourRegistry(): FileRegistry {
  return createFileRegistry(create(FileDescriptorSetSchema, { file: compileProtos() }));
}

/** Whether a file belongs to the API. */
export function isOfApi(file: DescFile): boolean {
  return !leftOutFiles.includes(`${file.name}.proto`);
}

export function apiTable(registry: FileRegistry): ApiTable {
  const messages: ApiTable["messages"] = {};
  const enums: ApiTable["enums"] = {};
  const services: ApiTable["services"] = {};
  const resources: ApiTable["resources"] = {};
  for (const type of [...registry].sort((a, b) => compare(a.typeName, b.typeName))) {
    if (type.kind === "extension" || !isOfApi(type.file)) continue;
    if (type.kind === "message") {
      messages[type.typeName] = messageRow(type);
      const options = resourceOptions(type);
      if (options) resources[type.typeName] = options;
    } else if (type.kind === "enum") {
      enums[type.typeName] = enumRow(type);
    } else {
      services[type.typeName] = { file: fileName(type.file), methods: Object.fromEntries(type.methods.map((m) => [m.name, methodRow(m)])) };
    }
  }
  return { messages, enums, services, resources, left_out_files: leftOutFiles, crds: crds() };
}

/** What a message says of itself as a resource, if it is one. */
export function resourceOptions(message: DescMessage): ApiTable["resources"][string] | undefined {
  if (!hasOption(message, resource)) return undefined;
  const { shortName, pluralName, skipHashingAnnotations } = getOption(message, resource);
  const options = { short_name: shortName, plural_name: pluralName };
  return skipHashingAnnotations ? { ...options, skip_hashing_annotations: true } : options;
}

/** One row of text for each type, as the published table has it. */
function print(table: ApiTable): string {
  const rows = (entries: object) =>
    `{\n${Object.entries(entries)
      .map(([name, row]) => `${JSON.stringify(name)}:${JSON.stringify(row)}`)
      .join(",\n")}\n}`;
  const sections = Object.entries(table).map(
    ([name, part]) => `${JSON.stringify(name)}:${Array.isArray(part) ? JSON.stringify(part) : rows(part)}`,
  );
  return `{\n${sections.join(",\n")}\n}`;
}

function messageRow(message: DescMessage): ApiTable["messages"][string] {
  const row = { file: fileName(message.file), fields: message.fields.map(fieldRow) };
  const reserved = [...message.proto.reservedRange.flatMap(({ start, end }) => numbers(start, end)), ...message.proto.reservedName];
  return reserved.length > 0 ? { ...row, reserved } : row;
}

function fieldRow(field: DescField): Field {
  return {
    name: field.name,
    json: field.jsonName,
    number: field.number,
    type: typeOf(field),
    label: field.fieldKind === "map" ? "map" : field.proto.label === FieldDescriptorProto_Label.REPEATED ? "repeated" : "optional",
    ...(field.message ? { kind: "message" } : field.enum ? { kind: "enum" } : {}),
    ...(field.oneof ? { oneof: field.oneof.name } : {}),
    ...(field.deprecated ? { deprecated: true } : {}),
  };
}

function typeOf(field: DescField): string {
  const type = field.message?.typeName ?? field.enum?.typeName ?? scalarName(field.scalar!);
  return field.fieldKind === "map" ? `map<${scalarName(field.mapKey)},${type}>` : type;
}

function scalarName(scalar: ScalarType): string {
  return ScalarType[scalar].toLowerCase();
}

function enumRow(type: DescEnum): ApiTable["enums"][string] {
  const deprecated = type.values.filter((value) => value.deprecated).map((value) => value.name);
  return {
    file: fileName(type.file),
    values: Object.fromEntries(type.values.map((value) => [value.name, value.number])),
    ...(type.deprecated ? { deprecated: true } : {}),
    ...(deprecated.length > 0 ? { deprecated_values: deprecated } : {}),
  };
}

function methodRow(method: DescMethod): [string, string, string] {
  const streams = `${method.proto.clientStreaming ? "client" : ""}${method.proto.serverStreaming ? "server" : ""}`;
  return [method.input.typeName, method.output.typeName, streams];
}

/** `gloo/projects/x.proto` is `gloo:projects/x.proto`: the repository that publishes it, then the path there. */
function fileName(file: DescFile): string {
  return `${file.name}.proto`.replace(/^(gloo|solo-kit|solo-apis|skv2)\//, "$1:");
}

function crds(): ApiTable["crds"] {
  return JSON.parse(readFileSync(join(import.meta.dirname, "../proto/crds.json"), "utf8"));
}

function numbers(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
