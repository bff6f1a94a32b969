// What a discovered Upstream becomes when discovery has news of it: discovery says what it is, its user how it is reached. Pure.
import { clone, create, type DescField, type DescMessage, equals, isFieldSet, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { type Upstream, UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";

/** Fields of the Upstream itself that are discovery's alone. */
const discovered = new Set(["metadata", "namespacedStatuses", "discoveryMetadata"]);

/** Fields of a type that are its user's, or discovery of functions' (`consul.serviceSpec`). */
const kept = new Set(["serviceSpec", "subsetSpec"]);

/**
 * The news with everything that `stored` says about what the news does not mention: TLS, circuit breakers, health checks and the
 * like. A field that both have is discovery's, and so is one that is as discovery `said` before: if the news lacks it, it is gone.
 */
export function resynced(news: Upstream, stored: Upstream, said?: Upstream): Upstream {
  const result = clone(UpstreamSchema, news);
  for (const field of UpstreamSchema.fields) {
    if (field.oneof?.localName === "upstreamType" || discovered.has(field.localName)) continue;
    keep(field, UpstreamSchema, result, stored, said);
  }
  const type = result.upstreamType.case;
  if (type === undefined || type !== stored.upstreamType.case) return result;
  const typeField = UpstreamSchema.field[type];
  if (typeField?.fieldKind !== "message") return result;
  const before = said?.upstreamType.case === type ? said.upstreamType.value : undefined;
  for (const field of typeField.message.fields) {
    if (kept.has(field.localName))
      keep(field, typeField.message, result.upstreamType.value as Message, stored.upstreamType.value as Message, before);
  }
  return result;
}

function keep(field: DescField, schema: DescMessage, into: Message, stored: Message, said: Message | undefined): void {
  if (!isFieldSet(stored, field) || isFieldSet(into, field)) return;
  if (said && isFieldSet(said, field) && equals(schema, only(field, schema, said), only(field, schema, stored))) return;
  reflect(schema, into).set(field, reflect(schema, clone(schema, stored)).get(field));
}

/** A message with one field of another. */
function only(field: DescField, schema: DescMessage, message: Message): Message {
  const result = create(schema);
  reflect(schema, result).set(field, reflect(schema, message).get(field));
  return result;
}
