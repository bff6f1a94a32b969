// A tree to a protobuf message, led by the message's descriptor. Strict about what Gloo's parser is strict about, and forgiving
// where it forgives (its golang/jsonpb rules), with a warning for each liberty: see decode.test.ts for the list. All mistakes of an
// object are found, not only the first; the message that comes back leaves out what was wrong.
import { create, type DescField, type DescMessage, type DescOneof, type Message, type Registry } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { setOwn } from "../lib/set-own.ts";
import { decodeEnum, decodeMapKey, decodeScalar } from "./decode-scalar.ts";
import { decodeWellKnown, isWellKnown } from "./decode-well-known.ts";
import { describe } from "./describe.ts";
import { fieldsByName } from "./field-names.ts";
import type { Reader } from "./reader.ts";
import { missingSpace, reportUnknownField } from "./unknown-field.ts";
import type { MapEntry, YamlNode } from "./yaml-node.ts";
import { resolveScalar } from "./yaml-scalar.ts";

export interface DecodeOptions {
  /** Resolves the `@type` of a `google.protobuf.Any`. */
  readonly types: Registry;
}

/** Decodes a node as a message. What is wrong goes to the reader. */
export function decodeMessage(desc: DescMessage, node: YamlNode, reader: Reader, options: DecodeOptions): Message {
  return new Decoder(reader, options).message(desc, node);
}

type Writable = Record<string, unknown>;
type OneofValue = { case: string | undefined; value?: unknown };

export class Decoder {
  readonly reader: Reader;
  readonly options: DecodeOptions;
  /** The messages we came through, outermost first, for hints about fields at the wrong level. */
  readonly #parents: DescMessage[] = [];

  constructor(reader: Reader, options: DecodeOptions) {
    this.reader = reader;
    this.options = options;
  }

  message(desc: DescMessage, node: YamlNode): Message {
    const message = create(desc);
    if (node.kind !== "map") {
      if (node.kind !== "scalar" || resolveScalar(node).kind !== "null") this.#notAMessage(desc, node);
      return message;
    }
    const names = fieldsByName(desc);
    const seen = new Map<DescField, MapEntry>();
    const depth = this.#parents.length;
    for (const entry of node.entries) {
      const known = names.get(entry.key);
      if (!known) {
        reportUnknownField(this.reader, desc, entry, this.#parents, node.entries);
        continue;
      }
      const { field, isCamelCase } = known;
      const earlier = seen.get(field);
      if (earlier !== undefined) {
        if (earlier.key === entry.key) continue; // a duplicate key, already an error
        this.#bothSpellings(field, entry);
        if (!isCamelCase) continue;
      }
      if (isNull(entry.value) && !takesNull(field)) continue;
      seen.set(field, entry);
      this.#parents.push(desc);
      this.#field(message as unknown as Writable, field, entry, seen);
      this.#parents.length = depth;
    }
    return message;
  }

  #field(message: Writable, field: DescField, entry: MapEntry, seen: Map<DescField, MapEntry>): void {
    this.reader.path.push(field.jsonName);
    const value = this.value(field, entry.value);
    if (field.oneof) this.#oneof(message, field.oneof, field, value, entry, seen);
    else if (value !== undefined) message[field.localName] = value;
    this.reader.path.pop();
  }

