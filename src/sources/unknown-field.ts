// What to say about a key that no field has: most often it is a typo, or stands one level too high or too low.
import type { DescMessage } from "@bufbuild/protobuf";
import { closest, editDistance } from "../lib/closest.ts";
import { fieldsByName } from "./field-names.ts";
import type { Reader } from "./reader.ts";
import type { MapEntry } from "./yaml-node.ts";

/** `parents`: the messages around `desc`, outermost first. */
export function reportUnknownField(
  reader: Reader,
  desc: DescMessage,
  entry: MapEntry,
  parents: readonly DescMessage[],
  besides: readonly MapEntry[] = [],
): void {
  const where = reader.here ?? desc.name;
  const hint = hintFor(entry.key, desc, parents, besides);
  reader.path.push(entry.key);
  reader.unknownField(`unknown field "${entry.key}" in ${where}`, { start: entry.keyStart, end: entry.keyEnd }, hint);
  reader.path.pop();
}

/** `prefix:/` is one word to YAML: a text, or a key with nothing behind it. */
export function missingSpace(text: string, desc: DescMessage): string | undefined {
  const [, key, value] = /^([A-Za-z_]\w*):(\S.*)$/.exec(text) ?? [];
  return key !== undefined && fieldsByName(desc).has(key) ? `put a space after the colon: ${key}: ${value}` : undefined;
}

function hintFor(key: string, desc: DescMessage, parents: readonly DescMessage[], besides: readonly MapEntry[]): string | undefined {
  const apart = missingSpace(key, desc);
  if (apart !== undefined) return apart;
  const near = closest(
    key,
    desc.fields.map((field) => field.jsonName),
  );
  if (near !== undefined && editDistance(key.toLowerCase(), near.toLowerCase()) <= 1) return `did you mean "${near}"?`;
  return (
    below(key, desc, besides) ?? above(key, parents) ?? beside(key, desc, parents) ?? (near && `did you mean "${near}"?`) ?? listOf(desc)
  );
}

/** It is a field of something in this message. */
function below(key: string, desc: DescMessage, besides: readonly MapEntry[]): string | undefined {
  const all = desc.fields.filter((field) => field.message && fieldsByName(field.message).has(key));
  // Of many, those that are written beside it: serviceSpec beside kube belongs under kube.
  const written = all.filter(({ jsonName, name }) => besides.some((each) => each.key === jsonName || each.key === name));
  const holders = written.length > 0 ? written : all;
  if (holders.length === 0 || holders.length > 3) return undefined;
  return `it belongs under ${holders.map((field) => `"${field.jsonName}"`).join(" or ")}: ${holders[0]!.jsonName}.${key}`;
}

/** It is a field of the message around this one, or of the one around that. */
function above(key: string, parents: readonly DescMessage[]): string | undefined {
  const index = parents.findLastIndex((parent) => fieldsByName(parent).has(key));
  if (index === -1) return undefined;
  const levels = parents.length - index;
  return levels === 1 ? "it belongs one level up: give it less indentation" : `it belongs ${levels} levels up, in ${parents[index]!.name}`;
}

/** It is a field of a neighbour of this message. */
function beside(key: string, desc: DescMessage, parents: readonly DescMessage[]): string | undefined {
  const neighbours =
    parents.at(-1)?.fields.filter((field) => field.message && field.message !== desc && fieldsByName(field.message).has(key)) ?? [];
  if (neighbours.length === 0 || neighbours.length > 3) return undefined;
  return `it belongs one level up, under ${neighbours.map((field) => `"${field.jsonName}"`).join(" or ")}`;
}

function listOf(desc: DescMessage): string | undefined {
  if (desc.fields.length === 0) return "it has no fields";
  if (desc.fields.length > 12) return undefined;
  if (desc.fields.length === 1) return `the only field here is ${desc.fields[0]!.jsonName}`;
  return `the fields here are ${desc.fields.map((field) => field.jsonName).join(", ")}`;
}
