// Options from several places made one: field by field, the first that writes a field wins.
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { OptionPlaces, Written } from "../model/virtual-host.ts";

export interface PlacedOptions<O> {
  readonly options: O | undefined;
  /** Of the fields that were taken from elsewhere. */
  readonly at: OptionPlaces;
}

/** `first` wins over `second`, whole top-level field by whole field; a oneof counts as one field, as in Gloo. */
export function mergeOptions<S extends DescMessage>(
  schema: S,
  first: PlacedOptions<MessageShape<S>>,
  second: PlacedOptions<MessageShape<S>>,
  secondAt: Written,
): PlacedOptions<MessageShape<S>> {
  if (second.options === undefined) return first;
  const merged: Record<string, unknown> = { ...(first.options as object | undefined) };
  const at = new Map(first.at);
  for (const [property, value] of Object.entries(second.options as object)) {
    if (property.startsWith("$") || !isSet(schema, property, value) || isSet(schema, property, merged[property])) continue;
    merged[property] = value;
    const field = fieldName(property, value);
    at.set(field, second.at.get(field) ?? { resource: secondAt.resource, path: `${secondAt.path}.${field}` });
  }
  return { options: create(schema, merged as never), at };
}

function isSet(schema: DescMessage, property: string, value: unknown): boolean {
  if (value === undefined) return false;
  // A wrapper is there or not, whatever its value: `false` and `""` are written, too.
  if (schema.field[property]?.fieldKind === "message") return true;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value !== "object" || value === null) return value !== false && value !== "" && value !== 0;
  if ("case" in value && !("$typeName" in value)) return value.case !== undefined;
  if ("$typeName" in value || value instanceof Uint8Array) return true;
  return Object.keys(value).length > 0;
}

/** The YAML name of a property: of a oneof, that of the member. */
function fieldName(property: string, value: unknown): string {
  return typeof value === "object" && value !== null && "case" in value && typeof value.case === "string" ? value.case : property;
}
