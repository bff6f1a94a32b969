// The fields of a message under both of their names: camelCase as in JSON, and snake_case as in the .proto.
import type { DescField, DescMessage } from "@bufbuild/protobuf";

export interface FieldName {
  readonly field: DescField;
  readonly isCamelCase: boolean;
}

const fieldNames = new WeakMap<DescMessage, ReadonlyMap<string, FieldName>>();

export function fieldsByName(desc: DescMessage): ReadonlyMap<string, FieldName> {
  let names = fieldNames.get(desc);
  if (!names) {
    const made = new Map<string, FieldName>();
    for (const field of desc.fields) made.set(field.name, { field, isCamelCase: field.name === field.jsonName });
    for (const field of desc.fields) made.set(field.jsonName, { field, isCamelCase: true });
    fieldNames.set(desc, made);
    names = made;
  }
  return names;
}

/** A field's name in the .proto as its name in JSON; a name in camelCase stays. */
export function camelCase(name: string): string {
  return name.includes("_") ? name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) : name;
}
