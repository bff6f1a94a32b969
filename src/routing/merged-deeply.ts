// Settings of a hybrid Gateway and of what it delegates to made one: what the child leaves out is the parent's, down through messages.
//
// `preventChildOverrides` gives the parent only the last word on values that can be told from absent ones, as in Gloo: flags, texts and
// numbers of wrapper types, durations and references. Lists, enums and plain scalars stay the child's.
import { create, type DescField, type DescMessage, type MessageShape } from "@bufbuild/protobuf";

export function mergedDeeply<S extends DescMessage>(
  schema: S,
  child: MessageShape<S> | undefined,
  parent: MessageShape<S> | undefined,
  parentWins: boolean,
): MessageShape<S> | undefined {
  if (child === undefined || parent === undefined) return child ?? parent;
  const [own, above] = [child, parent] as unknown as Record<string, unknown>[] as [Values, Values];
  const merged: Record<string, unknown> = {};
  for (const member of schema.members) {
    const name = member.localName;
    merged[name] =
      member.kind === "oneof"
        ? mergedChoice(member.fields, own[name] as Choice, above[name] as Choice, parentWins)
        : mergedField(member, own[name], above[name], parentWins);
  }
  return create(schema, merged as never);
}

type Values = Readonly<Record<string, unknown>>;
type Choice = { readonly case?: string; readonly value?: unknown };

function mergedChoice(fields: readonly DescField[], own: Choice, above: Choice, parentWins: boolean): Choice {
  if (own.case === undefined) return above;
  const field = fields.find(({ localName }) => localName === own.case);
  // Of different members neither can be merged into the other.
  if (field === undefined || own.case !== above.case) return own;
  return { case: own.case, value: mergedField(field, own.value, above.value, parentWins) };
}

function mergedField(field: DescField, own: unknown, above: unknown, parentWins: boolean): unknown {
  switch (field.fieldKind) {
    case "message":
      if (own === undefined || above === undefined) return own ?? above;
      if (decided.has(field.message.typeName)) return parentWins ? above : own;
      return typeof own === "object" && own !== null
        ? mergedDeeply(field.message, own as MessageShape<DescMessage>, above as MessageShape<DescMessage>, parentWins)
        : own || above;
    case "list":
      return (own as readonly unknown[]).length > 0 ? own : above;
    case "map":
      return { ...(above as object), ...(own as object) };
    default:
      return own || above;
  }
}

const decided = new Set([
  "google.protobuf.BoolValue",
  "google.protobuf.StringValue",
  "google.protobuf.UInt32Value",
  "google.protobuf.Duration",
  "core.solo.io.ResourceRef",
]);
