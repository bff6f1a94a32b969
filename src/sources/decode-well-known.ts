// The messages of google.protobuf that have a JSON form of their own.
import { create, type DescField, type DescMessage, fromJson, type JsonObject, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema, isWrapperDesc, ListValueSchema, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { closest } from "../lib/closest.ts";
import { setOwn } from "../lib/set-own.ts";
import type { Decoder } from "./decode.ts";
import { decodeScalar, wrongType } from "./decode-scalar.ts";
import type { Reader } from "./reader.ts";
import { entryOf, type ScalarNode, type YamlNode } from "./yaml-node.ts";
import { resolveScalar } from "./yaml-scalar.ts";

const wellKnown = new Set(
  ["Duration", "Timestamp", "Any", "Struct", "Value", "ListValue", "FieldMask"].map((name) => `google.protobuf.${name}`),
);

export function isWellKnown(desc: DescMessage): boolean {
  return wellKnown.has(desc.typeName) || isWrapperDesc(desc);
}

export function decodeWellKnown(decoder: Decoder, field: DescField | undefined, desc: DescMessage, node: YamlNode): unknown {
  const { reader } = decoder;
  if (isWrapperDesc(desc)) {
    const value = decodeScalar(desc.fields[0]!.scalar!, node, reader);
    return value === undefined ? undefined : { ...create(desc), value };
  }
  switch (desc.typeName) {
    case "google.protobuf.Duration":
      return decodeDuration(node, reader);
    case "google.protobuf.Any":
      return decodeAny(decoder, node);
    case "google.protobuf.Struct": {
      if (node.kind !== "map") return wrongType(reader, "an object", node);
      const object = jsonOf(node, reader) as JsonObject;
      // protobuf-es keeps a Struct as plain JSON where it is a field of ours.
      return field && field.parent.typeName !== "google.protobuf.Value" ? object : fromJson(StructSchema, object);
    }
    case "google.protobuf.Value":
      return fromJson(ValueSchema, jsonOf(node, reader));
    case "google.protobuf.ListValue":
      return node.kind === "list" ? fromJson(ListValueSchema, jsonOf(node, reader)) : wrongType(reader, "a list", node);
    default: {
      if (node.kind !== "scalar") return wrongType(reader, "text", node);
      try {
        return fromJson(desc, node.text);
      } catch {
        return wrongType(reader, desc.name === "Timestamp" ? "a time such as 2026-11-23T10:00:00Z" : "a list of field names", node);
      }
    }
  }
}

const protobufDuration = /^(-?)([0-9]+)(?:\.([0-9]{1,9}))?s$/;
const goDuration = /^[-+]?((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
/** As Gloo's users write them, and as everybody reads them. */
const usualDuration = /^-?([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$/;
const goPart = /([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)/g;
const nanosPer: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n, // micro sign
  μs: 1_000n, // Greek mu
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

function decodeDuration(node: YamlNode, reader: Reader): unknown {
  if (node.kind !== "scalar") return wrongType(reader, "a duration", node, 'write it as text: "5s"');
  const scalar = resolveScalar(node);
  if (scalar.kind === "integer" || scalar.kind === "float") {
    const isZero = Number(scalar.value) === 0;
    reader.error(
      "BadDuration",
      `a duration says its unit; this is the number ${node.text}`,
      node,
      isZero ? "write 0s" : `write ${node.text}s, or ${node.text}ms`,
    );
    return undefined;
  }
  const nanos = scalar.kind === "text" ? nanosOf(node.text) : undefined;
  if (nanos === undefined) return badDuration(node, reader);
  const limit = 315_576_000_000n * 1_000_000_000n;
  if (nanos > limit || nanos < -limit) {
    reader.error("BadDuration", `${node.text} is longer than a duration can be (10,000 years)`, node);
    return undefined;
  }
  const duration = create(DurationSchema, { seconds: nanos / 1_000_000_000n, nanos: Number(nanos % 1_000_000_000n) });
  if (!usualDuration.test(node.text))
    reader.warn("LooseDuration", `${node.text} is read as ${formatNanos(nanos)}`, node, `write ${formatNanos(nanos)}`);
  return duration;
}

function nanosOf(text: string): bigint | undefined {
  const strict = protobufDuration.exec(text);
  if (strict) {
    const nanos = BigInt(strict[2]!) * 1_000_000_000n + BigInt((strict[3] ?? "").padEnd(9, "0"));
    return strict[1] ? -nanos : nanos;
  }
  if (text === "0" || text === "+0" || text === "-0") return 0n;
  if (!goDuration.test(text)) return undefined;
  let total = 0n;
  for (const [, whole, fraction = "", unit] of text.matchAll(goPart)) {
    const per = nanosPer[unit!]!;
    total += BigInt(whole || "0") * per;
    if (fraction !== "") total += (BigInt(fraction.slice(0, 18)) * per) / 10n ** BigInt(Math.min(fraction.length, 18));
  }
  return text.startsWith("-") ? -total : total;
}

function formatNanos(nanos: bigint): string {
  const sign = nanos < 0n ? "-" : "";
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${sign}${size / 1_000_000_000n}${fraction && `.${fraction}`}s`;
}

function badDuration(node: ScalarNode, reader: Reader): undefined {
  const days = /^([0-9]+)d$/.exec(node.text);
  const bare = /^[0-9.]+$/.test(node.text);
  const hint = days
    ? `there is no unit for days; write ${Number(days[1]) * 24}h`
    : bare
      ? `say the unit: ${node.text}s`
      : "write it as 5s, 1.5s, 250ms or 1m30s";
  reader.error("BadDuration", `not a duration: ${JSON.stringify(node.text)}`, node, hint);
}

function decodeAny(decoder: Decoder, node: YamlNode): unknown {
  const { reader, options } = decoder;
  if (node.kind !== "map") return wrongType(reader, "an object with @type", node);
  const type = entryOf(node, "@type");
  if (!type) {
    if (node.entries.length === 0) return create(AnySchema);
    reader.error("UnknownAnyType", "@type is missing, which names the message", node, 'add "@type": type.googleapis.com/…');
    return undefined;
  }
  const typeUrl = type.value.kind === "scalar" ? type.value.text : "";
  const typeName = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const desc = options.types.getMessage(typeName);
  if (!desc) {
    const near = closest(typeName, typeNames(decoder));
    reader.error(
      "UnknownAnyType",
      `there is no message type "${typeName}"`,
      type.value,
      near && `did you mean type.googleapis.com/${near}?`,
    );
    return undefined;
  }
  const errorsBefore = reader.problems.length;
  const rest = { ...node, entries: node.entries.filter((entry) => entry !== type) };
  const value = isWellKnown(desc) ? wellKnownInAny(decoder, desc, rest) : decoder.message(desc, rest);
  if (value === undefined || reader.problems.slice(errorsBefore).some((each) => each.severity === "error")) return undefined;
  return create(AnySchema, { typeUrl: `type.googleapis.com/${typeName}`, value: toBinary(desc, value as never) });
}

/** In an Any, a message with a JSON form of its own stands under `value`. */
function wellKnownInAny(decoder: Decoder, desc: DescMessage, node: YamlNode): unknown {
  const value = entryOf(node, "value");
  if (!value) return create(desc);
  return decodeWellKnown(decoder, undefined, desc, value.value);
}

function typeNames(decoder: Decoder): string[] {
  return [...decoder.options.types].filter((type) => type.kind === "message").map((type) => type.typeName);
}

/** Free JSON. Ambiguous scalars are read as Gloo reads them. */
export function jsonOf(node: YamlNode, reader: Reader): JsonValue {
  switch (node.kind) {
    case "list":
      return node.items.map((item, index) => at(reader, index, () => jsonOf(item, reader)));
    case "map": {
      const object: JsonObject = {};
      for (const entry of node.entries)
        setOwn(
          object,
          entry.key,
          at(reader, entry.key, () => jsonOf(entry.value, reader)),
        );
      return object;
    }
    case "scalar":
      return jsonScalar(node, reader);
  }
}

function jsonScalar(node: ScalarNode, reader: Reader): JsonValue {
  const scalar = resolveScalar(node);
  if (scalar.kind === "null") return null;
  if (scalar.kind === "text") {
    if (!scalar.value.isWellFormed()) reader.error("BadText", "the text holds half of a surrogate pair", node);
    return scalar.value;
  }
  if (scalar.isLegacy) {
    reader.warn(
      "AmbiguousScalar",
      `${node.text} is read as ${String(scalar.value)}; YAML 1.2 reads another value`,
      node,
      `write ${String(scalar.value)}, or quote it`,
    );
  }
  if (scalar.kind === "boolean") return scalar.value;
  const value = Number(scalar.value);
  if (Number.isFinite(value)) return value;
  reader.error("NumberOutOfRange", `${node.text} is no number that JSON can hold`, node);
  return null;
}

function at<T>(reader: Reader, segment: string | number, read: () => T): T {
  reader.path.push(segment);
  const value = read();
  reader.path.pop();
  return value;
}
