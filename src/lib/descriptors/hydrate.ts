// Has protobuf-es make a descriptor: of one message, enum, service or extension, in a file of its own.
import { create, createFileRegistry, type DescEnum, type DescFile, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import { type DescriptorProto, type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** The file that the types are declared in. */
interface Home extends DescFile {
  readonly path: string;
  readonly syntax: string;
}

type Contents = Pick<MessageInitShape<typeof FileDescriptorProtoSchema>, "messageType" | "enumType" | "service" | "extension">;

/** What protobuf-es makes of a part of a file. Types that it refers to are ours. */
export function hydrate(file: Home, scope: string, contents: Contents): DescFile {
  const proto = create(FileDescriptorProtoSchema, {
    name: file.path,
    package: scope,
    syntax: file.syntax,
    dependency: ["types"],
    ...contents,
  });
  const made = createFileRegistry(proto, () => typesFile(referencesOf(proto).map((name) => typeOf(file, name)))).getFile(file.path);
  if (made === undefined) throw new Error(`${file.path} was not made`);
  return made;
}

/** Full names of the types that fields, extensions and methods refer to. */
function referencesOf({ messageType, extension, service }: FileDescriptorProto): string[] {
  const fields = messageType.flatMap((each) => [...each.field, ...each.extension, ...each.nestedType.flatMap((entry) => entry.field)]);
  const names = [...fields, ...extension].flatMap((each) => [each.typeName, each.extendee]);
  const methods = service.flatMap((each) => each.method).flatMap((each) => [each.inputType, each.outputType]);
  return [...new Set([...names, ...methods])].filter((name) => name !== "").map((name) => name.replace(/^\./, ""));
}

/** A file with these types. Where a registry looks for enums it does not look into them for more. */
function typesFile(types: readonly (DescMessage | DescEnum | undefined)[]): DescFile {
  const proto = { name: "types" };
  const enums = types.filter((each) => each !== undefined);
  return { kind: "file", proto, enums, messages: [], services: [], extensions: [], dependencies: [] } as unknown as DescFile;
}

/** The type of this name that a file declares or imports; a map entry is neither. */
export function typeOf(file: DescFile, name: string): DescMessage | DescEnum | undefined {
  const own = typesOf(file).get(name);
  if (own !== undefined) return own;
  for (const each of file.dependencies) {
    const found = typesOf(each).get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

const typesOfFiles = new WeakMap<DescFile, ReadonlyMap<string, DescMessage | DescEnum>>();

function typesOf(file: DescFile): ReadonlyMap<string, DescMessage | DescEnum> {
  let types = typesOfFiles.get(file);
  if (types === undefined) {
    types = new Map([...file.enums, ...file.messages.flatMap(withNested)].map((each) => [each.typeName, each]));
    typesOfFiles.set(file, types);
  }
  return types;
}

function withNested(message: DescMessage): (DescMessage | DescEnum)[] {
  return [message, ...message.nestedEnums, ...message.nestedMessages.flatMap(withNested)];
}

/** What protobuf-es made knows only the file it was made in. */
export function placed<T extends object>(made: T, place: { readonly [K in keyof T]?: unknown }): T {
  return Object.assign(made, place);
}

/** Embedded descriptors have no JSON names where they are the usual ones. */
export function restoreJsonNames(message: DescriptorProto): void {
  for (const each of message.field) each.jsonName ||= protoCamelCase(each.name);
  message.nestedType.forEach(restoreJsonNames);
}
