// The fields of a message of proto3, read straight from its encoded descriptor. protobuf-es makes them from decoded descriptors and looks up
// every type that they refer to at once, which takes four times as long; hundreds of messages are needed before the first request
// is answered. What one sees is the same, tested for every field of every type.
import { type DescEnum, type DescField, type DescMessage, type DescOneof, fromBinary, type ScalarType } from "@bufbuild/protobuf";
import { protoCamelCase, safeObjectProperty } from "@bufbuild/protobuf/reflect";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  FeatureSet_FieldPresence,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  type OneofDescriptorProto,
  OneofDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { all, isMapEntry, name as nameIn, type Parts, partsOf } from "./parts.ts";

export interface Members {
  readonly fields: DescField[];
  readonly field: Record<string, DescField>;
  readonly oneofs: DescOneof[];
  readonly members: (DescField | DescOneof)[];
}

/** The message or enum of a full name. */
export type TypeOf = (name: string) => DescMessage | DescEnum;

// Numbers below are those of the fields in google/protobuf/descriptor.proto.
const inMessage = { name: 1, field: 2, message: 3, oneof: 8 } as const;

/** `parts` are those of the encoded message; `typeOf` is asked when a field's type is. */
export function membersOf(message: DescMessage, parts: Parts, typeOf: TypeOf): Members {
  const entries = new Map(
    all(parts, inMessage.message)
      .filter(isMapEntry)
      .map(partsOf)
      .map((entry) => [`${message.typeName}.${nameIn(entry, inMessage.name)}`, entry]),
  );
  const declared = all(parts, inMessage.oneof).map((bytes) => new Oneof(bytes, message));
  const result: Members = { fields: [], field: {}, oneofs: [], members: [] };
  for (const bytes of all(parts, inMessage.field)) {
    const written = readField(bytes);
    const oneof = written.oneofIndex === undefined || written.isOptional ? undefined : declared[written.oneofIndex];
    const entry = written.label === FieldDescriptorProto_Label.REPEATED ? entries.get(written.typeName) : undefined;
    const field = fieldOf(written, message, oneof, entry, typeOf);
    result.fields.push(field);
    result.field[field.localName] = field;
    if (oneof === undefined) result.members.push(field);
    else {
      if (oneof.fields.length === 0) result.members.push(oneof);
      oneof.fields.push(field);
    }
  }
  result.oneofs.push(...declared.filter(({ fields }) => fields.length > 0));
  return result;
}

class Oneof implements DescOneof {
  readonly kind = "oneof";
  readonly name: string;
  readonly localName: string;
  readonly parent: DescMessage;
  readonly fields: DescOneof["fields"] = [];
  readonly deprecated = false;
  readonly #bytes: Uint8Array;
  #proto: OneofDescriptorProto | undefined;

  constructor(bytes: Uint8Array, parent: DescMessage) {
    this.name = nameIn(partsOf(bytes), 1);
    this.localName = safeObjectProperty(protoCamelCase(this.name));
    this.parent = parent;
    this.#bytes = bytes;
  }

  get proto() {
    this.#proto ??= fromBinary(OneofDescriptorProtoSchema, this.#bytes);
    return this.#proto;
  }

  toString() {
    return `oneof ${this.parent.typeName}.${this.name}`;
  }
}

/** What a field's kind decides; the value is that of a map, or the field itself. */
interface Shape {
  readonly fieldKind: DescField["fieldKind"];
  readonly listKind?: "scalar" | "enum" | "message";
  readonly mapKind?: "scalar" | "enum" | "message";
  readonly mapKey?: ScalarType;
  readonly packed?: boolean;
  readonly value: Written;
}

class Field {
  readonly kind = "field";
  readonly name: string;
  readonly number: number;
  readonly localName: string;
  readonly jsonName: string;
  readonly parent: DescMessage;
  readonly oneof: DescOneof | undefined;
  readonly fieldKind: DescField["fieldKind"];
  readonly listKind: Shape["listKind"];
  readonly mapKind: Shape["mapKind"];
  readonly mapKey: ScalarType | undefined;
  readonly scalar: ScalarType | undefined;
  readonly presence: FeatureSet_FieldPresence;
  readonly packed: boolean | undefined;
  readonly delimitedEncoding: boolean | undefined;
  readonly longAsString: boolean;
  readonly deprecated: boolean;
  readonly utf8Validation = true;
  readonly getDefaultValue: (() => undefined) | undefined;
  readonly #bytes: Uint8Array;
  readonly #value: Written;
  readonly #typeOf: TypeOf;
  #known: DescMessage | DescEnum | undefined;
  #proto: FieldDescriptorProto | undefined;

  constructor(written: Written, parent: DescMessage, oneof: DescOneof | undefined, shape: Shape, typeOf: TypeOf) {
    const { fieldKind, listKind, mapKind, mapKey, packed, value } = shape;
    const camel = protoCamelCase(written.name);
    this.name = written.name;
    this.number = written.number;
    this.localName = oneof ? camel : safeObjectProperty(camel);
    this.jsonName = written.jsonName || camel;
    this.parent = parent;
    this.oneof = oneof;
    this.fieldKind = fieldKind;
    this.listKind = listKind;
    this.mapKind = mapKind;
    this.mapKey = mapKey;
    this.scalar = isMessage(value) || isEnum(value) ? undefined : (value.type as number as ScalarType);
    const isRepeated = fieldKind === "list" || fieldKind === "map";
    const isExplicit = !isRepeated && (oneof !== undefined || written.isOptional || fieldKind === "message");
    this.presence = isExplicit ? FeatureSet_FieldPresence.EXPLICIT : FeatureSet_FieldPresence.IMPLICIT;
    this.packed = packed;
    this.delimitedEncoding = fieldKind === "map" || isMessage(value) ? false : undefined;
    this.longAsString = fieldKind !== "map" && this.scalar !== undefined && written.isLongAsString;
    this.deprecated = written.isDeprecated;
    this.getDefaultValue = isRepeated ? undefined : noDefault;
    this.#bytes = written.bytes;
    this.#value = value;
    this.#typeOf = typeOf;
  }