  /** Gloo's parser goes through the fields in the order of the .proto, so of two members the later declared is what remains. */
  #oneof(message: Writable, oneof: DescOneof, field: DescField, value: unknown, entry: MapEntry, seen: Map<DescField, MapEntry>): void {
    const others = oneof.fields.filter((each) => each !== field && seen.has(each));
    if (others.length > 0) {
      const members = oneof.fields.filter((each) => each === field || seen.has(each));
      const winner = members.at(-1)!;
      const losers = members.slice(0, -1).map((each) => `"${each.jsonName}"`);
      this.reader.warn(
        "OneofConflict",
        `"${winner.jsonName}" is used and ${losers.join(", ")} is not: only one of them can count`,
        { start: entry.keyStart, end: entry.keyEnd },
        `remove ${losers.join(", ")}, or "${winner.jsonName}"`,
      );
      if (winner !== field) return;
    }
    if (value !== undefined) message[oneof.localName] = { case: field.localName, value } satisfies OneofValue;
  }

  #bothSpellings(field: DescField, entry: MapEntry): void {
    this.reader.path.push(field.jsonName);
    this.reader.warn(
      "BothSpellings",
      `"${field.jsonName}" is also there as "${field.name}"; "${field.jsonName}" is used`,
      { start: entry.keyStart, end: entry.keyEnd },
      `remove "${field.name}"`,
    );
    this.reader.path.pop();
  }

  /** The value of a field as protobuf-es keeps it; undefined when it was wrong. */
  value(field: DescField, node: YamlNode): unknown {
    switch (field.fieldKind) {
      case "scalar":
        return decodeScalar(field.scalar, node, this.reader);
      case "enum":
        return decodeEnum(field.enum, node, this.reader);
      case "message": {
        if (isWrapperDesc(field.message) && !field.oneof) return decodeScalar(field.message.fields[0]!.scalar!, node, this.reader);
        return this.#messageValue(field, field.message, node);
      }
      case "list":
        return this.#list(field, node);
      case "map":
        return this.#map(field, node);
    }
  }

  #messageValue(field: DescField, desc: DescMessage, node: YamlNode): unknown {
    if (isWellKnown(desc)) return decodeWellKnown(this, field, desc, node);
    return this.message(desc, node);
  }

  #list(field: DescField & { fieldKind: "list" }, node: YamlNode): unknown[] | undefined {
    if (node.kind !== "list") {
      const hint = node.kind === "map" ? 'begin each item with "- "' : "write it in brackets: [ … ]";
      this.reader.error("WrongType", `"${field.jsonName}" takes a list, not ${describe(node)}`, node, hint);
      return undefined;
    }
    const list: unknown[] = [];
    for (const [index, item] of node.items.entries()) {
      this.reader.path.push(index);
      const value = isUnreadable(item)
        ? undefined
        : isNull(item) && !takesNull(field)
          ? this.#nullItem(field, item)
          : this.#element(field, item);
      if (value !== undefined) list.push(value);
      this.reader.path.pop();
    }
    return list;
  }

  #map(field: DescField & { fieldKind: "map" }, node: YamlNode): Writable | undefined {
    if (node.kind !== "map") {
      this.reader.error("WrongType", `"${field.jsonName}" takes a map, not ${describe(node)}`, node);
      return undefined;
    }
    const map: Writable = {};
    for (const entry of node.entries) {
      this.reader.path.push(entry.key);
      if (entry.key === "matchLabels" && entry.value.kind === "map" && !field.message) {
        this.reader.error("WrongType", "the labels stand here by themselves, without matchLabels", entry.value, "move them one level up");
        this.reader.path.pop();
        continue;
      }
      const key = decodeMapKey(field.mapKey, entry, this.reader);
      const value = isNull(entry.value) && !takesNull(field) ? this.#nullItem(field, entry.value) : this.#element(field, entry.value);
      if (key !== undefined && value !== undefined) setOwn(map, key, value);
      this.reader.path.pop();
    }
    return map;
  }

  #element(field: DescField & { fieldKind: "list" | "map" }, node: YamlNode): unknown {
    if (field.message) return this.#messageValue(field, field.message, node);
    if (field.enum) return decodeEnum(field.enum, node, this.reader);
    return decodeScalar(field.scalar!, node, this.reader);
  }

  #nullItem(field: DescField & { fieldKind: "list" | "map" }, node: YamlNode): unknown {
    this.reader.warn(
      "NullItem",
      `an item of "${field.jsonName}" has no value; it counts as one with nothing set`,
      node,
      "fill it in, or remove it",
    );
    if (field.message) return field.message.typeName === "google.protobuf.Struct" ? {} : create(field.message);
    return field.enum ? 0 : decodeScalar(field.scalar!, undefined, this.reader);
  }

  #notAMessage(desc: DescMessage, node: YamlNode): void {
    const fields = desc.fields.slice(0, 4).map((field) => field.jsonName);
    const example =
      desc.typeName === "core.solo.io.ResourceRef" && node.kind === "scalar" ? `{name: ${node.text}, namespace: …}` : undefined;
    const apart = node.kind === "scalar" ? missingSpace(node.text, desc) : undefined;
    const hint = example
      ? `write ${example}`
      : apart !== undefined
        ? apart
        : fields.length > 0
          ? `it holds fields such as ${fields.join(", ")}`
          : undefined;
    const name = this.reader.path.findLast((segment) => typeof segment === "string") ?? desc.name;
    this.reader.error("WrongType", `"${name}" takes an object, not ${describe(node)}`, node, hint);
  }
}

/** `google.protobuf.Value` is the one type with a null of its own. */
function takesNull(field: DescField): boolean {
  return field.message?.typeName === "google.protobuf.Value" || field.enum?.typeName === "google.protobuf.NullValue";
}

/** An alias without its anchor, which is a finding already. */
function isUnreadable(node: YamlNode): boolean {
  return node.kind === "scalar" && node.isPlain && node.text === "" && node.end > node.start;
}

function isNull(node: YamlNode): boolean {
  return node.kind === "scalar" && node.isPlain && resolveScalar(node).kind === "null";
}
