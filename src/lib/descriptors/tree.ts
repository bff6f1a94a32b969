// Descriptors of generated code. A tree is all files that refer to each other; generated code calls its `fileDesc` with a path, where
// protobuf-es would have it call one with the encoded file and its imports.
//
// protobuf-es makes every field and value of every file at once, a third of the time that starting took. Here a file is read when
// it is asked for, and then only for the names of its types; a message has its fields when somebody looks at them, which is one
// message in ten (hydrate.ts). What one then sees is what protobuf-es would have made, tested for every type.
import { create, type DescEnum, type DescFile, type DescMessage, fromBinary } from "@bufbuild/protobuf";
import * as wkt from "@bufbuild/protobuf/wkt";
import { type Members, membersOf } from "./fields.ts";
import { hydrate, placed, restoreJsonNames, typeOf } from "./hydrate.ts";
import { all, isMapEntry, name, names, partsOf } from "./parts.ts";

// For generated code: to look up a package from each of its many folders would take longer than to read it.
export { enumDesc, extDesc, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";

/** The descriptor of a .proto file, by its path. */
export type FileDesc = (path: string) => DescFile;

/** Takes each FileDescriptorProto in base64, by its path. */
export function descriptorTree(encoded: Readonly<Record<string, string>>): FileDesc {
  const files = new Map(wellKnown.map((each) => [`${each.name}.proto`, each]));
  const fileDesc = (path: string): DescFile => {
    const known = files.get(path);
    if (known !== undefined) return known;
    const b64 = encoded[path];
    if (b64 === undefined) throw new Error(`${path} is not among the generated descriptors`);
    const { buffer, byteOffset, length } = Buffer.from(b64, "base64");
    const file = new File(new Uint8Array(buffer, byteOffset, length), fileDesc);
    files.set(path, file);
    return file;
  };
  return fileDesc;
}

/** Files that come with protobuf-es. */
const wellKnown: readonly DescFile[] = [
  wkt.file_google_protobuf_any,
  wkt.file_google_protobuf_descriptor,
  wkt.file_google_protobuf_duration,
  wkt.file_google_protobuf_empty,
  wkt.file_google_protobuf_field_mask,
  wkt.file_google_protobuf_struct,
  wkt.file_google_protobuf_timestamp,
  wkt.file_google_protobuf_wrappers,
];

// Numbers below are those of the fields in google/protobuf/descriptor.proto.
const inFile = { name: 1, package: 2, dependency: 3, message: 4, enum: 5, service: 6, extension: 7, syntax: 12 } as const;
const inMessage = { name: 1, message: 3, enum: 4, extension: 6 } as const;
const inEnum = { name: 1 } as const;

class File implements DescFile {
  readonly kind = "file";
  readonly edition: DescFile["edition"];
  readonly name: string;
  /** As others import it. */
  readonly path: string;
  readonly syntax: string;
  /** Before the names of its types. */
  readonly scope: string;
  readonly messages: DescMessage[];
  readonly enums: DescEnum[];
  readonly #bytes: Uint8Array;
  readonly #fileDesc: FileDesc;
  readonly #imports: readonly string[];
  #dependencies: DescFile[] | undefined;
  #proto: DescFile["proto"] | undefined;
  #services: DescFile["services"] | undefined;
  #extensions: DescFile["extensions"] | undefined;

  constructor(bytes: Uint8Array, fileDesc: FileDesc) {
    const parts = partsOf(bytes);
    this.#bytes = bytes;
    this.#fileDesc = fileDesc;
    this.path = name(parts, inFile.name);
    this.name = this.path.replace(/\.proto$/, "");
    this.scope = name(parts, inFile.package);
    this.syntax = name(parts, inFile.syntax);
    if (this.syntax === "editions") throw new Error(`${this.path}: editions of protobuf are not understood here`);
    this.edition = this.syntax === "proto3" ? wkt.Edition.EDITION_PROTO3 : wkt.Edition.EDITION_PROTO2;
    this.#imports = names(parts, inFile.dependency);
    this.messages = all(parts, inFile.message).map((each) => new Message(each, this, undefined));
    this.enums = all(parts, inFile.enum).map((each) => new Enum(each, this, undefined));
    if (all(parts, inFile.service).length === 0) this.#services = [];
    if (all(parts, inFile.extension).length === 0) this.#extensions = [];
  }

  get dependencies() {
    this.#dependencies ??= this.#imports.map(this.#fileDesc);
    return this.#dependencies;
  }

  get proto() {
    if (this.#proto === undefined) {
      this.#proto = fromBinary(wkt.FileDescriptorProtoSchema, this.#bytes);
      this.#proto.messageType.forEach(restoreJsonNames);
    }
    return this.#proto;
  }

  get services(): DescFile["services"] {
    this.#services ??= hydrate(this, this.scope, { service: this.proto.service }).services.map((each) => placed(each, { file: this }));
    return this.#services;
  }

  get extensions(): DescFile["extensions"] {
    this.#extensions ??= hydrate(this, this.scope, { extension: this.proto.extension }).extensions.map((each) =>
      placed(each, { file: this }),
    );
    return this.#extensions;
  }

  get deprecated() {
    return this.proto.options?.deprecated ?? false;
  }

  toString() {
    return `file ${this.path}`;
  }
}

