// A protobuf message as the OpenAPI schema of a CustomResourceDefinition. docs/decisions/0020-crds.md has the reasons for each rule.
//
// Whatever the CRDs of Gloo Edge 1.22 admit is admitted: an object that lies in a cluster stays valid. Types are as strict as theirs and
// no stricter, because our own findings say more than an API server can; unknown fields are kept, so that we can name them.
import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";

export interface Schema {
  readonly type?: "object" | "array" | "string" | "boolean" | "integer" | "number";
  readonly format?: string;
  readonly nullable?: true;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
  readonly "x-kubernetes-int-or-string"?: true;
  readonly "x-kubernetes-list-type"?: "map";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
}

/** Any object. */
export const anyObject: Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

const anything: Schema = { "x-kubernetes-preserve-unknown-fields": true };
const text: Schema = { type: "string" };
const intOrString: Schema = { "x-kubernetes-int-or-string": true };

/** Large, and rarely written: an object of any content. With it, the definitions would be half as large again. */
const leftOpen = new Set(["gloo.solo.io.WeightedDestinationOptions"]);

export interface SchemaOptions {
  /** Fields of the message that no user writes. */
  readonly without: readonly string[];
  /** Paths below the message where anything is let through: `routes[].options.envoyMetadata{}`. */
  readonly open: ReadonlySet<string>;
}

/** The message with all its fields. */
export function messageSchema(message: DescMessage, { without, open }: SchemaOptions): Schema {
  const fields = message.fields.filter(({ jsonName }) => !without.includes(jsonName));
  return objectOf(fields, { path: "", around: [message], open });
}

/** Where in a schema we are. */
interface Here {
  readonly path: string;
  /** The messages that this is in, so that recursion ends. */
  readonly around: readonly DescMessage[];
  readonly open: ReadonlySet<string>;
}

function objectOf(fields: readonly DescField[], here: Here): Schema {
  const below = (name: string) => ({ ...here, path: here.path === "" ? name : `${here.path}.${name}` });
  return {
    ...anyObject,
    properties: Object.fromEntries(fields.map((field) => [field.jsonName, fieldSchema(field, below(field.jsonName))])),
  };
}

function fieldSchema(field: DescField, here: Here): Schema {
  if (field.fieldKind === "list") return { type: "array", items: valueSchema(field, { ...here, path: `${here.path}[]` }) };
  if (field.fieldKind === "map") return { type: "object", additionalProperties: valueSchema(field, { ...here, path: `${here.path}{}` }) };
  return valueSchema(field, here);
}

/** Of the field, or of one element of it. */
function valueSchema(field: DescField, here: Here): Schema {
  if (!field.message) return field.enum ? enumSchema(field.enum) : scalarSchema(field.scalar!);
  return wellKnownSchema(field.message) ?? nestedSchema(field.message, here);
}

function nestedSchema(message: DescMessage, here: Here): Schema {
  const isOpen = here.open.has(here.path) || here.around.includes(message) || leftOpen.has(message.typeName);
  if (isOpen || message.fields.length === 0) return anyObject;
  return objectOf(message.fields, { ...here, around: [...here.around, message] });
}

/** In the JSON that protobuf gives them. */
function wellKnownSchema(message: DescMessage): Schema | undefined {
  if (isWrapperDesc(message)) return { ...scalarSchema(message.fields[0]!.scalar!), nullable: true };
  switch (message.typeName) {
    case "google.protobuf.Duration":
    case "google.protobuf.Timestamp":
    case "google.protobuf.FieldMask":
      return text;
    case "google.protobuf.Struct":
    case "google.protobuf.Any":
      return anyObject;
    case "google.protobuf.Value":
      return anything;
    case "google.protobuf.ListValue":
      return { type: "array", items: anything };
    default:
      return undefined;
  }
}

/** The names are told to editors; another name or a number is let through, for us to judge: the second half takes anything. */
function enumSchema({ values }: DescEnum): Schema {
  return { ...intOrString, anyOf: [{ enum: values.map(({ name }) => name) }, {}] };
}

function scalarSchema(scalar: ScalarType): Schema {
  switch (scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return { type: "string", format: "byte" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return { type: "number" };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", minimum: 0, maximum: 4294967295 };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", format: "int32" };
    default:
      // 64 bits: protobuf writes them as text, because JavaScript has no such numbers.
      return intOrString;
  }
}
