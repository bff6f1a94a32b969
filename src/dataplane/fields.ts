// What of a message is executed and what is not. Each message kind that we compile has a table of the fields that are; any other field that
// is set is found by reflection, so that nothing of the configuration is dropped in silence when Envoy or translation learns a new field.

import { type DescField, type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";

/** By message name, the fields (as in the .proto) that are executed, or that change nothing a client could see. Kinds without an entry are handled whole. */
export type HandledFields = Readonly<Record<string, readonly string[]>>;

const sets = new WeakMap<readonly string[], ReadonlySet<string>>();

/** Paths of set fields that the tables do not name: `route.cors`, `virtual_clusters[0].name`. */
export function unhandledFields(schema: DescMessage, message: Message, handled: HandledFields, base = ""): string[] {
  const found: string[] = [];
  visit(schema, message, handled, base, found);
  return found;
}

function visit(schema: DescMessage, message: Message, handled: HandledFields, base: string, found: string[]): void {
  const names = handled[schema.typeName];
  if (names === undefined) return;
  let set = sets.get(names);
  if (set === undefined) {
    set = new Set(names);
    sets.set(names, set);
  }
  for (const field of schema.fields) {
    if (!isFieldSet(message, field)) continue;
    const path = base === "" ? field.name : `${base}.${field.name}`;
    if (!set.has(field.name)) {
      found.push(path);
      continue;
    }
    const inner = field.message;
    if (inner === undefined || handled[inner.typeName] === undefined) continue;
    const value = fieldValue(message, field);
    if (field.fieldKind === "list")
      (value as Message[]).forEach((each, index) => void visit(inner, each, handled, `${path}[${index}]`, found));
    else if (field.fieldKind === "message") visit(inner, value as Message, handled, path, found);
  }
}

function fieldValue(message: Message, field: DescField): unknown {
  const shape = message as unknown as Record<string, unknown>;
  return field.oneof === undefined ? shape[field.localName] : (shape[field.oneof.localName] as { value: unknown }).value;
}
