// The part of an Upstream that belongs to a type of the user (headworks.config.ts): the field of `spec` with that kind's name. The
// type's own `parse` judges it; here it is taken out, as plain JSON, so that the rest can be read as strictly as ever.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { jsonOf } from "./decode-well-known.ts";
import { mapWith } from "./object-node.ts";
import type { Reader } from "./reader.ts";
import type { YamlNode } from "./yaml-node.ts";

export interface CustomPart {
  readonly kind: string;
  readonly config: JsonObject;
}

/** The rest of the node, and the part; the first of `kinds` that is there is taken. */
export function takeCustomPart(
  node: YamlNode,
  kinds: readonly string[],
  reader: Reader,
): { readonly rest: YamlNode; readonly custom?: CustomPart } {
  if (node.kind !== "map" || kinds.length === 0) return { rest: node };
  const entry = node.entries.find((each) => kinds.includes(each.key));
  if (entry === undefined) return { rest: node };
  reader.path.push(entry.key);
  const config: JsonValue = jsonOf(entry.value, reader);
  if (!isObject(config)) reader.error("WrongType", `${entry.key} is a map of settings of its type`, entry.value);
  reader.path.pop();
  const rest = mapWith(node, (each) => each !== entry);
  return isObject(config) ? { rest, custom: { kind: entry.key, config } } : { rest };
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