class Message implements DescMessage {
  readonly kind = "message";
  readonly name: string;
  readonly typeName: string;
  readonly file: File;
  readonly parent: Message | undefined;
  readonly nestedMessages: DescMessage[];
  readonly nestedEnums: DescEnum[];
  readonly #bytes: Uint8Array;
  readonly #hasExtensions: boolean;
  #proto: wkt.DescriptorProto | undefined;
  #made: DescMessage | undefined;
  #members: Members | undefined;

  constructor(bytes: Uint8Array, file: File, parent: Message | undefined) {
    const parts = partsOf(bytes);
    this.name = name(parts, inMessage.name);
    this.typeName = typeName(this.name, parent ?? file);
    this.file = file;
    this.parent = parent;
    this.nestedMessages = all(parts, inMessage.message)
      .filter((each) => !isMapEntry(each))
      .map((each) => new Message(each, file, this));
    this.nestedEnums = all(parts, inMessage.enum).map((each) => new Enum(each, file, this));
    this.#bytes = bytes;
    this.#hasExtensions = all(parts, inMessage.extension).length > 0;
  }

  get fields() {
    return this.#all.fields;
  }
  get field() {
    return this.#all.field;
  }
  get oneofs() {
    return this.#all.oneofs;
  }
  get members() {
    return this.#all.members;
  }
  get nestedExtensions() {
    return this.#hasExtensions ? this.#hydrated.nestedExtensions : [];
  }
  get deprecated() {
    return this.proto.options?.deprecated ?? false;
  }
  get proto() {
    if (this.#proto === undefined) {
      this.#proto = fromBinary(wkt.DescriptorProtoSchema, this.#bytes);
      restoreJsonNames(this.#proto);
    }
    return this.#proto;
  }

  /** Before the names of the types in it. */
  get scope() {
    return this.typeName;
  }

  toString() {
    return `message ${this.typeName}`;
  }

  get #all(): Members {
    this.#members ??= this.file.syntax === "proto3" ? membersOf(this, partsOf(this.#bytes), (name) => this.#typeOf(name)) : this.#hydrated;
    return this.#members;
  }

  #typeOf(name: string): DescMessage | DescEnum {
    const found = typeOf(this.file, name);
    if (found === undefined) throw new Error(`${this.typeName} refers to ${name}, which ${this.file.path} neither has nor imports`);
    return found;
  }

  get #hydrated(): DescMessage {
    this.#made ??= this.#make();
    return this.#made;
  }

  #make(): DescMessage {
    const { name, field, oneofDecl, extension, options } = this.proto;
    const nestedType = this.proto.nestedType.filter((each) => each.options?.mapEntry);
    const alone = create(wkt.DescriptorProtoSchema, { name, field, oneofDecl, extension, nestedType, ...(options && { options }) });
    const [made] = hydrate(this.file, (this.parent ?? this.file).scope, { messageType: [alone] }).messages;
    if (made === undefined) throw new Error(`${this.typeName} was not made`);
    for (const each of made.fields) placed(each, { parent: this, ...(each.message === made && { message: this }) });
    for (const each of made.oneofs) placed(each, { parent: this });
    for (const each of made.nestedExtensions) placed(each, { parent: this, file: this.file });
    return made;
  }
}

class Enum implements DescEnum {
  readonly kind = "enum";
  readonly name: string;
  readonly typeName: string;
  readonly file: File;
  readonly parent: Message | undefined;
  readonly #bytes: Uint8Array;
  #made: DescEnum | undefined;

  constructor(bytes: Uint8Array, file: File, parent: Message | undefined) {
    this.name = name(partsOf(bytes), inEnum.name);
    this.typeName = typeName(this.name, parent ?? file);
    this.file = file;
    this.parent = parent;
    this.#bytes = bytes;
  }

  get values() {
    return this.#all.values;
  }
  get value() {
    return this.#all.value;
  }
  get open() {
    return this.#all.open;
  }
  get sharedPrefix() {
    return this.#all.sharedPrefix;
  }
  get deprecated() {
    return this.#all.deprecated;
  }
  get proto() {
    return this.#all.proto;
  }

  toString() {
    return `enum ${this.typeName}`;
  }

  get #all(): DescEnum {
    this.#made ??= this.#make();
    return this.#made;
  }

  #make(): DescEnum {
    const alone = fromBinary(wkt.EnumDescriptorProtoSchema, this.#bytes);
    const [made] = hydrate(this.file, (this.parent ?? this.file).scope, { enumType: [alone] }).enums;
    if (made === undefined) throw new Error(`${this.typeName} was not made`);
    for (const each of made.values) placed(each, { parent: this });
    return made;
  }
}

function typeName(name: string, { scope }: { readonly scope: string }): string {
  return scope === "" ? name : `${scope}.${name}`;
}