  get message(): DescMessage | undefined {
    return isMessage(this.#value) ? (this.#type as DescMessage) : undefined;
  }

  get enum(): DescEnum | undefined {
    return isEnum(this.#value) ? (this.#type as DescEnum) : undefined;
  }

  get #type(): DescMessage | DescEnum {
    this.#known ??= this.#typeOf(this.#value.typeName);
    return this.#known;
  }

  get proto(): FieldDescriptorProto {
    if (this.#proto === undefined) {
      this.#proto = fromBinary(FieldDescriptorProtoSchema, this.#bytes);
      this.#proto.jsonName = this.jsonName;
    }
    return this.#proto;
  }

  toString() {
    return `field ${this.parent.typeName}.${this.name}`;
  }
}

const noDefault = () => undefined;

function fieldOf(written: Written, parent: DescMessage, oneof: DescOneof | undefined, entry: Parts | undefined, typeOf: TypeOf): DescField {
  return new Field(written, parent, oneof, shapeOf(written, entry), typeOf) as unknown as DescField;
}

function shapeOf(written: Written, entry: Parts | undefined): Shape {
  if (entry) {
    const [key, value] = all(entry, inMessage.field).map(readField);
    if (key === undefined || value === undefined) throw new Error(`the map ${written.name} has no key or no value`);
    return { fieldKind: "map", mapKind: kindOf(value), mapKey: key.type as number as ScalarType, value };
  }
  const kind = kindOf(written);
  if (written.label !== FieldDescriptorProto_Label.REPEATED) return { fieldKind: kind, value: written };
  return { fieldKind: "list", listKind: kind, packed: isPackable(written) && written.isPacked !== false, value: written };
}

function kindOf(written: Written): "scalar" | "enum" | "message" {
  return isMessage(written) ? "message" : isEnum(written) ? "enum" : "scalar";
}

function isMessage({ type }: Written): boolean {
  return type === FieldDescriptorProto_Type.MESSAGE;
}

function isEnum({ type }: Written): boolean {
  return type === FieldDescriptorProto_Type.ENUM;
}

/** What has a length of its own cannot be packed. */
function isPackable(written: Written): boolean {
  const { STRING, BYTES } = FieldDescriptorProto_Type;
  return !isMessage(written) && written.type !== STRING && written.type !== BYTES;
}

/** Of a FieldDescriptorProto, what a field is made of. */
interface Written {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly number: number;
  readonly label: FieldDescriptorProto_Label;
  readonly type: FieldDescriptorProto_Type;
  /** Without the dot in front. */
  readonly typeName: string;
  readonly jsonName: string;
  readonly oneofIndex: number | undefined;
  readonly isOptional: boolean;
  readonly isDeprecated: boolean;
  readonly isLongAsString: boolean;
  /** Undefined where it is not written. */
  readonly isPacked: boolean | undefined;
}

function readField(bytes: Uint8Array): Written {
  const reader = new BinaryReader(bytes);
  let [name, typeName, jsonName] = ["", "", ""];
  let [number, label, type] = [0, 0, 0];
  let oneofIndex: number | undefined;
  let isOptional = false;
  let options: Options = noOptions;
  while (reader.pos < bytes.length) {
    const [field, wireType] = reader.tag();
    switch (field) {
      case 1:
        name = reader.string();
        break;
      case 3:
        number = reader.int32();
        break;
      case 4:
        label = reader.int32();
        break;
      case 5:
        type = reader.int32();
        break;
      case 6:
        typeName = reader.string().replace(/^\./, "");
        break;
      case 8:
        options = readOptions(reader.bytes());
        break;
      case 9:
        oneofIndex = reader.int32();
        break;
      case 10:
        jsonName = reader.string();
        break;
      case 17:
        isOptional = reader.bool();
        break;
      default:
        reader.skip(wireType, field);
    }
  }
  return { bytes, name, number, label, type, typeName, jsonName, oneofIndex, isOptional, ...options };
}

type Options = Pick<Written, "isDeprecated" | "isLongAsString" | "isPacked">;

const noOptions: Options = { isDeprecated: false, isLongAsString: false, isPacked: undefined };

const asString = 1;

function readOptions(bytes: Uint8Array): Options {
  const reader = new BinaryReader(bytes);
  let { isDeprecated, isLongAsString, isPacked } = noOptions;
  while (reader.pos < bytes.length) {
    const [field, wireType] = reader.tag();
    if (field === 2) isPacked = reader.bool();
    else if (field === 3) isDeprecated = reader.bool();
    else if (field === 6) isLongAsString = reader.int32() === asString;
    else reader.skip(wireType, field);
  }
  return { isDeprecated, isLongAsString, isPacked };
}
